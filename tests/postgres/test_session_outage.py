"""The database goes away while a session runs: the job goes on, and what it told is written when the database is back."""

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

from bidbeacon_sessions import Action, Reference, SessionStore, with_job_session
from bidbeacon_sessions import session as session_module
from bidbeacon_sessions import store as store_module
from bidbeacon_sessions.session import is_away
from bidbeacon_sessions.settings import get_session_settings
from tests.postgres.flickering import wait_until
from tests.recorded_sessions import recorded

Outage = Callable[[], AbstractContextManager[None]]
DROP_PREPARED = "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"
"""Drops prepared statements without the driver noticing it."""
END_OTHERS = text("""
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()""")

BEATS = """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
       AND query LIKE '%UPDATE session_leases%'"""
BEAT_AFTER = "SELECT count(*) FROM session_leases WHERE heartbeat_at > %s"


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


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries are short, and the end of a session waits for two seconds at most."""
    monkeypatch.setattr(session_module, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(session_module, "_LONGEST_PAUSE", 0.05)
    monkeypatch.setenv("BIDBEACON_CLOSE_WAIT_SECONDS", "2")
    get_session_settings.cache_clear()


def told(store: SessionStore) -> tuple[str, list[tuple[str, int | None]]]:
    """Return the only session's status, and type and number of its actions."""
    [row] = recorded(store)
    return row.status, [(action["type"], action.get("number")) for action in row.actions]


def test_actions_told_meanwhile_are_written_in_order_when_it_is_back(
    session_store: SessionStore, outage: Outage
) -> None:
    """None is lost, none comes twice, and the job never noticed."""
    with with_job_session("x", store=session_store) as session:
        session.add(OutageNoted(number=1))
        with outage():
            session.add(OutageNoted(number=2))
            session.add(OutageNoted(number=3))
        session.add(OutageNoted(number=4))
    assert ("succeeded", [("outage-noted", number) for number in (1, 2, 3, 4)]) == told(
        session_store
    )


def test_a_session_that_begins_meanwhile_is_stored_with_its_true_beginning(
    session_store: SessionStore, outage: Outage
) -> None:
    """Its header comes late, with the time at which the work began."""
    with outage():
        context = with_job_session("x", store=session_store)
        session = context.__enter__()
        session.add(OutageNoted(number=1))
        time.sleep(0.1)
    with session_store.begin() as connection:
        session.add_in(connection, OutageNoted(number=2))
    context.__exit__(None, None, None)
    assert ("succeeded", [("outage-noted", 1), ("outage-noted", 2)]) == told(session_store)
    [row] = recorded(session_store)
    assert row.started_at <= datetime.fromisoformat(row.actions[0]["at"])


def test_a_session_that_begins_meanwhile_keeps_its_lease(
    session_store: SessionStore,
    outage: Outage,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A heartbeat before the header is stored finds no lease; later ones prolong the lease that comes with the header."""
    monkeypatch.setenv("BIDBEACON_HEARTBEAT_SECONDS", "0.05")
    get_session_settings.cache_clear()
    with ExitStack() as gone:
        gone.enter_context(outage())
        with with_job_session("x", store=session_store) as session:
            gone.close()
            with psycopg.connect(database_url, autocommit=True) as watcher:
                wait_until(
                    lambda: watcher.execute(BEATS).fetchone() == (1,), "a heartbeat came first"
                )
                session.add(OutageNoted(number=1))
                now = watcher.execute("SELECT clock_timestamp()").fetchone()
                wait_until(
                    lambda: watcher.execute(BEAT_AFTER, now).fetchone() == (1,),
                    "the heartbeat goes on",
                )
    assert ("succeeded", [("outage-noted", 1)]) == told(session_store)


def test_a_session_that_ends_meanwhile_waits_for_the_database(
    session_store: SessionStore, outage: Outage
) -> None:
    """It is succeeded, not crashed: its end is told as soon as it can be."""
    with ExitStack() as gone, with_job_session("x", store=session_store) as session:
        gone.enter_context(outage())
        session.add(OutageNoted(number=1))
        back = threading.Timer(0.5, gone.pop_all().close)
        back.start()
    back.join()
    assert ("succeeded", [("outage-noted", 1)]) == told(session_store)


def test_a_database_that_stays_away_holds_the_job_up_for_a_bounded_time_only(
    session_store: SessionStore, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    """The job's result stands; that its session could not be ended is in the log."""
    with outage():
        began = time.monotonic()
        with with_job_session("x", store=session_store) as session:
            session.add(OutageNoted(number=1))
        took = time.monotonic() - began
    assert 2 <= took < 10
    assert "1 actions and the end of the session are lost" in caplog.text


def test_what_goes_beyond_the_memory_is_counted_and_said(
    session_store: SessionStore, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five fit, three are lost: the timeline says how many, and of which type."""
    monkeypatch.setattr(session_module, "MAX_PENDING_ACTIONS", 5)
    with with_job_session("x", store=session_store) as session, outage():
        for number in range(8):
            session.add(OutageNoted(number=number))
    [row] = recorded(session_store)
    *kept, lost = row.actions
    assert ("succeeded", [0, 1, 2, 3, 4]) == (row.status, [action["number"] for action in kept])
    assert ("actions-lost", 3, "3 × outage-noted") == (lost["type"], lost["lost"], lost["by_type"])


def test_an_action_that_the_database_refuses_does_not_block_those_behind_it(
    session_store: SessionStore,
) -> None:
    """It is counted as lost, the others are written, and the job goes on."""
    with session_store.begin() as connection:
        connection.execute(
            text(
                "ALTER TABLE session_actions ADD CHECK (payload ->> 'number' IS DISTINCT FROM '2')"
            )
        )
    with with_job_session("x", store=session_store) as session:
        for number in (1, 2, 3):
            session.add(OutageNoted(number=number))
    assert (
        "succeeded",
        [("outage-noted", 1), ("outage-noted", 3), ("actions-lost", None)],
    ) == told(session_store)


@pytest.mark.parametrize("write", ["insert_session", "append_action", "close_session"])
def test_a_write_whose_answer_was_lost_is_no_duplicate(
    session_store: SessionStore, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written again, the header, each action and its references are there once, and the end is what it was."""
    answers: list[Any] = []
    really = getattr(session_module, write)

    def lose_the_first(*args: Any, **kwargs: Any) -> Any:
        answers.append(really(*args, **kwargs))
        if len(answers) == 1:
            raise psycopg.OperationalError("the answer was lost")
        return answers[-1]

    monkeypatch.setattr(session_module, write, lose_the_first)
    with with_job_session("x", store=session_store) as session:
        session.add(OutageNoted(number=1))
        session.add(OutageNoted(number=2))
    assert ("succeeded", [("outage-noted", 1), ("outage-noted", 2)]) == told(session_store)
    with session_store.begin() as connection:
        windows = connection.execute(
            text("SELECT window_key FROM session_references ORDER BY id")
        ).scalars()
        assert ["1", "2"] == list(windows)


def test_what_happens_to_an_idle_connection_is_not_noticed(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Prepared statements that a pool has dropped are prepared again; a connection that has ended is replaced before it is used."""
    monkeypatch.setattr(store_module, "_IDLE_SECONDS", 0.0)
    with with_job_session("x", store=session_store) as session:
        session.add(OutageNoted(number=1))
        with session_store.appending() as appending:
            appending.execute(DROP_PREPARED)
        session.add(OutageNoted(number=2))
        with session_store.begin() as connection:
            connection.execute(END_OTHERS)
        session.add(OutageNoted(number=3))
    assert ("succeeded", [("outage-noted", number) for number in (1, 2, 3)]) == told(session_store)
    assert not caplog.text


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
    status, actions = told(session_store)
    assert ("cancelled", ("outage-noted", 1)) == (status, actions[0])


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


def test_a_full_pool_counts_as_away(database_url: str) -> None:
    """A job that holds all connections itself is not stopped by its own recorder."""
    store = SessionStore.connect(database_url)
    store.engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    held = [store.engine.connect() for _ in range(8)]
    with pytest.raises(Exception, match="QueuePool") as caught:
        store.engine.connect()
    assert is_away(caught.value)
    for connection in held:
        connection.close()
    store.dispose()
