"""The process: how it stops, where it listens, who keeps it busy, and what one client can ask for at most."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.sync.client import connect

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import transports
from tests.faults.stream.stream_programs import Server
from tests.stream.reading import Stream, closing_code, refusal_of, serve_stream, websocket_address
from tests.stream.writing import start_session
from tests.support.waiting import wait_until

LONGEST_MESSAGE = 64 * 1024
SSE = "GET /api/job-sessions/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
WEBSOCKET = (
    "GET /api/job-sessions/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
def process(database_url: str, tmp_path: Path) -> Iterator[Server]:
    """`bidbeacon stream` in a process of its own."""
    server = Server(tmp_path, database_url)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_process_soon_with_streams_open(
    process: Server, number: signal.Signals
) -> None:
    """Open streams are ended, and the process exits with 0: two seconds on an idle machine."""
    assert f"Event Stream: {process.base_url}\n" in process.log.read_text()
    with (
        httpx.stream("GET", f"{process.base_url}/api/job-sessions/stream", timeout=15) as sse,
        connect(websocket_address(process.base_url)) as websocket,
    ):
        assert "sync" in str(websocket.recv(timeout=10))
        started = time.monotonic()
        process.process.send_signal(number)
        assert "sync" in "".join(sse.iter_text())
        assert 1001 == closing_code(websocket)
        assert 0 == process.process.wait(timeout=15)
        assert time.monotonic() - started < 10


def test_half_open_requests_keep_nobody_out(process: Server) -> None:
    """300 requests whose headers never end, under 256 descriptors: the stream is ready within seconds."""
    process.process.rlimit(psutil.RLIMIT_NOFILE, (256, 256))
    with ExitStack() as opened:
        address = ("127.0.0.1", process.port)
        for _ in range(300):
            half = opened.enter_context(socket.create_connection(address, timeout=30))
            half.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        wait_until(lambda: process.is_ready)


def test_requests_that_never_end_are_cut_off(stream: Stream) -> None:
    """A client that sends only the beginning of a request, also after a complete one, loses the connection after seconds."""
    half_a_request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    address = ("127.0.0.1", stream.http.base_url.port)
    with (
        socket.create_connection(address, timeout=30) as first,
        socket.create_connection(address, timeout=30) as second,
    ):
        first.sendall(half_a_request)
        second.sendall(half_a_request + b"\r\n")
        assert b"HTTP/1.1 200" == second.recv(65_536)[:12]
        second.sendall(half_a_request)
        assert (b"", b"") == (first.recv(12), second.recv(12))


def test_too_many_streams_are_refused(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound counts both transports and answers with 503, a WebSocket before its handshake ends."""
    monkeypatch.setattr(transports, "MOST_READERS", 1)
    with stream.http.stream("GET", "/api/job-sessions/stream"):
        refused = stream.http.get("/api/job-sessions/stream")
        assert (503, "Too many streams are open.") == (refused.status_code, refused.json()["error"])
        assert 503 == refusal_of(websocket_address(stream.url))


def test_what_a_reader_says_is_ignored_up_to_a_bound(stream: Stream) -> None:
    """The stream listens to nobody; a message of more than 64 KiB ends the connection (1009)."""
    with connect(websocket_address(stream.url)) as reader:
        reader.send("x" * LONGEST_MESSAGE)
        assert "sync" in str(reader.recv(timeout=10))
        assert "sync" in str(reader.recv(timeout=10))
        reader.send("x" * (LONGEST_MESSAGE + 1))
        assert 1009 == closing_code(reader)


def connect_silent(opened: ExitStack, port: int, request: str) -> socket.socket:
    """Ask for a stream with as little room on the way as the system allows, and read its beginning only."""
    reader = opened.enter_context(socket.socket())
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(30)
    reader.connect(("127.0.0.1", port))
    reader.sendall(request.format(port=port).encode())
    assert b"HTTP/1.1" == reader.recv(8)
    return reader


def read_to_its_end(reader: socket.socket) -> bytes:
    """Return the last bytes that a connection has, however its end is told."""
    last = b""
    with suppress(ConnectionError):
        while read := reader.recv(1 << 20):
            last = (last + read)[-100:]
    return last


@pytest.mark.parametrize("request_text", [SSE, WEBSOCKET], ids=["sse", "websocket"])
def test_readers_that_do_not_read_are_given_up(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch, request_text: str
) -> None:
    """They are counted no more, and their stream does not end as if it was complete."""
    monkeypatch.setattr(transports, "SEND_SECONDS", 0.5)
    with serve_stream(session_store) as server, ExitStack() as opened:
        follower = server.app.state.follower
        readers = [connect_silent(opened, server.port, request_text) for _ in range(3)]
        wait_until(lambda: 3 == follower.readers.total())
        with session_store.begin() as connection:
            for _ in range(100):  # more than the system takes in for a connection
                start_session(connection, input={"much": "x" * 60_000})
        wait_until(lambda: 0 == follower.readers.total())
        ends = [read_to_its_end(reader) for reader in readers]
    assert not [end for end in ends if end.endswith(b"\r\n0\r\n\r\n")]
