"""`GET /api/job-sessions/values`: what can be written behind `job:`, `account:`, `type:` …, for the filter's completion."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bidbeacon_sessions.overview import list_filter_values
from bidbeacon_sessions.store import SessionStore
from bidbeacon_sessions.tables import SESSION_STATUSES


def answer_values(request: Request) -> Response:
    """Give the values that sessions have, by name of the filter."""
    store: SessionStore = request.app.state.store
    with store.snapshot() as connection:
        values = list_filter_values(connection)
    return JSONResponse({"status": list(SESSION_STATUSES), **values})
