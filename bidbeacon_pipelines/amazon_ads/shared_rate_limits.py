"""Rate limits that all processes share through the database.

While it is away, each process keeps its own.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bidbeacon_pipelines.amazon_ads.rate_limit_queries import (
    LimitKey,
    LockedLimits,
    add_limits,
    lock_limits,
    move_limits,
)
from bidbeacon_pipelines.amazon_ads.rate_limits import (
    CallIntervals,
    LimitScope,
    LocalRateLimits,
    next_slot,
    paused_until,
)

logger = logging.getLogger(__name__)

_DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)

T = TypeVar("T")


class PostgresRateLimits:
    """Limit the rate of calls of all processes on one database.

    A slot is reserved by an update in its own transaction, committed before the call is sent: a
    process that dies blocks nobody. While the database is away, calls go on within this process's
    own rate limits, and the database is tried again after a while.

    Args:
        engine: Our tables.
        intervals: Time between two starts.
        now: Returns a simulated time; the database's clock by default.
        look_again_after: Seconds until a database that was away is tried again.
    """

    def __init__(
        self,
        engine: Engine,
        intervals: CallIntervals,
        now: Callable[[], datetime] | None = None,
        *,
        look_again_after: float = 5.0,
    ) -> None:
        self._engine = engine
        self._intervals = intervals
        self._now = now
        self._local = LocalRateLimits(intervals, now)
        self._look_again_after = look_again_after
        self._away_until = 0.0

    def reserve(self, scope: LimitScope, *, longest_wait: float) -> float:
        """Reserve the next slot of the region and (if any) the account; return the seconds until it.

        If that is longer than `longest_wait`, nothing is reserved.
        """
        return self._shared(
            lambda: self._reserve(scope, longest_wait),
            or_else=lambda: self._local.reserve(scope, longest_wait=longest_wait),
        )

    def pause(self, scope: LimitScope, seconds: float) -> None:
        """Stop calls of the account (of the region, where there is no account) for so long, as Amazon asked."""
        self._local.pause(scope, seconds)  # also for the time when the database is away
        self._shared(lambda: self._pause(scope, seconds), or_else=lambda: None)

    def _reserve(self, scope: LimitScope, longest_wait: float) -> float:
        keys = _keys(scope)
        with self._locked(keys) as (connection, locked):
            read_at = time.monotonic()
            now = self._now() if self._now else locked.now
            slot = next_slot(
                now, locked.next_starts, self._intervals.of(scope), timedelta(seconds=longest_wait)
            )
            if slot.next_starts is not None:
                move_limits(connection, dict(zip(keys, slot.next_starts, strict=True)))
        wait = (slot.start - now).total_seconds()
        if slot.next_starts is None:
            return wait
        since = (
            0.0 if self._now else time.monotonic() - read_at
        )  # the end of the transaction is part of the wait
        return max(0.0, wait - since)

    def _pause(self, scope: LimitScope, seconds: float) -> None:
        key = LimitKey(*scope.own_key)
        with self._locked([key]) as (connection, locked):
            now = self._now() if self._now else locked.now
            move_limits(connection, {key: paused_until(now, locked.next_starts[0], seconds)})

    @contextmanager
    def _locked(self, keys: Sequence[LimitKey]) -> Iterator[tuple[Connection, LockedLimits]]:
        """Yield locked rate limits, and the transaction that holds the locks until the block ends."""
        while True:
            with self._engine.begin() as connection:
                locked = lock_limits(connection, keys)
                if locked is not None:
                    yield connection, locked
                    return
            with self._engine.begin() as connection:
                add_limits(connection, keys)

    def _shared(self, with_database: Callable[[], T], *, or_else: Callable[[], T]) -> T:
        """Use the database, or go on without it while it is away; log that once each time."""
        if time.monotonic() < self._away_until:
            return or_else()
        try:
            result = with_database()
        except _DATABASE_AWAY as error:
            if not self._away_until:
                logger.warning(
                    "The database is unavailable (%s): rate limits apply within this process only",
                    type(error).__name__,
                )
            self._away_until = time.monotonic() + self._look_again_after
            return or_else()
        self._away_until = 0.0
        return result


def _keys(scope: LimitScope) -> list[LimitKey]:
    return [LimitKey(*key) for key in scope.keys]
