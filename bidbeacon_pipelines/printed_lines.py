"""Deletes the files of what old runs printed; Dagster keeps a folder a run, and never deletes one."""

import shutil
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path


def delete_printed_lines(folder: Path, before: datetime, most: int) -> int:
    """Delete the folders of runs that printed nothing since an instant, `most` at most; return how many."""
    if not folder.is_dir():
        return 0
    old = (run for run in folder.iterdir() if run.is_dir() and _last_written(run) < before)
    chosen = list(islice(old, most))
    for run in chosen:
        shutil.rmtree(run, ignore_errors=True)  # another process may be at it
    return sum(not run.exists() for run in chosen)


def _last_written(folder: Path) -> datetime:
    """Return when a file below a folder was written last."""
    times = [path.stat().st_mtime for path in (folder, *folder.rglob("*"))]
    return datetime.fromtimestamp(max(times), UTC)
