"""The hub: one loop that follows the log in a thread and hands what it reads to every client."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_sessions.change_log import Cursor
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.server.batch import Batch
from bidbeacon_sessions.server.client import Client
from bidbeacon_sessions.server.log_reader import CursorRefusedError, Tailer
from bidbeacon_sessions.server.messages import ResetReason, to_json
from bidbeacon_sessions.store import SessionStore

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

MAX_CLIENTS = 2_000
BUSY_SECONDS = 0.025
SOON_SECONDS = 0.005
IDLE_SECONDS = 1.0
MOST_PAUSE = 0.1
AWAY_SECONDS = 1.0
SYNC_SECONDS = 10.0
STALE_SECONDS = 5.0
SILENT_SECONDS = 5.0
TRIM_SECONDS = 60.0
CATCH_UP_SECONDS = 0.025
CATCH_UP_ALONE, CATCH_UP_BESIDE = 1_000, 100
"""How many changes are read at once for one who comes back: where nobody reads, and beside others, unless more of them come."""


_Missed = dict[tuple[Cursor, SessionFilter], Batch]
"""What was read for those who come back at one moment from one place, as all do after a restart: read once for all of them."""


def pause_after(seconds: float) -> float:
    """Give the pause after a turn that took so long: with many readers or much news the beat gets slower and frames fuller."""
    return min(max(seconds / 2, BUSY_SECONDS), MOST_PAUSE)


def part_of(came: int, *, alone: bool) -> int:
    """Give how many changes are read at once for one who comes back, where so many came since the last look.

    Twice of what comes: with less, whoever is behind would fall further behind.
    """
    return CATCH_UP_ALONE if alone else min(max(CATCH_UP_BESIDE, 2 * came), CATCH_UP_ALONE)


class TooManyClientsError(Exception):
    """The bound on open streams is reached."""


class Hub:
    """All open streams of one process, and the one loop that feeds them.

    Args:
        store: whose log is followed.
        sync_seconds: how often every client is told where the log stands.
    """

    def __init__(self, store: SessionStore, *, sync_seconds: float = SYNC_SECONDS) -> None:
        self.tailer = Tailer(store)
        self.resets: Counter[ResetReason] = Counter()
        self.errors = 0
        self._sync_seconds = sync_seconds
        self._joining: list[Client] = []
        self._live: set[Client] = set()
        self._let_in_upto: Cursor | None = None
        self._fresh_at = time.monotonic()
        self._ever_fresh = False
        self._away = False
        self._failures = 0
        self._closing = False
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def clients(self) -> Counter[str]:
        """How many streams are open, by transport."""
        return Counter(client.transport for client in [*self._joining, *self._live])

    @property
    def lag_seconds(self) -> float:
        """How long ago all that is committed was published and read."""
        return time.monotonic() - self._fresh_at

    @property
    def is_ready(self) -> bool:
        """Whether the log is being read."""
        return self._ever_fresh and not self._away and self.lag_seconds < STALE_SECONDS

    def start(self) -> None:
        """Start following; belongs to the running event loop."""
        loops = (self._follow, self._sync_clients, self._trim_log)
        self._tasks = [asyncio.create_task(loop(), name=f"stream-{loop.__name__}") for loop in loops]

    def close_clients(self) -> None:
        """End every stream and take no new ones."""
        self._closing = True
        for client in [*self._joining, *self._live]:
            client.close()
        self._wake.set()

    async def stop(self) -> None:
        """End every stream and the loops."""
        self.close_clients()
        for task in self._tasks:
            task.cancel()
        self.tailer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def join(self, wanted: SessionFilter, cursor: Cursor | None, transport: str) -> Client:
        """Add a stream, which goes on after the cursor.

        Raises:
            TooManyClientsError: the bound is reached, or the process is stopping.
        """
        if self._closing or len(self._joining) + len(self._live) >= MAX_CLIENTS:
            raise TooManyClientsError
        client = Client(wanted, cursor, transport)
        self._joining.append(client)
        self._wake.set()
        return client

    def refuse(self, wanted: SessionFilter, reason: ResetReason, transport: str) -> Client:
        """Give a stream that says `reset` and ends."""
        client = Client(wanted, None, transport)
        self._reset(client, reason)
        return client

    def leave(self, client: Client) -> None:
        """Forget a stream whose connection is gone."""
        client.close()
        self._live.discard(client)
        if client in self._joining:
            self._joining.remove(client)

    async def _follow(self) -> None:
        while not self._closing:
            pause = await self._turn_safely()
            if pause > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
            self._wake.clear()

    async def _turn_safely(self) -> float:
        """Take a turn; give the pause before the next one, in seconds."""
        began = time.monotonic()
        try:
            more = await self._turn()
        except SQLAlchemyError as error:
            self._failures += 1
            if self._failures == 1:
                return 0  # somebody ended a connection that lay idle: the next one is new
            self._note_away(error)
            return AWAY_SECONDS
        except Exception:
            self.errors += 1
            logger.exception("The stream could not read the change log")
            return AWAY_SECONDS
        if more:
            return 0
        if not (self._joining or self._live):
            return IDLE_SECONDS
        return SOON_SECONDS if self.tailer.waits_for_another else pause_after(time.monotonic() - began)

    async def _turn(self) -> bool:
        """Read on, hand out, let new clients in; give whether there is more to read at once."""
        joining = list(self._joining)
        filters = {client.wanted for client in self._live}
        try:
            batch = await self._patiently(self.tailer.pull, filters)
        except CursorRefusedError as error:
            for client in list(self._live):
                self._reset(client, error.reason)
            return True
        for client in list(self._live):
            if not client.offer(batch):
                self._reset(client, "overflow")
        await asyncio.sleep(0)  # whoever can take it has taken it then: what that cost counts for the pace
        if batch.more:
            return True
        self._note_fresh()
        await self._let_in(joining, batch.upto)
        return False

    async def _patiently(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call in a thread, for as long as the database works on it; where it has fallen silent, the call is made to fail."""
        calling = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
        try:
            while not (await asyncio.wait({calling}, timeout=SILENT_SECONDS))[0]:
                broken = await asyncio.to_thread(self.tailer.break_off_silent)
                logger.log(
                    logging.WARNING if broken else logging.INFO,
                    "The database has not answered for %s s: %d connections broken off",
                    SILENT_SECONDS,
                    broken,
                )
            return calling.result()
        finally:
            calling.cancel()

    async def _let_in(self, joining: list[Client], newest: Cursor) -> None:
        """Give new clients a part of what they missed each; who has it all is fed like all others from here on.

        What is left of it waits for the next turn: those in step don't wait for those who come back. Who misses least comes first, so that
        at any load one after the other gets in step, and whoever opens a page does not wait for one who was away for hours.
        """
        most = part_of(self._count_come(newest), alone=not self._live)
        missed: _Missed = {}
        ends = time.monotonic() + CATCH_UP_SECONDS
        served = False
        for client in sorted((one for one in joining if one.has_room), key=partial(_count_missed, newest)):
            late = served and time.monotonic() > ends
            if client not in self._joining or (late and (client.upto, client.wanted) not in missed):
                continue
            served = True
            try:
                await self._catch_up(client, newest, missed, most)
            except CursorRefusedError as error:
                self._reset(client, error.reason)
            else:
                self._go_on(client, newest)

    def _count_come(self, newest: Cursor) -> int:
        """Give how many changes came since clients were let in for the last time."""
        before, self._let_in_upto = self._let_in_upto, newest
        return 0 if before is None or before.epoch != newest.epoch else newest.position - before.position

    def _go_on(self, client: Client, newest: Cursor) -> None:
        """Make a client that knows everything live."""
        if client in self._joining and client.upto == newest:
            self._joining.remove(client)
            self._live.add(client)
            client.sync(self._sync_data())

    async def _catch_up(self, client: Client, newest: Cursor, missed: _Missed, most: int) -> None:
        if client.upto is None:
            client.start(newest)
            return
        key = (client.upto, client.wanted)
        if key not in missed:
            missed[key] = await self._patiently(self.tailer.catch_up, key[0], newest, key[1], most)
        if not client.offer(missed[key]):
            raise CursorRefusedError("overflow")

    def _reset(self, client: Client, reason: ResetReason) -> None:
        self.resets[reason] += 1
        client.reset(reason, self.tailer.cursor)
        self.leave(client)

    async def _sync_clients(self) -> None:
        while True:
            await asyncio.sleep(self._sync_seconds)
            data = self._sync_data()
            for client in [*self._joining, *self._live]:
                client.sync(data)

    async def _trim_log(self) -> None:
        while True:
            await asyncio.sleep(TRIM_SECONDS)
            try:
                await self._patiently(self.tailer.trim)
            except SQLAlchemyError as error:
                logger.warning("The change log could not be trimmed: %s", type(error).__name__)

    def _sync_data(self) -> str:
        cursor = self.tailer.cursor
        return to_json(
            {
                "cursor": None if cursor is None else str(cursor),
                "server_time": utc_now().isoformat(),
                "lag_seconds": round(self.lag_seconds, 3),
                "database": "away" if self._away else "answers",
            }
        )

    def _note_fresh(self) -> None:
        if not self.tailer.waits_for_another:
            self._fresh_at = time.monotonic()
            self._ever_fresh = True
        if self._away:
            logger.info("The database answers again")
        self._away = False
        self._failures = 0

    def _note_away(self, error: Exception) -> None:
        if not self._away:
            logger.warning("The database is away (%s), the stream waits for it", type(error).__name__)
        self._away = True


def _count_missed(newest: Cursor, client: Client) -> int:
    """Give how many changes a client has missed; none where it begins with what comes, or where its cursor is no good."""
    if client.upto is None or client.upto.epoch != newest.epoch:
        return 0
    return newest.position - client.upto.position
