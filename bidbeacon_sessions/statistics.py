"""Count sessions by interval, status and job, and list the values for filters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection, RowMapping, func, literal, select, text
from sqlalchemy.exc import OperationalError

from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.queries import find_accounts
from bidbeacon_sessions.search import MARK_OF, H, conditions, sessions_with_text
from bidbeacon_sessions.tables import OUTCOME


@dataclass(frozen=True)
class Span:
    """A period from `since` to `before` (excluded), divided into equal intervals."""

    since: datetime
    before: datetime
    interval: timedelta

    @property
    def count(self) -> int:
        """The number of intervals."""
        return -(-(self.before - self.since) // self.interval)


LONGEST_COUNT = "4s"
_BOUND = text("SELECT set_config('statement_timeout', :longest, true)")


def count_by_interval(
    connection: Connection, wanted: SessionFilter, span: Span
) -> Sequence[RowMapping] | None:
    """Return the number of matching sessions by mark and by interval of their start.

    Columns: at (the start of the interval), mark (see `tables.MARK`), sessions. The period is that
    of `span`, not that of the filter. Sessions whose actions all report skipped work have the mark
    `succeeded`, not `skipped`. If counting takes longer than four seconds, the transaction is
    aborted and the result is None.
    """
    since = literal(span.since, H.c.started_at.type)
    at = func.date_bin(span.interval, H.c.started_at, since).label("at")
    others = conditions(
        wanted.without("since", "before", "text"), find_accounts(connection, wanted.account)
    )
    counted = select(at, MARK_OF.label("mark"), func.count().label("sessions")).where(
        H.c.started_at >= span.since, H.c.started_at < span.before, *others
    )
    if wanted.text is not None:
        counted = counted.where(H.c.id.in_(select(sessions_with_text(wanted.text).c.id)))
    connection.execute(_BOUND, {"longest": LONGEST_COUNT})
    try:
        return connection.execute(counted.group_by("at", "mark")).mappings().all()
    except OperationalError as error:
        if isinstance(error.orig, QueryCanceled):
            return None
        raise


MOST_VALUES = 2_000
# Each step of the recursion jumps to the next value by the index, however many rows have it.
_VALUES = """
    WITH RECURSIVE found AS (
        (SELECT {column} AS value
           FROM {table}
          WHERE {column} IS NOT NULL
          ORDER BY {column} LIMIT 1)
        UNION ALL
        SELECT (SELECT t.{column}
                  FROM {table} t
                 WHERE t.{column} > found.value
                 ORDER BY t.{column} LIMIT 1)
          FROM found
         WHERE found.value IS NOT NULL)
    SELECT value FROM found WHERE value IS NOT NULL LIMIT :most"""
_DATASETS = """
    WITH RECURSIVE found AS (
        (SELECT account_key, coalesce(dataset, '') AS value
           FROM session_references
          ORDER BY account_key, dataset LIMIT 1)
        UNION ALL
        SELECT n.account_key, n.value
          FROM found
         CROSS JOIN LATERAL (
            SELECT t.account_key, coalesce(t.dataset, '') AS value
              FROM session_references t
             WHERE (t.account_key, t.dataset) > (found.account_key, found.value)
             ORDER BY t.account_key, t.dataset LIMIT 1) n)
    SELECT DISTINCT value
      FROM (SELECT value FROM found LIMIT :most) listed
     WHERE value <> ''
     ORDER BY value"""
_STATEMENTS: Mapping[str, str] = {
    "job": _VALUES.format(column="job_name", table="session_headers"),
    "account": _VALUES.format(column="account_key", table="session_headers"),
    "type": _VALUES.format(column="type", table="session_actions"),
    "dataset": _DATASETS,
}


def list_filter_values(connection: Connection) -> dict[str, list[str]]:
    """Return the values of `job`, `account`, `type` and `dataset`, sorted, at most 2,000 each."""
    return {
        name: list(connection.execute(text(statement), {"most": MOST_VALUES}).scalars())
        for name, statement in _STATEMENTS.items()
    }


_BY_STATUS = text(
    "SELECT job_name, status, count(*) AS sessions FROM session_headers GROUP BY 1, 2 ORDER BY 1, 2"
)


def count_by_status(connection: Connection) -> Sequence[RowMapping]:
    """Return the number of sessions by job and status (columns job_name, status, sessions)."""
    return connection.execute(_BY_STATUS).mappings().all()


# With the default work_mem, sorting 100,000 durations (10 MB) would use the disk.
_IN_MEMORY = text("""
    SELECT set_config('work_mem', '32MB', true),
           set_config('plan_cache_mode', 'force_custom_plan', true)""")
_JOBS = text(f"""
    SELECT h.job_name, date_bin('1 hour', h.started_at, :since) AS at, count(*) AS count,
           count(*) FILTER (WHERE h.status IN ('failed', 'crashed')
                              AND h.outcome = 'problems') AS failures,
           count(*) FILTER (WHERE {OUTCOME} = 'problems') AS problems,
           percentile_cont(0.5) WITHIN GROUP (
               ORDER BY date_part('epoch', h.finished_at - h.started_at)) AS p50,
           percentile_cont(0.95) WITHIN GROUP (
               ORDER BY date_part('epoch', h.finished_at - h.started_at)) AS p95
      FROM session_headers h
     WHERE h.started_at >= :since AND h.started_at < :before
     GROUP BY GROUPING SETS ((1, 2), (1))
     ORDER BY 1, 2 NULLS FIRST""")


def aggregate_jobs(
    connection: Connection, since: datetime, before: datetime
) -> list[dict[str, Any]]:
    """Return figures by job, over the sessions that started in a period.

    Keys: job_name, count, failures (failed or crashed sessions with the outcome `problems`),
        problems (all sessions with this outcome), p50 and p95 (percentiles of durations in seconds,
        None if no session has ended), intervals (count and failures of every hour from `since`).
    """
    connection.execute(_IN_MEMORY)
    hour = timedelta(hours=1)
    jobs: dict[str, dict[str, Any]] = {}
    for row in connection.execute(_JOBS, {"since": since, "before": before}).mappings():
        if row["at"] is None:
            figures = {name: value for name, value in row.items() if name != "at"}
            hours = [{"count": 0, "failures": 0} for _ in range(-(-(before - since) // hour))]
            jobs[row["job_name"]] = {**figures, "intervals": hours}
        else:
            counts = {"count": row["count"], "failures": row["failures"]}
            jobs[row["job_name"]]["intervals"][(row["at"] - since) // hour] = counts
    return list(jobs.values())
