"""SQL over many sessions at once: how many began in each interval, and which values a filter can have."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.exc import OperationalError

from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.text_search import suited_to

MOST_VALUES = 2_000
LONGEST_COUNT = timedelta(seconds=4)


def count_by_interval(
    connection: Connection, wanted: SessionFilter, *, start: datetime, width: timedelta, intervals: int
) -> list[RowMapping] | None:
    """Return how many matching sessions began in each interval since `start`, by mark: place, mark, sessions.

    The mark is the session's status, or the outcome of one that succeeded with warnings or problems. `place` counts intervals from 0; those without sessions are not among the rows. The filter's own `since` and `before` are left aside.
    None where counting takes longer than four seconds; the transaction is aborted then.
    """
    unbounded = replace(wanted, since=None, before=None)
    statement = f"""
        SELECT CAST(floor((extract(epoch FROM h.started_at) - extract(epoch FROM CAST(:start AS timestamptz))) / :seconds) AS integer) AS place,
               CASE WHEN h.status = 'succeeded' AND h.outcome <> 'ok' THEN h.outcome ELSE h.status END AS mark, count(*) AS sessions
          FROM session_headers h
         WHERE h.started_at >= :start AND h.started_at < :end AND {unbounded.conditions()}
         GROUP BY 1, 2 ORDER BY 1, 2"""
    values = unbounded.__dict__ | {
        "start": start,
        "end": start + width * intervals,
        "seconds": width.total_seconds(),
    }
    _bound(connection, LONGEST_COUNT)
    try:
        suited = text(suited_to(connection, wanted.text, statement))
        return list(connection.execute(suited, values).mappings())
    except OperationalError as error:
        if isinstance(error.orig, QueryCanceled):
            return None
        raise


def _bound(connection: Connection, longest: timedelta) -> None:
    """Have the server end any statement of this transaction that takes longer."""
    milliseconds = str(int(longest.total_seconds() * 1000))
    connection.execute(
        text("SELECT set_config('statement_timeout', :longest, true)"), {"longest": milliseconds}
    )


# Each step of the recursion jumps to the next value by the index, however many rows have the same one.
_VALUES = """
    WITH RECURSIVE found AS (
        (SELECT {column} AS value FROM {table} WHERE {column} IS NOT NULL ORDER BY {column} LIMIT 1)
        UNION ALL
        SELECT (SELECT t.{column} FROM {table} t WHERE t.{column} > found.value ORDER BY t.{column} LIMIT 1)
          FROM found WHERE found.value IS NOT NULL)
    SELECT value FROM found WHERE value IS NOT NULL LIMIT :most"""
_DATASETS = """
    WITH RECURSIVE found AS (
        (SELECT account_key, coalesce(dataset, '') AS value FROM session_touches ORDER BY account_key, dataset LIMIT 1)
        UNION ALL
        SELECT n.account_key, n.value FROM found CROSS JOIN LATERAL (
            SELECT t.account_key, coalesce(t.dataset, '') AS value FROM session_touches t
             WHERE (t.account_key, t.dataset) > (found.account_key, found.value) ORDER BY t.account_key, t.dataset LIMIT 1) n)
    SELECT DISTINCT value FROM (SELECT value FROM found LIMIT :most) listed WHERE value <> '' ORDER BY value"""
_STATEMENTS: Mapping[str, str] = {
    "job": _VALUES.format(column="job_name", table="session_headers"),
    "account": _VALUES.format(column="account_key", table="session_headers"),
    "type": _VALUES.format(column="type", table="session_actions"),
    "dataset": _DATASETS,
}


def list_filter_values(connection: Connection) -> dict[str, list[str]]:
    """Give, for `job`, `account`, `type` and `dataset`, the values that sessions have, in order, at most 2,000 each."""
    return {
        name: list(connection.execute(text(statement), {"most": MOST_VALUES}).scalars())
        for name, statement in _STATEMENTS.items()
    }


_RUNNING = text("""
    SELECT job_name, count(*) AS sessions, CAST(extract(epoch FROM clock_timestamp() - min(started_at)) AS float8) AS seconds
      FROM session_headers WHERE status = 'running' GROUP BY job_name ORDER BY job_name""")


def count_running(connection: Connection) -> list[RowMapping]:
    """Return per job how many of its sessions run, and for how many seconds the oldest one has."""
    return list(connection.execute(_RUNNING).mappings())
