"""The database goes away while a session runs: the job goes on, and what it told is written when the database is back."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url, text

from bidbeacon_sessions import Action, SessionStore, with_job_session
from bidbeacon_sessions import session as session_module
from bidbeacon_sessions.session import is_away
from bidbeacon_sessions.settings import get_session_settings

Outage = Callable[[], AbstractContextManager[None]]


class OutageNoted(Action):
    """Something was noted."""

    sentence = "Noted {number}[ {text}]"

    number: int
    text: str = ""


@pytest.fixture
def outage(cluster_url: str, database_url: str) -> Outage:
    """Return a context inside which nobody can connect to the test's database, and everybody is thrown out of it."""
    name = make_url(database_url).database

    @contextmanager
    def away() -> Iterator[None]:
        with psycopg.connect(cluster_url, autocommit=True) as admin:
            statement = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
            admin.execute(statement.format(sql.Identifier(name or ""), sql.SQL("false")))
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
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
    with store.begin() as connection:
        [row] = connection.execute(text("SELECT status, actions FROM job_sessions")).all()
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
    assert ("succeeded", [("outage-noted", number) for number in (1, 2, 3, 4)]) == told(session_store)


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
    with session_store.begin() as connection:
        first = connection.execute(text("SELECT min(at) FROM session_actions")).scalar_one()
        started = connection.execute(text("SELECT started_at FROM session_headers")).scalar_one()
    assert started <= first


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
    status, actions = told(session_store)
    assert ("succeeded", [0, 1, 2, 3, 4, None]) == (status, [number for _, number in actions])
    with session_store.begin() as connection:
        [lost] = connection.execute(
            text("SELECT payload FROM session_actions WHERE type = 'actions-lost'")
        ).scalars()
    assert {"lost": 3, "by_type": "3 × outage-noted"} == lost


def test_an_action_that_the_database_refuses_does_not_block_those_behind_it(
    session_store: SessionStore,
) -> None:
    """It is counted as lost, the others are written, and the job goes on."""
    with session_store.begin() as connection:
        connection.execute(
            text("ALTER TABLE session_actions ADD CHECK (payload ->> 'number' IS DISTINCT FROM '2')")
        )
    with with_job_session("x", store=session_store) as session:
        for number in (1, 2, 3):
            session.add(OutageNoted(number=number))
    assert ("succeeded", [("outage-noted", 1), ("outage-noted", 3), ("actions-lost", None)]) == told(
        session_store
    )


def test_a_write_whose_answer_was_lost_is_no_duplicate(session_store: SessionStore) -> None:
    """Written again, the header, the action and its references are there once."""
    with with_job_session("x", store=session_store) as session:
        session.add(OutageNoted(number=1))
        written = session._place(OutageNoted(number=2))
        session._queue.extend([written, written])
        session.open()
        assert session.flush()
    assert ("succeeded", [("outage-noted", 1), ("outage-noted", 2)]) == told(session_store)


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
