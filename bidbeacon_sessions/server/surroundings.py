"""`GET /api/job-sessions/{id}/surroundings`: what stands around one session, and what differs from the last one that went well."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bidbeacon_sessions.presentation import session_json
from bidbeacon_sessions.queries import count_actions_by_type, find_near, find_session, list_references
from bidbeacon_sessions.server.problems import problem
from bidbeacon_sessions.store import SessionStore

MOST_DIFFERENCES = 50
_LONGEST_VALUE = 200


def answer_surroundings(request: Request) -> Response:
    """Return neighbours, windows, and the last good session with what differs from it."""
    session_id: UUID = request.path_params["session_id"]
    store: SessionStore = request.app.state.store
    with store.snapshot() as connection:
        session = find_session(connection, session_id)
        if session is None:
            return problem(404, f"There is no session {session_id}.", "Look for it at /.")
        near = find_near(connection, session)
        good = near["last_good"]
        here = _with_counts(connection, session)
        differences = compare(here, _with_counts(connection, good)) if good else []
        references = list_references(connection, session_id)
    return JSONResponse(
        {
            "previous": _brief(near["previous"]),
            "next": _brief(near["next"]),
            "references": [dict(row) for row in references],
            "last_good": good and {"session": _brief(good), "differences": differences},
        }
    )


def _with_counts(connection: Connection, session: RowMapping) -> dict[Any, Any]:
    return {**session, "actions": count_actions_by_type(connection, session["id"])}


def compare(here: Mapping[Any, Any], there: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """Return how a session differs from a good one in `actions` (counts by type), `input` and `labels`; 50 differences at most.

    Each is `{"what": "action", "name": "report-failed", "here": 3, "there": 0}`; an input or label that is missing is None.
    """
    differences = [
        *_differences("action", here["actions"], there["actions"], absent=0),
        *_differences("input", _flatten(here["input"]), _flatten(there["input"])),
        *_differences("label", _flatten(here["labels"]), _flatten(there["labels"])),
    ]
    return differences[:MOST_DIFFERENCES]


def _differences(
    what: str, here: Mapping[str, Any], there: Mapping[str, Any], *, absent: int | None = None
) -> Iterator[dict[str, Any]]:
    for name in dict.fromkeys([*there, *here]):
        one, other = here.get(name, absent), there.get(name, absent)
        if one != other:
            yield {"what": what, "name": name, "here": one, "there": other}


def _flatten(value: Any, path: str = "") -> dict[str, str]:
    """Return each leaf of nested objects by its path, `a.b`; lists are leaves."""
    if isinstance(value, Mapping) and value:
        leaves: dict[str, str] = {}
        for key, item in value.items():
            leaves |= _flatten(item, f"{path}.{key}" if path else str(key))
        return leaves
    return {path: _shown(value)} if path else {}


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


_LARGE = frozenset({"error", "input", "labels"})


def _brief(header: Mapping[Any, Any] | None) -> dict[str, Any] | None:
    """Return what a link to a session shows."""
    if header is None:
        return None
    return {name: value for name, value in session_json(header).items() if name not in _LARGE}
