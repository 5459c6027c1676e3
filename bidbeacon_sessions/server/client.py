"""One reader of the stream: what it was not sent yet, shared with all that are in step, or else its own, newest state only."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from uuid import UUID

from bidbeacon_sessions.change_log import Cursor
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.server.batch import Batch, merge_newest
from bidbeacon_sessions.server.bundles import Bundle, Framing, bundle_sessions, bundle_sync
from bidbeacon_sessions.server.messages import Message, ResetReason, to_json
from bidbeacon_sessions.server.rendering import RenderedSession

MAX_PENDING_CHARACTERS = 8_000_000
ROOM_CHARACTERS = 1_000_000
"""With less than this waiting, a reader that comes back is given the next part of what it missed."""
MAX_SHARED = 4
"""How many batches a reader may be behind and still be sent what all others are sent."""


class Client:
    """A reader between the hub, which offers batches, and a connection, which sends what `bundles` gives.

    Not a queue: a slow reader falls out of step, holds one state per changed session and is sent the newest; when that is sent it
    is in step again. All methods belong to the event loop.

    Args:
        wanted: which sessions it is told about.
        cursor: from where it goes on; None for "from now on".
        transport: `sse` or `websocket`, for the metrics.

    Attributes:
        framing: what is written to its connection.
    """

    def __init__(self, wanted: SessionFilter, cursor: Cursor | None, transport: str) -> None:
        self.wanted = wanted
        self.cursor = cursor
        self.transport = transport
        self.framing: Framing = "sse" if transport == "sse" else "websocket"
        self._shared: deque[Batch] = deque()
        self._pending: dict[UUID, RenderedSession] = {}
        self._size = 0
        self._upto = cursor
        self._sync: str | None = None
        self._last: Message | None = None
        self._closed = False
        self._wake = asyncio.Event()

    @property
    def upto(self) -> Cursor | None:
        """Up to where it was offered what happened, sent or not."""
        return self._upto

    @property
    def has_room(self) -> bool:
        """Whether little enough waits to be sent that more of what it missed may be added."""
        return self._size < ROOM_CHARACTERS

    def start(self, cursor: Cursor) -> None:
        """Go on from this place in the log."""
        self.cursor = self._upto = cursor

    def offer(self, batch: Batch) -> bool:
        """Take in a batch that goes on where the last one ended; give False where too much waits now, and it must load again.

        One batch alone is never too much: it is there once for all.
        """
        if self._pending or len(self._shared) >= MAX_SHARED:
            self._keep(batch)
        else:
            self._share(batch)
        self._upto = batch.upto
        return self._size <= MAX_PENDING_CHARACTERS or (not self._pending and len(self._shared) == 1)

    def sync(self, data: str) -> None:
        """Say where the log stands, after all that waits has been sent."""
        self._sync = data
        self._wake.set()

    def reset(self, reason: ResetReason, cursor: Cursor | None) -> None:
        """Tell the reader to load the list again, as the last thing it hears."""
        shown = None if cursor is None else str(cursor)
        self._last = Message("reset", None, to_json({"reason": reason, "cursor": shown}))
        self._shared.clear()
        self._pending.clear()
        self._size = 0
        self._sync = None  # it would name a place behind what was dropped
        self.close()

    def close(self) -> None:
        """End the stream; `bundles` stops."""
        self._closed = True
        self._wake.set()

    async def bundles(self) -> AsyncIterator[Bundle]:
        """Give what is to be sent, until the client is closed and what waited has been given."""
        while True:
            while (bundle := self._next()) is not None:
                yield bundle
            if self._closed:
                break
            await self._wake.wait()
            self._wake.clear()
        if self._last is not None:
            yield Bundle([self._last])

    def _share(self, batch: Batch) -> None:
        share = batch.share(self.wanted)
        if share.sessions:
            self._shared.append(batch)
            self._size += share.size
            self._wake.set()

    def _keep(self, batch: Batch) -> None:
        """Fall out of step: what waits becomes this reader's own, the newest state of each session."""
        for each in (*self._shared, batch):
            merge_newest(self._pending, each.share(self.wanted).sessions)
        self._shared.clear()
        self._size = sum(session.size for session in self._pending.values())
        self._wake.set()

    def _next(self) -> Bundle | None:
        """Take what is to be sent next. What is shared and what is its own never wait at the same time."""
        if self.cursor is None or self._upto is None:
            return self._next_sync()
        told = self.cursor
        if self._shared:
            *earlier, newest = self._shared
            bundle = newest.bundle(self.wanted, told, earlier)
            self._shared.clear()
            self.cursor = newest.upto
        elif self._pending:
            bundle = bundle_sessions(self._pending.values(), self.wanted, told, self._upto)
            self._pending.clear()
            self.cursor = self._upto
        else:
            return self._next_sync()
        self._size = 0
        return bundle

    def _next_sync(self) -> Bundle | None:
        if self._sync is None:
            return None
        data, self._sync = self._sync, None
        self.cursor = self._upto
        return bundle_sync(self.cursor, data)
