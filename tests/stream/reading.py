"""Readers that keep what they hear and check that nothing is missing, and what tests ask beside the stream."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.stream.view import Json, Place, View

DEADLINE = 15.0

Heard = tuple[str, str | None, dict[str, Any]]


class Reader:
    """Reads one stream in a thread, keeps every message, and holds the view that a page would show."""

    def __init__(
        self, base_url: str, query: httpx.QueryParams, loaded: dict[str, Any] | None = None
    ) -> None:
        self.heard: list[Heard] = []
        self.view = View(whole=set(query) <= {"cursor"})
        self.broken: list[str] = []
        self.ended = threading.Event()
        self._stop = ExitStack()
        if loaded is not None:
            self.view.load(loaded)
        self._thread = threading.Thread(target=self._read, args=(base_url, query), daemon=True)
        self._thread.start()

    def _read(self, base_url: str, query: httpx.QueryParams) -> None:
        try:
            self._listen(base_url, query)
        except (httpx.HTTPError, ConnectionClosed, OSError) as error:
            self.broken.extend([] if self.ended.is_set() else [repr(error)])
        finally:
            self.ended.set()

    def _listen(self, base_url: str, query: httpx.QueryParams) -> None:
        raise NotImplementedError

    def take(self, event: str, identity: str | None, data: dict[str, Any]) -> None:
        """Take in one message."""
        self.view.take(event, identity, data)
        self.heard.append((event, identity, data))

    @property
    def sessions(self) -> dict[str, Json]:
        """What it shows of sessions, by id."""
        return dict(self.view.sessions)

    @property
    def actions(self) -> dict[Place, Json]:
        """What it shows of actions, by session and place."""
        return dict(self.view.actions)

    @property
    def faults(self) -> list[str]:
        """What it was told against the rules, and how its connection broke."""
        return self.view.faults + self.broken

    def events(self, event: str) -> list[Heard]:
        """Return the messages of one kind."""
        return [heard for heard in list(self.heard) if heard[0] == event]

    def has_synced_to(self, position: int) -> bool:
        """Return whether a `sync` has told a position that is as new."""
        told = [identity for _, identity, _ in self.events("sync")]
        return any(position_of(identity) >= position for identity in told if identity)

    def close(self) -> None:
        """Cut the connection."""
        self.ended.set()
        self._stop.close()
        self._thread.join(timeout=DEADLINE)


class SseReader(Reader):
    """Reads Server-Sent Events."""

    def _listen(self, base_url: str, query: httpx.QueryParams) -> None:
        with (
            httpx.Client(timeout=DEADLINE) as client,
            connect_sse(client, "GET", f"{base_url}/api/job-sessions/stream?{query}") as source,
        ):
            self._stop.callback(source.response.close)
            for event in source.iter_sse():
                if self.ended.is_set():
                    return
                self.take(event.event, event.id or None, json.loads(event.data))


class WebSocketReader(Reader):
    """Reads WebSocket messages, each with one or more of ours, a line each."""

    def _listen(self, base_url: str, query: httpx.QueryParams) -> None:
        # Without pings: their thread waits for the one that receives, as this one does at the end,
        # and Python 3.11 can't have two do so.
        with connect(
            websocket_address(base_url, str(query)), max_size=None, ping_interval=None
        ) as socket:
            self._stop.callback(socket.close)
            for received in socket:
                for message in map(json.loads, str(received).splitlines()):
                    self.take(message["event"], message["id"], message["data"])


Follow = Callable[..., Reader]
READERS: dict[str, type[Reader]] = {"sse": SseReader, "websocket": WebSocketReader}


def position_of(cursor: str) -> int:
    """Return the position of a cursor."""
    return int(cursor.partition(".")[2])


def wait_until(holds: Callable[[], bool], *, seconds: float = DEADLINE) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        threading.Event().wait(0.01)


def load(http: httpx.Client, **query: str | int) -> dict[str, Any]:
    """Return the list of sessions, as the page loads it first."""
    response = http.get("/api/job-sessions", params=query)
    assert 200 == response.status_code, response.text
    loaded: dict[str, Any] = response.json()
    return loaded


def read_metrics(http: httpx.Client) -> dict[str, float]:
    """Return every value of `/metrics` by its name and labels."""
    lines = [line for line in http.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def websocket_address(base_url: str, query: str = "", path: str = "/api/job-sessions/ws") -> str:
    """Return the address of a WebSocket."""
    return f"{base_url.replace('http', 'ws', 1)}{path}?{query}"


def place_of(base_url: str) -> tuple[str, int]:
    """Return host and port of an address."""
    host, _, port = base_url.removeprefix("http://").partition(":")
    return host, int(port)


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
