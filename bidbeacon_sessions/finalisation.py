"""Closes sessions that can't close themselves any more, and says so in their timeline."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, text

from bidbeacon_sessions.actions import render_action
from bidbeacon_sessions.core_actions import SessionFinalized
from bidbeacon_sessions.leases import last_sign_of_life
from bidbeacon_sessions.sentences import plain_text
from bidbeacon_sessions.store import list_last_actions
from bidbeacon_sessions.writes import NewAction, close_session, insert_action

# Behind every place that a recorder can give: an open transaction of a paused recorder never collides with it.
FINAL_ORD = 1_000_000

ClosedStatus = Literal["succeeded", "failed", "cancelled", "crashed"]


def finalize_session(
    connection: Connection, session_id: UUID, *, status: ClosedStatus, reason: str, now: datetime
) -> bool:
    """Close a session from outside, with an action that says what was last seen of it.

    Safe to call from several processes at once: one of them closes it, the others get False.
    """
    locked = text(
        "SELECT id FROM session_headers WHERE id = :id AND status = 'running' FOR UPDATE SKIP LOCKED"
    )
    if connection.execute(locked, {"id": session_id}).first() is None:
        return False
    last = next(iter(list_last_actions(connection, [session_id], per_session=1)), None)
    said = None
    if last is not None:
        said = plain_text(render_action(last["type"], last["schema_version"], last["payload"]).parts)[:300]
    action = SessionFinalized(
        status=status, reason=reason, last_seen_at=last_sign_of_life(connection, session_id), last_action=said
    )
    place = NewAction(
        ord=FINAL_ORD,
        type=action.type,
        schema_version=action.schema_version,
        at=now,
        payload=action.model_dump(mode="json"),
    )
    insert_action(connection, session_id, place)
    error = {"type": "SessionFinalized", "message": reason} if status in {"failed", "crashed"} else None
    return close_session(connection, session_id, status=status, finished_at=now, error=error)
