"""A database that answers no more without a word, and a log that another process holds: the stream goes on, and says how it is."""

import os
import signal
from collections.abc import Iterator

import httpx
import psutil
import pytest
from sqlalchemy import text

from bidbeacon_sessions import SessionStore, following
from bidbeacon_sessions.change_log import step
from bidbeacon_sessions.log_reader import LogReader
from bidbeacon_sessions.server import app
from tests.stream.reading import Follow, load, read_metrics, wait_until
from tests.stream.writing import record

OTHERS = text("""
    SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'""")


@pytest.fixture
def frozen_backends(base_url: str, session_store: SessionStore) -> Iterator[list[int]]:
    """Freeze all of the server's processes that the running stream is connected to; they are let go at the end."""
    with session_store.begin() as connection:
        pids = list(connection.execute(OTHERS).scalars())
        if not all(
            psutil.pid_exists(pid) and "postgres" in psutil.Process(pid).name() for pid in pids
        ):
            pytest.skip("the server runs on another machine")
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def test_silent_connections_are_broken_off(
    session_store: SessionStore,
    monkeypatch: pytest.MonkeyPatch,
    http: httpx.Client,
    follow: Follow,
    request: pytest.FixtureRequest,
) -> None:
    """A reader is told of a commit within seconds, though the connection that the log was read on never answers again."""
    monkeypatch.setattr(following, "SILENT_SECONDS", 0.5)
    reader = follow("sse", load(http))
    assert request.getfixturevalue("frozen_backends")
    session_id = record(session_store)
    wait_until(lambda: session_id in reader.sessions)


def test_a_silent_database_is_no_health(
    session_store: SessionStore,
    http: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Whoever asks for health is answered in time, also where nobody answers us."""
    with session_store.begin(), session_store.begin():
        assert 200 == http.get("/healthz").status_code
    monkeypatch.setattr(app, "HEALTH_SECONDS", 0.5)
    assert request.getfixturevalue("frozen_backends")
    answer = http.get(
        "/healthz", timeout=10
    )  # the pool gives the connection that has rested longest: a frozen one
    assert (503, {"status": "database away", "error": "TimeoutError"}) == (
        answer.status_code,
        answer.json(),
    )


def test_an_ended_connection_is_replaced_at_once(
    session_store: SessionStore, http: httpx.Client, follow: Follow
) -> None:
    """Where somebody ends the connections that the log is read on, its readers are not told that the database was away."""
    reader = follow("sse", load(http))
    for _ in range(3):
        with session_store.begin() as connection:
            for pid in connection.execute(OTHERS).scalars().all():
                connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        session_id = record(session_store)
        wait_until(lambda wanted=session_id: wanted in reader.sessions)
    assert {"answers"} == {data["database"] for _, _, data in reader.events("sync")}


def test_a_stream_that_waits_for_another_process_says_so(
    session_store: SessionStore, http: httpx.Client, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody holds the cursor and does not publish, the lag grows and `readyz` is 503; afterwards all is well."""
    monkeypatch.setattr(following, "STALE_SECONDS", 0.8)
    lag = "bidbeacon_stream_lag_seconds"
    follow("sse")
    wait_until(lambda: read_metrics(http)[lag] < 0.5)
    with session_store.begin() as holder:
        step(holder)
        record(session_store)
        wait_until(lambda: read_metrics(http)[lag] > 1)
        assert (503, 200) == (http.get("/readyz").status_code, http.get("/healthz").status_code)
    wait_until(lambda: read_metrics(http)[lag] < 0.5)
    wait_until(lambda: 200 == http.get("/readyz").status_code)


def test_the_stream_goes_on_after_an_error_that_nobody_foresaw(
    session_store: SessionStore,
    http: httpx.Client,
    follow: Follow,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its log has it with the traceback."""
    reader = follow("sse", load(http))
    with monkeypatch.context() as broken:
        broken.setattr(LogReader, "advance", _fail)
        wait_until(lambda: "KeyError: 'unforeseen'" in caplog.text)
    session_id = record(session_store)
    wait_until(lambda: session_id in reader.sessions)
    caplog.clear()


def _fail(_: LogReader) -> None:
    raise KeyError("unforeseen")
