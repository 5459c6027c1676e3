"""The stream: one task follows the change log in a thread, and every reader is sent what its filter lets through.

Readers with the same filter share a *feed*: a chain of frames that grows at its end. Each reader
holds the frame that it was sent last, so that frames which all have passed are let go of. A reader
that comes back with a cursor reads from the log what it missed, part by part, and then takes its
place at the end of the chain.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_sessions.change_log import NOWHERE, Cursor, Position
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.server.feeds import Feed, Link, StreamClosedError
from bidbeacon_sessions.server.log_reader import CursorRefusedError, LogReader
from bidbeacon_sessions.server.messages import Frame, Message, to_json
from bidbeacon_sessions.server.metrics import StreamMetrics
from bidbeacon_sessions.store import SessionStore

logger = logging.getLogger(__name__)
T = TypeVar("T")

MAX_READERS = 2_000
MISSED_AT_ONCE = 250
"""A reader that missed more than this many changes gets them in parts of twice as many: while they are read, others wait."""
BUSY_SECONDS, MOST_SECONDS, IDLE_SECONDS = 0.015, 0.1, 1.0
SOON_SECONDS = 0.005
AWAY_SECONDS = 1.0
SYNC_SECONDS = 10.0
STALE_SECONDS = 5.0
SILENT_SECONDS = 5.0
TRIM_SECONDS = 60.0
_THREADS = 4


class TooManyReadersError(Exception):
    """The bound on open streams is reached, or the process is stopping."""


@dataclass(frozen=True)
class _Missed:
    """A part of what a reader missed, up to where it knows everything then, and its place in the feed where that was all."""

    frame: Frame
    upto: Cursor
    here: Link | None


class Stream:
    """All readers of one process, and the task that feeds them; every `SYNC_SECONDS` each is told where the log stands."""

    def __init__(self, store: SessionStore, metrics: StreamMetrics) -> None:
        self.readers: Counter[str] = Counter()
        self.is_empty = asyncio.Event()
        self.is_empty.set()
        self.cursor: Cursor | None = None
        self._metrics = metrics
        metrics.watch(self)
        self._log = LogReader(store.engine, metrics.note_step)
        self._threads = ThreadPoolExecutor(_THREADS, "stream")
        self._feeds: dict[SessionFilter, Feed] = {}
        self._missed: dict[tuple[Cursor, Feed], asyncio.Task[_Missed]] = {}
        self._turn = asyncio.Lock()
        self._handing_out = asyncio.Lock()
        self._looks_begun = self._looks_done = 0
        self._looked = asyncio.Event()
        self._wake = asyncio.Event()
        self._fresh_at = time.monotonic()
        self._is_away = self._is_closed = self._was_fresh = False
        self._failures = 0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def lag_seconds(self) -> float:
        """Return the time since all that is committed was published and read."""
        return time.monotonic() - self._fresh_at

    @property
    def is_ready(self) -> bool:
        """Whether the log is being read."""
        return self._was_fresh and not self._is_away and self.lag_seconds < STALE_SECONDS

    def start(self) -> None:
        """Begin to follow, in the running event loop."""
        loops = (self._follow, self._sync_readers, self._trim_log)
        self._tasks = [
            asyncio.create_task(loop(), name=f"stream-{loop.__name__}") for loop in loops
        ]

    def close(self) -> None:
        """End every stream, and take no new ones."""
        self._is_closed = True
        for feed in self._feeds.values():
            feed.last.end(StreamClosedError())
        self._feeds.clear()
        self._wake.set()
        self._looked.set()

    async def stop(self) -> None:
        """End every stream and the tasks."""
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._log.forget_connections()

    @contextmanager
    def counted(self, transport: str) -> Iterator[None]:
        """Count a reader while the block runs.

        Raises:
            TooManyReadersError: there are too many.
        """
        if self._is_closed or self.readers.total() >= MAX_READERS:
            raise TooManyReadersError
        self.readers[transport] += 1
        self.is_empty.clear()
        try:
            yield
        finally:
            self.readers[transport] -= 1
            if not self.readers.total():
                self.is_empty.set()

    async def frames(
        self, wanted: SessionFilter, cursor: Cursor | None
    ) -> AsyncGenerator[Frame, None]:
        """Yield what a reader is sent from its cursor on, or from now on, until it must load again or the process stops."""
        try:
            with self._feed(wanted) as feed:
                async for frame in self._go_on(feed, wanted, cursor):
                    yield frame
                    del frame  # an idle reader would keep it
        except CursorRefusedError as error:
            self._metrics.resets.labels(error.reason).inc()
            told = {"reason": error.reason, "cursor": self.cursor and str(self.cursor)}
            yield Frame([Message("reset", None, to_json(told))])
        except StreamClosedError:
            return

    async def _go_on(
        self, feed: Feed, wanted: SessionFilter, cursor: Cursor | None
    ) -> AsyncIterator[Frame]:
        """Yield what was missed since the cursor, `sync` when that is all, and then what comes."""
        async for frame in self._until_looked(cursor):
            yield frame
        here = self._end_of(feed) if cursor in {None, self.cursor} else None
        while here is None:
            assert cursor is not None  # noqa: S101 - else it is in step
            try:
                missed = await self._read_missed(cursor, wanted, feed)
            except (SQLAlchemyError, TimeoutError) as error:
                self._note_away(error)
                yield self._sync(cursor)
                await asyncio.sleep(AWAY_SECONDS)
                continue
            here, cursor = missed.here, missed.upto
            if missed.frame.messages:
                yield missed.frame
            del missed  # a reader in step would keep all that it had missed
        is_in_step = False
        while True:
            if here is feed.last and not is_in_step:
                is_in_step = True
                yield self._sync(here.upto)
            here = await here.next()
            if feed.is_far_from(here):
                raise CursorRefusedError("overflow")
            yield here.frame

    def _end_of(self, feed: Feed) -> Link:
        """Return the end of a feed. The next message goes on exactly there."""
        if feed.upto != feed.told:
            self._say_sync(feed)
        return feed.last

    @contextmanager
    def _feed(self, wanted: SessionFilter) -> Iterator[Feed]:
        """Return the feed of a filter, which exists as long as somebody reads it."""
        if self._is_closed:
            raise StreamClosedError
        feed = self._feeds.get(wanted)
        if feed is None:
            feed = self._feeds[wanted] = Feed(self.cursor or NOWHERE)
        feed.readers += 1
        self._wake.set()
        try:
            yield feed
        finally:
            feed.readers -= 1
            if feed.readers == 0 and self._feeds.get(wanted) is feed:
                del self._feeds[wanted]

    async def _until_looked(self, cursor: Cursor | None) -> AsyncIterator[Frame]:
        """Wait for a look at the log that begins after now; yield `sync` while the database is away."""
        first = self._looks_begun + 1
        while self._looks_done < first:
            if self._is_closed:
                raise StreamClosedError
            looked = self._looked
            try:
                async with asyncio.timeout(SYNC_SECONDS):
                    await looked.wait()
            except TimeoutError:
                yield self._sync(cursor)

    async def _read_missed(self, cursor: Cursor, wanted: SessionFilter, feed: Feed) -> _Missed:
        """Read a part of what one reader missed: once for all that come back from one place, as after a restart."""
        key = (cursor, feed)
        if key not in self._missed:
            self._missed[key] = asyncio.create_task(self._read_for_one(cursor, wanted, feed))
            self._missed[key].add_done_callback(partial(self._forget_missed, key))
        return await asyncio.shield(self._missed[key])

    def _forget_missed(self, key: tuple[Cursor, Feed], task: asyncio.Task[_Missed]) -> None:
        del self._missed[key]
        if not task.cancelled():
            task.exception()  # those who wait hear of it; all may have left

    async def _read_for_one(self, cursor: Cursor, wanted: SessionFilter, feed: Feed) -> _Missed:
        """Read the next part for readers that come back, one place after the other.

        The last part is read while nothing is handed out: what comes then is of a later moment, so
        that no revision falls.
        """
        async with self._turn:
            if self._is_closed:
                raise StreamClosedError
            assert self.cursor is not None  # noqa: S101 - the log was looked at
            is_near = self.cursor.position - cursor.position <= MISSED_AT_ONCE
            async with self._handing_out if is_near else nullcontext():
                call = partial(
                    self._log.read_missed, cursor, self.cursor, wanted, 2 * MISSED_AT_ONCE
                )
                part = await self._in_thread(call)
                here = self._end_of(feed) if is_near and part.upto == self.cursor else None
            return _Missed(Frame(part.messages[wanted]), part.upto, here)

    async def _follow(self) -> None:
        while not self._is_closed:
            began = time.monotonic()
            pause = await self._look_safely()
            if pause is None:
                pause = min(max((time.monotonic() - began) / 2, BUSY_SECONDS), MOST_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()

    async def _look_safely(self) -> float | None:
        """Look at the log; return the pause before the next look, or None where it depends on how long this one took."""
        try:
            return await self._look()
        except (SQLAlchemyError, TimeoutError) as error:
            self._failures += 1
            if self._failures == 1:
                return 0  # somebody ended a connection that lay idle: the next one is new
            self._note_away(error)
        except Exception:
            self._metrics.errors.inc()
            logger.exception("The stream could not read the change log")
        return AWAY_SECONDS

    async def _look(self) -> float | None:
        self._looks_begun += 1
        look = self._looks_begun
        position, is_published = await self._in_thread(self._log.advance)
        async with self._handing_out:
            more = position.cursor != self.cursor and await self._read_on(position)
        if more:
            return 0
        self._note_answer(is_published)
        self._looks_done = look
        self._looked.set()
        self._looked = asyncio.Event()
        await asyncio.sleep(0)  # whoever can take it has taken it then: that counts for the pace
        if not self._feeds:
            return IDLE_SECONDS
        return None if is_published else SOON_SECONDS

    async def _read_on(self, position: Position) -> bool:
        """Hand out the next part of the log; return whether there is more."""
        if self.cursor is None:
            self.cursor = position.cursor
        told = {wanted: feed.told for wanted, feed in self._feeds.items()}
        feeds = dict(self._feeds)
        try:
            part = await self._in_thread(partial(self._log.read, self.cursor, position, told))
        except CursorRefusedError as error:
            self.cursor = position.cursor
            for feed in self._feeds.values():
                feed.last.end(error)
            self._feeds.clear()
            return False
        self.cursor = part.upto
        for wanted, feed in self._feeds.items():
            if feeds.get(wanted) is feed and feed.told.epoch == part.upto.epoch:
                feed.add(part.messages[wanted], part.upto)
            else:
                feed.begin_at(part.upto)
        self._metrics.note_ended(part.ended)
        return part.upto != position.cursor

    async def _in_thread(self, call: Callable[[], T]) -> T:
        """Call in a thread, and give it up where it takes too long: its connection is silent, and ends by its own timeouts.

        Raises:
            TimeoutError: it took too long.
        """
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except TimeoutError:
            self._log.forget_connections()
            raise

    async def _sync_readers(self) -> None:
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            for feed in self._feeds.values():
                self._say_sync(feed)

    async def _trim_log(self) -> None:
        while True:
            await asyncio.sleep(TRIM_SECONDS)
            try:
                await self._in_thread(self._log.trim)
            except (SQLAlchemyError, TimeoutError) as error:
                logger.warning("The change log could not be trimmed: %s", type(error).__name__)

    def _say_sync(self, feed: Feed) -> None:
        feed.last = feed.last.append(self._sync(feed.upto), feed.upto)

    def _sync(self, upto: Cursor | None) -> Frame:
        """Return a frame that says where the log stands; `upto` is where its reader does."""
        data = {
            "cursor": self.cursor and str(self.cursor),
            "server_time": utc_now().isoformat(),
            "lag_seconds": round(self.lag_seconds, 3),
            "database": "away" if self._is_away else "answers",
        }
        return Frame([Message("sync", None if upto is None else str(upto), to_json(data))])

    def _note_answer(self, is_published: bool) -> None:  # noqa: FBT001
        if is_published:
            self._fresh_at = time.monotonic()
            self._was_fresh = True
        if self._is_away:
            logger.info("The database answers again")
        self._is_away = False
        self._failures = 0

    def _note_away(self, error: Exception) -> None:
        if not self._is_away:
            logger.warning(
                "The database is away (%s), the stream waits for it", type(error).__name__
            )
        self._is_away = True
