"""A heartbeat does not vouch for work that hangs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import psycopg
import pytest
from sqlalchemy import text

from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.progress import pause
from bidbeacon_sessions.settings import get_session_settings
from tests.postgres.flickering import wait_until

STALLED_SECONDS = 1
SILENCE = "SELECT extract(epoch FROM clock_timestamp() - heartbeat_at) FROM session_leases"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIDBEACON_STALLED_SECONDS", str(STALLED_SECONDS))
    monkeypatch.setenv("BIDBEACON_HEARTBEAT_SECONDS", "0.1")
    get_session_settings.cache_clear()


@pytest.fixture
def watcher(database_url: str) -> Iterator[psycopg.Connection[tuple[float]]]:
    """Yield a connection that no session's work goes through."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def silence(watcher: psycopg.Connection[tuple[float]]) -> float:
    """Return for how many seconds the only session gave no sign of life."""
    [(seconds,)] = watcher.execute(SILENCE).fetchall()
    return float(seconds)


def test_work_that_does_not_move_is_not_vouched_for_until_it_moves_again(
    session_store: SessionStore,
    watcher: psycopg.Connection[tuple[float]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The heartbeat stops, says so once, and goes on with the next statement, as the session is still open."""
    with with_job_session("x", store=session_store):
        wait_until(lambda: silence(watcher) > 2 * STALLED_SECONDS, "the heartbeat has stopped")
        assert caplog.text.count("has not moved for 1 s") == 1
        with session_store.begin() as connection:
            connection.execute(text("SELECT 1"))
        wait_until(lambda: silence(watcher) < STALLED_SECONDS, "the heartbeat goes on")


def test_a_statement_that_hangs_is_not_vouched_for(
    session_store: SessionStore, watcher: psycopg.Connection[tuple[float]]
) -> None:
    """Work counts as moving when a statement has ended, not when it was begun."""
    seen = Event()

    def hang() -> None:
        with with_job_session("x", store=session_store), session_store.begin() as connection:
            connection.execute(text("SELECT pg_advisory_lock(1)"))
            seen.set()

    with ThreadPoolExecutor(1) as pool:
        watcher.execute("SELECT pg_advisory_lock(1)")
        hanging = pool.submit(hang)
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_until(lambda: watcher.execute(waiting).fetchone() == (1,), "the work hangs")
        wait_until(lambda: silence(watcher) > 2 * STALLED_SECONDS, "the heartbeat has stopped")
        assert not seen.is_set()
        watcher.execute("SELECT pg_advisory_unlock(1)")
        hanging.result(30)


def test_waiting_for_amazon_is_no_stall(
    session_store: SessionStore, watcher: psycopg.Connection[tuple[float]]
) -> None:
    """A wait that the client announces is vouched for, however long it is."""
    with with_job_session("x", store=session_store):
        pause(3 * STALLED_SECONDS)
        assert silence(watcher) < STALLED_SECONDS


def test_zero_vouches_for_all_work(
    session_store: SessionStore,
    watcher: psycopg.Connection[tuple[float]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever records work of which nothing is heard for hours can switch the bound off."""
    monkeypatch.setenv("BIDBEACON_STALLED_SECONDS", "0")
    get_session_settings.cache_clear()
    with with_job_session("x", store=session_store) as session:
        session.progress.moved(still_for=-10_000)
        first = watcher.execute("SELECT heartbeat_at FROM session_leases").fetchone()
        assert first is not None
        later = "SELECT heartbeat_at > %s FROM session_leases"
        wait_until(
            lambda: watcher.execute(later, first).fetchone() == (True,), "another heartbeat came"
        )
