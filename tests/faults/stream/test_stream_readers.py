"""Faults of readers: they are cut off, sleep, read slowly, and the log is trimmed under them."""

import os
import time

import pytest

from tests.faults.stream.stage import Stage
from tests.stream.reading import AT_FULL_SPEED
from tests.support.waiting import wait_until

pytestmark = pytest.mark.faults

CUT_SECONDS = float(os.environ.get("CUT_SECONDS", "20"))


@pytest.mark.timeout(CUT_SECONDS + 240)
@pytest.mark.parametrize(
    ("cut_seconds", "seconds"), [((0.3, 1), 8), ((1, 3), CUT_SECONDS)], ids=["often", "long"]
)
def test_stream_connections_cut_again_and_again_miss_nothing(
    stage: Stage, cut_seconds: tuple[float, float], seconds: float
) -> None:
    """Readers go on from their cursor, at one of two servers each time, beside a reader that is never cut."""
    servers = [stage.server(), stage.server()]
    stage.follow(servers[0])
    readers = stage.follow_both(*servers, cut_seconds=cut_seconds)
    stage.writer(2, sessions=10_000, actions=20, wait=0.1)
    time.sleep(seconds)
    stage.stop_writing()
    stage.finish()
    assert all(reader.counts["connections"] > seconds / 5 for reader in readers)
    assert all(reader.counts["loads"] == 1 for reader in readers), "a reader had to load again"


def test_stream_filtered_readers_keep_no_ghosts(stage: Stage) -> None:
    """Readers of one job, and of what runs, show exactly what the tables say: what stopped matching was told as gone."""
    server = stage.server()
    stage.follow_both(server, job="job-a")
    stage.follow_both(server, status="running")
    stage.follow_both(server, status="running", job="job-b")
    stage.writer(2, sessions=5, actions=10)
    stage.finish()


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "cut off"])
def test_stream_a_reader_that_slept_longer_than_the_log_is_told(
    stage: Stage, *, connected: bool
) -> None:
    """The log was trimmed under it: it hears `expired` and loads again; where it had kept its connection open, it was cut off before."""
    server = stage.server()
    sleeper = stage.follow(server, bytes_per_second=AT_FULL_SPEED)
    stage.settle()
    sleeper.awake.clear()
    if not connected:
        sleeper.cut()
    stage.stepper("50")
    stage.writer(2, sessions=20, actions=40, wait=0)
    for _ in range(150):  # more than the system takes in for a connection
        stage.commit(input={"much": "x" * 60_000})
    stage.wait_for_writers()
    stage.settle([])
    if connected:
        wait_until(
            lambda: 'clients{transport="sse"} 0' in server.metrics(), "it was cut off", seconds=60
        )
    sleeper.awake.set()
    stage.finish()
    assert 1 == sleeper.counts["reset expired"]


def test_stream_a_reader_at_a_thousand_bytes_a_second_holds_nobody_up(stage: Stage) -> None:
    """Beside thirty quick ones it is cut off or told to load again; the quick ones have everything long before."""
    server = stage.server()
    slow = stage.follow(server, bytes_per_second=1_000)
    quick = [reader for _ in range(15) for reader in stage.follow_both(server)]
    stage.writer(2, sessions=2, actions=200, wait=0.01)
    stage.wait_for_writers()
    stage.settle(quick)
    assert slow.view.position < quick[0].view.position, "the slow one was not slow"
    slow.hurry()
    stage.finish()
