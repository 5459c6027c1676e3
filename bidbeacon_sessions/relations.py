"""SQL on what stands around one session: the one before and after, the last good one, what it touched."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_sessions.store import HEADER_COLUMNS, HEADERS_WITH_COUNTS

MOST_TOUCHED = 1_000

# The same job and the same account, or none in both; two texts, since `IS NOT DISTINCT FROM` uses no index.
_SAME = {
    True: "h.job_name = :job AND h.account_key = :account",
    False: "h.job_name = :job AND h.account_key IS NULL",
}
_EARLIER = "(h.started_at, h.id) < (:started_at, :id) ORDER BY h.started_at DESC, h.id DESC LIMIT 1"
_LATER = "(h.started_at, h.id) > (:started_at, :id) ORDER BY h.started_at, h.id LIMIT 1"


def find_previous(connection: Connection, session: Mapping[Any, Any]) -> RowMapping | None:
    """Give the session of the same job and account that began before a session (a row of HEADER_COLUMNS), or None."""
    return _find_near(connection, session, _EARLIER)


def find_next(connection: Connection, session: Mapping[Any, Any]) -> RowMapping | None:
    """Give the session of the same job and account that began after a session, or None."""
    return _find_near(connection, session, _LATER)


def find_last_good(connection: Connection, session: Mapping[Any, Any]) -> RowMapping | None:
    """Give the newest session of the same job and account that began before a session and succeeded without problems, or None."""
    return _find_near(
        connection, session, f"h.status = 'succeeded' AND h.outcome <> 'problems' AND {_EARLIER}"
    )


def _find_near(connection: Connection, session: Mapping[Any, Any], where: str) -> RowMapping | None:
    same = _SAME[session["account_key"] is not None]
    statement = text(f"SELECT {HEADER_COLUMNS} FROM {HEADERS_WITH_COUNTS} WHERE {same} AND {where}")
    values = {
        "job": session["job_name"],
        "account": session["account_key"],
        "started_at": session["started_at"],
        "id": session["id"],
    }
    return connection.execute(statement, values).mappings().first()


_TOUCHED = text("""
    SELECT account_key, dataset, effect, array_agg(DISTINCT window_key ORDER BY window_key) FILTER (WHERE window_key IS NOT NULL) AS windows
      FROM session_touches WHERE session_id = :id
     GROUP BY account_key, dataset, effect ORDER BY min(ord), account_key, dataset LIMIT :most""")


def list_touched(connection: Connection, session_id: UUID) -> list[RowMapping]:
    """Give what a session touched, in the order in which it first did: account_key, dataset, effect, windows (or None)."""
    return list(connection.execute(_TOUCHED, {"id": session_id, "most": MOST_TOUCHED}).mappings())


_BY_TYPE = text("""
    SELECT type, count(*) AS actions FROM session_actions WHERE session_id = :id GROUP BY type ORDER BY min(ord)""")


def count_actions_by_type(connection: Connection, session_id: UUID) -> dict[str, int]:
    """Give how many actions of each type a session recorded, in the order of their first one."""
    rows = connection.execute(_BY_TYPE, {"id": session_id}).mappings()
    return {row["type"]: row["actions"] for row in rows}
