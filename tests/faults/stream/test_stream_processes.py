"""What happens to processes and the server: killed, frozen, cut off, crashed, several at once."""

import pytest

from tests.dagster.world import wait_until
from tests.faults.stream.stage import ANY_BACKEND, Stage

ENDLESS = {"sessions": 50, "actions": 500}


@pytest.mark.faults
def test_stream_steppers_at_once_publish_each_change_once(stage: Stage) -> None:
    """Three stepping processes and two servers share one log: it has no gap and nothing twice."""
    servers = [stage.server(), stage.server()]
    for _ in range(3):
        stage.stepper()
    stage.follow_both(*servers, cut_seconds=(1, 3))
    for _ in range(2):
        stage.writer()
    stage.finish()


@pytest.mark.faults
def test_stream_killed_steppers_leave_nothing_half_done(stage: Stage) -> None:
    """Kill -9 of steppers, at eight random moments, is not seen by a reader."""
    stage.follow_both(stage.server())
    stage.writer(**ENDLESS)
    for _ in range(8):
        doomed = stage.stepper()
        stage.wait_for_commits(15)
        doomed.kill()
    stage.stop_writing()
    stage.finish()


@pytest.mark.faults
def test_stream_a_frozen_stepper_is_cut_off(stage: Stage) -> None:
    """One is stopped while it holds the cursor: within some seconds another goes on, and what the frozen one did is undone."""
    server = stage.server()
    stage.follow_both(server)
    frozen = stage.stepper("hold")
    wait_until(lambda: "holding" in frozen.log.read_text(), "a stepper holds the cursor")
    stage.writer(sessions=1, actions=20)
    stage.wait_for_writers()
    stage.settle()
    frozen.thaw()
    wait_until(lambda: frozen.ended is not None, "the frozen one has noticed")
    assert "IdleInTransactionSessionTimeout" in frozen.log.read_text()
    stage.finish()


@pytest.mark.faults
def test_stream_a_frozen_server_goes_on(stage: Stage) -> None:
    """A server that is stopped for seconds again and again delays its readers and loses nothing; the other one goes on meanwhile."""
    frozen, other = stage.server(), stage.server()
    delayed = stage.follow(frozen)
    stage.follow(other)
    stage.writer(**ENDLESS)
    for _ in range(3):
        stage.wait_for_commits(5)
        frozen.freeze()
        stage.settle([one for one in stage.readers if one is not delayed])
        frozen.thaw()
    stage.stop_writing()
    stage.finish()


@pytest.mark.faults
def test_stream_killed_servers_are_missed_for_a_moment_only(stage: Stage) -> None:
    """Kill -9 of the process that reads the log and serves the page: readers go on from their cursor, at the other or at the next one."""
    servers = [stage.server(), stage.server()]
    readers = stage.follow_both(*servers)
    stage.writer(**ENDLESS)
    for doomed in servers:
        stage.wait_for_commits(10)
        doomed.kill()
        doomed.start()
    stage.stop_writing()
    stage.finish()
    assert all(reader.counts["connections"] > 1 for reader in readers)
    assert all(reader.counts["loads"] == 1 for reader in readers), "a reader had to load again"


@pytest.mark.faults
def test_stream_terminated_backends_are_replaced(stage: Stage) -> None:
    """A random connection of whoever it is ends every 50 ms: writers are told what they were told, readers miss nothing."""
    stage.follow_both(stage.server())
    stage.stepper()
    for _ in range(3):
        stage.writer(**ENDLESS)
    stage.wait_for_commits(20)
    while stage.faults["connections ended"] < 60:
        stage.faults["connections ended"] += len(stage.rows(ANY_BACKEND))
        stage.pause(0.05)
    stage.wait_for_commits(20)
    stage.stop_writing()
    stage.finish()


@pytest.mark.faults
@pytest.mark.parametrize("how", ["immediate", "killed"])
def test_stream_the_server_of_the_database_crashes(stage: Stage, how: str) -> None:
    """Restarted in immediate mode, or its main process killed: what was acknowledged is delivered, positions go on."""
    server = stage.server()
    readers = stage.follow_both(server)
    stage.stepper()
    for _ in range(2):
        stage.writer(**ENDLESS)
    for _ in range(2):
        stage.wait_for_commits(20)
        stage.cluster.crash() if how == "immediate" else stage.cluster.kill()
        stage.cluster.start()
    stage.wait_for_commits(20)
    stage.stop_writing()
    stage.finish()
    assert all(reader.counts["loads"] == 1 for reader in readers), "a reader had to load again"
    assert server.ended is None
