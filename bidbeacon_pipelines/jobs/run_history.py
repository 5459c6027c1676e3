"""Prunes what Dagster keeps of old runs: their events, in small pieces, and the files of what they printed."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from bidbeacon_pipelines.actions import RunHistoryPruned
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.store.run_events import delete_run_events, has_run_events
from bidbeacon_sessions import SessionRecorder

EVENTS_A_STATEMENT = 5_000


def prune_run_history(engine: Engine, session: SessionRecorder, settings: Settings, now: datetime) -> int:
    """Delete events and printed lines of runs that ended longer ago than the setting says; give how many events.

    The history of assets stays. Each statement is a transaction of its own: a run that is killed has deleted what it has deleted.
    """
    before = now - timedelta(days=settings.run_event_days)
    events = _prune_events(engine, before)
    folders = _prune_logs(settings.compute_logs, before)
    session.add(RunHistoryPruned(events=events, logs=folders, before=before.date()))
    return events


def _prune_events(engine: Engine, before: datetime) -> int:
    with engine.begin() as connection:
        if not has_run_events(connection):
            return 0
    total, deleted = 0, EVENTS_A_STATEMENT
    while deleted == EVENTS_A_STATEMENT:
        with engine.begin() as connection:
            deleted = delete_run_events(connection, before, EVENTS_A_STATEMENT)
        total += deleted
    return total


def _prune_logs(folder: Path, before: datetime) -> int:
    """Delete the folders of runs that printed nothing since; give how many."""
    if not folder.is_dir():
        return 0
    old = [run for run in folder.iterdir() if run.is_dir() and _last_written(run) < before]
    for run in old:
        shutil.rmtree(run, ignore_errors=True)  # another process may be at it
    return len(old)


def _last_written(folder: Path) -> datetime:
    """Give when a file below a folder was written last."""
    times = [path.stat().st_mtime for path in (folder, *folder.rglob("*"))]
    return datetime.fromtimestamp(max(times), UTC)
