"""Deletes output of old runs, which Dagster stores in a folder per run and never deletes."""

import shutil
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path


def delete_printed_lines(folder: Path, before: datetime, most: int) -> int:
    """Delete up to `most` folders of runs without output since `before`; return the number."""
    if not folder.is_dir():
        return 0
    old = (run for run in folder.iterdir() if run.is_dir() and _last_written(run) < before)
    chosen = list(islice(old, most))
    for run in chosen:
        shutil.rmtree(run, ignore_errors=True)  # another process may delete it too
    return sum(not run.exists() for run in chosen)


def _last_written(folder: Path) -> datetime:
    times = [path.stat().st_mtime for path in (folder, *folder.rglob("*"))]
    return datetime.fromtimestamp(max(times), UTC)
