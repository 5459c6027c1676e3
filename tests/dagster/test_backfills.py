"""Backfills as Dagster's daemon launches them, each run in its own process."""

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import psutil
import pytest
from dagster import DagsterRun, DagsterRunStatus
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.backfill import execute_backfill_iteration

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.defs.partitions import partition_key
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sessions.reaper import close_dead_sessions
from tests.dagster.world import (
    ASSET_KEY,
    RANGE_END,
    RANGE_START,
    SERVED_DAYS,
    World,
    wait_until,
)


@pytest.fixture
def served(real: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a stocked world whose runs are stored in Postgres, where run processes find them."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    real.add_accounts()
    real.shorten_history(SERVED_DAYS)
    return real


@pytest.fixture
def daemon(served: World) -> Iterator[WorkspaceProcessContext]:
    """Yield the daemon's context, with our code location in its own server."""
    target = ModuleTarget("bidbeacon_pipelines.definitions", None, str(PROJECT_ROOT), "bidbeacon")
    before = set(psutil.Process().children())
    with create_test_daemon_workspace_context(target, served.instance) as context:
        yield context
    # Sometimes a server outlives its context and all tests.
    for server in set(psutil.Process().children()) - before:
        server.kill()
        server.wait()


def backfill(
    world: World, daemon: WorkspaceProcessContext, days: Sequence[tuple[Account, date]]
) -> list[DagsterRun]:
    """Request partitions as the UI does; return the runs that the daemon launches for them."""
    request = PartitionBackfill.from_asset_partitions(
        backfill_id="backfill",
        asset_graph=daemon.create_request_context().asset_graph,
        partition_names=[str(partition_key(account.account_key, day)) for account, day in days],
        asset_selection=[ASSET_KEY],
        backfill_timestamp=time.time(),
        tags={},
        dynamic_partitions_store=world.instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    world.instance.add_backfill(request)
    iterate(daemon)
    return list(world.instance.get_runs())


def iterate(daemon: WorkspaceProcessContext) -> None:
    """Run the daemon's backfill loop once."""
    errors = execute_backfill_iteration(daemon, logging.getLogger("backfill"))
    assert [error for error in errors if error] == []


def test_a_backfill_ends_once_its_partitions_are_loaded(
    served: World, daemon: WorkspaceProcessContext
) -> None:
    """Its own run materializes each partition, even where a poll was faster to load and record them."""
    account, days = served.account(), [served.day(ago) for ago in (22, 21, 20)]
    served.hold_reports()
    [run] = backfill(served, daemon, [(account, day) for day in days])
    wait_until(lambda: waiting(served) == 1, "the run waits for Amazon", seconds=60)
    served.release_reports()
    served.run_job("poll_reports")

    def has_succeeded() -> bool:
        iterate(daemon)
        [found] = served.instance.get_backfills()
        return found.status is BulkActionStatus.COMPLETED_SUCCESS

    wait_until(has_succeeded, "the backfill succeeds", seconds=120)
    assert statuses(served) == {DagsterRunStatus.SUCCESS}
    records = served.instance.fetch_materializations(ASSET_KEY, limit=20).records
    assert {str(partition_key(account.account_key, day)) for day in days} == {
        record.partition_key for record in records if record.run_id == run.run_id
    }


def test_a_backfill_is_a_run_for_each_account_and_contiguous_range(
    served: World, daemon: WorkspaceProcessContext
) -> None:
    """Eleven partitions of two accounts are three runs and three reports.

    One run's process is killed, and the others are terminated: all end, and later polls load every window.
    """
    us, germany = served.account("US"), served.account("DE")
    wanted = [
        *[(us, served.day(ago)) for ago in range(20, 26)],
        *[(germany, served.day(ago)) for ago in (20, 21, 22, 40, 41)],
    ]
    served.hold_reports()
    runs = backfill(served, daemon, wanted)
    expected = [(germany, 22, 20), (germany, 41, 40), (us, 25, 20)]
    assert {
        tuple(str(partition_key(account.account_key, served.day(ago))) for ago in (first, last))
        for account, first, last in expected
    } == {(run.tags[RANGE_START], run.tags[RANGE_END]) for run in runs}
    wait_until(lambda: waiting(served) == len(runs), "all runs wait for Amazon", seconds=60)

    killed, *terminated = runs
    for run in terminated:
        served.instance.run_coordinator.cancel_run(run.run_id)
    wait_until(lambda: DagsterRunStatus.CANCELED in statuses(served), "a run ends", seconds=15)
    kill_worker(served, killed)
    ended = {DagsterRunStatus.CANCELED, DagsterRunStatus.FAILURE}
    wait_until(lambda: statuses(served) == ended, "all runs have ended", seconds=60)
    served.execute("UPDATE session_leases SET heartbeat_at = now() - interval '40 seconds'")
    assert close_dead_sessions(served.sessions, served.instance, "bidbeacon") == 1
    sessions = {one["run_id"]: one["status"] for one in served.sessions_of("load-windows")}
    assert sessions == {killed.run_id: "crashed"} | {run.run_id: "cancelled" for run in terminated}
    assert {"requested"} == window_statuses(served)
    assert served.rows("SELECT 1 FROM session_leases") == []

    served.release_reports()
    wait_until(lambda: all_loaded_by_polling(served), "polls load what is ready", seconds=180)
    assert (3, len(wanted)) == (len(served.accepted_creates()), len(served.recorded_partitions()))


def kill_worker(world: World, run: DagsterRun) -> None:
    """Kill the process of a run, as the kernel does when memory is short."""
    [lease] = world.rows(
        "SELECT holder FROM session_leases JOIN job_sessions ON id = session_id WHERE run_id = :id",
        id=run.run_id,
    )
    psutil.Process(int(str(lease["holder"]).rpartition(":")[2])).kill()


def waiting(world: World) -> int:
    """Return how many sessions have recorded that their report is pending."""
    [row] = world.rows(
        "SELECT count(DISTINCT session_id) FROM session_actions WHERE type = 'report-pending'"
    )
    return int(row["count"])


def statuses(world: World) -> set[DagsterRunStatus]:
    """Return the statuses of all runs."""
    return {run.status for run in world.instance.get_runs()}


def window_statuses(world: World) -> set[str]:
    """Return the statuses of all requested windows."""
    requested = "SELECT status FROM report_windows WHERE last_requested_at IS NOT NULL"
    return {row["status"] for row in world.rows(requested)}


def all_loaded_by_polling(world: World) -> bool:
    """Poll once; return whether all requested windows are loaded."""
    assert world.run_job("poll_reports").success
    return window_statuses(world) == {"loaded"}
