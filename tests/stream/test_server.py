"""The process: how it stops, where it listens, and who keeps it busy."""

import signal
import socket
import sys
import time
from contextlib import ExitStack

import httpx
import pytest
from websockets.sync.client import connect

from bidbeacon_sessions import SessionStore
from tests.stream.asgi_servers import ON_BOTH, STREAM_COMMAND, Serve, run_server
from tests.stream.reading import closing_code, place_of, websocket_address

SERVE = """
import sys
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server.serve import serve
serve(SessionStore.connect(sys.argv[1]), host="127.0.0.1", port=0)
"""


@ON_BOTH
def test_a_server_that_stops_ends_its_streams(
    session_store: SessionStore, serve_stream: Serve
) -> None:
    """They have an end that readers can tell from a broken connection."""
    with ExitStack() as reading:
        with serve_stream(session_store) as server:
            websocket = reading.enter_context(connect(websocket_address(server.url)))
            assert "sync" in str(websocket.recv(timeout=10))
        # Going away, or about to restart, as uvicorn may say.
        assert closing_code(websocket) in {1001, 1012}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_process_soon_with_streams_open(
    database_url: str, number: signal.Signals
) -> None:
    """Open streams are ended, and the process exits with 0: two seconds on an idle machine."""
    with (
        run_server([sys.executable, "-c", SERVE, database_url]) as (process, url),
        httpx.stream("GET", f"{url}/api/job-sessions/stream", timeout=15) as sse,
        connect(websocket_address(url)) as websocket,
    ):
        assert "sync" in str(websocket.recv(timeout=10))
        started = time.monotonic()
        process.send_signal(number)
        assert "sync" in "".join(sse.iter_text())
        assert 1001 == closing_code(websocket)
        assert 0 == process.wait(timeout=15)
        assert time.monotonic() - started < 10


def test_port_0_is_any_free_port_and_is_printed(database_url: str) -> None:
    """`bidbeacon stream --port 0` says where it listens, and ends with 0 after Ctrl-C."""
    with run_server(STREAM_COMMAND, BIDBEACON_DATABASE_URL=database_url) as (process, url):
        assert 200 == httpx.get(f"{url}/healthz", timeout=15).status_code
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(timeout=15)


def test_half_open_requests_keep_nobody_out(database_url: str) -> None:
    """300 requests whose headers never end, under 256 descriptors: the health is told within seconds, never reset."""
    command = [
        "sh",
        "-c",
        'ulimit -n 256; exec "$0" "$@"',
        sys.executable,
        "-c",
        SERVE,
        database_url,
    ]
    with run_server(command) as (process, url):
        with ExitStack() as opened:
            for _ in range(300):
                half = opened.enter_context(socket.create_connection(place_of(url), timeout=30))
                half.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
            assert 200 == httpx.get(f"{url}/healthz", timeout=30).status_code
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(timeout=15)
