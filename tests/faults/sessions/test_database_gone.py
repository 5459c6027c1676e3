"""The database is really stopped in the middle of a session, for less and for more than a write is tried again."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance

from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.errors import DatabaseAwayError
from bidbeacon_sessions.reaper import close_dead_sessions
from bidbeacon_sessions.session import RETRY_SECONDS
from tests.faults.sessions.outage_world import OutageWorked, OutageWorld
from tests.postgres.flickering import wait_until

A_WHILE, A_MINUTE = 20, 60
LOOKS = 100


@pytest.fixture
def outage_world(tmp_path: Path) -> Iterator[OutageWorld]:
    """Yield a server of its own, that syncs each commit to disk."""
    world = OutageWorld(tmp_path)
    yield world
    world.close()


def close_dead(store: SessionStore) -> int:
    """Look for dead sessions as the sensor does; return how many were closed."""
    with DagsterInstance.ephemeral() as instance:
        return close_dead_sessions(store, instance)


@pytest.mark.faults
def test_sessions_outage_of_a_while_loses_nothing(outage_world: OutageWorld) -> None:
    """What is recorded meanwhile waits; nothing is lost or doubled."""
    with with_job_session("outage", store=outage_world.store) as session:
        session.add(OutageWorked(number=0))
        with outage_world.stopped():
            waiting = threading.Thread(target=lambda: session.add(OutageWorked(number=1)))
            waiting.start()
            waiting.join(A_WHILE)
            assert waiting.is_alive()
        waiting.join()
        session.add(OutageWorked(number=2))
    assert ("succeeded", [0, 1, 2]) == outage_world.told()


@pytest.mark.faults
def test_sessions_outage_of_a_minute_fails_the_job_that_records(
    outage_world: OutageWorld,
) -> None:
    """After half a minute each for the action and the end; whoever looks later closes the session."""
    began = time.monotonic()
    with (
        pytest.raises(DatabaseAwayError),
        with_job_session("outage", store=outage_world.store) as session,
    ):
        outage_world.server.stop()
        session.add(OutageWorked(number=0))
    assert 2 * RETRY_SECONDS <= time.monotonic() - began < 3 * RETRY_SECONDS
    outage_world.server.start()
    wait_until(lambda: close_dead(outage_world.store) == 1, "it is closed", seconds=60)
    assert ("crashed", []) == outage_world.told()


@pytest.mark.faults
def test_sessions_outage_of_a_minute_makes_no_living_session_crashed(
    outage_world: OutageWorld,
) -> None:
    """Its lease of 45 seconds ran out meanwhile, and yet nobody who looks right after the start takes it for dead."""
    with with_job_session("outage", store=outage_world.store) as session:
        with outage_world.stopped():
            threading.Event().wait(A_MINUTE)
        assert [0] * LOOKS == [close_dead(outage_world.store) for _ in range(LOOKS)]
        session.add(OutageWorked(number=0))
    assert ("succeeded", [0]) == outage_world.told()
