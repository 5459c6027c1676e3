"""Backfills as Dagster's daemon launches them, each run in its own process."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from functools import partial
from pathlib import Path

import psutil
import pytest
from dagster import DagsterRun, DagsterRunStatus

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.defs.partitions import partition_key
from bidbeacon_sessions.reaper import close_dead_sessions
from tests.dagster.runs import (
    ASSET_KEY,
    RANGE_END,
    RANGE_START,
    SERVED_DAYS,
    add_accounts,
    hold_reports,
    recorded_partitions,
    release_reports,
    run_job,
)
from tests.support.processes import running, running_webserver
from tests.support.reading import column, value
from tests.support.waiting import wait_until
from tests.support.world import World

LOCATION = """
import dagster as dg
from bidbeacon_pipelines import definitions as ours

# Without sensors and schedules: what a test does not start does not run.
defs = dg.Definitions(
    assets=ours.defs.assets, resources=ours.defs.resources, executor=ours.defs.executor
)
"""
LOCATION_FILE = "location.py"
LAUNCH = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename ... on PythonError { message } } }"""

WAITING = "SELECT count(DISTINCT session_id) FROM session_actions WHERE type = 'report-pending'"
"""How many sessions have recorded that their report is pending."""
REQUESTED = "SELECT DISTINCT status FROM report_windows WHERE last_requested_at IS NOT NULL"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def served(real: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a stocked world whose runs are stored in Postgres, where run processes find them."""
    (tmp_path / LOCATION_FILE).write_text(LOCATION)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_GRPC_TIMEOUT_SECONDS", "300")  # a busy machine starts runs slowly
    monkeypatch.chdir(tmp_path)
    add_accounts(real)
    real.shorten_history(SERVED_DAYS)
    return real


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Yield what ends a test's processes."""
    with ExitStack() as stack:
        yield stack


def backfill(
    world: World, processes: ExitStack, days: Sequence[tuple[Account, date]], *, runs: int
) -> list[DagsterRun]:
    """Request partitions as the UI does; return the runs that the daemon launches for them.

    The daemon is started after the request, since it looks every 30 seconds.
    """
    names = [str(partition_key(account.account_key, day)) for account, day in days]
    params = {"assetSelection": [{"path": ASSET_KEY.path}], "partitionNames": names}
    with running_webserver("-f", LOCATION_FILE) as client:
        request = {"query": LAUNCH, "variables": {"params": params}}
        answer = client.post("/graphql", json=request).json()
    assert {"__typename": "LaunchBackfillSuccess"} == answer["data"]["launchPartitionBackfill"]
    processes.enter_context(running("dagster-daemon", "run", "-f", LOCATION_FILE))
    wait_until(lambda: world.instance.get_runs_count() == runs, "the runs are launched", 240)
    return list(world.instance.get_runs())


def test_a_backfill_ends_once_its_partitions_are_loaded(
    served: World, processes: ExitStack
) -> None:
    """Its own run materializes each partition, even where a poll was faster to load and record them."""
    account, days = served.account(), [served.day(ago) for ago in (22, 21, 20)]
    hold_reports(served)
    [run] = backfill(served, processes, [(account, day) for day in days], runs=1)
    wait_for_amazon(served, 1)
    release_reports(served)
    run_job(served, "poll_reports")

    wait_until(lambda: outcome(served) == "COMPLETED_SUCCESS", "the backfill succeeds", 120)
    assert statuses(served) == {DagsterRunStatus.SUCCESS}
    records = served.instance.fetch_materializations(ASSET_KEY, limit=20).records
    assert {str(partition_key(account.account_key, day)) for day in days} == {
        record.partition_key for record in records if record.run_id == run.run_id
    }


def test_a_backfill_is_a_run_for_each_account_and_contiguous_range(
    served: World, processes: ExitStack
) -> None:
    """Eleven partitions of two accounts are three runs and at most three reports.

    One run's process is killed, and the others are terminated: all end, and with them the backfill, and later polls load every window.
    """
    us, germany = served.account("US"), served.account("DE")
    wanted = [
        *[(us, served.day(ago)) for ago in range(20, 26)],
        *[(germany, served.day(ago)) for ago in (20, 21, 22, 40, 41)],
    ]
    hold_reports(served)
    runs = backfill(served, processes, wanted, runs=3)
    expected = [(germany, 22, 20), (germany, 41, 40), (us, 25, 20)]
    assert {
        tuple(str(partition_key(account.account_key, served.day(ago))) for ago in (first, last))
        for account, first, last in expected
    } == {(run.tags[RANGE_START], run.tags[RANGE_END]) for run in runs}
    wait_for_amazon(served, len(runs))

    killed, *terminated = runs
    for run in terminated:
        served.instance.run_coordinator.cancel_run(run.run_id)
    wait_until(lambda: DagsterRunStatus.CANCELED in statuses(served), "a run ends", seconds=15)
    kill_worker(served, killed)
    ended = {DagsterRunStatus.CANCELED, DagsterRunStatus.FAILURE}
    told = partial(last_words, served)
    wait_until(lambda: statuses(served) == ended, "all runs have ended", 120, found=told)
    wait_until(lambda: outcome(served) == "COMPLETED_FAILED", "the backfill fails", 120)
    served.execute("UPDATE session_leases SET heartbeat_at = now() - interval '40 seconds'")
    assert close_dead_sessions(served.sessions, served.instance, LOCATION_FILE) == 1
    sessions = {one["run_id"]: one["status"] for one in served.sessions_of("load-windows")}
    assert sessions == {killed.run_id: "crashed"} | {run.run_id: "cancelled" for run in terminated}
    assert ["requested"] == column(served.engine, REQUESTED)
    assert served.query("SELECT 1 FROM session_leases") == []

    release_reports(served)
    wait_until(lambda: all_loaded_by_polling(served), "polls load what is ready", seconds=180)
    keys = {str(partition_key(account.account_key, day)) for account, day in wanted}
    assert keys <= set(recorded_partitions(served))
    # One report covers both ranges of an account if both runs want their days before one plans.
    assert len(served.accepted()) in {2, 3}


def outcome(world: World) -> str:
    """Return the status of the only backfill."""
    [found] = world.instance.get_backfills()
    return str(found.status.name)


def statuses(world: World) -> set[DagsterRunStatus]:
    """Return the statuses of all runs."""
    return {run.status for run in world.instance.get_runs()}


def wait_for_amazon(world: World, runs: int) -> None:
    """Wait until so many runs wait for Amazon."""
    wait_until(lambda: value(world.engine, WAITING) == runs, "runs wait for Amazon", 120)


def kill_worker(world: World, run: DagsterRun) -> None:
    """Kill the process of a run, as the kernel does when memory is short."""
    holder = """SELECT holder FROM session_leases JOIN job_sessions ON id = session_id
                 WHERE run_id = :id"""
    _, _, process_id = str(value(world.engine, holder, id=run.run_id)).rpartition(":")
    psutil.Process(int(process_id)).kill()


def last_words(world: World) -> dict[str, list[str]]:
    """Return the last messages of each run, under its id and status."""
    logs = {run: world.instance.all_logs(run.run_id) for run in world.instance.get_runs()}
    return {
        f"{run.run_id} {run.status.name}": [entry.message for entry in log[-3:]]
        for run, log in logs.items()
    }


def all_loaded_by_polling(world: World) -> bool:
    """Poll once; return whether all requested windows are loaded."""
    assert run_job(world, "poll_reports").success
    return column(world.engine, REQUESTED) == ["loaded"]
