"""What happens to processes and the server: killed, frozen, cut off, crashed, several at once."""

import time
from collections.abc import Callable
from signal import SIGKILL

import pytest

from tests.faults.stream.stage import ANY_BACKEND, Stage
from tests.support.waiting import wait_until

pytestmark = pytest.mark.faults

ENDLESS = {"sessions": 50, "actions": 500}


def test_stream_a_frozen_stepper_is_cut_off(stage: Stage) -> None:
    """One is stopped while it holds the cursor: within some seconds another goes on, and what the frozen one did is undone."""
    stage.follow_both(stage.server())
    frozen = stage.stepper("hold")
    wait_until(lambda: "holding" in frozen.log.read_text(), "a stepper holds the cursor")
    stage.writer(sessions=1, actions=20)
    stage.wait_for_writers()
    stage.settle()
    frozen.process.resume()
    wait_until(lambda: frozen.ended is not None, "the frozen one has noticed")
    assert "IdleInTransactionSessionTimeout" in frozen.log.read_text()
    stage.finish()


def test_stream_a_frozen_server_goes_on(stage: Stage) -> None:
    """A server that is stopped for seconds again and again delays its readers and loses nothing; the other one goes on meanwhile."""
    frozen, other = stage.server(), stage.server()
    delayed = stage.follow(frozen)
    stage.follow(other)
    stage.writer(**ENDLESS)
    for _ in range(3):
        stage.wait_for_commits(5)
        frozen.process.suspend()
        stage.settle([one for one in stage.readers if one is not delayed])
        frozen.process.resume()
    stage.stop_writing()
    stage.finish()


def kill_a_writer(stage: Stage) -> None:
    """Kill one in the middle of a transaction: what was acknowledged is there, what was open is not."""
    doomed = stage.writer(**ENDLESS)
    stage.wait_for_commits(20)
    doomed.kill()


def kill_a_stepper(stage: Stage) -> None:
    """Kill one that has just begun."""
    doomed = stage.stepper()
    stage.wait_for_commits(15)
    doomed.kill()


def kill_a_server(stage: Stage) -> None:
    """Kill the process that reads the log and serves the page, and start it again."""
    doomed = stage.servers[0]
    doomed.kill()
    doomed.start()
    stage.servers.reverse()


def end_a_backend(stage: Stage) -> None:
    """End a random connection of whoever it is."""
    for _ in range(60):
        stage.rows(ANY_BACKEND)
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("strike", "times"),
    [
        (kill_a_writer, 5),
        (kill_a_stepper, 8),
        (kill_a_server, 2),
        (end_a_backend, 1),
        pytest.param(lambda stage: stage.cluster.crash(), 2, id="stop_the_database"),
        pytest.param(lambda stage: stage.cluster.crash(SIGKILL), 2, id="kill_the_database"),
    ],
)
def test_stream_what_is_killed_is_missed_for_a_moment_only(
    stage: Stage, strike: Callable[[Stage], None], times: int
) -> None:
    """Acknowledged writes are delivered, positions continue, and readers resume from their cursor on either server."""
    readers = stage.follow_both(stage.server(), stage.server())
    stage.stepper()
    stage.writer(2, **ENDLESS)
    for _ in range(times):
        stage.wait_for_commits(20)
        strike(stage)
    stage.wait_for_commits(20)
    stage.stop_writing()
    stage.finish()
    assert all(reader.counts["loads"] == 1 for reader in readers), "a reader had to load again"
