"""A running stream on a free port, and readers of it."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import httpx
import pytest

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import stream
from tests.stream import reading
from tests.stream.asgi_servers import CHOSEN, SERVERS, Serve, Server
from tests.stream.reading import DEADLINE, READERS, Follow, Reader


@contextmanager
def _running(asgi_server: str, store: SessionStore, **options: Any) -> Iterator[Server]:
    server = SERVERS[asgi_server](store, host="127.0.0.1", port=0, **options)
    thread = threading.Thread(target=server.run, daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "SYNC_SECONDS", 0.3)
        thread.start()
        try:
            reading.wait_until(lambda: server.is_listening and server.is_ready)
            yield server
        finally:
            server.stop()
            thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.fixture(autouse=True)
def _nothing_unforeseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A stream that goes on after an error that nobody thought of must not go unnoticed."""
    yield
    logged = [*caplog.get_records("setup"), *caplog.get_records("call")]
    assert [] == [
        (record.getMessage(), record.exc_text)
        for record in logged
        if record.name.startswith(("asyncio", "bidbeacon"))
        and (record.exc_info or record.levelno >= logging.ERROR)
    ]


@pytest.fixture
def asgi_server(request: pytest.FixtureRequest) -> str:
    """The name of the server that runs the app."""
    return str(getattr(request, "param", CHOSEN))


@pytest.fixture
def serve_stream(asgi_server: str) -> Serve:
    """Serves a store in a thread, as a context manager."""
    return partial(_running, asgi_server)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Waits for a condition, with a deadline; for tests of what a product adds to the stream."""
    return reading.wait_until


@pytest.fixture
def base_url(asgi_server: str, session_store: SessionStore) -> Iterator[str]:
    """The address of a running stream over `session_store`."""
    with _running(asgi_server, session_store) as server:
        yield server.url


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
def follow(base_url: str) -> Iterator[Follow]:
    """Opens a reader: `follow("sse" or "websocket", loaded list or None, cursor=…, status=…)`."""
    with ExitStack() as opened:

        def open_reader(
            transport: str, loaded: dict[str, Any] | None = None, **query: str
        ) -> Reader:
            if loaded is not None:
                query.setdefault("cursor", loaded["cursor"])
            reader = READERS[transport](base_url, httpx.QueryParams(query), loaded)
            opened.callback(reader.close)
            return reader

        yield open_reader
