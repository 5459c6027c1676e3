"""Faults of processes and of the server: killed, frozen, cut off, crashed, and all of it with readers of every kind."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from signal import SIGKILL

import psutil
import pytest

from tests.faults.stream.stage import Stage
from tests.stream.reading import AT_FULL_SPEED
from tests.support.waiting import wait_until

pytestmark = pytest.mark.faults

Strike = Callable[[Stage], None]
ENDLESS = {"sessions": 50, "actions": 500}
KEPT_ROWS = "2000"
FREEZE_SECONDS = 3.0
ANY_BACKEND = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"""


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


def freeze_a_server(stage: Stage) -> None:
    """Stop one for some seconds, whatever else is done to it meanwhile."""
    process = stage.servers[0].process
    process.suspend()
    threading.Timer(FREEZE_SECONDS, thaw, [process]).start()


def thaw(process: psutil.Popen) -> None:
    """Let a stopped process go on."""
    with suppress(psutil.NoSuchProcess):  # it was killed meanwhile
        process.resume()


def end_a_backend(stage: Stage) -> None:
    """End a random connection of whoever it is, again and again."""
    for _ in range(60):
        stage.rows(ANY_BACKEND)
        time.sleep(0.05)


def crash_the_database(stage: Stage) -> None:
    """Stop the database's server in immediate mode, and start it again."""
    stage.cluster.crash()


def kill_the_database(stage: Stage) -> None:
    """Kill the main process of the database's server, and start it again."""
    stage.cluster.crash(SIGKILL)


STRIKES: dict[Strike, int] = {
    kill_a_writer: 5,
    kill_a_stepper: 8,
    kill_a_server: 2,
    freeze_a_server: 2,
    end_a_backend: 1,
    crash_the_database: 2,
    kill_the_database: 2,
}
"""Each fault of the stage, and how often it is tried by itself."""


@pytest.mark.parametrize("strike", STRIKES)
def test_stream_what_is_struck_is_missed_for_a_moment_only(stage: Stage, strike: Strike) -> None:
    """Acknowledged writes are delivered, positions continue, and readers resume from their cursor on either server."""
    readers = stage.follow_both(stage.server(), stage.server())
    stage.stepper()
    stage.writer(2, **ENDLESS)
    for _ in range(STRIKES[strike]):
        stage.wait_for_commits(20)
        strike(stage)
    stage.wait_for_commits(20)
    stage.stop_writing()
    stage.finish()
    assert all(reader.counts["loads"] == 1 for reader in readers), "a reader had to load again"


@pytest.mark.timeout(300)
def test_stream_everything_at_once(stage: Stage) -> None:
    """All strikes in a random order, a log that is trimmed, cut, slow and sleeping readers: nothing is lost, doubled or invented."""
    servers = [stage.server(), stage.server()]
    stage.stepper()
    stage.stepper(KEPT_ROWS)
    stage.writer(4, **ENDLESS)
    stage.follow_both(*servers)
    stage.follow_both(*servers, cut_seconds=(1, 3))
    stage.follow_both(*servers, job="job-a")
    stage.follow_both(*servers, status="running")
    slow = stage.follow(*servers, bytes_per_second=1_000)
    sleeper = stage.follow(*servers, bytes_per_second=AT_FULL_SPEED)
    strikes = [*STRIKES] * 4
    random.Random(1).shuffle(strikes)
    for number, strike in enumerate(strikes):
        if number == len(strikes) // 2:
            sleeper.awake.clear()
        strike(stage)
        stage.faults[strike.__name__] += 1
    sleeper.awake.set()
    slow.hurry()
    stage.stop_writing()
    stage.finish()
