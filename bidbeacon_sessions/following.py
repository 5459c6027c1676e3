"""Follow the change log for all readers of a process, over any transport.

A reader is a cursor and a filter. One task per process polls the log, about every 20 ms while there
are readers, and readers wait for these polls. Readers with the same cursor and filter share one
read and one encoding per poll. A slow reader gets each session only in its latest state.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Self, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_sessions.change_log import Cursor, Position
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.connections import SessionStore
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.log_reader import LogReader
from bidbeacon_sessions.messages import Frame, Message, to_json

logger = logging.getLogger(__name__)
T = TypeVar("T")

PAUSE_SECONDS, LONGEST_BUSY_PAUSE, IDLE_SECONDS = 0.012, 0.1, 1.0
AWAY_SECONDS = 1.0
SYNC_SECONDS = 10.0
STALE_SECONDS = 5.0
SILENT_SECONDS = 5.0
TRIM_SECONDS = 60.0
NEAR_CHANGES = 250
"""Readers that lack more changes are served one at a time, so that others need not wait."""
_THREADS = 4


@dataclass(frozen=True)
class _Poll:
    """The result of one poll of the log; `position` is None if the database does not answer."""

    number: int
    position: Position | None
    is_sync: bool = False
    reads: dict[tuple[Cursor, Cursor, SessionFilter], asyncio.Task[Frame | None]] = field(
        default_factory=dict
    )


class Follower:
    """Async context manager that follows the log; `readers` counts its readers by transport."""

    def __init__(self, store: SessionStore) -> None:
        self.readers: Counter[str] = Counter()
        self._log = LogReader(store.engine)
        self._threads = ThreadPoolExecutor(_THREADS, "follow")
        self._latest = _Poll(0, None)
        self._position: Position | None = None
        self._begun = self._failures = 0
        self._news = asyncio.Event()
        self._wake = asyncio.Event()
        self._catching_up = asyncio.Lock()
        self._is_requested = self._is_away = self._is_closed = False
        self._sync_at = self._fresh_at = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._poll_repeatedly()),
            asyncio.create_task(self._trim()),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._log.dispose()

    def close(self) -> None:
        """End the streams of all readers: each `follow` stops."""
        self._is_closed = True
        self._news.set()
        self._wake.set()

    @property
    def lag_seconds(self) -> float:
        """The seconds since a poll last found that all committed changes were in the log."""
        return time.monotonic() - self._fresh_at

    @property
    def is_ready(self) -> bool:
        """Whether recent polls of the change log succeeded."""
        has_read = self._position is not None
        return has_read and not self._is_away and self.lag_seconds < STALE_SECONDS

    async def follow(
        self, after: Cursor | None, wanted: SessionFilter, *, transport: str = ""
    ) -> AsyncGenerator[Frame, None]:
        """Yield changes of matching sessions after a cursor (None: from now on), as they happen.

        A `sync` message follows when the reader is up to date, and then every `SYNC_SECONDS`. The
        generator ends when the process stops, or after a `reset` message. This message means that
        the log no longer has all changes after the cursor, so the reader must reload the list.
        `readers` counts the reader under the name `transport`.
        """
        self.readers[transport] += 1
        self._wake.set()
        sent, seen, is_in_step = after, self._begun, False
        try:
            while poll := await self._next_poll(seen, is_requested=not is_in_step):
                seen = poll.number
                if poll.position is None:
                    sent = after
                    yield self._sync(after)
                    continue
                newest = poll.position
                after = after or newest.cursor
                sent = sent or after
                if after != newest.cursor:
                    frame = await self._read(poll, after, newest, wanted, sent)
                    # Polls that ended meanwhile may be older than this frame.
                    seen = self._latest.number
                    if frame is None:
                        is_in_step = False
                        await asyncio.sleep(AWAY_SECONDS)
                        continue
                    if frame.messages:
                        sent = frame.upto
                        yield frame
                    if frame.upto is None:
                        return
                    after = frame.upto
                    del frame  # an idle reader would keep it
                if after == newest.cursor and (poll.is_sync or not is_in_step):
                    sent = after
                    yield self._sync(after)
                is_in_step = after == newest.cursor and seen == poll.number
        finally:
            self.readers[transport] -= 1

    async def _next_poll(self, seen: int, *, is_requested: bool) -> _Poll | None:
        """Wait for the next poll after poll number `seen`; return None when the process stops.

        A poll that finds no change ends the wait only if `is_requested` is True, or if a `sync`
        message is due.
        """
        while not self._is_closed:
            if self._latest.number > seen:
                return self._latest
            self._is_requested = self._is_requested or is_requested
            await self._news.wait()
        return None

    async def _read(
        self, poll: _Poll, after: Cursor, newest: Position, wanted: SessionFilter, sent: Cursor
    ) -> Frame | None:
        """Return the changes after a cursor as a frame; None if the database does not answer.

        Readers with the same cursors and filter share the read and its frame. Messages up to the
        cursor `sent` have been sent to the reader.
        """
        key = (after, sent, wanted)
        if key not in poll.reads:
            poll.reads[key] = asyncio.create_task(self._read_in_turn(after, newest, wanted, sent))
        return await asyncio.shield(poll.reads[key])

    async def _read_in_turn(
        self, after: Cursor, newest: Position, wanted: SessionFilter, sent: Cursor
    ) -> Frame | None:
        is_near = newest.position - after.position <= NEAR_CHANGES
        try:
            async with nullcontext() if is_near else self._catching_up:
                return await self._in_thread(lambda: self._log.read(after, newest, wanted, sent))
        except (SQLAlchemyError, TimeoutError) as error:
            self._mark_away(error)
            return None

    async def _poll_repeatedly(self) -> None:
        while not self._is_closed:
            began = time.monotonic()
            await asyncio.sleep(await self._poll_safely())
            if self.readers.total():
                # A poll takes longer while readers are being served, who then need a longer pause.
                await asyncio.sleep(min((time.monotonic() - began) / 3, LONGEST_BUSY_PAUSE))
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_SECONDS):
                        await self._wake.wait()
            self._wake.clear()

    async def _poll_safely(self) -> float:
        try:
            await self._poll_once()
        except (SQLAlchemyError, TimeoutError) as error:
            self._failures += 1
            if self._failures > 1:
                self._mark_away(error)
        except Exception:
            logger.exception("The change log could not be read: trying again")
        else:
            return PAUSE_SECONDS
        self._is_requested = True
        if self._is_sync_due():
            self._wake_readers(_Poll(self._begun, None))
        # The server may have ended an idle connection: the next one is new.
        return 0 if self._failures == 1 else AWAY_SECONDS

    async def _poll_once(self) -> None:
        self._begun += 1
        number = self._begun
        is_requested, self._is_requested = self._is_requested, False
        self._position, is_published = await self._in_thread(self._log.advance)
        if is_published:
            self._fresh_at = time.monotonic()
        if self._is_away:
            logger.info("The database answers again")
        self._is_away, self._failures = False, 0
        poll = _Poll(number, self._position, self._is_sync_due())
        if poll.is_sync or is_requested or poll.position != self._latest.position:
            self._wake_readers(poll)

    def _is_sync_due(self) -> bool:
        if time.monotonic() < self._sync_at:
            return False
        self._sync_at = time.monotonic() + SYNC_SECONDS
        return True

    def _wake_readers(self, poll: _Poll) -> None:
        self._latest = poll
        self._news.set()
        self._news = asyncio.Event()

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(TRIM_SECONDS)
            try:
                await self._in_thread(self._log.trim)
            except (SQLAlchemyError, TimeoutError) as error:
                why = type(error).__name__
                logger.warning("Old changes could not be deleted, trying again later: %s", why)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        """Run a function in a thread; on a timeout, close the log's connections and raise."""
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except TimeoutError:
            self._log.dispose()
            raise

    def _sync(self, upto: Cursor | None) -> Frame:
        """Return a frame with a `sync` message; `upto` is the reader's cursor."""
        data = {
            "cursor": self._position and str(self._position.cursor),
            "server_time": utc_now().isoformat(),
            "lag_seconds": round(self.lag_seconds, 3),
            "database": "away" if self._is_away else "answers",
        }
        return Frame([Message("sync", None if upto is None else str(upto), to_json(data))], upto)

    def _mark_away(self, error: Exception) -> None:
        if not self._is_away:
            logger.warning("The database can't be reached (%s)", type(error).__name__)
        self._is_away = True
