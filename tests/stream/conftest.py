"""A running stream on a free port, and readers of it."""

import logging
from collections.abc import Iterator

import httpx
import pytest

from bidbeacon_sessions import SessionStore
from tests.stream.reading import CONNECTIONS, DEADLINE, Stream, serve_stream


@pytest.fixture(autouse=True)
def _nothing_unforeseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A stream that continues after an error that nobody thought of must not go unnoticed."""
    yield
    logged = [*caplog.get_records("setup"), *caplog.get_records("call")]
    assert [] == [
        (record.getMessage(), record.exc_text)
        for record in logged
        if record.name.startswith(("asyncio", "bidbeacon", "uvicorn"))
        and (record.exc_info or record.levelno >= logging.ERROR)
    ]


@pytest.fixture
def base_url(session_store: SessionStore) -> Iterator[str]:
    """The address of a running stream over `session_store`."""
    with serve_stream(session_store) as server:
        yield server.url


@pytest.fixture
def http(base_url: str) -> Iterator[httpx.Client]:
    """A client of the running stream."""
    with httpx.Client(base_url=base_url, timeout=DEADLINE) as client:
        yield client


@pytest.fixture(params=CONNECTIONS)
def transport(request: pytest.FixtureRequest) -> str:
    """Each of the two ways to read a stream."""
    return str(request.param)


@pytest.fixture
def stream(session_store: SessionStore, http: httpx.Client) -> Iterator[Stream]:
    """The running stream, whose readers are closed at the end."""
    stream = Stream(session_store, http)
    yield stream
    stream.close()
