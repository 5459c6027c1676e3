"""SQL that reads how long the steps of reports took, by interval of time, and what changed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, text

# With the default work_mem, sorting 100,000 times (10 MB) would use the disk. A generic plan, for
# any start, takes twice as long.
_PLANNING = text("""
    SELECT set_config('work_mem', '32MB', true),
           set_config('plan_cache_mode', 'force_custom_plan', true)""")


def prepare(connection: Connection) -> None:
    """Set, until the transaction ends, how the other queries of this module are planned."""
    connection.execute(_PLANNING)


# A step without a start or an end is null, and percentiles leave it out.
_STEPS = text("""
    SELECT date_bin(CAST(:step AS interval), finished_at, :start) AS at,
           percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (
               ORDER BY date_part('epoch', sent_at - due_at)) AS due_to_created,
           percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (
               ORDER BY date_part('epoch', completed_at - sent_at)) AS created_to_complete,
           percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (
               ORDER BY CASE WHEN status = 'loaded'
                             THEN date_part('epoch', finished_at - completed_at) END
               ) AS ready_to_loaded
      FROM report_requests
     WHERE finished_at >= :start
     GROUP BY 1""")


def list_steps(
    connection: Connection, start: datetime, step: timedelta
) -> dict[datetime, RowMapping]:
    """Return how long the steps of the requests took that ended in each interval, by its start.

    Columns: due_to_created, created_to_complete, ready_to_loaded: each has p50 and p95 in seconds,
    which are None if no time is known.
    """
    rows = connection.execute(_STEPS, {"start": start, "step": step}).mappings()
    return {row["at"]: row for row in rows}


_ROWS = text("""
    SELECT date_bin(CAST(:step AS interval), loaded_at, :start) AS at, sum(rows_loaded) AS rows
      FROM report_loads
     WHERE loaded_at >= :start
     GROUP BY 1""")


def count_rows(connection: Connection, start: datetime, step: timedelta) -> dict[datetime, int]:
    """Return the number of rows that were loaded in each interval with loads, by its start."""
    rows = connection.execute(_ROWS, {"start": start, "step": step})
    return {row.at: int(row.rows) for row in rows}


_THROTTLED = text("""
    SELECT date_bin(CAST(:step AS interval), called_at, :start) AS at,
           count(*) FILTER (WHERE call = 'create_report') AS creates,
           count(*) FILTER (WHERE call <> 'create_report') AS others
      FROM api_calls
     WHERE called_at >= :start AND (status = 429 OR error = 'Throttled')
     GROUP BY 1""")


def count_throttled(
    connection: Connection, start: datetime, step: timedelta
) -> dict[datetime, Row[Any]]:
    """Return the calls that Amazon throttled (429) in each interval with any, by its start.

    Columns: creates (calls that create a report), others.
    """
    rows = connection.execute(_THROTTLED, {"start": start, "step": step})
    return {row.at: row for row in rows}


_WEEKS = text("""
    SELECT finished_at >= :week AS is_recent, dataset, report, count(*) AS reports,
           percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (
               ORDER BY date_part('epoch', completed_at - sent_at)) AS took
      FROM report_requests
     WHERE finished_at >= CAST(:week AS timestamptz) - interval '7 days'
       AND completed_at >= sent_at
     GROUP BY GROUPING SETS ((1, 2, 3), (1))""")


def compare_weeks(connection: Connection, now: datetime) -> Sequence[RowMapping]:
    """Return how long Amazon took for reports of the last seven days and of the seven before.

    Columns: is_recent, dataset and report (None for all together), reports (their number), took
    (p50 and p95 from created to complete, in seconds).
    """
    return connection.execute(_WEEKS, {"week": now - timedelta(days=7)}).mappings().all()


_CHANGES = text("""
    SELECT session_id, ord, type, tone, at, payload
      FROM session_actions
     WHERE type IN ('account-paused', 'account-resumed', 'registry-overridden') AND at >= :start
     ORDER BY at DESC
     LIMIT 1000""")


def list_changes(connection: Connection, start: datetime) -> Sequence[RowMapping]:
    """Return the newest pauses, resumes and changes of the contract, as rows of actions."""
    return connection.execute(_CHANGES, {"start": start}).mappings().all()


_VERSIONS = text("""
    SELECT version, min(started_at) AS at
      FROM processes
     GROUP BY version
    HAVING min(started_at) >= :start""")


def list_versions(connection: Connection, start: datetime) -> Sequence[Row[Any]]:
    """Return the versions of running processes, and when the first process of each started."""
    return connection.execute(_VERSIONS, {"start": start}).all()
