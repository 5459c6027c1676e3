"""`GET /api/job-sessions/{id}/surroundings`: what stands around one session, beside its own timeline."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bidbeacon_sessions.presentation import session_json
from bidbeacon_sessions.queries import (
    count_actions_by_type,
    find_last_good,
    find_next,
    find_previous,
    find_session,
    list_references,
)
from bidbeacon_sessions.server.comparison import compare
from bidbeacon_sessions.server.problems import problem
from bidbeacon_sessions.store import SessionStore


def answer_surroundings(request: Request) -> Response:
    """Return neighbours, windows, and the last good session with what differs from it."""
    session_id: UUID = request.path_params["session_id"]
    store: SessionStore = request.app.state.store
    with store.snapshot() as connection:
        session = find_session(connection, session_id)
        if session is None:
            return problem(404, f"There is no session {session_id}.", "Look for it at /.")
        return JSONResponse(_surroundings(connection, session))


def _surroundings(connection: Connection, session: RowMapping) -> dict[str, Any]:
    return {
        "previous": _brief(find_previous(connection, session)),
        "next": _brief(find_next(connection, session)),
        "references": [dict(row) for row in list_references(connection, session["id"])],
        "last_good": _last_good(connection, session),
    }


def _last_good(connection: Connection, session: RowMapping) -> dict[str, Any] | None:
    good = find_last_good(connection, session)
    if good is None:
        return None
    differences = compare(
        session_json(session),
        session_json(good),
        actions_here=count_actions_by_type(connection, session["id"]),
        actions_there=count_actions_by_type(connection, good["id"]),
    )
    return {"session": _brief(good), "differences": [asdict(one) for one in differences]}


_BRIEF = (
    "id",
    "job_name",
    "status",
    "outcome",
    "recovered_by",
    "skipped_only",
    "account",
    "account_label",
    "started_at",
    "finished_at",
    "duration",
    "action_count",
)


def _brief(header: Mapping[Any, Any] | None) -> dict[str, Any] | None:
    """Return what a link to a session shows."""
    if header is None:
        return None
    whole = session_json(header)
    return {name: whole[name] for name in _BRIEF}
