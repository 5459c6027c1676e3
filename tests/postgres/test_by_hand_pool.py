"""Runs that people ask for leave places for scheduled ones, under Dagster's daemon with our `dagster.yaml`."""

import subprocess
import sys
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from bidbeacon_pipelines.dagster_storage import upgrade_dagster
from bidbeacon_pipelines.defs.reports import dataset_assets, load_windows_op
from tests.dagster.world import wait_until
from tests.processes import kill_family

LOCATION = """
import time
from pathlib import Path
import dagster as dg

@dg.asset(partitions_def=dg.StaticPartitionsDefinition(list("abcde")), pool="by_hand")
def windows():
    while not Path("amazon_is_done").exists():
        time.sleep(0.1)

@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["US", "DE"]))
def entities():
    pass

jobs = [dg.define_asset_job("by_hand", [windows]), dg.define_asset_job("scheduled", [entities])]
defs = dg.Definitions(assets=[windows, entities], jobs=jobs, executor=dg.in_process_executor)
"""
BIN = Path(sys.executable).parent
AT = ("-f", "location.py")


def test_materializations_and_loads_of_the_page_are_in_the_pool() -> None:
    """All of them are, so that the limit holds for them together."""
    pools = {asset.op.pool for asset in dataset_assets} | {load_windows_op.pool}
    assert {"by_hand"} == pools


def backfill(job: str) -> None:
    """Ask Dagster's command line for all partitions of a job."""
    words = ("job", "backfill", *AT, "-j", job, "--all", "--noprompt")
    subprocess.run([BIN / "dagster", *words], check=True)


@pytest.mark.timeout(600)
def test_backfills_by_hand_leave_two_places(
    dagster_home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four of five runs by hand wait for Amazon; two scheduled runs succeed meanwhile."""
    upgrade_dagster(database_url)
    (dagster_home / "location.py").write_text(LOCATION)
    monkeypatch.setenv("DAGSTER_GRPC_TIMEOUT_SECONDS", "300")  # a busy machine starts runs slowly
    monkeypatch.chdir(dagster_home)
    daemon = subprocess.Popen([BIN / "dagster-daemon", "run", *AT])
    try:
        with DagsterInstance.get() as instance:

            def count(job: str, status: str) -> int:
                wanted = RunsFilter(job_name=job, statuses=[DagsterRunStatus(status)])
                return instance.get_runs_count(wanted)

            backfill("by_hand")
            wait_until(lambda: count("by_hand", "STARTED") == 4, "four runs wait", seconds=240)
            backfill("scheduled")
            wait_until(lambda: count("scheduled", "SUCCESS") == 2, "both succeeded", seconds=240)
            assert (4, 1) == (count("by_hand", "STARTED"), count("by_hand", "QUEUED"))
            (dagster_home / "amazon_is_done").touch()
            wait_until(lambda: count("by_hand", "SUCCESS") == 5, "the last followed", seconds=240)
    finally:
        kill_family(daemon)
