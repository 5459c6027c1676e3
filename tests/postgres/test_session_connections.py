"""Connections carry the session they work for, and are ended with it."""

import logging
from collections.abc import Callable, Iterator
from contextvars import copy_context

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from bidbeacon_sessions import SessionClosedError, SessionRecorder, SessionStore, with_job_session
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.connections import end_connections
from bidbeacon_sessions.leases import end_dead_connections
from bidbeacon_sessions.session import finalize_session
from bidbeacon_sessions.settings import get_session_settings
from bidbeacon_sessions.store import _appending_on
from tests.dagster.world import wait_until
from tests.postgres.dead_sessions import end_lease

NAME = text("SELECT current_setting('application_name')")
BEATING = text("""
    SELECT application_name FROM pg_stat_activity
     WHERE datname = current_database() AND query LIKE '%UPDATE session_leases%'""")


def name_of(engine: Engine) -> str:
    """Return the name that a connection of an engine carries now."""
    with engine.connect() as connection:
        return str(connection.execute(NAME).scalar_one())


@pytest.fixture
def other(database_url: str) -> Iterator[SessionStore]:
    """Yield a store as another process has it."""
    store = SessionStore.connect(database_url)
    yield store
    store.dispose()


def outside(call: Callable[[], object]) -> object:
    """Call as another process would, which works for no session of this one."""
    context = copy_context()
    return context.run(_without_session, call)


def _without_session(call: Callable[[], object]) -> object:
    from bidbeacon_sessions import progress

    progress._current.set(None)
    return call()


def test_connections_carry_the_session_of_their_thread(session_store: SessionStore) -> None:
    """Those of work and of appending do, for one session after the other; outside of sessions they have their own name."""
    engines = session_store.engine, _appending_on(session_store.engine)
    for _ in range(2):
        with with_job_session("x", store=session_store) as session:
            assert {f"bidbeacon {session.session_id}"} == {name_of(engine) for engine in engines}
    assert {"bidbeacon"} == {name_of(engine) for engine in engines}


def test_a_heartbeat_does_not_carry_the_session(
    session_store: SessionStore, other: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is not one of those that are ended because they may hold locks."""
    monkeypatch.setenv("BIDBEACON_HEARTBEAT_SECONDS", "0.05")
    get_session_settings.cache_clear()

    def beating() -> set[str]:
        with other.begin() as connection:
            return set(connection.execute(BEATING).scalars())

    with with_job_session("x", store=session_store):
        wait_until(lambda: bool(outside(beating)), "a heartbeat is sent")
        assert {"bidbeacon"} == outside(beating)


def test_a_closed_session_loses_its_connections_and_gets_no_new_ones(
    session_store: SessionStore, other: SessionStore
) -> None:
    """Its open transaction is rolled back, though it locks the session; and nothing can be begun in its name."""

    def close(session: SessionRecorder) -> bool:
        with other.begin() as connection:
            return finalize_session(
                connection, session.session_id, status="crashed", reason="it was frozen.", now=utc_now()
            )

    with pytest.raises(SessionClosedError), with_job_session("x", store=session_store) as session:
        with pytest.raises(OperationalError), session_store.begin() as connection:
            lock_header(connection)
            assert outside(lambda: close(session))
        with session_store.begin() as connection:
            pytest.fail("a connection was given")
    with session_store.begin() as connection:
        assert connection.execute(text("SELECT status FROM session_headers")).scalar_one() == "crashed"


def lock_header(connection: Connection) -> None:
    """Lock the session as an action does that is recorded in the transaction."""
    connection.execute(text("SELECT FROM session_headers FOR KEY SHARE"))


def test_only_connections_of_sessions_whose_lease_has_ended_are_ended(
    session_store: SessionStore, other: SessionStore
) -> None:
    """A living session and work outside of sessions keep theirs."""

    def end() -> int:
        with other.begin() as connection:
            return end_dead_connections(connection)

    engine = session_store.engine
    with (
        engine.connect() as unnamed,
        with_job_session("x", store=session_store),
        engine.connect() as named,
    ):
        assert outside(end) == 0
        outside(lambda: end_lease(other.engine))
        assert outside(end) != 0
        with pytest.raises(OperationalError):
            named.execute(NAME)
        assert unnamed.execute(NAME).scalar_one() == "bidbeacon"


def test_a_role_that_may_not_end_connections_is_told_what_it_lacks(
    session_store: SessionStore, other: SessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing breaks; an error in the log names both the connection and the grant."""
    with other.begin() as connection:
        owner = connection.execute(text("SELECT current_user")).scalar_one()

    def end() -> int:
        with other.begin() as connection:
            connection.execute(text("CREATE ROLE lowly_closer"))
            connection.execute(text("SET LOCAL ROLE lowly_closer"))
            count = end_connections(connection, [session.session_id])
            connection.rollback()
            return count

    with with_job_session("x", store=session_store) as session, session_store.engine.connect() as named:
        with caplog.at_level(logging.ERROR):
            assert outside(end) > 0
        assert named.execute(NAME).scalar_one() == f"bidbeacon {session.session_id}"
    assert f"role {owner}) may hold locks" in caplog.text
    assert "grant it" in caplog.text
