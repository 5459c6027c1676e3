"""A running stream, and readers that keep what they hear and check that nothing is missing."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from bidbeacon_sessions import SessionStore, following
from bidbeacon_sessions.server import StreamServer
from tests.stream.view import Json, View
from tests.support.waiting import wait_until

DEADLINE = 15.0
READ_SECONDS = 40.0
AT_FULL_SPEED = 1e9
"""Bytes a second that hold nobody up; but such a reader has a small buffer, so that one that sleeps is noticed soon.

It holds a packet of the loopback, which a slow reader's doesn't: into that the system sends by timers, some kilobytes a second.
"""
BROKEN = (OSError, http.client.HTTPException, WebSocketException, ValueError)
_SMALL_BUFFER, _TINY_BUFFER = 1 << 16, 1 << 12

NO_HEADERS: Mapping[str, str] = {}
Heard = tuple[str, str | None, Json]


class SseConnection:
    """Server-Sent Events over a socket that can be cut, and read slowly."""

    def __init__(
        self,
        base_url: str,
        query: str,
        bytes_per_second: float = 0,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        address = urlsplit(base_url)
        self._is_cut = threading.Event()
        self._seconds_per_byte = 1 / bytes_per_second if bytes_per_second else 0
        self._socket = socket.socket()
        if bytes_per_second:
            buffer = _SMALL_BUFFER if bytes_per_second == AT_FULL_SPEED else _TINY_BUFFER
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.settimeout(READ_SECONDS)
        self._socket.connect((address.hostname, address.port))
        connection = http.client.HTTPConnection(str(address.hostname), address.port)
        connection.sock = self._socket
        path = f"/api/job-sessions/stream?{query}"
        connection.request("GET", path, headers=dict(headers))
        self._response = connection.getresponse()
        if self._response.status != 200:
            raise http.client.HTTPException(f"{self._response.status} {self._response.read()!r}")

    def messages(self) -> Iterator[Heard]:
        """Yield message after message until the connection ends."""
        fields: dict[str, str] = {}
        while line := self._response.readline():
            self._is_cut.wait(len(line) * self._seconds_per_byte)
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "event" in fields:
                yield fields["event"], fields.get("id"), json.loads(fields["data"])
                fields = {}

    def cut(self) -> None:
        """Break the connection."""
        self._is_cut.set()
        _shut_down(self._socket)


class WebSocketConnection:
    """WebSocket messages, each with one or more of ours, over a socket that can be cut."""

    def __init__(self, base_url: str, query: str) -> None:
        # Without pings: their thread waits for the one that receives, as this one does at the end,
        # and Python 3.11 can't have two do so.
        self._connection = connect(
            websocket_address(base_url, query),
            max_size=None,
            open_timeout=READ_SECONDS,
            ping_interval=None,
        ).__enter__()

    def messages(self) -> Iterator[Heard]:
        """Yield message after message until the connection ends."""
        with suppress(ConnectionClosed):
            while True:
                received = str(self._connection.recv(timeout=READ_SECONDS))
                for said in map(json.loads, received.splitlines()):
                    yield said["event"], said["id"], said["data"]

    def cut(self) -> None:
        """Break the connection."""
        _shut_down(self._connection.socket)


def _shut_down(open_socket: socket.socket) -> None:
    with suppress(OSError):  # it was broken already
        open_socket.shutdown(socket.SHUT_RDWR)


Connection = SseConnection | WebSocketConnection
CONNECTIONS: dict[str, Callable[[str, str], Connection]] = {
    "sse": SseConnection,
    "websocket": WebSocketConnection,
}


class Reader:
    """Reads in a thread, keeps every message, and holds the view that a page would show."""

    def __init__(
        self,
        base_url: str,
        query: httpx.QueryParams,
        loaded: Json | None = None,
        *,
        transport: str = "sse",
    ) -> None:
        self.heard: list[Heard] = []
        self.view = View(whole=set(query) <= {"cursor"})
        self.ended = threading.Event()
        self._transport = transport
        self._connection: Connection | None = None
        if loaded is not None:
            self.view.load(loaded)
        self._thread = threading.Thread(target=self._read, args=(base_url, query), daemon=True)
        self._thread.start()

    def _read(self, base_url: str, query: httpx.QueryParams) -> None:
        try:
            self._listen(base_url, query)
        except BROKEN as error:
            self.view.faults.extend([] if self.ended.is_set() else [repr(error)])
        finally:
            self.ended.set()

    def _listen(self, base_url: str, query: httpx.QueryParams) -> None:
        self._connection = CONNECTIONS[self._transport](base_url, str(query))
        for message in self._connection.messages():
            if self.ended.is_set():
                return
            self.take(*message)

    def take(self, event: str, identity: str | None, data: Json) -> None:
        """Take in one message."""
        self.view.take(event, identity, data)
        self.heard.append((event, identity, data))

    def events(self, event: str) -> list[Heard]:
        """Return the messages of one kind."""
        return [heard for heard in list(self.heard) if heard[0] == event]

    def cut(self) -> None:
        """Break the connection."""
        if self._connection is not None:
            self._connection.cut()

    def close(self) -> None:
        """Leave."""
        self.ended.set()
        self.cut()
        self._thread.join(timeout=DEADLINE)


class Stream:
    """A running stream over a store, a client of it, and its readers."""

    def __init__(self, store: SessionStore, http: httpx.Client) -> None:
        self.store = store
        self.http = http
        self.url = str(http.base_url).rstrip("/")
        self._readers: list[Reader] = []

    def load(self, **query: str | int) -> Json:
        """Return the list of sessions, as the page loads it first."""
        response = self.http.get("/api/job-sessions", params=query)
        assert 200 == response.status_code, response.text
        loaded: Json = response.json()
        return loaded

    def follow(self, transport: str = "sse", **query: str) -> Reader:
        """Open a reader that goes on after a cursor, or else after a list, which is loaded first."""
        loaded = None if "cursor" in query else self.load(**query)
        if loaded is not None:
            query["cursor"] = loaded["cursor"]
        reader = Reader(self.url, httpx.QueryParams(query), loaded, transport=transport)
        self._readers.append(reader)
        return reader

    def metrics(self) -> dict[str, float]:
        """Return every value of `/metrics` by its name and labels."""
        text = self.http.get("/metrics").text
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def close(self) -> None:
        """End all readers."""
        for reader in self._readers:
            reader.close()


@contextmanager
def serve_stream(store: SessionStore, *, port: int = 0, **options: Any) -> Iterator[StreamServer]:
    """Serve a store in a thread; readers are told where the log stands several times a second."""
    server = StreamServer(store, host="127.0.0.1", port=port, **options)
    thread = threading.Thread(target=server.run, daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "SYNC_SECONDS", 0.3)
        thread.start()
        try:
            wait_until(lambda: server.app.state.follower.is_ready)
            yield server
        finally:
            server.should_exit = True
            thread.join(timeout=10)
    assert not thread.is_alive()


def position_of(cursor: str) -> int:
    """Return the position of a cursor."""
    return int(cursor.partition(".")[2])


def websocket_address(base_url: str, query: str = "", path: str = "/api/job-sessions/ws") -> str:
    """Return the address of a WebSocket."""
    return f"{base_url.replace('http', 'ws', 1)}{path}?{query}"


def refusal_of(address: str, headers: dict[str, str] | None = None) -> int:
    """Open a WebSocket that must not be let in; return the status of the answer."""
    with pytest.raises(InvalidStatus) as caught, connect(address, additional_headers=headers):
        raise AssertionError("it was let in")
    return caught.value.response.status_code


def closing_code(websocket: ClientConnection) -> int | None:
    """Read until a connection is closed; return the code that it was closed with."""
    with pytest.raises(ConnectionClosed):
        while True:
            websocket.recv(timeout=DEADLINE)
    return websocket.close_code
