"""What one reader can ask for at most: so many streams, such frames, such filters."""

import socket

import httpx
import pytest
from websockets.sync.client import connect

from bidbeacon_sessions.server import stream
from tests.stream.asgi_servers import BY_SETTINGS_OF_GRANIAN
from tests.stream.reading import closing_code, place_of, refusal_of, websocket_address

LONGEST_FRAME = 64 * 1024
LONGEST_FILTER = 200


def test_too_many_streams_are_refused(
    http: httpx.Client, base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound counts both transports and answers with 503, a WebSocket before its handshake ends."""
    monkeypatch.setattr(stream, "MAX_READERS", 1)
    with http.stream("GET", "/api/job-sessions/stream"):
        response = http.get("/api/job-sessions/stream")
        assert (503, "Too many streams are open.") == (
            response.status_code,
            response.json()["error"],
        )
        assert 503 == refusal_of(websocket_address(base_url))


def test_a_frame_within_the_bound_is_ignored(base_url: str) -> None:
    """The stream listens to nobody: what a reader says changes nothing."""
    with connect(websocket_address(base_url)) as reader:
        reader.send("x" * LONGEST_FRAME)
        assert "sync" in str(reader.recv(timeout=10))
        assert "sync" in str(reader.recv(timeout=10))


def test_a_frame_over_the_bound_ends_the_connection(base_url: str) -> None:
    """It is closed with 1009, message too big, and is read no further."""
    with connect(websocket_address(base_url)) as reader:
        reader.send("x" * (LONGEST_FRAME + 1))
        assert 1009 == closing_code(reader)


@pytest.mark.parametrize("name", ["job", "account", "type", "dataset", "window", "run", "text"])
def test_a_filter_over_the_bound_is_refused_by_both_transports(
    http: httpx.Client, base_url: str, name: str
) -> None:
    """200 characters are taken, one more is a 400 with what to do."""
    query = f"{name}={'x' * LONGEST_FILTER}"
    assert 200 == http.head(f"/api/job-sessions/stream?{query}").status_code
    refused = http.get(f"/api/job-sessions/stream?{query}x")
    assert (400, "Use at most 200 characters.") == (
        refused.status_code,
        refused.json()["what_to_do"],
    )
    assert 400 == refusal_of(websocket_address(base_url, f"{query}x"))


@BY_SETTINGS_OF_GRANIAN
def test_headers_that_never_end_are_refused(base_url: str) -> None:
    """100 kB of a request that is not complete are answered with an error, not collected."""
    with socket.create_connection(place_of(base_url), timeout=10) as reader:
        reader.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 100_000)
        assert reader.recv(12) in {b"HTTP/1.1 400", b"HTTP/1.1 431"}


@BY_SETTINGS_OF_GRANIAN
def test_requests_that_never_end_are_cut_off(base_url: str) -> None:
    """Whoever is idle, or sends the beginning of a request only, loses the connection after seconds."""
    place = place_of(base_url)
    with (
        socket.create_connection(place, timeout=30) as half,
        socket.create_connection(place) as whole,
    ):
        half.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        whole.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        whole.settimeout(30)
        assert b"HTTP/1.1 200" == whole.recv(12)
        assert half.recv(12) in {b"", b"HTTP/1.1 408"}
