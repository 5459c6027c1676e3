"""A database that answers no more without a word, and a log that another process holds: the stream goes on, and says how it is."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import psutil
import pytest

from bidbeacon_sessions import following, listing
from bidbeacon_sessions.change_log import step
from bidbeacon_sessions.log_reader import LogReader
from bidbeacon_sessions.server import app
from tests.stream.reading import Stream
from tests.support.recorded_sessions import execute, record
from tests.support.waiting import wait_until

OTHERS = """
    SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""


@contextmanager
def frozen_backends(stream: Stream) -> Iterator[None]:
    """Freeze all of the server's processes that the running stream is connected to, inside the block."""
    pids = [row.pid for row in execute(stream.store, OTHERS)]
    if not all(psutil.pid_exists(pid) and "postgres" in psutil.Process(pid).name() for pid in pids):
        pytest.skip("the server runs on another machine")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_silent_connections_are_broken_off(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader is told of a commit within seconds, though the connection that the log was read on never answers again."""
    monkeypatch.setattr(following, "SILENT_SECONDS", 0.5)
    reader = stream.follow()
    with frozen_backends(stream):
        session_id = record(stream.store)
        wait_until(lambda: session_id in reader.view.sessions)


def test_a_silent_database_is_no_health(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for health is answered in time, also where nobody answers us."""
    with stream.store.begin(), stream.store.begin():
        assert 200 == stream.http.get("/healthz").status_code
    monkeypatch.setattr(app, "HEALTH_SECONDS", 0.5)
    with frozen_backends(stream):
        # The pool gives the connection that has rested longest: a frozen one.
        answer = stream.http.get("/healthz", timeout=10)
    assert 503 == answer.status_code
    assert {"status": "database away", "error": "TimeoutError"} == answer.json()


def test_requests_that_wait_for_the_database_block_no_files(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits in a thread, and there are more threads than Starlette's 40."""
    asked: list[object] = []
    goes_on = threading.Event()

    def wait(*given: object) -> None:
        asked.append(given)
        goes_on.wait()

    monkeypatch.setattr(listing, "read_sessions", wait)
    with ThreadPoolExecutor(60) as pool:
        for _ in range(60):
            pool.submit(stream.http.get, "/api/job-sessions")
        try:
            wait_until(lambda: len(asked) == 60)
            for path in ("/web/app.css", "/healthz"):
                assert 200 == stream.http.get(path).status_code
        finally:
            goes_on.set()


def test_an_ended_connection_is_replaced_at_once(stream: Stream) -> None:
    """Where somebody ends the connections that the log is read on, its readers are not told that the database was away."""
    reader = stream.follow()
    for _ in range(3):
        execute(stream.store, f"SELECT pg_terminate_backend(pid) FROM ({OTHERS}) others")
        session_id = record(stream.store)
        wait_until(partial(reader.view.sessions.__contains__, session_id), "it is heard of")
    assert {"answers"} == {data["database"] for _, _, data in reader.events("sync")}


def test_a_stream_that_waits_for_another_process_says_so(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody holds the cursor and does not publish, the lag grows and `readyz` is 503; afterwards all is well."""
    monkeypatch.setattr(following, "STALE_SECONDS", 0.8)
    lag = "bidbeacon_stream_lag_seconds"
    unpublished = "bidbeacon_stream_oldest_unpublished_seconds"
    stream.follow()
    wait_until(lambda: stream.metrics()[lag] < 0.5)
    with stream.store.begin() as holder:
        step(holder)
        record(stream.store)
        wait_until(lambda: stream.metrics()[lag] > 1 and stream.metrics()[unpublished] > 0.5)
        assert 503 == stream.http.get("/readyz").status_code
        assert 200 == stream.http.get("/healthz").status_code
    wait_until(lambda: stream.metrics()[lag] < 0.5 and stream.metrics()[unpublished] == 0)
    wait_until(lambda: 200 == stream.http.get("/readyz").status_code)


def test_the_stream_goes_on_after_an_error_that_nobody_foresaw(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its log has it with the traceback."""
    reader = stream.follow()
    with monkeypatch.context() as broken:
        broken.setattr(LogReader, "advance", _fail)
        wait_until(lambda: "KeyError: 'unforeseen'" in caplog.text)
    session_id = record(stream.store)
    wait_until(lambda: session_id in reader.view.sessions)
    caplog.clear()


def _fail(_: LogReader) -> None:
    raise KeyError("unforeseen")
