"""SQL on the log of calls to Amazon."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

# One parameter, whatever the number of rows; durations are seconds.
_INSERT = text("""
    INSERT INTO api_calls (called_at, region, call, account_id, country_code, status, error, duration, queued, waited,
                           retry_count, request_id)
    SELECT called_at, region, call, account_id, country_code, status, error, make_interval(secs => duration),
           make_interval(secs => queued), make_interval(secs => waited), retry_count, request_id
      FROM jsonb_to_recordset(CAST(:rows AS jsonb))
           AS r(called_at timestamptz, region text, call text, account_id text, country_code text, status smallint, error text,
                duration float8, queued float8, waited float8, retry_count smallint, request_id text)""")


@dataclass(frozen=True)
class CallSummary:
    """Totals of the calls of one name since an instant; `failed` counts unsuccessful and missing responses.

    `throttled` also counts a 429 inside a multi-status answer.
    """

    call: str
    calls: int
    failed: int
    throttled: int
    waited: timedelta
    queued: timedelta
    slowest: timedelta


def insert_calls(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add calls to the ledger in one statement.

    `rows` have the table's columns as JSON can hold them: instants in ISO form, `duration`,
    `queued` and `waited` in seconds.
    """
    connection.execute(_INSERT, {"rows": json.dumps([dict(row) for row in rows])})


def delete_calls(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most so many calls that were made before an instant, the oldest first; return how many."""
    deleted = connection.execute(
        text("""DELETE FROM api_calls WHERE id = ANY (ARRAY(
                    SELECT id FROM api_calls WHERE called_at < :before ORDER BY called_at LIMIT :limit))"""),
        {"before": before, "limit": limit},
    )
    return deleted.rowcount


def summarize_calls(connection: Connection, since: datetime) -> list[CallSummary]:
    """Return the totals of calls since an instant, by name, most frequent first."""
    rows = connection.execute(
        text("""SELECT call, count(*) AS calls,
                       count(*) FILTER (WHERE error IS NOT NULL OR status IS NULL OR status >= 400) AS failed,
                       count(*) FILTER (WHERE status = 429 OR error = 'Throttled') AS throttled,
                       sum(waited) AS waited, sum(queued) AS queued, max(duration) AS slowest
                  FROM api_calls WHERE called_at >= :since GROUP BY call ORDER BY calls DESC, call"""),
        {"since": since},
    )
    return [CallSummary(**row) for row in rows.mappings()]
