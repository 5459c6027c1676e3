"""Runs that people ask for leave places for scheduled ones, under Dagster's daemon with our `dagster.yaml`."""

import subprocess
import sys
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from bidbeacon_pipelines.dagster_storage import BY_HAND_POOL, BY_HAND_RUNS
from bidbeacon_pipelines.defs.reports import dataset_assets, load_windows_op
from tests.dagster.world import wait_until
from tests.processes import kill_family

LOCATION = """
import time
from pathlib import Path
import dagster as dg

@dg.asset(pool="by_hand")
def windows():
    while not Path("amazon_is_done").exists():
        time.sleep(0.1)

@dg.asset
def entities():
    pass

jobs = [dg.define_asset_job("by_hand", [windows]), dg.define_asset_job("scheduled", [entities])]

@dg.sensor(jobs=jobs, default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=3600)
def ask_once():
    for n in range(2):
        yield dg.RunRequest(f"by hand {n}", job_name="by_hand")
    yield dg.RunRequest("scheduled", job_name="scheduled")

defs = dg.Definitions(
    assets=[windows, entities], jobs=jobs, sensors=[ask_once], executor=dg.in_process_executor
)
"""
DAEMON = (Path(sys.executable).with_name("dagster-daemon"), "run", "-f", "location.py")


def test_materializations_and_loads_of_the_page_are_in_the_pool() -> None:
    """All of them are, so that the limit holds for them together."""
    pools = {asset.op.pool for asset in dataset_assets} | {load_windows_op.pool}
    assert {BY_HAND_POOL} == pools


@pytest.mark.timeout(600)
def test_full_pool_keeps_no_scheduled_run_waiting(
    dagster_with_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pool of one, one of two runs by hand waits for Amazon; a scheduled run that was asked for last succeeds meanwhile.

    The pool that `db upgrade` makes has room for four of six runs.
    """
    (dagster_with_tables / "location.py").write_text(LOCATION)
    monkeypatch.setenv("DAGSTER_GRPC_TIMEOUT_SECONDS", "300")  # a busy machine starts runs slowly
    monkeypatch.chdir(dagster_with_tables)
    with DagsterInstance.get() as instance:
        pools = instance.event_log_storage.get_pool_limits()
        assert [(BY_HAND_POOL, BY_HAND_RUNS)] == [(pool.name, pool.limit) for pool in pools]
        queue = instance.get_concurrency_config().run_queue_config
        assert BY_HAND_RUNS + 2 == queue.max_concurrent_runs
        instance.event_log_storage.set_concurrency_slots(BY_HAND_POOL, 1)

        def count(job: str, status: str) -> int:
            wanted = RunsFilter(job_name=job, statuses=[DagsterRunStatus(status)])
            return instance.get_runs_count(wanted)

        daemon = subprocess.Popen(DAEMON)
        try:
            wait_until(lambda: count("scheduled", "SUCCESS") == 1, "the scheduled run", seconds=240)
            wait_until(lambda: count("by_hand", "STARTED") == 1, "one by hand waits", seconds=240)
            assert 1 == count("by_hand", "QUEUED")
            (dagster_with_tables / "amazon_is_done").touch()
            wait_until(lambda: count("by_hand", "SUCCESS") == 2, "the other follows", seconds=240)
        finally:
            kill_family(daemon)
