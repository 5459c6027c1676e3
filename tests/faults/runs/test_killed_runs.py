"""A run worker is killed with SIGKILL at an exact place; what comes after carries on, and loads the window once."""

import time
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from dagster import DagsterRunStatus
from sqlalchemy import func

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.defs.partitions import partition_key
from bidbeacon_pipelines.defs.upkeep import close_crashed_sessions
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_sessions.reaper import LOST_AFTER, fail_lost_runs
from tests.dagster.runs import recorded_partitions, run_job
from tests.faults.runs.kill_points import INSIDE_THE_LOAD, OTHER_KILL_POINTS, KillPoint
from tests.support.dagster_runs import status_of, wait_until_closed
from tests.support.processes import Program
from tests.support.rows import change_requests
from tests.support.waiting import wait_until
from tests.support.world import DATASET, World

NOTICED_WITHIN = timedelta(minutes=2)
TICK_SECONDS = close_crashed_sessions.minimum_interval_seconds or 30


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("point", OTHER_KILL_POINTS, ids=lambda point: point.name)
def test_runs_killed_elsewhere_are_carried_on(
    world: World, point: KillPoint, tmp_path: Path
) -> None:
    """The session ends as crashed, the run as failed; the window is loaded once, by one report, and recorded once."""
    kill_and_carry_on(world, point, tmp_path)


def test_a_run_killed_inside_its_load_is_carried_on(world: World, tmp_path: Path) -> None:
    """A reader sees nothing of the half-done load; the next look does it again, with the same report."""
    kill_and_carry_on(world, INSIDE_THE_LOAD, tmp_path)


def kill_and_carry_on(world: World, point: KillPoint, folder: Path) -> None:
    """Kill a run at a place, let the scheduled jobs go on, and check all that is promised."""
    account, day = world.account(), world.day(40)
    point.arm(world)
    kill_worker(world, point, account, day, folder)
    point.disarm(world)
    if point.after_its_session:
        fail_lost_run(world)
    else:
        wait_until_closed(world.sessions, world.instance, 30)
        check_crashed(world)
    carry_on(world, account, day)
    check_loaded_once(world, account, day)


def fail_lost_run(world: World) -> None:
    """Tick until the run that died outside of its session is failed: three minutes after its last event was seen, and a tick."""
    began, cursor, failed = time.monotonic(), None, 0

    def tick() -> bool:
        nonlocal cursor, failed
        failed, cursor = fail_lost_runs(world.sessions, world.instance, cursor=cursor)
        return failed == 1

    wait_until(tick, "the run is failed", seconds=LOST_AFTER.total_seconds() + TICK_SECONDS)
    assert time.monotonic() - began >= LOST_AFTER.total_seconds()


def kill_worker(world: World, point: KillPoint, account: Account, day: date, folder: Path) -> None:
    """Materialize a partition in a process of its own, and kill it where it is halted."""
    partition = str(partition_key(account.account_key, day))
    chosen = ["--select", DATASET.name, "--partition", partition]
    command = ["-m", "dagster", "asset", "materialize", "-m", "bidbeacon_pipelines.definitions"]
    with Program([*command, *chosen], folder / "worker.log").running() as worker:
        point.wait_until_reached(world)
        assert worker.ended is None, worker.log.read_text()


def check_crashed(world: World) -> None:
    """The killed run's session says that it crashed, soon enough, and its run is failed."""
    session = world.one_session("load-windows")
    assert session["status"] == "crashed"
    assert session["actions"][-1]["type"] == "session-finalized"
    last_seen = datetime.fromisoformat(session["actions"][-1]["last_seen_at"])
    assert session["finished_at"] - last_seen < NOTICED_WITHIN
    assert status_of(world.instance, session["run_id"]) is DagsterRunStatus.FAILURE


def carry_on(world: World, account: Account, day: date) -> None:
    """Let the scheduled look run until the window is loaded; a request of unknown outcome is not left alone for minutes here."""

    def look() -> bool:
        change_requests(world.engine, ReportRequest.status == "sent", next_step_at=func.now())
        assert run_job(world, "poll_reports").success
        return world.window(account, day).status == "loaded"

    wait_until(look, "the window is loaded", seconds=60)


def check_loaded_once(world: World, account: Account, day: date) -> None:
    """One load, one report accepted, one materialization, and exactly the rows that Amazon has."""
    assert world.window(account, day).load_count == 1
    assert len(world.accepted()) == 1
    assert world.true_sums(account, day) == world.stored_sums(account, day)
    assert [str(partition_key(account.account_key, day))] == recorded_partitions(world)
    assert world.query("SELECT 1 FROM job_sessions WHERE status = 'running'") == []
    assert world.query("SELECT 1 FROM report_requests WHERE locked_by IS NOT NULL") == []
