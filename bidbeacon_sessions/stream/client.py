"""One reader of the stream: what changed since its last message, the newest state only, within bounds."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

from bidbeacon_sessions.change_log import Cursor
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.stream.messages import Message, ResetReason, gone_data, to_json, updated_data
from bidbeacon_sessions.stream.rendering import RenderedSession
from bidbeacon_sessions.stream.tailer import EVERYTHING, Batch

MAX_PENDING_CHARACTERS = 8_000_000


class Client:
    """A reader between the hub, which offers batches, and a connection, which sends what `messages` gives.

    Not a queue: a slow reader holds one state per changed session and is sent the newest. All methods belong to the event loop.

    Args:
        wanted: which sessions it is told about.
        cursor: from where it goes on; None for "from now on".
        transport: `sse` or `websocket`, for the metrics.
    """

    def __init__(self, wanted: SessionFilter, cursor: Cursor | None, transport: str) -> None:
        self.wanted = wanted
        self.cursor = cursor
        self.transport = transport
        self._pending: dict[UUID, RenderedSession] = {}
        self._size = 0
        self._upto = cursor
        self._sync: str | None = None
        self._last: Message | None = None
        self._closed = False
        self._wake = asyncio.Event()

    def start(self, cursor: Cursor) -> None:
        """Go on from this place in the log."""
        self.cursor = self._upto = cursor

    def offer(self, batch: Batch) -> None:
        """Take in a batch that goes on where the last one ended."""
        for session in batch.sessions:
            self._offer_session(session, batch)
        self._upto = batch.upto
        if self._size > MAX_PENDING_CHARACTERS:
            self.reset("overflow", batch.upto)
        if self._pending:
            self._wake.set()

    def sync(self, data: str) -> None:
        """Say where the log stands, after all that waits has been sent."""
        self._sync = data
        self._wake.set()

    def reset(self, reason: ResetReason, cursor: Cursor | None) -> None:
        """Tell the reader to load the list again, as the last thing it hears."""
        shown = None if cursor is None else str(cursor)
        self._last = Message("reset", None, to_json({"reason": reason, "cursor": shown}))
        self._pending.clear()
        self._size = 0
        self.close()

    def close(self) -> None:
        """End the stream; `messages` stops."""
        self._closed = True
        self._wake.set()

    async def messages(self) -> AsyncIterator[Message]:
        """Give message after message, until the client is closed and what waited has been given."""
        while True:
            for message in self._drain():
                yield message
            if self._closed:
                break
            await self._wake.wait()
            self._wake.clear()
        if self._last is not None:
            yield self._last

    def _offer_session(self, session: RenderedSession, batch: Batch) -> None:
        anyhow = replace(self.wanted, status=None)
        if anyhow != EVERYTHING and session.session_id not in batch.matches[anyhow]:
            return
        earlier = self._pending.pop(session.session_id, None)
        newest = session.after(earlier)
        self._size += newest.size - (earlier.size if earlier else 0)
        self._pending[session.session_id] = newest

    def _drain(self) -> list[Message]:
        """Take everything that waits. Only the last message moves the reader's cursor: a break in between repeats, never skips."""
        if self.cursor is None or self._upto is None:
            return self._drain_sync()
        covers = (self.cursor.position + 1, self._upto.position)
        data = [self._say(session, covers) for session in self._pending.values()]
        before, after = str(self.cursor), str(self._upto)
        self._pending.clear()
        self._size = 0
        self.cursor = self._upto
        ids = [before] * (len(data) - 1) + [after]
        return [
            replace(message, id=cursor) for message, cursor in zip(data, ids, strict=False)
        ] + self._drain_sync()

    def _say(self, session: RenderedSession, covers: tuple[int, int]) -> Message:
        fits = self.wanted.status in {None, session.status}
        if session.header is None or not fits:
            return Message("job-sessions:gone", None, gone_data(str(session.session_id), covers))
        return Message(
            "job-sessions:updated", None, updated_data(session.header, session.actions.values(), covers)
        )

    def _drain_sync(self) -> list[Message]:
        if self._sync is None:
            return []
        data, self._sync = self._sync, None
        return [Message("sync", None if self.cursor is None else str(self.cursor), data)]
