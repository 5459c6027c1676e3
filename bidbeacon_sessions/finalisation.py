"""Closes sessions that can't close themselves any more, and says so in their timeline."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, text

from bidbeacon_sessions.actions import render_action
from bidbeacon_sessions.connections import end_connections
from bidbeacon_sessions.core_actions import SessionFinalized
from bidbeacon_sessions.leases import last_sign_of_life
from bidbeacon_sessions.sentences import plain_text
from bidbeacon_sessions.store import list_last_actions
from bidbeacon_sessions.writes import NewAction, close_session, insert_action

# Behind every place that a recorder can give: an open transaction of a paused recorder never collides with it.
FINAL_ORD = 1_000_000

_LOCK = text("SELECT id FROM session_headers WHERE id = :id AND status = 'running' FOR UPDATE SKIP LOCKED")

ClosedStatus = Literal["succeeded", "failed", "cancelled", "crashed"]


def finalize_session(
    connection: Connection, session_id: UUID, *, status: ClosedStatus, reason: str, now: datetime
) -> bool:
    """Close a session from outside, with an action that says what was last seen of it, and end its connections.

    Safe to call from several processes at once: one of them closes it, the others get False.
    """
    if not _lock(connection, session_id):
        # A transaction of its own may hold it: that of a process that is frozen.
        end_connections(connection, [session_id])
        if not _lock(connection, session_id):
            return False
    end_connections(connection, [session_id])
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
        tone=action.tone,
        at=now,
        payload=action.model_dump(mode="json"),
    )
    insert_action(connection, session_id, place)
    error = {"type": "SessionFinalized", "message": reason} if status in {"failed", "crashed"} else None
    return close_session(connection, session_id, status=status, finished_at=now, error=error)


def _lock(connection: Connection, session_id: UUID) -> bool:
    """Lock a running session, without waiting; return whether it could be done."""
    return connection.execute(_LOCK, {"id": session_id}).first() is not None
