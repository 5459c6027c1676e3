"""The log of calls to Amazon, written in batches by a thread."""

import logging
import threading
import time
from collections import deque
from itertools import islice
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bidbeacon_pipelines.amazon_ads.call_queries import insert_calls
from bidbeacon_pipelines.amazon_ads.ledger import CallRecord

logger = logging.getLogger(__name__)

BATCH_ROWS = 100
MOST_ROWS = 10_000
_CLOSE_SECONDS = 10.0
_DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)


class PostgresCallLog:
    """Writes calls to `api_calls`: a hundred at once, or what there is five seconds after the oldest, and the rest at the end.

    Safe to share between threads. It never raises into the job and never blocks it. If the database
    is unavailable, it retries every five seconds and keeps up to 10,000 calls; it counts and logs
    the calls lost beyond that. A killed process loses the calls of its last five seconds.

    Args:
        engine: Our tables.
        longest_seconds: How long a call waits to be written.
    """

    def __init__(self, engine: Engine, *, longest_seconds: float = 5.0) -> None:
        self._engine = engine
        self._longest_seconds = longest_seconds
        self._waiting: deque[tuple[float, CallRecord]] = deque()
        self._lost = 0
        self._closing = False
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def record(self, call: CallRecord) -> None:
        """Keep a call to be written soon."""
        with self._changed:
            if len(self._waiting) >= MOST_ROWS:
                self._lost += 1
                return
            self._waiting.append((time.monotonic(), call))
            self._begin_writing()
            if len(self._waiting) == 1 or len(self._waiting) >= BATCH_ROWS:
                self._changed.notify_all()

    def close(self) -> None:
        """Write the remaining calls, in one attempt of at most ten seconds, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._writer is not None:
            self._writer.join(timeout=_CLOSE_SECONDS)
        with self._changed:
            self._lost += len(self._waiting)
            self._waiting.clear()
            lost, self._lost = self._lost, 0
        if lost:
            logger.warning(
                "%d calls to Amazon are missing in api_calls: the database was unavailable", lost
            )

    def _begin_writing(self) -> None:
        """Start the thread with the first call, so that a job without calls has none."""
        if self._writer is None and not self._closing:
            self._writer = threading.Thread(target=self._write_on, name="api-calls", daemon=True)
            self._writer.start()

    def _write_on(self) -> None:
        """Write batches until the end; the last ones all at once."""
        while batch := self._next_batch():
            if not self._write(batch) and self._closing:
                return

    def _next_batch(self) -> list[CallRecord]:
        """Wait until there is enough to write, or something is old enough; return nothing at the end."""
        with self._changed:
            while not self._closing and len(self._waiting) < BATCH_ROWS:
                left = (
                    self._waiting[0][0] + self._longest_seconds - time.monotonic()
                    if self._waiting
                    else None
                )
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
            return [call for _, call in islice(self._waiting, BATCH_ROWS)]

    def _write(self, batch: list[CallRecord]) -> bool:
        """Write a batch, and forget it unless the database is away; return whether it is dealt with."""
        try:
            with self._engine.begin() as connection:
                insert_calls(connection, [_row(call) for call in batch])
        except _DATABASE_AWAY as error:
            logger.warning(
                "The database is unavailable (%s): the log of calls to Amazon is kept in memory",
                type(error).__name__,
            )
            self._pause()
            return False
        except Exception:  # a failure of the log must never affect the job
            logger.exception("%d calls to Amazon can't be written to api_calls", len(batch))
        self._forget(len(batch))
        return True

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing, self._longest_seconds)

    def _forget(self, count: int) -> None:
        with self._changed:
            for _ in range(count):
                self._waiting.popleft()


def _row(call: CallRecord) -> dict[str, Any]:
    """Return a call as the ledger stores it; a clock that was set back makes no time negative."""
    return {
        "called_at": call.called_at.isoformat(),
        "region": call.region,
        "call": call.call,
        "account_id": call.account_id,
        "country_code": call.country_code,
        "status": call.status,
        "error": call.error,
        "duration": max(0.0, call.duration),
        "queued": max(0.0, call.queued),
        "waited": max(0.0, call.waited),
        "retry_count": call.retry_count,
        "request_id": call.request_id,
    }
