"""The database is really gone for a whole minute in the middle of a session, and what was told meanwhile is there afterwards."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance

from bidbeacon_sessions import with_job_session
from bidbeacon_sessions.reaper import close_dead_sessions
from bidbeacon_sessions.settings import MAX_PENDING_ACTIONS
from tests.faults.sessions.outage_world import OUTAGE_SECONDS, OutageWorld, work

MOST_SECONDS_AN_ADD = 0.5
"""An add that finds the server gone may try to connect; it must not wait for it."""


@pytest.fixture
def outage_world(tmp_path: Path) -> Iterator[OutageWorld]:
    """Yield a server of its own, that syncs each commit to disk."""
    world = OutageWorld(tmp_path)
    yield world
    world.close()


@pytest.mark.faults
def test_sessions_outage_of_a_minute_loses_nothing_that_fits_into_memory(
    outage_world: OutageWorld,
) -> None:
    """Ten actions a second are told before, during and after, none is lost or doubled, and no add holds the job up."""
    with with_job_session("outage", store=outage_world.store) as session:
        work(session, 0, 10, seconds=1)
        with outage_world.stopped():
            slowest = work(session, 10, 10 * OUTAGE_SECONDS, seconds=OUTAGE_SECONDS)
        work(session, 10 + 10 * OUTAGE_SECONDS, 10, seconds=1)
    assert ("succeeded", list(range(20 + 10 * OUTAGE_SECONDS)), []) == outage_world.told()
    assert slowest < MOST_SECONDS_AN_ADD


@pytest.mark.faults
def test_sessions_outage_of_a_minute_says_what_did_not_fit(outage_world: OutageWorld) -> None:
    """Of 2,000 actions told meanwhile the first 1,000 are written, in order; the timeline counts the others by type."""
    told = 2 * MAX_PENDING_ACTIONS
    with with_job_session("outage", store=outage_world.store) as session, outage_world.stopped():
        slowest = work(session, 0, told, seconds=OUTAGE_SECONDS)
    status, pieces, lost = outage_world.told()
    assert ("succeeded", list(range(MAX_PENDING_ACTIONS))) == (status, pieces)
    assert [f"{told - MAX_PENDING_ACTIONS:,} × outage-worked".replace(",", "")] == lost
    assert slowest < MOST_SECONDS_AN_ADD


@pytest.mark.faults
def test_sessions_outage_of_a_minute_makes_no_living_session_crashed(
    outage_world: OutageWorld,
) -> None:
    """Its lease of 45 seconds ran out meanwhile, and yet nobody who looks right after the start takes it for dead."""
    closed: list[int] = []
    done = threading.Event()

    def look() -> None:
        with DagsterInstance.ephemeral() as instance:
            while not done.wait(0.05):
                closed.append(close_dead_sessions(outage_world.store, instance))

    looking = threading.Thread(target=look)
    with with_job_session("outage", store=outage_world.store) as session:
        with outage_world.stopped():
            work(session, 0, OUTAGE_SECONDS, seconds=OUTAGE_SECONDS)
        looking.start()
        work(session, OUTAGE_SECONDS, 5, seconds=5)
        done.set()
        looking.join()
    assert ("succeeded", list(range(OUTAGE_SECONDS + 5)), []) == outage_world.told()
    assert len(closed) > 1
    assert 0 == sum(closed)
