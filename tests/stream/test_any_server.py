"""The app is plain ASGI: under granian, which `bidbeacon stream` uses, and under uvicorn it does the same."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.server import Access
from tests.stream.asgi_servers import ON_BOTH

TOKEN = "a-long-random-token"


pytestmark = ON_BOTH


@pytest.fixture
def serve(
    serve_stream: Callable[..., AbstractContextManager[Any]], session_store: SessionStore
) -> Callable[[Access], AbstractContextManager[Any]]:
    """Serve the app with the given access."""
    return lambda access: serve_stream(session_store, access=access)


def websocket_address(base_url: str, path: str = "/api/job-sessions/ws", query: str = "") -> str:
    """Return the address of a WebSocket."""
    return f"{base_url.replace('http', 'ws', 1)}{path}?{query}"


def test_a_session_is_heard_over_both_transports(base_url: str, session_store: SessionStore) -> None:
    """From the cursor of the list on: the same messages, compressed or not, one or many in a frame."""
    cursor = httpx.get(f"{base_url}/api/job-sessions", timeout=15).json()["cursor"]
    with with_job_session("job", store=session_store) as session:
        pass
    with (
        httpx.Client(base_url=base_url, timeout=15) as client,
        connect_sse(client, "GET", f"/api/job-sessions/stream?cursor={cursor}") as source,
    ):
        events = _until_ended(
            {"event": each.event, "id": each.id, "data": json.loads(each.data)} for each in source.iter_sse()
        )
        assert "gzip" == source.response.headers["content-encoding"]
    for query in (f"cursor={cursor}", f"cursor={cursor}&batch=1"):
        with connect(websocket_address(base_url, query=query)) as websocket:
            heard = _until_ended(json.loads(line) for frame in websocket for line in str(frame).splitlines())
        assert str(session.session_id) == heard["data"]["session"]["id"]
        assert events["data"]["session"] == heard["data"]["session"]


def _until_ended(messages: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Return the message that a session has ended."""
    for message in messages:
        if message["event"] == "job-sessions:updated" and message["data"]["session"]["status"] != "running":
            return message
    raise AssertionError("the stream ended before the session did")


def test_a_bad_cursor_is_told_to_load_again(base_url: str) -> None:
    """`reset` is the last word, and then the stream ends."""
    sse = httpx.get(f"{base_url}/api/job-sessions/stream?cursor=rubbish", timeout=15).text
    assert '"reason":"epoch"' in sse
    with connect(websocket_address(base_url, query="cursor=rubbish")) as websocket:
        assert [("reset", "epoch")] == [
            (message["event"], message["data"]["reason"]) for message in map(json.loads, websocket)
        ]


def test_readers_that_leave_are_counted_no_more(base_url: str) -> None:
    """However they leave."""
    with (
        httpx.Client(base_url=base_url, timeout=15) as client,
        connect_sse(client, "GET", "/api/job-sessions/stream") as source,
        connect(websocket_address(base_url)) as websocket,
    ):
        events = source.iter_sse()
        assert "sync" == next(events).event
        assert "sync" in str(websocket.recv(timeout=10))
        assert (1, 1) == _readers(base_url)
    for _ in range(500):
        if _readers(base_url) == (0, 0):
            return
        threading.Event().wait(0.02)
    raise AssertionError(f"expected no readers, got: {_readers(base_url)}")


def _readers(base_url: str) -> tuple[float, ...]:
    lines = httpx.get(f"{base_url}/metrics", timeout=15).text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return tuple(
        float(values[f'bidbeacon_stream_clients{{transport="{name}"}}']) for name in ("sse", "websocket")
    )


def test_without_the_token_nothing_is_told(serve: Callable[[Access], AbstractContextManager[Any]]) -> None:
    """Neither over HTTP nor over a WebSocket; with it both are open."""
    with serve(Access(TOKEN)) as server:
        url = server.url
        assert 401 == httpx.get(f"{url}/api/job-sessions", timeout=15).status_code
        with pytest.raises(InvalidStatus) as caught, connect(websocket_address(url)):
            raise AssertionError("it was let in")
        assert 401 == caught.value.response.status_code
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert 200 == httpx.get(f"{url}/api/job-sessions", headers=headers, timeout=15).status_code
        with connect(websocket_address(url), additional_headers=headers) as websocket:
            assert "sync" in str(websocket.recv(timeout=10))


def test_what_is_no_stream_is_refused(base_url: str) -> None:
    """A filter that is none, a WebSocket of a page, an unknown address."""
    assert 400 == httpx.get(f"{base_url}/api/job-sessions/stream?status=x", timeout=15).status_code
    for path, status in (("/api/job-sessions/ws", 400), ("/web/app.css", 403), ("/nope", 403)):
        with pytest.raises(InvalidStatus) as caught, connect(websocket_address(base_url, path, "status=x")):
            raise AssertionError("it was let in")
        assert status == caught.value.response.status_code
    assert 404 == httpx.get(f"{base_url}/nope", timeout=15).status_code


def test_a_server_that_stops_ends_its_streams(serve: Callable[[Access], AbstractContextManager[Any]]) -> None:
    """They have an end that readers can tell from a broken connection."""
    with ExitStack() as reading:
        with serve(Access()) as server:
            websocket = reading.enter_context(connect(websocket_address(server.url)))
            assert "sync" in str(websocket.recv(timeout=10))
        with pytest.raises(ConnectionClosed):
            while True:
                websocket.recv(timeout=10)
    assert websocket.close_code in {1001, 1012}  # going away, or about to restart, as uvicorn may say
