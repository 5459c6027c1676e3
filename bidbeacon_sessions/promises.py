"""What became of promised work: fulfilled by which action of which session, still open, or lost."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_sessions.actions import render_action
from bidbeacon_sessions.presentation import instant, session_url
from bidbeacon_sessions.sentences import plain_text

Place = tuple[UUID, int]

_PROMISES = text("""
    SELECT p.session_id, p.ord, p.key, p.status, p.deadline_at, p.fulfilled_by, p.fulfilled_ord, p.fulfilled_at, h.job_name, h.status AS session_status,
           a.type, a.schema_version, a.payload
      FROM job_promises p
      LEFT JOIN session_headers h ON h.id = p.fulfilled_by
      LEFT JOIN session_actions a ON a.session_id = p.fulfilled_by AND a.ord = p.fulfilled_ord
     WHERE p.session_id = ANY(:ids) ORDER BY p.session_id, p.ord, p.key""")


def list_promises(connection: Connection, ids: Sequence[UUID]) -> Mapping[Place, list[dict[str, Any]]]:
    """Return what became of all that some sessions promised, by the place of the action that promised it.

    ```json
    {"key": "report-request 17", "status": "fulfilled", "deadline_at": "…Z", "fulfilled_by": "<session>", "fulfilled_ord": 4, "fulfilled_at": "…Z",
     "fulfilled_by_job": "poll-reports", "fulfilled_by_status": "succeeded", "url": "…", "text": "Loaded 3 rows …"}
    ```

    `status` is `fulfilled`, `open`, or `lost` where the deadline has passed; what follows `deadline_at` is null unless it is `fulfilled`.
    """
    found: dict[Place, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(_PROMISES, {"ids": list(ids)}).mappings():
        found[row["session_id"], row["ord"]].append(_describe(row))
    return found


def _describe(row: RowMapping) -> dict[str, Any]:
    session = row["fulfilled_by"]
    return {
        "key": row["key"],
        "status": row["status"],
        "deadline_at": instant(row["deadline_at"]),
        "fulfilled_by": None if session is None else str(session),
        "fulfilled_ord": row["fulfilled_ord"],
        "fulfilled_at": instant(row["fulfilled_at"]),
        "fulfilled_by_job": row["job_name"],
        "fulfilled_by_status": row["session_status"],
        "url": None if session is None else session_url(str(session)),
        "text": None if row["type"] is None else _said(row),
    }


def _said(row: RowMapping) -> str:
    return plain_text(render_action(row["type"], row["schema_version"], row["payload"]).parts)


_UNFULFILLED = text("""
    SELECT count(*) FILTER (WHERE deadline_at >= now() OR deadline_at IS NULL) AS open,
           count(*) FILTER (WHERE deadline_at < now()) AS lost
      FROM session_promises WHERE fulfilled_by IS NULL""")


_LOST = text("""
    SELECT p.session_id, p.key, p.deadline_at, h.job_name, h.account_key
      FROM session_promises p JOIN session_headers h ON h.id = p.session_id
     WHERE p.fulfilled_by IS NULL AND p.deadline_at < now() ORDER BY p.deadline_at DESC LIMIT :most""")


def list_lost(connection: Connection, *, most: int) -> list[RowMapping]:
    """Return the promises that were lost last: session_id, key, deadline_at, job_name, account_key."""
    return list(connection.execute(_LOST, {"most": most}).mappings())


_LOST_BY_JOB = text("""
    SELECT h.job_name, count(*) AS promises, min(p.deadline_at) AS since, count(DISTINCT h.account_key) AS accounts,
           (array_agg(DISTINCT h.account_key) FILTER (WHERE h.account_key IS NOT NULL))[1:3] AS account_keys,
           (array_agg(p.session_id ORDER BY p.deadline_at DESC))[1] AS last_id
      FROM session_promises p JOIN session_headers h ON h.id = p.session_id
     WHERE p.fulfilled_by IS NULL AND p.deadline_at >= :since AND p.deadline_at < :now GROUP BY h.job_name ORDER BY promises DESC, h.job_name""")


def list_lost_by_job(connection: Connection, *, since: datetime, now: datetime) -> list[RowMapping]:
    """Return the promises that were lost between two instants, by the job that made them.

    Columns: job_name, promises, since, accounts, account_keys of at most three, and last_id of the session that lost one last.
    """
    return list(connection.execute(_LOST_BY_JOB, {"since": since, "now": now}).mappings())


def count_unfulfilled(connection: Connection) -> Mapping[str, int]:
    """Return how many promises are `open`, and how many are `lost`."""
    return dict(connection.execute(_UNFULFILLED).mappings().one())
