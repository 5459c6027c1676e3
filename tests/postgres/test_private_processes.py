"""Runs of Dagster write files for their owner alone, though the shell lets everybody read new files."""

import subprocess
import sys
from pathlib import Path

from bidbeacon_pipelines.dagster_storage import upgrade_dagster

RUN = """
from dagster import DagsterInstance, job, op

@op
def speak():
    print("printed")

@job
def one():
    speak()

with DagsterInstance.get() as instance:
    assert one.execute_in_process(instance=instance).success
"""


def test_artifacts_and_output_of_a_run_are_private(dagster_home: Path, database_url: str) -> None:
    """All files and folders below `storage` are, from the first file on."""
    upgrade_dagster(database_url)
    subprocess.run([sys.executable, "-c", RUN], check=True, umask=0, cwd=dagster_home)
    written = list((dagster_home / "storage").rglob("*"))
    assert any(path.suffix == ".out" for path in written)
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in written}
    assert {(True, 0o700), (False, 0o600)} == modes
