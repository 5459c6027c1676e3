"""The database goes away while a session runs: what is recorded waits for it, for a bounded time, and is there once."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from bidbeacon_sessions import SessionStore, with_job_session, writes
from bidbeacon_sessions import session as session_module
from bidbeacon_sessions.errors import DatabaseAwayError
from bidbeacon_sessions.settings import get_session_settings
from tests.support.recorded_sessions import (
    LoafBaked,
    count_waiting,
    database_away,
    execute,
    recorded,
    told,
)
from tests.support.waiting import wait_until


@contextmanager
def ends_soon(store: SessionStore) -> Iterator[None]:
    """Let an outage begin now, and end half a second later, whatever happens inside."""
    with ExitStack() as gone:
        gone.enter_context(database_away(store))
        back = threading.Timer(0.5, gone.pop_all().close)
        back.start()
        yield
        back.join()


def _loaf(what: str) -> LoafBaked:
    return LoafBaked(what=what, about=(("US.a", what, None),))


def test_an_action_and_the_end_wait_for_the_database(session_store: SessionStore) -> None:
    """None is lost, none comes twice, they keep their order; the session is succeeded, not crashed."""
    with ExitStack() as back, with_job_session("x", store=session_store) as session:
        session.add(_loaf("1"))
        with ends_soon(session_store):
            session.add(_loaf("2"))
        session.add(_loaf("3"))
        back.enter_context(ends_soon(session_store))
    assert ("succeeded", ["1", "2", "3"]) == told(session_store)


def test_a_session_that_begins_meanwhile_is_stored_with_its_true_beginning_and_its_lease(
    session_store: SessionStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its header comes late, with the time at which the work was to begin; its heartbeat goes on from then."""
    monkeypatch.setenv("BIDBEACON_HEARTBEAT_SECONDS", "0.05")
    get_session_settings.cache_clear()
    with ends_soon(session_store):
        began = datetime.now().astimezone()
        with with_job_session("x", store=session_store):
            [(now,)] = execute(session_store, "SELECT clock_timestamp()")
            beaten = "SELECT FROM session_leases WHERE heartbeat_at > :now"
            wait_until(lambda: bool(execute(session_store, beaten, now=now)), "a heartbeat comes")
    [row] = recorded(session_store)
    assert (row.started_at - began).total_seconds() < 0.2
    assert row.status == "succeeded"


def test_a_database_that_stays_away_ends_the_job(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time for which a write is tried again; the session is left to whoever finds it dead."""
    monkeypatch.setattr(session_module, "RETRY_SECONDS", 0.3)
    with (
        ExitStack() as gone,
        pytest.raises(DatabaseAwayError, match="can't be recorded"),
        with_job_session("x", store=session_store) as session,
    ):
        gone.enter_context(database_away(session_store))
        session.add(_loaf("1"))
    assert ("running", []) == told(session_store)


def test_an_interrupt_does_not_wait_for_the_database(
    session_store: SessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever interrupts wants an end; that the session could not be ended is in the log."""
    with ExitStack() as gone:
        with pytest.raises(KeyboardInterrupt), with_job_session("x", store=session_store):
            gone.enter_context(database_away(session_store))
            began = time.monotonic()
            raise KeyboardInterrupt
        assert time.monotonic() - began < 5
    assert "could not be closed" in caplog.text
    assert ("running", []) == told(session_store)


def test_an_action_that_the_database_refuses_fails_the_job(session_store: SessionStore) -> None:
    """It is no outage, so it is not tried again."""
    execute(session_store, "ALTER TABLE session_actions ADD CHECK (ord < 2)")
    with (
        pytest.raises(psycopg.errors.CheckViolation),
        with_job_session("x", store=session_store) as session,
    ):
        for what in ("1", "2"):
            session.add(_loaf(what))
    assert ("failed", ["1"]) == told(session_store)


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
        session.add(_loaf("1"))
        session.add(_loaf("2"))
    assert ("succeeded", ["1", "2"]) == told(session_store)
    about = execute(session_store, "SELECT dataset FROM session_references ORDER BY id")
    assert ["1", "2"] == [row.dataset for row in about]


def test_an_action_shares_the_fate_of_the_callers_transaction(session_store: SessionStore) -> None:
    """Rolled back with it, as a whole or to a savepoint; what comes next is not held up."""
    with with_job_session("x", store=session_store) as session:
        with pytest.raises(LookupError), session_store.begin() as connection:
            session.add_in(connection, _loaf("1"))
            raise LookupError
        with session_store.begin() as connection:
            session.add_in(connection, _loaf("2"))
            with pytest.raises(LookupError), connection.begin_nested():
                session.add_in(connection, _loaf("3"))
                raise LookupError
        session.add(_loaf("4"))
    assert ("succeeded", ["2", "4"]) == told(session_store)


def test_an_interrupt_ends_the_wait_for_a_server_that_does_not_answer(
    session_store: SessionStore,
) -> None:
    """The append waits for a lock; Ctrl-C, or Dagster's termination, gets through, and the session is cancelled."""
    with (
        session_store.begin() as blocker,
        pytest.raises(KeyboardInterrupt),
        with_job_session("x", store=session_store) as session,
    ):
        session.add(_loaf("1"))
        blocker.execute(text("LOCK TABLE session_references IN SHARE MODE"))
        threading.Thread(target=_interrupt_one_that_waits, args=(session_store,)).start()
        try:
            session.add(_loaf("2"))
        finally:
            blocker.rollback()
    status, loaves = told(session_store)
    assert ("cancelled", "1") == (status, loaves[0])


def _interrupt_one_that_waits(session_store: SessionStore) -> None:
    """Send this process an interrupt as soon as a statement waits for a lock, or where none ever does."""
    try:
        wait_until(
            lambda: count_waiting(session_store, "session_references") > 0,
            "a statement waits for the lock",
        )
    finally:
        os.kill(os.getpid(), signal.SIGINT)
