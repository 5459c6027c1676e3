"""Count sessions by interval and by status, and list the values for filters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection, RowMapping, func, literal, select, text
from sqlalchemy.exc import OperationalError

from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.queries import find_accounts
from bidbeacon_sessions.search import MARK_OF, H, conditions, sessions_with_text


@dataclass(frozen=True)
class Span:
    """A stretch of time in equal intervals: from `since` on, before `before`."""

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
    """Return the number of matching sessions that started in each interval, by mark.

    Columns: at, mark, sessions. The filter's own `since` and `before` are ignored, and sessions
    that only skipped have the mark `succeeded`. None if counting takes longer than four seconds;
    then the transaction is aborted.
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
    """Return the number of sessions: job_name, status, sessions."""
    return connection.execute(_BY_STATUS).mappings().all()
