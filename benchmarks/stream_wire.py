"""The bytes that a client of the load reads from its socket: HTTP chunks of Server-Sent Events, or WebSocket frames of many lines.

A crowd is sent the very same bytes, and one process plays all of it: what was taken apart once is
known by its bytes. Clients that decode everything take each byte apart themselves.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_RANGE = re.compile(rb'"from":(\d+),"to":(\d+)\}+\s*$')
_SSE = re.compile(rb"event: (\S+)\n(?:id: \S+\.(\d+)\n)?data: ", re.ASCII)
_WEBSOCKET = re.compile(rb'\{"event":"([^"]+)","id":(?:null|"[^".]+\.(\d+)"),"data":', re.ASCII)
_TAIL = 60
_PLAIN, _CLOSE, _PING = 0x81, 0x88, 0x89


class Said(NamedTuple):
    """One message: its event, the position of its cursor, its range, its data."""

    event: str
    position: int | None
    begins: int | None
    ends: int | None
    data: bytes


class Frame(NamedTuple):
    """One HTTP chunk (kind 0) or WebSocket frame."""

    kind: int
    content: bytes


def sse_frames(buffer: bytes) -> tuple[list[Frame], int]:
    """Return the whole HTTP chunks of what was received, and how much of it that was."""
    frames, at = list[Frame](), 0
    while (line := buffer.find(b"\r\n", at)) >= 0:
        first, last = line + 2, line + 2 + int(buffer[at:line], 16)
        if last + 2 > len(buffer):
            break
        frames.append(Frame(0, buffer[first:last]))
        at = last + 2
    return frames, at


def websocket_frames(buffer: bytes) -> tuple[list[Frame], int]:
    """Return the whole frames of what was received, and how much of it that was; a server does not mask."""
    frames, at = list[Frame](), 0
    while at + 2 <= len(buffer):
        size, head = buffer[at + 1], 2
        if size == 126:
            size, head = int.from_bytes(buffer[at + 2 : at + 4]), 4
        elif size == 127:
            size, head = int.from_bytes(buffer[at + 2 : at + 10]), 10
        if at + head + size > len(buffer):
            break
        frames.append(Frame(buffer[at], buffer[at + head : at + head + size]))
        at += head + size
    return frames, at


def sse_messages(text: bytes) -> Iterator[Said]:
    """Yield the messages of some text, which ends with a message."""
    for part in text.split(b"\n\n"):
        match = _SSE.match(part)
        if match:
            yield _said(match, part)


def websocket_messages(frame: Frame) -> list[Said]:
    """Return the messages of a frame, a line each; none for one that ends the connection."""
    if frame.kind == _CLOSE:
        return []
    assert frame.kind == _PLAIN, f"expected a text frame, got: {frame.kind:#x}"
    return [_websocket_message(line) for line in frame.content.splitlines()]


def _websocket_message(line: bytes) -> Said:
    match = _WEBSOCKET.match(line)
    assert match is not None, f"expected a message, got: {line[:80]!r}"
    return _said(match, line[:-1])


@lru_cache(maxsize=64)
def known_sse(received: bytes) -> tuple[list[Said], list[bytes], int]:
    """Return the messages of whole chunks that were received, no pings, and how much was whole."""
    frames, used = sse_frames(received)
    return [said for frame in frames for said in sse_messages(frame.content)], [], used


@lru_cache(maxsize=64)
def known_websocket(received: bytes) -> tuple[list[Said], list[bytes], int]:
    """Return the messages of whole frames that were received, the pings to answer, and how much was whole."""
    frames, used = websocket_frames(received)
    pings = [frame.content for frame in frames if frame.kind == _PING]
    said = [each for frame in frames if frame.kind != _PING for each in _known_messages(frame)]
    return said, pings, used


def pong(payload: bytes) -> bytes:
    """Return the answer to a ping, masked as a client must."""
    return bytes([0x8A, 0x80 | len(payload), 0, 0, 0, 0]) + payload


_known_messages = lru_cache(maxsize=200)(websocket_messages)


def _said(match: "re.Match[bytes]", message: bytes) -> Said:
    covers = _RANGE.search(message, max(len(message) - _TAIL, match.end()))
    return Said(
        match[1].decode(),
        None if match[2] is None else int(match[2]),
        int(covers[1]) if covers else None,
        int(covers[2]) if covers else None,
        message[match.end() :],
    )
