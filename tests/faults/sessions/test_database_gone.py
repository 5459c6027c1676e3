"""The database is really stopped in the middle of a session, for less and for more than a write is tried again."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidbeacon_pipelines.migrations.upgrade import upgrade
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.errors import DatabaseAwayError
from bidbeacon_sessions.session import RETRY_SECONDS
from tests.support.dagster_runs import close_dead
from tests.support.recorded_sessions import LoafBaked, told
from tests.support.waiting import wait_until
from tools.temporary_postgres import TemporaryPostgres

pytestmark = pytest.mark.faults

A_WHILE, A_MINUTE = 20, 60
LOOKS = 100


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TemporaryPostgres]:
    """Yield a server of its own, that syncs each commit to disk; it keeps its port when it is stopped and started."""
    made = TemporaryPostgres(tmp_path)
    upgrade(made.start())
    yield made
    made.remove()


@pytest.fixture
def store(server: TemporaryPostgres) -> Iterator[SessionStore]:
    """Yield a store on that server."""
    made = SessionStore.connect(server.url())
    yield made
    made.dispose()


def test_sessions_outage_of_a_while_loses_nothing(
    server: TemporaryPostgres, store: SessionStore
) -> None:
    """What is recorded meanwhile waits; nothing is lost or doubled."""
    with with_job_session("outage", store=store) as session:
        session.add(LoafBaked(what="before"))
        server.stop()
        waiting = threading.Thread(target=lambda: session.add(LoafBaked(what="meanwhile")))
        waiting.start()
        waiting.join(A_WHILE)
        assert waiting.is_alive()
        server.start()
        waiting.join()
        session.add(LoafBaked(what="after"))
    assert ("succeeded", ["before", "meanwhile", "after"]) == told(store)


def test_sessions_outage_of_a_minute_fails_the_job_that_records(
    server: TemporaryPostgres, store: SessionStore
) -> None:
    """After half a minute each for the action and the end; whoever looks later closes the session."""
    began = time.monotonic()
    with pytest.raises(DatabaseAwayError), with_job_session("outage", store=store) as session:
        server.stop()
        session.add(LoafBaked())
    assert 2 * RETRY_SECONDS <= time.monotonic() - began < 3 * RETRY_SECONDS
    server.start()
    wait_until(lambda: close_dead(store) == 1, "it is closed", seconds=60)
    assert ("crashed", []) == told(store)


def test_sessions_outage_of_a_minute_makes_no_living_session_crashed(
    server: TemporaryPostgres, store: SessionStore
) -> None:
    """Its lease of 45 seconds ran out meanwhile, and yet nobody who looks right after the start takes it for dead."""
    with with_job_session("outage", store=store) as session:
        server.stop()
        threading.Event().wait(A_MINUTE)
        server.start()
        assert [0] * LOOKS == [close_dead(store) for _ in range(LOOKS)]
        session.add(LoafBaked(what="after"))
    assert ("succeeded", ["after"]) == told(store)
