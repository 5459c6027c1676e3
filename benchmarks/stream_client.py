"""One client of a crowd: its socket, what it knows, and what is wrong with what it was told."""

import json
import socket
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.stream_wire import (
    Said,
    known_sse,
    known_websocket,
    pong,
    sse_frames,
    sse_messages,
    websocket_frames,
    websocket_messages,
)

_REQUEST = "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}\r\n"
_UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
_MOST_FAULTS = 3


@dataclass
class View:
    """What a client that decodes everything knows at the end."""

    revisions: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    actions: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, data: dict[str, Any]) -> str | None:
        """Take in an update; return what is wrong with it."""
        session = data["session"]
        fell = session["revision"] < self.revisions.get(session["id"], 0)
        self.revisions[session["id"]] = session["revision"]
        self.statuses[session["id"]] = session["status"]
        for action in data["actions"]:
            key = (action["session_id"], action["ord"])
            self.actions[key] = self.actions.get(key, 0) + 1
        return f"the revision of {session['id']} fell" if fell else None


class CrowdClient:
    """Reads one stream, as a browser would ask for it.

    Attributes:
        position: what it knows everything up to.
        arrivals: when it got to each of `positions`, by the monotonic clock, in nanoseconds.
        view: what it decoded, where it decodes everything.
    """

    def __init__(self, port: int, *, is_sse: bool, decodes: bool) -> None:
        self.position: int | None = None
        self.arrivals = array("q")
        self.positions = array("q")
        self.faults: list[str] = []
        self.view = View() if decodes else None
        self.received = 0
        self.is_over = False
        self._is_sse = is_sse
        self._now = 0
        self._rest = b""
        self._in_body = False
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        path = "/api/job-sessions/stream" if is_sse else "/api/job-sessions/ws"
        more = "" if is_sse else _UPGRADE
        self.socket.sendall(_REQUEST.format(path=path, port=port, more=more).encode())
        self.socket.setblocking(False)

    def receive(self, buffer: bytearray) -> None:
        """Read what is there."""
        try:
            count = self.socket.recv_into(buffer)
        except ConnectionError:
            count = 0
        self._now = time.monotonic_ns()
        self.received += count
        if count == 0:
            self.fault("the connection ended")
            self.is_over = True
            return
        data = self._rest + bytes(memoryview(buffer)[:count])
        self._rest = data[self._take_in(data) :]

    def fault(self, what: str) -> None:
        """Keep what is wrong."""
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(f"{'SSE' if self._is_sse else 'WebSocket'}: {what}")

    def _take_in(self, data: bytes) -> int:
        """Take in what is whole; return how much that was."""
        if not self._in_body:
            return self._take_head(data)
        if self.view is None:
            said, pings, used = (known_sse if self._is_sse else known_websocket)(data)
            for payload in pings:
                self.socket.send(pong(payload))
            for each in said:
                self._move(each)
            return used
        return self._decode(data)

    def _take_head(self, data: bytes) -> int:
        """Take in the answer's head."""
        used = data.find(b"\r\n\r\n") + 4
        wanted = b"HTTP/1.1 200" if self._is_sse else b"HTTP/1.1 101"
        if used < 4:
            return 0
        if not data.startswith(wanted):
            self.fault(f"was answered {data[:used]!r}")
        self._in_body = True
        return used + self._take_in(data[used:])

    def _decode(self, data: bytes) -> int:
        said, used = self._own_sse(data) if self._is_sse else self._own_websocket(data)
        for each in said:
            self._move(each)
            if self.view is not None and each.event == "job-sessions:updated":
                wrong = self.view.take(json.loads(each.data))
                if wrong:
                    self.fault(wrong)
        return used

    def _own_sse(self, data: bytes) -> tuple[Iterator[Said], int]:
        frames, used = sse_frames(data)
        return sse_messages(b"".join(frame.content for frame in frames)), used

    def _own_websocket(self, data: bytes) -> tuple[list[Said], int]:
        frames, used = websocket_frames(data)
        said: list[Said] = []
        for frame in frames:
            if frame.kind == 0x89:
                self.socket.send(pong(frame.content))
            else:
                said += websocket_messages(frame)
        return said, used

    def _move(self, said: Said) -> None:
        """Move on; whatever does not go on exactly where the last one ended is a fault."""
        event, position, begins, ends, _ = said
        if event == "reset" or position is None:
            self.fault(f"{event} at {self.position}")
        elif self.position is None:
            self.position = position if begins is None else begins - 1
            self._move(said)
        elif begins is None:
            if position != self.position:
                self.fault(f"{event} at {position} after {self.position}")
        elif begins != self.position + 1 or position not in {self.position, ends}:
            self.fault(f"{begins} to {ends} with cursor {position} after {self.position}")
        elif position == ends:
            self.position = position
            self.arrivals.append(self._now)
            self.positions.append(position)
