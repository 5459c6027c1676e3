"""The messages of the stream, the same over Server-Sent Events and WebSocket, and how they are written."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

import msgspec

from bidbeacon_sessions.change_log import Cursor

Event = Literal["job-sessions:updated", "job-sessions:gone", "sync", "reset"]
ResetReason = Literal["epoch", "expired", "overflow"]

PIECE_CHARACTERS = 64 * 1024
"""About how much is sent at once. A reader has ten seconds for each piece."""
GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LEVEL = 1

json_bytes = msgspec.json.Encoder(enc_hook=str).encode
"""Encode plain data as compact JSON in UTF-8."""


def to_json(value: Any) -> str:
    """Return compact JSON text on one line."""
    return json_bytes(value).decode()


@dataclass(frozen=True)
class Message:
    """One message: its kind, the cursor to go on from after it where it moves the reader's, and JSON text on one line."""

    event: Event
    id: str | None
    data: str

    def as_sse(self) -> str:
        """Return the message as a Server-Sent Event."""
        identity = "" if self.id is None else f"id: {self.id}\n"
        return f"event: {self.event}\n{identity}data: {self.data}\n\n"

    def as_websocket(self) -> str:
        """Return the message as the text of a WebSocket frame."""
        return f'{{"event":"{self.event}","id":{to_json(self.id)},"data":{self.data}}}'


class Frame:
    """Messages that are sent together, in order.

    Each form is made once, when the first reader needs it.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.size = sum(len(message.data) for message in messages)

    @cached_property
    def sse(self) -> list[bytes]:
        """The pieces of an event stream."""
        return [piece.encode() for piece in _pieces(message.as_sse() for message in self.messages)]

    @cached_property
    def sse_gzip(self) -> list[bytes]:
        """The same, compressed.

        Each piece refers to nothing before it, so that all readers can share it.
        """
        return [deflate(piece) for piece in self.sse]

    @cached_property
    def websocket(self) -> list[str]:
        """The texts of WebSocket frames, a message each."""
        return [message.as_websocket() for message in self.messages]

    @cached_property
    def websocket_lines(self) -> list[str]:
        """The texts of WebSocket frames with many messages, a line each."""
        return list(_pieces(f"{text}\n" for text in self.websocket))


def deflate(data: bytes) -> bytes:
    """Return a piece of a longer gzip stream: compressed to its last byte, without reference to earlier pieces."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    """Join short texts up to `PIECE_CHARACTERS`."""
    waiting: list[str] = []
    size = 0
    for each in texts:
        if waiting and size + len(each) > PIECE_CHARACTERS:
            yield "".join(waiting)
            waiting, size = [], 0
        waiting.append(each)
        size += len(each)
    if waiting:
        yield "".join(waiting)


@dataclass(frozen=True)
class ChangedSession:
    """The newest state of a changed session as JSON text, and that of its new actions, in order; one that was deleted has no status."""

    id: UUID
    status: str | None
    header: str
    actions: Sequence[str]


def describe_changes(
    sessions: Sequence[ChangedSession], kept: AbstractSet[UUID], told: Cursor, upto: Cursor
) -> list[Message]:
    """Return what a reader is told that knows everything up to `told`, as of `upto`.

    Only the last message moves the reader's cursor: a connection that breaks in between repeats,
    and never skips.

    Args:
        sessions: those that match the reader's filter, its status and outcome left aside.
        kept: the ids of those that match it wholly; the others are gone.
        told: up to where the reader knows everything.
        upto: up to where it does afterwards.
    """
    covers = f'"from":{told.position + 1},"to":{upto.position}'
    before, last = str(told), str(upto)
    ids = [*[before] * (len(sessions) - 1), last]
    return [
        _describe(session, covers, id_, is_kept=session.id in kept)
        for session, id_ in zip(sessions, ids, strict=False)
    ]


def _describe(session: ChangedSession, covers: str, id_: str, *, is_kept: bool) -> Message:
    if session.status is None or not is_kept:
        return Message("job-sessions:gone", id_, f'{{"session_id":"{session.id}",{covers}}}')
    data = f'{{"session":{session.header},"actions":[{",".join(session.actions)}],{covers}}}'
    return Message("job-sessions:updated", id_, data)
