"""Dagster's own daemon, with our `dagster.yaml`: what people ask for by hand leaves places for what starts by itself."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
from dagster import DagsterInstance, DagsterRunStatus

from bidbeacon_pipelines.dagster_storage import upgrade_dagster
from bidbeacon_pipelines.defs.reports import dataset_assets
from bidbeacon_pipelines.defs.run_requests import load_windows_op
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.dagster.world import wait_until

LOCATION = """
import time
from pathlib import Path
from dagster import (
    Definitions, StaticPartitionsDefinition, asset, define_asset_job, in_process_executor, job, op
)

@asset(partitions_def=StaticPartitionsDefinition(list("abcde")), pool="by_hand")
def windows():
    while not Path("amazon_is_done").exists():
        time.sleep(0.1)

@op
def sync():
    pass

@job(partitions_def=StaticPartitionsDefinition(["US", "DE"]))
def by_itself():
    sync()

defs = Definitions(
    assets=[windows],
    jobs=[by_itself, define_asset_job("by_hand", [windows])],
    executor=in_process_executor,
)
"""
BIN = Path(sys.executable).parent


def test_what_people_ask_for_is_in_the_pool() -> None:
    """Materializations and loads of the page."""
    pools = {asset.op.pool for asset in dataset_assets} | {load_windows_op.pool}
    assert {"by_hand"} == pools


@pytest.mark.timeout(600)
def test_backfills_by_hand_leave_two_places(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five partitions that wait for Amazon four have a run at work; two runs of a job that starts by itself succeed meanwhile."""
    upgrade_dagster(database_url)
    shutil.copy(PROJECT_ROOT / "dagster.yaml", tmp_path)
    (tmp_path / "location.py").write_text(LOCATION)
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_GRPC_TIMEOUT_SECONDS", "300")  # a busy machine starts runs slowly
    monkeypatch.chdir(tmp_path)
    location = ("-f", "location.py")
    daemon = subprocess.Popen([BIN / "dagster-daemon", "run", *location])
    try:
        dagster("job", "backfill", *location, "-j", "by_hand", "--all", "--noprompt")
        with DagsterInstance.get() as instance:

            def count(job: str, status: DagsterRunStatus) -> int:
                return Counter((run.job_name, run.status) for run in instance.get_runs())[
                    job, status
                ]

            wait_until(lambda: count("by_hand", STARTED) == 4, "four runs wait", seconds=240)
            dagster("job", "backfill", *location, "-j", "by_itself", "--all", "--noprompt")
            wait_until(lambda: count("by_itself", SUCCESS) == 2, "both succeeded", seconds=240)
            assert (4, 1) == (count("by_hand", STARTED), count("by_hand", QUEUED))
            (tmp_path / "amazon_is_done").touch()
            wait_until(lambda: count("by_hand", SUCCESS) == 5, "the last followed", seconds=240)
    finally:
        started = [psutil.Process(daemon.pid), *psutil.Process(daemon.pid).children(recursive=True)]
        for process in started:
            process.kill()
        daemon.wait()


STARTED, SUCCESS, QUEUED = (
    DagsterRunStatus.STARTED,
    DagsterRunStatus.SUCCESS,
    DagsterRunStatus.QUEUED,
)


def dagster(*arguments: str) -> None:
    """Run Dagster's command line."""
    subprocess.run([BIN / "dagster", *arguments], check=True)
