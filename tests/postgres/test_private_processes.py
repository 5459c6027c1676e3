"""Runs of Dagster write files for their owner alone, though the shell lets everybody read new files."""

import os
from pathlib import Path

from dagster import DagsterInstance, job, op


@op
def speak() -> None:
    """Print something."""
    print("printed")  # noqa: T201 - Dagster keeps it in a file


@job
def one() -> None:
    """One op."""
    speak()


def test_artifacts_and_output_of_a_run_are_private(dagster_with_tables: Path) -> None:
    """All files and folders below `storage` are, from the first file on."""
    umask = os.umask(0)
    try:
        with DagsterInstance.get() as instance:
            assert one.execute_in_process(instance=instance).success
    finally:
        os.umask(umask)
    written = list((dagster_with_tables / "storage").rglob("*"))
    assert any(path.suffix == ".out" for path in written)
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in written}
    assert {(True, 0o700), (False, 0o600)} == modes
