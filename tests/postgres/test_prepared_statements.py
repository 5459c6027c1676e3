"""Appends are prepared statements on the connection that appended last."""

import os
import signal
import threading
from typing import Any, LiteralString

import psycopg
import pytest
from sqlalchemy import text

from bidbeacon_sessions import Action, Reference, SessionStore, store, with_job_session
from tests.postgres.flickering import wait_until


class PreparedNoted(Action):
    """Something was noted."""

    sentence = "Noted {said}"

    said: str

    def references(self) -> list[Reference]:
        """One window."""
        return [Reference("US.1", "noted", window=self.said)]


def texts(session_store: SessionStore) -> list[str]:
    """Return what the sessions were told, in order."""
    with session_store.begin() as connection:
        return list(
            connection.execute(text("SELECT payload ->> 'said' FROM session_actions ORDER BY ord")).scalars()
        )


def ask(session_store: SessionStore, statement: LiteralString) -> list[Any]:
    """Return what a statement says on the connection that appends."""
    with session_store.appending() as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_a_statement_is_prepared_once_for_many_appends(session_store: SessionStore) -> None:
    """The server reads and plans it for the first one only."""
    with with_job_session("x", store=session_store) as session:
        for number in range(20):
            session.add(PreparedNoted(said=str(number)))
    plans = "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement LIKE '%INTO session_references%'"
    assert [(20,)] == ask(session_store, plans)


def test_statements_that_were_dropped_on_the_way_are_prepared_again(session_store: SessionStore) -> None:
    """A pool between us and the server may do so, and so does the driver after some commands."""
    with with_job_session("x", store=session_store) as session:
        session.add(PreparedNoted(said="before"))
        ask(session_store, "DEALLOCATE ALL")
        session.add(PreparedNoted(said="after"))
    assert ["before", "after"] == texts(session_store)


def test_the_connection_that_appended_last_appends_next(session_store: SessionStore) -> None:
    """Its statements are prepared; a second append at the same time gets a connection of its own."""
    pid: LiteralString = "SELECT pg_backend_pid()"
    [first] = ask(session_store, pid)
    assert [first] == ask(session_store, pid)
    with session_store.appending():
        assert [first] != ask(session_store, pid)
    assert len(ask(session_store, pid)) == 1


def test_a_connection_that_ended_while_it_lay_idle_is_replaced(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked whether it lives before it is used: no append is lost, none has to be tried again."""
    monkeypatch.setattr(store, "_IDLE_SECONDS", 0.0)
    with with_job_session("x", store=session_store) as session:
        session.add(PreparedNoted(said="before"))
        [(pid,)] = ask(session_store, "SELECT pg_backend_pid()")
        with session_store.begin() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        session.add(PreparedNoted(said="after"))
        assert not session._pause
    assert ["before", "after"] == texts(session_store)


def test_a_connection_on_which_something_failed_is_not_kept(session_store: SessionStore) -> None:
    """The pool looks at it first; one that broke is thrown away."""
    with pytest.raises(psycopg.OperationalError), session_store.appending() as appending:
        [(pid,)] = appending.execute("SELECT pg_backend_pid()").fetchall()
        with session_store.begin() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        appending.execute("SELECT 1")
    assert [(1,)] == ask(session_store, "SELECT 1")


def test_an_interrupt_ends_the_wait_for_a_server_that_does_not_answer(session_store: SessionStore) -> None:
    """The append waits for a lock; Ctrl-C, or Dagster's termination, gets through, and the session is cancelled."""
    with (
        session_store.begin() as blocker,
        pytest.raises(KeyboardInterrupt),
        with_job_session("x", store=session_store) as session,
    ):
        session.add(PreparedNoted(said="before"))
        blocker.execute(text("LOCK TABLE session_references IN SHARE MODE"))
        threading.Thread(target=_interrupt_one_that_waits, args=(session_store,)).start()
        try:
            session.add(PreparedNoted(said="waits"))
        finally:
            blocker.rollback()
    with session_store.begin() as connection:
        assert ["cancelled"] == list(connection.execute(text("SELECT status FROM job_sessions")).scalars())
    assert "before" == texts(session_store)[0]


def _interrupt_one_that_waits(session_store: SessionStore) -> None:
    """Send this process an interrupt as soon as a statement waits for a lock, or where none ever does."""
    waiting = text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST('session_references' AS regclass)"
    )
    try:
        with session_store.engine.connect() as connection:
            wait_until(
                lambda: bool(connection.execute(waiting).scalar_one()), "a statement waits for the lock"
            )
    finally:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ("a\x00b", "a\N{SYMBOL FOR NULL}b"),
        ("a\\u0000b", "a\\u0000b"),
        ("a\ud800b", "a?b"),
        ("Zürich, 東京, \U0001f600", "Zürich, 東京, \U0001f600"),
        ('quote " and \\ and %(s)s and {at} and $1', 'quote " and \\ and %(s)s and {at} and $1'),
    ],
    ids=["NUL", "a NUL's escape as text", "half a surrogate", "any letters", "what is special in statements"],
)
@pytest.mark.parametrize("inside", [False, True], ids=["add", "add_in"])
def test_every_text_is_stored_by_both_ways_of_appending(
    session_store: SessionStore, said: str, stored: str, *, inside: bool
) -> None:
    """As it is, or with what PostgreSQL can't store replaced; the reference too."""
    action = PreparedNoted.model_construct(said=said)
    with with_job_session("x", store=session_store) as session:
        if inside:
            with session_store.begin() as connection:
                session.add_in(connection, action)
        else:
            session.add(action)
    assert [stored] == texts(session_store)
    with session_store.begin() as connection:
        windows = connection.execute(text("SELECT window_key FROM session_references")).scalars()
        assert [stored] == list(windows)
