"""What our processes write is for their owner alone, though the shell lets everybody read new files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bidbeacon_pipelines.dagster_storage import upgrade_dagster
from bidbeacon_pipelines.settings import PROJECT_ROOT

RUN = """
from dagster import DagsterInstance, job, op

@op
def speak(context):
    print("printed")
    context.log.info("logged")
    return 1

@job
def one():
    speak()

with DagsterInstance.get() as instance:
    assert one.execute_in_process(instance=instance).success
"""

MAIN = """
import sys
from pathlib import Path
from bidbeacon_pipelines.cli import app, main

@app.command()
def write(path: Path) -> None:
    path.write_text("rows")

sys.argv[1:] = ["write", sys.argv[1]]
main()
"""


def run_open(program: str, *arguments: str, **environment: str) -> None:
    """Run a Python program under a umask that closes nothing."""
    subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=True,
        umask=0,
        cwd=PROJECT_ROOT,
        env=os.environ | environment,
    )


def modes_below(folder: Path) -> dict[str, set[str]]:
    """Return the permissions of folders and of files below a folder."""
    found = list(folder.rglob("*"))
    return {
        "folders": {oct(path.stat().st_mode & 0o777) for path in (folder, *found) if path.is_dir()},
        "files": {oct(path.stat().st_mode & 0o777) for path in found if path.is_file()},
    }


def test_what_a_run_of_dagster_writes_is_private(database_url: str, tmp_path: Path) -> None:
    """Artifacts and what steps print, from the first file on."""
    shutil.copy(PROJECT_ROOT / "dagster.yaml", tmp_path)
    upgrade_dagster(database_url)
    run_open(RUN, DAGSTER_HOME=str(tmp_path), BIDBEACON_DATABASE_URL=database_url)
    written = tmp_path / "storage"
    assert any(written.rglob("*.out"))
    assert {"folders": {"0o700"}, "files": {"0o600"}} == modes_below(written)


def test_what_a_command_writes_is_private(tmp_path: Path) -> None:
    """Whatever it is: the process begins by saying so."""
    run_open(MAIN, str(tmp_path / "rows"))
    assert 0o600 == (tmp_path / "rows").stat().st_mode & 0o777
