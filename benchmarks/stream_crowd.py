"""A crowd of stream clients with real sockets in one process, which check for gaps.

All receive the same bytes, so parsed messages are cached by their bytes.
"""

import re
import selectors
import socket
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import NamedTuple

_REQUEST = "GET /api/job-sessions/{} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}\r\n"
_UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
_RANGE = re.compile(rb'"from":(\d+),"to":(\d+)\}+\s*$')
_TAIL = 60
_SSE = re.compile(rb"event: (\S+)\n(?:id: \S+\.(\d+)\n)?data: ", re.ASCII)
_WEBSOCKET = re.compile(rb'\{"event":"([^"]+)","id":(?:null|"[^".]+\.(\d+)"),"data":', re.ASCII)
_PING = 0x89
_MOST_FAULTS = 3


class _Message(NamedTuple):
    event: str
    position: int | None
    begins: int | None
    ends: int | None


@dataclass
class Report:
    """The messages that a crowd of clients received.

    Attributes:
        reached: Whether all clients have reached the last position.
        faults: Differences between the messages and the acknowledged actions.
        arrivals: For each client the positions it reached, and their times in nanoseconds of the
            monotonic clock.
    """

    reached: bool = True
    faults: list[str] = field(default_factory=list)
    arrivals: list[tuple["array[int]", "array[int]"]] = field(default_factory=list)


class _Client:
    def __init__(self, port: int, *, is_sse: bool) -> None:
        self.position: int | None = None
        self.positions, self.instants = array("q"), array("q")
        self.faults: list[str] = []
        self.is_over = False
        self._is_sse, self._in_body, self._rest = is_sse, False, b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        request = ("stream", port, "") if is_sse else ("ws", port, _UPGRADE)
        self.socket.sendall(_REQUEST.format(*request).encode())
        self.socket.setblocking(False)

    def receive(self, buffer: bytearray) -> None:
        """Read the available bytes."""
        try:
            count = self.socket.recv_into(buffer)
        except ConnectionError:
            count = 0
        if count == 0:
            self._fault("the connection ended")
            self.is_over = True
            return
        data = self._rest + bytes(memoryview(buffer)[:count])
        self._rest = data[self._take_in(data) :]

    def _take_in(self, data: bytes) -> int:
        if not self._in_body:
            return self._take_head(data)
        messages, pings, used = _take_apart(data, is_sse=self._is_sse)
        for payload in pings:  # answered masked, as a client must
            self.socket.send(bytes([0x8A, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
        for message in messages:
            self._move(message)
        return used

    def _take_head(self, data: bytes) -> int:
        used = data.find(b"\r\n\r\n") + 4
        if used < 4:
            return 0
        if not data.startswith(b"HTTP/1.1 200" if self._is_sse else b"HTTP/1.1 101"):
            self._fault(f"was answered {data[:used]!r}")
        self._in_body = True
        return used + self._take_in(data[used:])

    def _move(self, message: _Message) -> None:
        """Advance the position; a message that does not continue exactly there is a fault."""
        event, position, begins, ends = message
        if event == "reset" or position is None:
            self._fault(f"{event} at {self.position}")
        elif self.position is None:
            self.position = position if begins is None else begins - 1
            self._move(message)
        elif begins is None:
            if position != self.position:
                self._fault(f"{event} at {position} after {self.position}")
        elif begins != self.position + 1 or position not in {self.position, ends}:
            self._fault(f"{begins} to {ends} with cursor {position} after {self.position}")
        elif position == ends:
            self.position = position
            self.positions.append(position)
            self.instants.append(time.monotonic_ns())

    def _fault(self, what: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(f"{'SSE' if self._is_sse else 'WebSocket'}: {what}")


def run_crowd(port: int, clients: int, pipe: Connection) -> None:
    """Connect clients, half of them of each kind, and send a report.

    Send `ready` when all have a position, receive the last position, and read until all reach it.
    """
    crowd = [_Client(port, is_sse=number % 2 == 0) for number in range(clients)]
    selector = selectors.EpollSelector()
    for client in crowd:
        selector.register(client.socket, selectors.EVENT_READ, client)
    _read_until(selector, lambda: all(one.position is not None for one in crowd), 60)
    pipe.send("ready")
    _read_until(selector, pipe.poll, 600)
    last = pipe.recv()
    reached = _read_until(
        selector, lambda: all((one.position or 0) >= last or one.is_over for one in crowd), 30
    )
    faults = [fault for client in crowd for fault in client.faults]
    pipe.send(Report(reached, faults, [(one.positions, one.instants) for one in crowd]))


def _read_until(
    selector: selectors.EpollSelector, holds: Callable[[], bool], seconds: float
) -> bool:
    deadline, buffer = time.monotonic() + seconds, bytearray(1 << 20)
    while not holds():
        if time.monotonic() > deadline:
            return False
        for key, _ in selector.select(0.05):
            client: _Client = key.data
            client.receive(buffer)
            if client.is_over:
                selector.unregister(client.socket)
    return True


@lru_cache(maxsize=64)
def _take_apart(received: bytes, *, is_sse: bool) -> tuple[list[_Message], list[bytes], int]:
    """Return whole messages in some bytes, pings to answer, and the number of bytes used."""
    frames, used = (_chunks if is_sse else _frames)(received)
    pings = [content for kind, content in frames if kind == _PING]
    head, separator = (_SSE, b"\n\n") if is_sse else (_WEBSOCKET, b"\n")
    messages = [
        _read_message(match, part)
        for kind, content in frames
        if kind != _PING
        for part in content.split(separator)
        if (match := head.match(part))
    ]
    return messages, pings, used


def _chunks(buffer: bytes) -> tuple[list[tuple[int, bytes]], int]:
    chunks, at = list[tuple[int, bytes]](), 0
    while (line := buffer.find(b"\r\n", at)) >= 0:
        first, last = line + 2, line + 2 + int(buffer[at:line], 16)
        if last + 2 > len(buffer):
            break
        chunks.append((0, buffer[first:last]))
        at = last + 2
    return chunks, at


def _frames(buffer: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """Return the whole (unmasked) WebSocket frames, and the number of bytes used."""
    frames, at = list[tuple[int, bytes]](), 0
    while at + 2 <= len(buffer):
        size, head = buffer[at + 1], 2
        if size >= 126:
            head = 4 if size == 126 else 10
            size = int.from_bytes(buffer[at + 2 : at + head])
        if at + head + size > len(buffer):
            break
        frames.append((buffer[at], buffer[at + head : at + head + size]))
        at += head + size
    return frames, at


def _read_message(match: "re.Match[bytes]", message: bytes) -> _Message:
    position = None if match[2] is None else int(match[2])
    covers = _RANGE.search(message, max(len(message) - _TAIL, match.end()))
    begins, ends = (int(covers[1]), int(covers[2])) if covers else (None, None)
    return _Message(match[1].decode(), position, begins, ends)
