"""A reader that does not read is given up, and its stream does not end as if it was complete."""

import socket
from contextlib import ExitStack, suppress

import pytest

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import transports
from tests.stream.asgi_servers import Serve
from tests.stream.reading import wait_until
from tests.stream.writing import start_session

READERS = 5
SSE = "GET /api/job-sessions/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
WEBSOCKET = (
    "GET /api/job-sessions/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def connect_silent(opened: ExitStack, port: int, request: str) -> socket.socket:
    """Ask for a stream with as little room on the way as the system allows, and read its beginning only."""
    reader = opened.enter_context(socket.socket())
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(30)
    reader.connect(("127.0.0.1", port))
    reader.sendall(request.format(port=port).encode())
    assert b"HTTP/1.1" == reader.recv(8)
    return reader


def commit_much(store: SessionStore) -> None:
    """Write six million characters, more than the system takes in for a connection."""
    with store.begin() as connection:
        for _ in range(100):
            start_session(connection, input={"much": "x" * 60_000})


def read_to_its_end(reader: socket.socket) -> bytes:
    """Return the last bytes that a connection has, however its end is told."""
    last = b""
    with suppress(ConnectionError):
        while read := reader.recv(1 << 20):
            last = (last + read)[-100:]
    return last


@pytest.mark.parametrize("request_text", [SSE, WEBSOCKET], ids=["sse", "websocket"])
def test_readers_that_do_not_read_are_given_up(
    session_store: SessionStore,
    serve_stream: Serve,
    monkeypatch: pytest.MonkeyPatch,
    request_text: str,
) -> None:
    """They are counted no more, hold no frames, and find the end of the stream when they read again."""
    monkeypatch.setattr(transports, "SEND_SECONDS", 0.5)
    with serve_stream(session_store) as server, ExitStack() as opened:
        stream = server.app.state.stream
        readers = [connect_silent(opened, server.port, request_text) for _ in range(READERS)]
        wait_until(lambda: READERS == stream.readers.total())
        commit_much(session_store)
        wait_until(lambda: 0 == stream.readers.total())
        ends = [read_to_its_end(reader) for reader in readers]
    assert not [end for end in ends if end.endswith(b"\r\n0\r\n\r\n")], (
        "it ended as if it was complete"
    )
