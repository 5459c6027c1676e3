"""Connections carry the session they work for, and are ended with it."""

import logging
from collections.abc import Generator
from contextvars import Context
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from bidbeacon_sessions import SessionClosedError, SessionStore, with_job_session
from bidbeacon_sessions.connections import end_connections, working_for
from bidbeacon_sessions.leases import end_dead_connections
from bidbeacon_sessions.settings import get_session_settings
from tests.support.reading import call
from tests.support.recorded_sessions import (
    LoafBaked,
    close_from_outside,
    end_lease,
    execute,
    recorded,
)
from tests.support.waiting import wait_until

NAME = "SELECT current_setting('application_name')"


def name(store: SessionStore) -> str:
    """Return the name that a connection of a store carries now."""
    [(name,)] = execute(store, NAME)
    return str(name)


def test_connections_carry_the_session_of_their_thread(session_store: SessionStore) -> None:
    """For one session after the other, also one inside another; outside of sessions they have their own name."""
    for _ in range(2):
        with with_job_session("x", store=session_store) as outer:
            with with_job_session("x", store=session_store) as inner:
                assert f"bidbeacon {inner.session_id}" == name(session_store)
            assert f"bidbeacon {outer.session_id}" == name(session_store)
        assert "bidbeacon" == name(session_store)


def test_a_generator_that_ends_late_brings_no_session_back(session_store: SessionStore) -> None:
    """One that was left in the middle, as an asset that yields a result is, ends when it is collected."""

    def work() -> Generator[None, None, None]:
        with working_for(uuid4()):
            yield

    with with_job_session("x", store=session_store):
        left = work()
        next(left)
    left.close()
    assert "bidbeacon" == name(session_store)


def test_a_heartbeat_does_not_carry_the_session(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is not one of those that are ended because they may hold locks."""
    monkeypatch.setenv("BIDBEACON_HEARTBEAT_SECONDS", "0.05")
    get_session_settings.cache_clear()
    names: set[str | None] = set()

    def note(_: Connection, cursor: psycopg.Cursor, statement: str, *_more: object) -> None:
        if "UPDATE session_leases" in statement:
            names.add(cursor.connection.info.parameter_status("application_name"))

    event.listen(session_store.engine, "before_cursor_execute", note)
    with with_job_session("x", store=session_store):
        wait_until(lambda: bool(names), "a heartbeat is sent")
    assert {"bidbeacon"} == names


def test_a_closed_session_loses_its_connections_and_gets_no_new_ones(
    session_store: SessionStore,
) -> None:
    """Its open transaction is rolled back, though it locks the session; nothing is written or begun in its name, and the timeline ends with who closed it."""
    with pytest.raises(SessionClosedError), with_job_session("x", store=session_store) as session:
        session.add(LoafBaked())
        with pytest.raises(OperationalError), session_store.begin() as connection:
            # As an action does.
            connection.exec_driver_sql("SELECT FROM session_headers FOR KEY SHARE")
            assert Context().run(close_from_outside, session_store, session.session_id)
        with pytest.raises(SessionClosedError), session_store.begin():
            pytest.fail("a connection was given")
        session.add(LoafBaked())
    [row] = recorded(session_store)
    assert "crashed" == row.status
    assert ["loaf-baked", "session-finalized"] == [action["type"] for action in row.actions]


def test_only_connections_of_sessions_whose_lease_has_ended_are_ended(
    session_store: SessionStore,
) -> None:
    """A living session and work outside of sessions keep theirs."""
    engine = session_store.engine
    with (
        engine.connect() as unnamed,
        with_job_session("x", store=session_store),
        engine.connect() as named,
    ):
        assert Context().run(call, engine, end_dead_connections) == 0
        Context().run(end_lease, engine)
        assert Context().run(call, engine, end_dead_connections) != 0
        with pytest.raises(OperationalError):
            named.exec_driver_sql(NAME)
        assert unnamed.exec_driver_sql(NAME).scalar_one() == "bidbeacon"


def test_a_role_that_may_not_end_connections_is_told_what_it_lacks(
    session_store: SessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing breaks; an error in the log names both the connection and the grant."""
    [(owner,)] = execute(session_store, "SELECT current_user")

    def end() -> int:
        with session_store.begin() as connection:
            connection.execute(text("CREATE ROLE lowly_closer"))
            connection.execute(text("SET LOCAL ROLE lowly_closer"))
            count = end_connections(connection, [session.session_id])
            connection.rollback()
            return count

    with (
        with_job_session("x", store=session_store) as session,
        session_store.engine.connect() as named,
    ):
        with caplog.at_level(logging.ERROR):
            assert Context().run(end) > 0
        assert named.exec_driver_sql(NAME).scalar_one() == f"bidbeacon {session.session_id}"
    assert f"role {owner}) may hold locks" in caplog.text
    assert f"grant the role {owner} or pg_signal_backend" in caplog.text
