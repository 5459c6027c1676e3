"""Messages that go out together, as bytes: framed and compressed once, however many readers are sent the same.

Each piece of a compressed stream refers to nothing before it, so that it fits into everybody's: gzip is made of pieces that end with a
flush, and WebSocket frames are compressed without context takeover (RFC 7692).
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Literal

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from bidbeacon_sessions.change_log import Cursor
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.server.messages import Message, gone_data, updated_data
from bidbeacon_sessions.server.rendering import RenderedSession

Framing = Literal["sse", "sse-gzip", "websocket", "websocket-deflate"]
PIECE_BYTES = 128 * 1024
"""How much is written at once, a longer message aside: a reader has ten seconds for each piece."""
GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
WINDOW_BITS = 12
"""Of compressed frames: what every reader's window has room for, Python's own clients included."""
_LEVEL = 1
_MANY = 4 * PIECE_BYTES
"""So much text is compressed into one piece."""


class Bundle:
    """Some messages in order. What is asked for once is kept, so that a crowd shares it.

    Args:
        messages: what it holds.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.size = sum(len(message.data) for message in messages)
        self._pieces: dict[Framing, list[bytes]] = {}

    def pieces(self, framing: Framing) -> list[bytes]:
        """Give what is written to a connection, piece by piece: chunks of HTTP/1.1, or WebSocket frames."""
        if framing not in self._pieces:
            self._pieces[framing] = list(_FRAMINGS[framing](self.messages))
        return self._pieces[framing]


def bundle_sessions(
    sessions: Iterable[RenderedSession], wanted: SessionFilter, after: Cursor, upto: Cursor
) -> Bundle:
    """Tell a reader that knows everything up to `after` what these sessions are now, as of `upto`.

    Only the last message moves the reader's cursor: a break in between repeats, never skips.
    """
    covers = (after.position + 1, upto.position)
    told = [_say(session, wanted, covers) for session in sessions]
    before, last = str(after), str(upto)
    ids = chain([before] * (len(told) - 1), [last])
    return Bundle(
        [Message(event, identity, data) for (event, data), identity in zip(told, ids, strict=False)]
    )


@lru_cache(maxsize=64)
def bundle_sync(cursor: Cursor | None, data: str) -> Bundle:
    """Give `sync` for all readers that stand at the same place."""
    return Bundle([Message("sync", None if cursor is None else str(cursor), data)])


_Told = tuple[Literal["job-sessions:updated", "job-sessions:gone"], str]


def _say(session: RenderedSession, wanted: SessionFilter, covers: tuple[int, int]) -> _Told:
    if session.header is None or wanted.status not in {None, session.status}:
        return "job-sessions:gone", gone_data(str(session.session_id), covers)
    return "job-sessions:updated", updated_data(session.header, session.actions.values(), covers)


def deflated(data: bytes) -> bytes:
    """Compress, byte by byte to its end, without referring to anything before: a piece of a longer stream."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


def _sse(messages: Iterable[Message]) -> Iterator[bytes]:
    return map(_chunk, _packed((message.as_sse() for message in messages), PIECE_BYTES))


def _sse_gzip(messages: Iterable[Message]) -> Iterator[bytes]:
    return (_chunk(deflated(body)) for body in _packed((message.as_sse() for message in messages), _MANY))


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def _websocket(messages: Iterable[Message]) -> Iterator[bytes]:
    """Frames of a server are not masked: they are the same for everybody."""
    return _packed((frame.serialize(mask=False) for frame in _frames(messages)), PIECE_BYTES)


def _websocket_deflate(messages: Iterable[Message]) -> Iterator[bytes]:
    alone = PerMessageDeflate(
        remote_no_context_takeover=True,
        local_no_context_takeover=True,
        remote_max_window_bits=WINDOW_BITS,
        local_max_window_bits=WINDOW_BITS,
        compress_settings={"level": _LEVEL},
    )
    return _packed(
        (frame.serialize(mask=False, extensions=[alone]) for frame in _frames(messages)), PIECE_BYTES
    )


def _frames(messages: Iterable[Message]) -> Iterator[Frame]:
    return (Frame(Opcode.TEXT, message.as_websocket().encode()) for message in messages)


def _packed(parts: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Join short parts, up to a length."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        if waiting and size + len(part) > most:
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(part)
        size += len(part)
    if waiting:
        yield b"".join(waiting)


_FRAMINGS: Mapping[Framing, Callable[[Iterable[Message]], Iterator[bytes]]] = {
    "sse": _sse,
    "sse-gzip": _sse_gzip,
    "websocket": _websocket,
    "websocket-deflate": _websocket_deflate,
}
