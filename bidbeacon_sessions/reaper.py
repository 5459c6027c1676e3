"""The reaper: a sensor that closes dead sessions, and reports their runs as failed.

It ends only runs of its own code location, and measures time by the database's clock.
"""

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Thread

import dagster as dg
from sqlalchemy import RowMapping

from bidbeacon_sessions.connections import SessionStore
from bidbeacon_sessions.leases import begin_reaping, list_dead_sessions, read_run_signs
from bidbeacon_sessions.session import finalize_session
from bidbeacon_sessions.settings import get_session_settings

logger = logging.getLogger(__name__)

Status = dg.DagsterRunStatus

CODE_LOCATION_TAG = "dagster/code_location"
"""Dagster's tag with the code location of a launched run; runs that were not launched have none."""
LOST_AFTER = timedelta(minutes=3)
"""A started run is lost if it has no open session and had no event for this time."""

_REAP_EVERY_SECONDS = 15
_TERMINATE_SECONDS = 5
_BEATS_MISSED = 3
_AT_WORK = frozenset({Status.STARTING, Status.STARTED, Status.CANCELING})
_TERMINATED = frozenset({Status.CANCELING, Status.CANCELED})
_FINISHED = frozenset({Status.SUCCESS, Status.FAILURE, Status.CANCELED})


def build_session_closer(store: Callable[[], SessionStore]) -> dg.SensorDefinition:
    """Return the sensor that closes the dead sessions of a code location.

    If the lease of a run's only open session ends, the run is terminated and reported as failed,
    since it would otherwise count as running forever. A started run without an open session is
    reported as failed after three minutes without an event.
    """

    @dg.sensor(
        minimum_interval_seconds=_REAP_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Closes sessions whose process died or is frozen, and reports runs as failed "
        "if no process works on them any more. Starts no run.",
    )
    def close_crashed_sessions(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        """Close sessions whose process died, and report runs without a living worker as failed."""
        origin = context.code_location_origin
        location = origin.location_name if origin else None
        closed = close_dead_sessions(store(), context.instance, location)
        failed, cursor = fail_lost_runs(store(), context.instance, location, context.cursor)
        context.update_cursor(cursor)
        if not closed and not failed:
            return dg.SkipReason("All running sessions are alive.")
        return dg.SkipReason(f"Closed sessions: {closed}. Runs reported as failed: {failed}.")

    return close_crashed_sessions


def close_dead_sessions(
    store: SessionStore, instance: dg.DagsterInstance, code_location: str | None = None
) -> int:
    """Close each session whose process died, and end its run; return the number of sessions.

    Skips runs of other code locations. Does nothing while another process holds the reaper's lock.
    """
    missed = timedelta(seconds=get_session_settings().heartbeat_seconds * _BEATS_MISSED)
    with store.begin() as alone:
        now = begin_reaping(alone)
        if now is None:
            return 0
        silent = list_dead_sessions(alone, silent_for=missed)
        return sum(_close_if_dead(store, instance, code_location, row, now) for row in silent)


def _close_if_dead(
    store: SessionStore,
    instance: dg.DagsterInstance,
    code_location: str | None,
    row: RowMapping,
    now: datetime,
) -> bool:
    run = instance.get_run_by_id(row["run_id"]) if row["run_id"] else None
    status = run.status if run else None
    if run is not None and run.tags.get(CODE_LOCATION_TAG, code_location) != code_location:
        return False
    if not row["lease_ended"] and status not in _FINISHED:
        return False  # a pause that its lease still covers
    # End the run first: a reaper that dies in between finds the session still open the next time.
    if run is not None and status in _AT_WORK and not _has_other_session(store, run):
        _end_run(instance, run, f"The run's worker sent no heartbeat since {row['heartbeat_at']}")
    was_terminated = status in _TERMINATED
    with store.begin() as connection:
        return finalize_session(
            connection,
            row["id"],
            status="cancelled" if was_terminated else "crashed",
            reason="the run was terminated in Dagster."
            if was_terminated
            else "the run's process died.",
            now=now,
            has_successor=status is Status.SUCCESS,
        )


def _has_other_session(store: SessionStore, run: dg.DagsterRun) -> bool:
    with store.begin() as connection:
        return bool(read_run_signs(connection, [run.run_id])[run.run_id]["open_sessions"] > 1)


def fail_lost_runs(
    store: SessionStore,
    instance: dg.DagsterInstance,
    code_location: str | None = None,
    cursor: str | None = None,
) -> tuple[int, str | None]:
    """Report started runs as failed if they had no open session or event for three minutes.

    The worker of such a run died. Returns the number of failed runs, and the cursor for the next
    call: for each run without an open session, its newest event and the time when a call first saw
    this event. Runs that don't start or don't stop are left to Dagster's run monitoring.
    """
    before: dict[str, tuple[str, str]] = json.loads(cursor or "{}")
    seen: dict[str, tuple[str, str]] = {}
    failed = 0
    with store.begin() as alone:
        now = begin_reaping(alone)
        if now is None:
            return 0, cursor
        runs = instance.get_runs(dg.RunsFilter(statuses=[Status.STARTED]))
        signs = read_run_signs(alone, [run.run_id for run in runs])
        for run in runs:
            of_sessions = signs.get(run.run_id)
            if not _may_be_lost(run, of_sessions, code_location):
                continue
            sign = _last_sign(instance, run, of_sessions)
            known, since = before.get(run.run_id, ("", ""))
            if known != sign:
                since = now.isoformat()
            seen[run.run_id] = (sign, since)
            if now - datetime.fromisoformat(since) >= LOST_AFTER:
                _end_run(instance, run, f"The run has had no session and no event since {since}")
                failed += 1
    return failed, json.dumps(seen)


def _may_be_lost(run: dg.DagsterRun, signs: RowMapping | None, code_location: str | None) -> bool:
    # A run that was not launched has no tag, but it is ours if it has had sessions.
    is_ours = run.tags.get(CODE_LOCATION_TAG) == code_location or (
        signs is not None and CODE_LOCATION_TAG not in run.tags
    )
    return is_ours and (signs is None or signs["open_sessions"] == 0)


def _last_sign(instance: dg.DagsterInstance, run: dg.DagsterRun, signs: RowMapping | None) -> str:
    """Return a text that changes whenever a run has a new event or one of its sessions ends."""
    newest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return f"{newest[0].storage_id if newest else None} {signs and signs['ended_at']}"


def _end_run(instance: dg.DagsterInstance, run: dg.DagsterRun, seen: str) -> None:
    """Terminate a run; report it as failed, or as cancelled if it was being cancelled.

    The launcher gets five seconds for this, since it may wait for a host that is gone.
    `seen` is the first part of the reported message: what was observed, without a full stop.
    """
    terminating = Thread(target=_terminate, args=(instance, run.run_id), daemon=True)
    terminating.start()
    terminating.join(_TERMINATE_SECONDS)
    if run.status is Status.CANCELING:
        instance.report_run_canceled(run, f"{seen}: the run ended while it was being terminated.")
    else:
        instance.report_run_failed(run, f"{seen}: the process or its host is gone.")


def _terminate(instance: dg.DagsterInstance, run_id: str) -> None:
    try:
        instance.run_launcher.terminate(run_id)
    except Exception:
        logger.warning(
            "Dagster run %s could not be terminated: its end is recorded anyway",
            run_id,
            exc_info=True,
        )
