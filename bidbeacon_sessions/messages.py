"""The messages of the stream, for Server-Sent Events, WebSocket and the terminal."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

import msgspec

from bidbeacon_sessions.change_log import Cursor

Event = Literal["job-sessions:updated", "job-sessions:gone", "sync", "reset"]
ResetReason = Literal["epoch", "expired"]

PIECE_CHARACTERS = 64 * 1024
"""The approximate size of one piece. A reader must receive a piece within ten seconds."""

json_bytes = msgspec.json.Encoder(enc_hook=str).encode
"""Encode plain data as compact JSON in UTF-8."""


def to_json(value: Any) -> str:
    """Return compact JSON text on one line."""
    return json_bytes(value).decode()


class Message(NamedTuple):
    """A message; `data` is JSON on one line, `id` the cursor to resume from (None: unchanged)."""

    event: Event
    id: str | None
    data: str


class Frame:
    """Messages to send together, encoded once for all readers, and the cursor after them."""

    def __init__(self, messages: Sequence[Message], upto: Cursor | None) -> None:
        self.messages = messages
        self.upto = upto

    @cached_property
    def sse(self) -> list[bytes]:
        """The messages as Server-Sent Events, in pieces of one or more messages."""
        return [piece.encode() for piece in _pieces(map(_as_event, self.messages))]

    @cached_property
    def websocket(self) -> list[str]:
        """The texts to send over a WebSocket; each has one or more messages, one per line."""
        return list(_pieces(map(_as_line, self.messages)))


def _as_event(message: Message) -> str:
    identity = "" if message.id is None else f"id: {message.id}\n"
    return f"event: {message.event}\n{identity}data: {message.data}\n\n"


def _as_line(message: Message) -> str:
    return f'{{"event":"{message.event}","id":{to_json(message.id)},"data":{message.data}}}\n'


def _pieces(texts: Iterable[str]) -> Iterator[str]:
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
