"""The database goes away while a session runs: what is recorded waits for it, for a bounded time, and is there once."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url, text

from bidbeacon_sessions import Action, Reference, SessionStore, with_job_session, writes
from bidbeacon_sessions import session as session_module
from bidbeacon_sessions.errors import DatabaseAwayError
from bidbeacon_sessions.settings import get_session_settings
from tests.postgres.flickering import wait_until
from tests.recorded_sessions import recorded

Outage = Callable[[], AbstractContextManager[None]]
END_OTHERS = text("""
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()""")
BEATEN_AFTER = "SELECT count(*) FROM session_leases WHERE heartbeat_at > %s"


class OutageNoted(Action):
    """Something was noted."""

    sentence = "Noted {number}"

    number: int

    def references(self) -> list[Reference]:
        """One window."""
        return [Reference("US.a", "noted", window=str(self.number))]


@pytest.fixture
def outage(cluster_url: str, database_url: str) -> Outage:
    """Return a context inside which nobody can connect to the test's database, and everybody is thrown out of it."""
    name = make_url(database_url).database

    @contextmanager
    def away() -> Iterator[None]:
        with psycopg.connect(cluster_url, autocommit=True) as admin:
            statement = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
            admin.execute(statement.format(sql.Identifier(name or ""), sql.SQL("false")))
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            try:
                yield
            finally:
                admin.execute(statement.format(sql.Identifier(name or ""), sql.SQL("true")))

    return away


@contextmanager
def ends_soon(outage: Outage) -> Iterator[None]:
    """Let an outage begin now, and end half a second later, whatever happens inside."""
    with ExitStack() as gone:
        gone.enter_context(outage())
        back = threading.Timer(0.5, gone.pop_all().close)
        back.start()
        yield
        back.join()


def told(store: SessionStore) -> tuple[str, list[int]]:
    """Return the only session's status, and what its actions noted."""
    [row] = recorded(store)
    return row.status, [action["number"] for action in row.actions]


def test_an_action_waits_for_the_database(session_store: SessionStore, outage: Outage) -> None:
    """None is lost, none comes twice, and they keep their order."""
    with with_job_session("x", store=session_store) as session:
        session.add(OutageNoted(number=1))
        with ends_soon(outage):
            session.add(OutageNoted(number=2))
        session.add(OutageNoted(number=3))
    assert ("succeeded", [1, 2, 3]) == told(session_store)


def test_a_session_that_begins_meanwhile_is_stored_with_its_true_beginning_and_its_lease(
    session_store: SessionStore,
    outage: Outage,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its header comes late, with the time at which the work was to begin; its heartbeat goes on from then."""
    monkeypatch.setenv("BIDBEACON_HEARTBEAT_SECONDS", "0.05")
    get_session_settings.cache_clear()
    with ends_soon(outage):
        began = datetime.now().astimezone()
        with with_job_session("x", store=session_store), psycopg.connect(database_url) as watcher:
            now = watcher.execute("SELECT clock_timestamp()").fetchone()
            watcher.commit()
            wait_until(
                lambda: watcher.execute(BEATEN_AFTER, now).fetchone() == (1,), "a heartbeat comes"
            )
    [row] = recorded(session_store)
    assert (row.started_at - began).total_seconds() < 0.2
    assert row.status == "succeeded"


def test_a_session_that_ends_meanwhile_waits_for_the_database(
    session_store: SessionStore, outage: Outage
) -> None:
    """It is succeeded, not crashed."""
    with ExitStack() as back, with_job_session("x", store=session_store) as session:
        session.add(OutageNoted(number=1))
        back.enter_context(ends_soon(outage))
    assert ("succeeded", [1]) == told(session_store)


def test_a_database_that_stays_away_ends_the_job(
    session_store: SessionStore, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time for which a write is tried again; the session is left to whoever finds it dead."""
    monkeypatch.setattr(session_module, "RETRY_SECONDS", 0.3)
    with (
        ExitStack() as gone,
        pytest.raises(DatabaseAwayError, match="can't be recorded"),
        with_job_session("x", store=session_store) as session,
    ):
        gone.enter_context(outage())
        session.add(OutageNoted(number=1))
    assert ("running", []) == told(session_store)


def test_an_interrupt_does_not_wait_for_the_database(
    session_store: SessionStore, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever interrupts wants an end; that the session could not be ended is in the log."""
    with ExitStack() as gone:
        with pytest.raises(KeyboardInterrupt), with_job_session("x", store=session_store):
            gone.enter_context(outage())
            began = time.monotonic()
            raise KeyboardInterrupt
        assert time.monotonic() - began < 5
    assert "could not be closed" in caplog.text
    assert ("running", []) == told(session_store)


def test_an_action_that_the_database_refuses_fails_the_job(session_store: SessionStore) -> None:
    """It is no outage, so it is not tried again."""
    with session_store.begin() as connection:
        connection.execute(text("ALTER TABLE session_actions ADD CHECK (ord < 2)"))
    with (
        pytest.raises(psycopg.errors.CheckViolation),
        with_job_session("x", store=session_store) as session,
    ):
        for number in (1, 2):
            session.add(OutageNoted(number=number))
    assert ("failed", [1]) == told(session_store)


@pytest.mark.parametrize("write", ["insert_session", "append_action", "close_session"])
def test_a_write_whose_answer_was_lost_is_no_duplicate(
    session_store: SessionStore, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written again, the header, each action and its references are there once, and the end is what it was."""
    answers: list[Any] = []
    really = getattr(writes, write)

    def lose_the_first(*args: Any, **kwargs: Any) -> Any:
        answers.append(really(*args, **kwargs))
        if len(answers) == 1:
            raise psycopg.OperationalError("the answer was lost")
        return answers[-1]

    monkeypatch.setattr(writes, write, lose_the_first)
    with with_job_session("x", store=session_store) as session:
        session.add(OutageNoted(number=1))
        session.add(OutageNoted(number=2))
    assert ("succeeded", [1, 2]) == told(session_store)
    with session_store.begin() as connection:
        windows = connection.execute(
            text("SELECT window_key FROM session_references ORDER BY id")
        ).scalars()
        assert ["1", "2"] == list(windows)


def test_a_connection_that_has_ended_is_replaced(session_store: SessionStore) -> None:
    """Also one that lay idle for hours."""
    with with_job_session("x", store=session_store) as session:
        session.add(OutageNoted(number=1))
        with session_store.begin() as connection:
            connection.execute(END_OTHERS)
        session.add(OutageNoted(number=2))
    assert ("succeeded", [1, 2]) == told(session_store)


def test_an_action_shares_the_fate_of_the_callers_transaction(session_store: SessionStore) -> None:
    """Rolled back with it, as a whole or to a savepoint; what comes next is not held up."""
    with with_job_session("x", store=session_store) as session:
        with pytest.raises(LookupError), session_store.begin() as connection:
            session.add_in(connection, OutageNoted(number=1))
            raise LookupError
        with session_store.begin() as connection:
            session.add_in(connection, OutageNoted(number=2))
            with pytest.raises(LookupError), connection.begin_nested():
                session.add_in(connection, OutageNoted(number=3))
                raise LookupError
        session.add(OutageNoted(number=4))
    assert ("succeeded", [2, 4]) == told(session_store)


def test_an_interrupt_ends_the_wait_for_a_server_that_does_not_answer(
    session_store: SessionStore,
) -> None:
    """The append waits for a lock; Ctrl-C, or Dagster's termination, gets through, and the session is cancelled."""
    with (
        session_store.begin() as blocker,
        pytest.raises(KeyboardInterrupt),
        with_job_session("x", store=session_store) as session,
    ):
        session.add(OutageNoted(number=1))
        blocker.execute(text("LOCK TABLE session_references IN SHARE MODE"))
        threading.Thread(target=_interrupt_one_that_waits, args=(session_store,)).start()
        try:
            session.add(OutageNoted(number=2))
        finally:
            blocker.rollback()
    status, numbers = told(session_store)
    assert ("cancelled", 1) == (status, numbers[0])


def _interrupt_one_that_waits(session_store: SessionStore) -> None:
    """Send this process an interrupt as soon as a statement waits for a lock, or where none ever does."""
    waiting = text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST('session_references' AS regclass)"
    )
    try:
        with session_store.engine.connect() as connection:
            wait_until(
                lambda: connection.execute(waiting).scalar_one() > 0,
                "a statement waits for the lock",
            )
    finally:
        os.kill(os.getpid(), signal.SIGINT)
