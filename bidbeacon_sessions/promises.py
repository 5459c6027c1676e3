"""The status of promised work: fulfilled, with the action and session that did it, open, or lost."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_sessions.actions import describe_action
from bidbeacon_sessions.presentation import instant, session_url

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
        "text": row["type"] and describe_action(row["type"], row["schema_version"], row["payload"]),
    }


_UNFULFILLED = text("""
    SELECT count(*) FILTER (WHERE deadline_at >= now() OR deadline_at IS NULL) AS open,
           count(*) FILTER (WHERE deadline_at < now()) AS lost
      FROM session_promises WHERE fulfilled_by IS NULL""")


def count_unfulfilled(connection: Connection) -> Mapping[str, int]:
    """Return how many promises are `open`, and how many are `lost`."""
    return dict(connection.execute(_UNFULFILLED).mappings().one())
