"""SQL on the heartbeats of long-lived processes."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_sessions.clock import utc_now

_RECORD = text("""
    INSERT INTO processes (kind, host, pid, version, started_at, seen_at, clock_ahead_by)
    VALUES (:kind, :host, :pid, :version, clock_timestamp(), clock_timestamp(),
            CAST(:host_now AS timestamptz) - clock_timestamp())
        ON CONFLICT (kind, host, pid) DO UPDATE
       SET version = excluded.version, seen_at = excluded.seen_at,
           clock_ahead_by = excluded.clock_ahead_by,
           started_at =
               CASE WHEN :is_start THEN excluded.started_at ELSE processes.started_at END""")
_LIST = text("""
    SELECT kind, host, pid, version, started_at, seen_at, clock_ahead_by,
           clock_timestamp() - seen_at AS silent_for
      FROM processes WHERE seen_at > clock_timestamp() - CAST(:within AS interval)
     ORDER BY kind, host, pid""")


def record_process(
    connection: Connection, kind: str, host: str, pid: int, version: str, *, is_start: bool
) -> None:
    """Store a heartbeat at the database's time; `is_start`: it is the first of this process."""
    values = {"kind": kind, "host": host, "pid": pid, "version": version, "is_start": is_start}
    connection.execute(_RECORD, values | {"host_now": utc_now()})


def list_processes(connection: Connection, *, within: timedelta) -> list[RowMapping]:
    """Return the processes seen within a time, by kind and host: all columns, and silent_for."""
    return list(connection.execute(_LIST, {"within": within}).mappings())


def delete_silent_processes(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most `limit` processes last seen before an instant; return their number."""
    deleted = connection.execute(
        text("""
            DELETE FROM processes
             WHERE ctid = ANY (ARRAY(
                   SELECT ctid FROM processes WHERE seen_at < :before
                    LIMIT :limit FOR UPDATE SKIP LOCKED))"""),
        {"before": before, "limit": limit},
    )
    return deleted.rowcount
