"""Lanes that all processes share through the database; without it each process goes on by lanes of its own."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bidbeacon_pipelines.amazon_ads.throttle import Lane, LaneGaps, LocalLanes, held_until, next_place
from bidbeacon_pipelines.store.api_lanes import LaneKey, LockedLanes, add_lanes, lock_lanes, move_lanes

logger = logging.getLogger(__name__)

_DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)

T = TypeVar("T")


class PostgresLanes:
    """Gives places to calls of all processes on one database, so that together they keep apart as one would.

    A place is a row moved in a transaction of its own, over before the call is sent: a process that dies keeps nobody waiting. A
    database that is away stops no call: places are then this process's own, and the database is asked again after a while.

    Args:
        engine: Our tables.
        gaps: How far apart starts are.
        now: Tells a time that isn't the database's: a simulated one.
        look_again_after: Seconds for which a database that is away isn't asked again.
    """

    def __init__(
        self,
        engine: Engine,
        gaps: LaneGaps,
        now: Callable[[], datetime] | None = None,
        *,
        look_again_after: float = 5.0,
    ) -> None:
        self._engine = engine
        self._gaps = gaps
        self._now = now
        self._local = LocalLanes(gaps, now)
        self._look_again_after = look_again_after
        self._away_until = 0.0

    def reserve(self, lane: Lane, *, longest_wait: float) -> float:
        """Take the next place in the region's lane of this class and (if any) the account's; return the seconds until it.

        Where that is longer than `longest_wait`, nothing is taken, and the wait is given.
        """
        return self._shared(
            lambda: self._reserve(lane, longest_wait),
            or_else=lambda: self._local.reserve(lane, longest_wait=longest_wait),
        )

    def hold_back(self, lane: Lane, seconds: float) -> None:
        """Leave the account's lane alone for so long (the region's, where there is no account), as Amazon asked."""
        self._local.hold_back(lane, seconds)  # also for the time when the database is away
        self._shared(lambda: self._hold_back(lane, seconds), or_else=lambda: None)

    def _reserve(self, lane: Lane, longest_wait: float) -> float:
        keys = _keys(lane)
        with self._locked(keys) as (connection, locked):
            read_at = time.monotonic()
            now = self._now() if self._now else locked.now
            place = next_place(now, locked.next_starts, self._gaps.of(lane), timedelta(seconds=longest_wait))
            if place.next_starts is not None:
                move_lanes(connection, dict(zip(keys, place.next_starts, strict=True)))
        wait = (place.start - now).total_seconds()
        if place.next_starts is None:
            return wait
        since = (
            0.0 if self._now else time.monotonic() - read_at
        )  # the end of the transaction is part of the wait
        return max(0.0, wait - since)

    def _hold_back(self, lane: Lane, seconds: float) -> None:
        key = LaneKey(*lane.own_key)
        with self._locked([key]) as (connection, locked):
            now = self._now() if self._now else locked.now
            move_lanes(connection, {key: held_until(now, locked.next_starts[0], seconds)})

    @contextmanager
    def _locked(self, keys: Sequence[LaneKey]) -> Iterator[tuple[Connection, LockedLanes]]:
        """Yield lanes that nobody else can move inside the block, and a transaction that ends with it."""
        while True:
            with self._engine.begin() as connection:
                locked = lock_lanes(connection, keys)
                if locked is not None:
                    yield connection, locked
                    return
            with self._engine.begin() as connection:
                add_lanes(connection, keys)

    def _shared(self, with_database: Callable[[], T], *, or_else: Callable[[], T]) -> T:
        """Ask the database, or go on without where it is away; that is said once each time it goes."""
        if time.monotonic() < self._away_until:
            return or_else()
        try:
            result = with_database()
        except _DATABASE_AWAY as error:
            if not self._away_until:
                logger.warning(
                    "The database is away (%s): calls to Amazon keep their distance within this process only",
                    type(error).__name__,
                )
            self._away_until = time.monotonic() + self._look_again_after
            return or_else()
        self._away_until = 0.0
        return result


def _keys(lane: Lane) -> list[LaneKey]:
    return [LaneKey(*key) for key in lane.keys]
