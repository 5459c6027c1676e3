"""The ASGI app, for any ASGI server: its routes, and its short handlers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from anyio.to_thread import current_default_thread_limiter
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from bidbeacon_sessions import listing
from bidbeacon_sessions.connections import SessionStore
from bidbeacon_sessions.filters import SessionPage
from bidbeacon_sessions.following import Follower
from bidbeacon_sessions.server.answers import HANDLERS, JsonAnswer, Parameters, problem, read_query
from bidbeacon_sessions.server.auth import Access, Gate, log_in
from bidbeacon_sessions.server.figures import answer_histogram, answer_metrics
from bidbeacon_sessions.server.pages import (
    LOGIN_PAGE,
    NOT_FOUND,
    STREAM_PAGE,
    Extension,
    PageFiles,
    render_pages,
)
from bidbeacon_sessions.server.transports import EventStream, serve_websocket
from bidbeacon_sessions.statistics import list_filter_values
from bidbeacon_sessions.tables import SESSION_OUTCOMES, SESSION_STATUSES

HEALTH_SECONDS = 3.0
MOST_THREADS = 500


def create_app(
    store: SessionStore, access: Access | None = None, *, extension: Extension | None = None
) -> Starlette:
    """Return the app for one store; the app follows the change log while it runs.

    Args:
        store: the sessions to show; owned by the caller.
        access: the access rules; by default those that the settings define for 127.0.0.1.
        extension: the additions of a product.
    """
    rules = access or Access.for_host("127.0.0.1")
    added = extension or Extension()
    pages = render_pages(added)
    app = Starlette(
        routes=_routes(added, pages),
        exception_handlers=HANDLERS,
        middleware=[Middleware(Gate, access=rules)],
        lifespan=_lifespan,
    )
    app.state.store = store
    app.state.access = rules
    app.state.pages = pages
    app.state.login_hint = added.login_hint
    app.state.follower = Follower(store)
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    # Requests that wait for a silent database must leave threads to files and /healthz.
    current_default_thread_limiter().total_tokens = MOST_THREADS
    # The first thread makes Starlette import a module, which fails while descriptors are short.
    await run_in_threadpool(lambda: None)
    async with app.state.follower:
        yield


def _routes(extension: Extension, pages: Mapping[str, str]) -> list[BaseRoute]:
    return [
        *(
            Route(address, HTMLResponse(text), methods=["GET"])
            for address, text in pages.items()
            if address not in {NOT_FOUND, LOGIN_PAGE}
        ),
        Route(LOGIN_PAGE, log_in, methods=["GET", "POST"]),
        Route("/web/{name}", PageFiles(extension).serve),
        Route("/api/job-sessions", _list_sessions),
        Route("/api/job-sessions/histogram", answer_histogram),
        Route("/api/job-sessions/stream", EventStream(), methods=["GET"]),
        Route("/api/job-sessions/values", _values),
        WebSocketRoute("/api/job-sessions/ws", serve_websocket),
        Route("/api/job-sessions/{session_id:uuid}", _one_session),
        Route("/api/job-sessions/{session_id:uuid}/surroundings", _surroundings),
        Route("/healthz", _healthz),
        Route("/readyz", _readyz),
        Route("/metrics", answer_metrics),
        *extension.routes,
    ]


def _store(request: Request) -> SessionStore:
    store: SessionStore = request.app.state.store
    return store


def _list_sessions(request: Request) -> Response:
    """Return the sessions that match a filter, newest first.

    The stream's protocol lists the parameters of the filter and the fields of the response. `limit`
    is the number of sessions. To get the next page, set `older_than` to the last id of this page.
    """
    page = read_query(SessionPage, request.query_params)
    wanted = page.without("limit", "older_than")
    return JsonAnswer(listing.read_sessions(_store(request), wanted, page.limit, page.older_than))


class _Part(Parameters):
    after: int = Field(0, ge=0, lt=10**9)


def _one_session(request: Request) -> Response:
    """Return a session with its actions.

    With `after`, the response has only the actions whose number is greater than `after`.
    """
    session_id: UUID = request.path_params["session_id"]
    after = read_query(_Part, request.query_params).after
    found = listing.read_session(
        _store(request), session_id, after=after, most=listing.MOST_ACTIONS
    )
    return _found_or_not(found, session_id)


def _surroundings(request: Request) -> Response:
    """Return what the page of a session shows in addition to the session's actions.

    `{"time": {"seconds", "sums": [{"waits_for", "seconds"}], "steps": [{"waits_for", "start",
    "seconds", "ord"}], "more": {"steps", "seconds"}}, "previous", "next", "references",
    "last_good": {"session", "differences"}}`

    `waits_for` is null for time in which the session did its own work. `ord` is the number of the
    action that ended a step, or null if the session's end ended the step.
    """
    session_id: UUID = request.path_params["session_id"]
    return _found_or_not(listing.read_surroundings(_store(request), session_id), session_id)


def _found_or_not(found: dict[str, Any] | None, session_id: UUID) -> Response:
    if found is not None:
        return JsonAnswer(found)
    return problem(
        404,
        f"There is no session {session_id}.",
        f"All sessions are at {STREAM_PAGE}; old ones are deleted.",
    )


def _values(request: Request) -> Response:
    """Return the possible values of the filters `job:`, `account:`, `status:`, and so on."""
    with _store(request).snapshot() as connection:
        values = list_filter_values(connection)
    return JSONResponse(
        {"status": list(SESSION_STATUSES), "outcome": list(SESSION_OUTCOMES), **values}
    )


async def _healthz(request: Request) -> Response:
    """Return 200 if the server and its database respond, else 503."""
    try:
        # A silent database counts as away long before TCP reports it.
        async with asyncio.timeout(HEALTH_SECONDS):
            await run_in_threadpool(_store(request).ping)
    except (SQLAlchemyError, TimeoutError) as error:
        return JSONResponse(
            {"status": "database away", "error": type(error).__name__}, status_code=503
        )
    return JSONResponse({"status": "ok"})


async def _readyz(request: Request) -> Response:
    """Return 200 once the server follows the change log, else 503."""
    follower: Follower = request.app.state.follower
    return JSONResponse(
        {"ready": follower.is_ready, "lag_seconds": round(follower.lag_seconds, 3)},
        status_code=200 if follower.is_ready else 503,
    )
