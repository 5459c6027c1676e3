"""Runs that people ask for leave places for scheduled ones, under Dagster's daemon with our `dagster.yaml`."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from bidbeacon_pipelines.dagster_instance.storage import BY_HAND_POOL, BY_HAND_RUNS
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.reports import dataset_assets, load_windows_op
from tests.support.processes import running
from tests.support.waiting import wait_until

LOCATION = """
import dagster as dg

@dg.asset(pool="by_hand")
def windows():
    pass

@dg.asset
def entities():
    pass

jobs = [dg.define_asset_job("by_hand", [windows]), dg.define_asset_job("scheduled", [entities])]

@dg.sensor(jobs=jobs, default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=3600)
def ask_once():
    for name in ("by_hand", "scheduled"):
        yield dg.RunRequest(name, job_name=name)

defs = dg.Definitions(
    assets=[windows, entities], jobs=jobs, sensors=[ask_once], executor=dg.in_process_executor
)
"""
_DAY = {"account": "US.acme", "dataset": "daily_targets", "windows": ["2026-03-01"]}
LOAD = {"ops": {load_windows_op.name: {"config": _DAY}}}
BEGUN = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.SUCCESS]


def test_materializations_and_loads_of_the_page_are_in_the_pool() -> None:
    """All of them are, so that the limit holds for them together."""
    pools = {asset.op.pool for asset in dataset_assets} | {load_windows_op.pool}
    assert {BY_HAND_POOL} == pools


@pytest.mark.timeout(600)
def test_full_pool_keeps_no_scheduled_run_waiting(
    dagster_with_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While four of six runs wait for Amazon, of both kinds that people start, a fifth stays queued; a scheduled run that was asked for last starts."""
    (dagster_with_tables / "location.py").write_text(LOCATION)
    monkeypatch.setenv("DAGSTER_GRPC_TIMEOUT_SECONDS", "300")  # a busy machine starts runs slowly
    monkeypatch.chdir(dagster_with_tables)
    with DagsterInstance.get() as instance:
        pools = instance.event_log_storage.get_pool_limits()
        assert [(BY_HAND_POOL, BY_HAND_RUNS)] == [(pool.name, pool.limit) for pool in pools]
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert BY_HAND_RUNS + 2 == queue.max_concurrent_runs
        waiting = [
            instance.create_run_for_job(
                defs.resolve_job_def(job), run_config=config, status=DagsterRunStatus.STARTED
            )
            for job, config in 2 * [("load_windows", LOAD), ("load_datasets", {})]
        ]

        def count(job: str, statuses: Sequence[DagsterRunStatus]) -> int:
            return instance.get_runs_count(RunsFilter(job_name=job, statuses=statuses))

        with running("dagster-daemon", "run", "-f", "location.py"):
            wait_until(lambda: count("scheduled", BEGUN) == 1, "the scheduled run", seconds=240)
            assert 1 == count("by_hand", [DagsterRunStatus.QUEUED])
            instance.report_run_failed(waiting[0])
            wait_until(lambda: count("by_hand", BEGUN) == 1, "the fifth by hand", seconds=240)
