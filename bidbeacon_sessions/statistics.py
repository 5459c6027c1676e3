"""Counts sessions over stretches of time: by interval, by job, and the values that filters can have."""

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
    """A stretch of time in equal intervals: from `since` on, before `before`."""

    since: datetime
    before: datetime
    interval: timedelta

    @property
    def intervals(self) -> list[datetime]:
        """The beginning of each interval."""
        count = -(-(self.before - self.since) // self.interval)
        return [self.since + number * self.interval for number in range(count)]


LONGEST_COUNT = "4s"
_BOUND = text("SELECT set_config('statement_timeout', :longest, true)")


def count_by_interval(
    connection: Connection, wanted: SessionFilter, span: Span
) -> Sequence[RowMapping] | None:
    """Return how many matching sessions began in each interval of a span, by mark: at, mark, sessions.

    The filter's own `since` and `before` do not count, and sessions that only skipped have the mark
    `succeeded`. None where counting takes longer than four seconds; the transaction is aborted then.
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
# Each step of the recursion jumps to the next value by the index, however many rows have the same
# one.
_VALUES = """
    WITH RECURSIVE found AS (
        (SELECT {column} AS value FROM {table} WHERE {column} IS NOT NULL ORDER BY {column} LIMIT 1)
        UNION ALL
        SELECT (SELECT t.{column} FROM {table} t WHERE t.{column} > found.value ORDER BY t.{column} LIMIT 1)
          FROM found WHERE found.value IS NOT NULL)
    SELECT value FROM found WHERE value IS NOT NULL LIMIT :most"""
_DATASETS = """
    WITH RECURSIVE found AS (
        (SELECT account_key, coalesce(dataset, '') AS value FROM session_references ORDER BY account_key, dataset LIMIT 1)
        UNION ALL
        SELECT n.account_key, n.value FROM found CROSS JOIN LATERAL (
            SELECT t.account_key, coalesce(t.dataset, '') AS value FROM session_references t
             WHERE (t.account_key, t.dataset) > (found.account_key, found.value) ORDER BY t.account_key, t.dataset LIMIT 1) n)
    SELECT DISTINCT value FROM (SELECT value FROM found LIMIT :most) listed WHERE value <> '' ORDER BY value"""
_STATEMENTS: Mapping[str, str] = {
    "job": _VALUES.format(column="job_name", table="session_headers"),
    "account": _VALUES.format(column="account_key", table="session_headers"),
    "type": _VALUES.format(column="type", table="session_actions"),
    "dataset": _DATASETS,
}


def list_filter_values(connection: Connection) -> dict[str, list[str]]:
    """Return, for `job`, `account`, `type` and `dataset`, the values that sessions have, in order, at most 2,000 each."""
    return {
        name: list(connection.execute(text(statement), {"most": MOST_VALUES}).scalars())
        for name, statement in _STATEMENTS.items()
    }


# A hundred thousand durations are sorted: 10 MB, which would go to disk otherwise.
_IN_MEMORY = text(
    "SELECT set_config('work_mem', '32MB', true), set_config('plan_cache_mode', 'force_custom_plan', true)"
)
_SECONDS = "WITHIN GROUP (ORDER BY date_part('epoch', h.finished_at - h.started_at))"
_JOBS = text(f"""
    SELECT h.job_name, date_bin(:interval, h.started_at, :since) AS at, count(*) AS count,
           count(*) FILTER (WHERE h.status IN ('failed', 'crashed') AND h.outcome = 'problems') AS failures,
           count(*) FILTER (WHERE {OUTCOME} = 'problems') AS problems,
           percentile_cont(0.5) {_SECONDS} AS p50, percentile_cont(0.95) {_SECONDS} AS p95
      FROM session_headers h
     WHERE h.started_at >= :since AND h.started_at < :before
     GROUP BY GROUPING SETS ((1, 2), (1)) ORDER BY 1, 2 NULLS FIRST""")


def aggregate_jobs(connection: Connection, span: Span) -> list[dict[str, Any]]:
    """Return the figures of each job that has sessions: job_name, count, failures, problems, p50, p95, intervals.

    `failures` failed or crashed, and no later attempt did their work; `problems` have that outcome.
    p50 and p95 are percentiles of durations in seconds, None where none has ended. `intervals` has
    count and failures of every interval.
    """
    connection.execute(_IN_MEMORY)
    jobs: dict[str, dict[str, Any]] = {}
    for row in connection.execute(_JOBS, vars(span)).mappings():
        if row["at"] is None:
            figures = {name: value for name, value in row.items() if name != "at"}
            intervals = [{"count": 0, "failures": 0} for _ in span.intervals]
            jobs[row["job_name"]] = {**figures, "intervals": intervals}
        else:
            place = (row["at"] - span.since) // span.interval
            counts = {"count": row["count"], "failures": row["failures"]}
            jobs[row["job_name"]]["intervals"][place] = counts
    return list(jobs.values())


_BY_STATUS = text(
    "SELECT job_name, status, count(*) AS sessions FROM session_headers GROUP BY 1, 2 ORDER BY 1, 2"
)


def count_by_status(connection: Connection) -> Sequence[RowMapping]:
    """Return how many sessions there are: job_name, status, sessions."""
    return connection.execute(_BY_STATUS).mappings().all()
