"""Leases: heartbeats extend a session's lease; once it ends, others may close the session."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_sessions.connections import SessionStore, end_connections
from bidbeacon_sessions.settings import get_session_settings

logger = logging.getLogger(__name__)

AWAY_BEAT_SECONDS = 0.5
"""The pause between heartbeats while the database is unavailable: shorter than `_GRACE_SECONDS`."""
_GRACE_SECONDS = 4 * AWAY_BEAT_SECONDS

# Leases use the database's clock only, so that clocks of several machines don't matter. A closed
# session has no lease.
_BEAT = text("""
    UPDATE session_leases
       SET heartbeat_at = clock_timestamp(),
           expires_at = clock_timestamp() + make_interval(secs => :seconds)
     WHERE session_id = :session_id""")


def is_unclaimed(claimed_by: str) -> str:
    """Return the SQL condition that no living session has claimed a row.

    It is true if the column `claimed_by` is null, or has the id of a session without a valid lease.
    """
    return f"""({claimed_by} IS NULL OR NOT EXISTS (
        SELECT FROM session_leases l
         WHERE l.session_id = {claimed_by} AND l.expires_at > clock_timestamp()))"""


# A server that was away received no beats: after its start, leases end after a grace period only.
_DEAD = text("""
    SELECT h.id, h.job_name, h.run_id, h.step_key, h.started_at, l.heartbeat_at,
           (coalesce(l.expires_at, h.started_at) < clock_timestamp()
            AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => :grace))
           AS lease_ended
      FROM session_headers h
      LEFT JOIN session_leases l ON l.session_id = h.id
     WHERE h.status = 'running'
       AND coalesce(l.heartbeat_at, h.started_at)
           < clock_timestamp() - CAST(:silent_for AS interval)
     ORDER BY h.started_at
     LIMIT 500""")


def list_dead_sessions(
    connection: Connection, *, silent_for: timedelta = timedelta(0)
) -> list[RowMapping]:
    """Return the 500 oldest running sessions without a heartbeat for `silent_for`.

    Columns: id, job_name, run_id, step_key, started_at, heartbeat_at, lease_ended. A session is
    certainly dead only if its lease has ended.
    """
    values = {"silent_for": silent_for, "grace": _GRACE_SECONDS}
    return list(connection.execute(_DEAD, values).mappings())


_REAPER = text("""
    SELECT clock_timestamp()
     WHERE pg_try_advisory_xact_lock(hashtextextended('bidbeacon reaper', 0))""")


def begin_reaping(connection: Connection) -> datetime | None:
    """Take the reaper's lock until the end of the transaction; only one process can hold it.

    Returns:
        The database's time, or None if another process holds the lock.
    """
    now: datetime | None = connection.execute(_REAPER).scalar()
    return now


_RUN_SIGNS = text("""
    SELECT run_id,
           count(*) FILTER (WHERE status = 'running') AS open_sessions,
           max(finished_at) AS ended_at
      FROM session_headers
     WHERE run_id = ANY(:run_ids)
     GROUP BY run_id""")


def read_run_signs(connection: Connection, run_ids: Sequence[str]) -> dict[str, RowMapping]:
    """Return a summary of each run's sessions, by run id; runs without sessions are missing.

    Columns: open_sessions (the number still running), ended_at (the end of the session
    that ended last, or None).
    """
    found = connection.execute(_RUN_SIGNS, {"run_ids": list(run_ids)}).mappings()
    return {row["run_id"]: row for row in found}


_LAST_SIGN = text("""
    SELECT greatest(
        (SELECT max(started_at) FROM session_headers WHERE started_at <= now() + :ahead),
        (SELECT max(heartbeat_at) FROM session_leases))""")


def find_last_sign(connection: Connection, *, ahead: timedelta) -> datetime | None:
    """Return the time of the newest start or heartbeat of any session, or None.

    Each host stores starts by its own clock, which may be wrong: starts that are more than `ahead`
    in the future are ignored.
    """
    last: datetime | None = connection.execute(_LAST_SIGN, {"ahead": ahead}).scalar()
    return last


def end_dead_connections(connection: Connection) -> int:
    """End the connections of dead sessions; return the number of connections."""
    running = list_dead_sessions(connection)
    return end_connections(connection, [row["id"] for row in running if row["lease_ended"]])


@contextmanager
def heartbeat(store: SessionStore, session_id: UUID) -> Iterator[None]:
    """Extend a session's lease from a background thread while the block runs.

    If the lease ends while the database can't be reached, another process may close the session.
    """
    stop = threading.Event()
    beating = threading.Thread(target=_beat_until, args=(stop, store, session_id), daemon=True)
    beating.start()
    try:
        yield
    finally:
        stop.set()
        beating.join(timeout=get_session_settings().heartbeat_seconds + 5)


def _beat_until(stop: threading.Event, store: SessionStore, session_id: UUID) -> None:
    settings = get_session_settings()
    values = {"session_id": session_id, "seconds": settings.lease_seconds}
    every, is_away = settings.heartbeat_seconds, False
    while not stop.wait(min(every, AWAY_BEAT_SECONDS) if is_away else every):
        try:
            with store.begin() as connection:
                connection.execute(_BEAT, values)
            is_away = False
        except SQLAlchemyError as error:
            if not is_away:
                why = f"the database can't be reached ({type(error).__name__})"
                logger.warning("Session %s could not send a heartbeat: %s", session_id, why)
            is_away = True
