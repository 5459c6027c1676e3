"""The process and its readers: stopping, too many."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bidbeacon_sessions.server import stream

SERVE = """
import sys
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server.serve import serve
serve(SessionStore.connect(sys.argv[1]), host="127.0.0.1", port=0)
"""


def test_too_many_streams_are_refused(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound answers with 503 and what to do."""
    monkeypatch.setattr(stream, "MAX_READERS", 0)
    response = http.get("/api/job-sessions/stream")

    assert (503, "Too many streams are open.") == (response.status_code, response.json()["error"])


def test_a_closed_connection_is_forgotten_at_once(
    http: httpx.Client, wait_until: Callable[..., None]
) -> None:
    """A reader that leaves is not counted any more."""
    with http.stream("GET", "/api/job-sessions/stream"):
        wait_until(lambda: 'clients{transport="sse"} 1.0' in http.get("/metrics").text)
    wait_until(lambda: 'clients{transport="sse"} 0.0' in http.get("/metrics").text, seconds=5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_process_soon_with_streams_open(database_url: str, number: signal.Signals) -> None:
    """Open streams are ended, and the process exits with 0: two seconds on an idle machine."""
    command = [sys.executable, "-c", SERVE, database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        with (
            httpx.stream("GET", f"http://127.0.0.1:{port}/api/job-sessions/stream", timeout=15) as sse,
            connect(f"ws://127.0.0.1:{port}/api/job-sessions/ws") as websocket,
        ):
            assert "sync" in str(websocket.recv(timeout=10))
            started = time.monotonic()
            process.send_signal(number)
            assert "sync" in "".join(sse.iter_text())
            with pytest.raises(ConnectionClosed):
                while True:
                    websocket.recv(timeout=15)
            assert 0 == process.wait(timeout=15)
            took = time.monotonic() - started
    assert took < 10


def test_port_0_is_any_free_port_and_is_printed(database_url: str) -> None:
    """`bidbeacon stream --port 0` says where it listens, and ends with 0 after Ctrl-C."""
    command = [sys.executable, "-m", "bidbeacon_pipelines", "stream", "--port", "0"]
    environment = os.environ | {"BIDBEACON_DATABASE_URL": database_url}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        name, _, url = process.stdout.readline().strip().partition(": ")
        assert ("Event Stream", 200) == (name, httpx.get(f"{url}/healthz", timeout=15).status_code)
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(timeout=15)


def test_half_open_requests_keep_nobody_out(database_url: str) -> None:
    """300 requests whose headers never end, under 256 descriptors: the health is told within seconds, never reset."""
    command = ["sh", "-c", 'ulimit -n 256; exec "$0" "$@"', sys.executable, "-c", SERVE, database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        with ExitStack() as opened:
            for _ in range(300):
                half = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
                half.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
            assert 200 == httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=30).status_code
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(timeout=15)
