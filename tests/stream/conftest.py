"""A running stream on a free port, and readers that keep what they hear and check that nothing is missing."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import StreamServer, stream
from tests.stream.asgi_servers import CHOSEN, SERVERS, UvicornServer

DEADLINE = 15.0

Heard = tuple[str, str | None, dict[str, Any]]


class Reader:
    """Reads one stream in a thread, keeps every message, and holds the view that a page would show."""

    def __init__(self, base_url: str, path: str, loaded: dict[str, Any] | None = None) -> None:
        self.heard: list[Heard] = []
        self.sessions: dict[str, dict[str, Any]] = {}
        self.actions: dict[tuple[str, int], dict[str, Any]] = {}
        self.gone: list[str] = []
        self.faults: list[str] = []
        self.ended = threading.Event()
        self._base_url = base_url
        self._path = path
        self._upto: int | None = None
        self._stop = ExitStack()
        for session in (loaded or {}).get("sessions", []):
            self._show(session, session["actions"])
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            self._listen()
        except (httpx.HTTPError, ConnectionClosed, OSError) as error:
            self.faults.extend([] if self.ended.is_set() else [repr(error)])
        finally:
            self.ended.set()

    def _listen(self) -> None:
        raise NotImplementedError

    def take(self, event: str, identity: str | None, data: dict[str, Any]) -> None:
        """Take in one message."""
        if event == "job-sessions:updated":
            self._check_range(data)
            self._show(data["session"], data["actions"])
        elif event == "job-sessions:gone":
            self._check_range(data)
            self.gone.append(data["session_id"])
            self.sessions.pop(data["session_id"], None)
        elif event == "sync" and identity is not None:
            self._upto = int(identity.partition(".")[2])
        self.heard.append((event, identity, data))

    def _show(self, session: dict[str, Any], actions: list[dict[str, Any]]) -> None:
        before = self.sessions.get(session["id"], {"revision": 0})
        if session["revision"] < before["revision"]:
            self.faults.append(f"revision of {session['id']} fell")
        # Who waits for a session's state compares its actions next.
        self.actions.update({(action["session_id"], action["ord"]): action for action in actions})
        self.sessions[session["id"]] = session

    def _check_range(self, data: dict[str, Any]) -> None:
        if self._upto is not None and data["from"] > self._upto + 1:
            self.faults.append(f"from {data['from']} after {self._upto}")
        self._upto = data["to"]

    def events(self, event: str) -> list[Heard]:
        """The messages of one kind."""
        return [heard for heard in list(self.heard) if heard[0] == event]

    def close(self) -> None:
        """Cut the connection."""
        self.ended.set()
        self._stop.close()
        self._thread.join(timeout=DEADLINE)


class SseReader(Reader):
    """Reads Server-Sent Events."""

    def _listen(self) -> None:
        timeout = httpx.Timeout(DEADLINE, read=DEADLINE)
        with (
            httpx.Client(base_url=self._base_url, timeout=timeout) as client,
            connect_sse(client, "GET", self._path) as source,
        ):
            self._stop.callback(source.response.close)
            for event in source.iter_sse():
                if self.ended.is_set():
                    return
                self.take(event.event, event.id or None, json.loads(event.data))


class WebSocketReader(Reader):
    """Reads WebSocket frames, each with many messages, as the page does."""

    def _listen(self) -> None:
        address = f"{self._base_url.replace('http', 'ws', 1)}{self._path}&batch=1"
        # Without pings: their thread waits for the one that receives, as this one does at the end, and Python 3.11 can't have two do so.
        with connect(address, max_size=None, ping_interval=None) as socket:
            self._stop.callback(socket.close)
            for frame in socket:
                for message in map(json.loads, str(frame).splitlines()):
                    self.take(message["event"], message["id"], message["data"])


@contextmanager
def _running(asgi_server: str, store: SessionStore, **options: Any) -> Iterator[StreamServer | UvicornServer]:
    server = SERVERS[asgi_server](store, host="127.0.0.1", port=0, **options)
    thread = threading.Thread(target=server.run, daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "SYNC_SECONDS", 0.3)
        thread.start()
        try:
            _wait_until(lambda: server.is_listening and server.is_ready)
            yield server
        finally:
            server.stop()
            thread.join(timeout=10)
    assert not thread.is_alive()


def _wait_until(holds: Callable[[], bool], *, seconds: float = DEADLINE) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        threading.Event().wait(0.01)


@pytest.fixture(autouse=True)
def _nothing_unforeseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A stream that goes on after an error that nobody thought of must not go unnoticed."""
    yield
    logged = [*caplog.get_records("setup"), *caplog.get_records("call")]
    assert [] == [
        record.exc_text for record in logged if record.exc_info and record.name.startswith("bidbeacon")
    ]


@pytest.fixture
def asgi_server(request: pytest.FixtureRequest) -> str:
    """The name of the server that runs the app."""
    return str(getattr(request, "param", CHOSEN))


@pytest.fixture
def serve_stream(asgi_server: str) -> Callable[..., AbstractContextManager[StreamServer | UvicornServer]]:
    """Serves a store in a thread, as a context manager."""
    return partial(_running, asgi_server)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Waits for a condition, with a deadline."""
    return _wait_until


@pytest.fixture
def base_url(asgi_server: str, session_store: SessionStore) -> Iterator[str]:
    """The address of a running stream over `session_store`."""
    with _running(asgi_server, session_store) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def http(base_url: str) -> Iterator[httpx.Client]:
    """A client of the running stream."""
    with httpx.Client(base_url=base_url, timeout=DEADLINE) as client:
        yield client


@pytest.fixture(params=["sse", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each of the two ways to read a stream."""
    return str(request.param)


@pytest.fixture
def follow(base_url: str) -> Iterator[Callable[..., Reader]]:
    """Opens a reader: `follow("sse" or "websocket", loaded list or None, cursor=…, status=…)`."""
    with ExitStack() as opened:

        def open_reader(transport: str, loaded: dict[str, Any] | None = None, **query: str) -> Reader:
            if loaded is not None:
                query.setdefault("cursor", loaded["cursor"])
            kind, name = (SseReader, "stream") if transport == "sse" else (WebSocketReader, "ws")
            path = f"/api/job-sessions/{name}?{httpx.QueryParams(query)}"
            reader = kind(base_url, path, loaded)
            opened.callback(reader.close)
            return reader

        yield open_reader
