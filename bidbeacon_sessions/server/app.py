"""The ASGI app of the stream: routes, and nothing that they lead to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from bidbeacon_sessions.errors import CursorError
from bidbeacon_sessions.server.answers import JsonAnswer, as_written
from bidbeacon_sessions.server.auth import Access, Gate, log_in
from bidbeacon_sessions.server.client import Client
from bidbeacon_sessions.server.completion import answer_values
from bidbeacon_sessions.server.connections import EventStreamResponse, accepts_gzip, stream_to_websocket
from bidbeacon_sessions.server.coverage import CoverageReader, answer_accounts, answer_coverage
from bidbeacon_sessions.server.explaining import Explainer, answer_explain
from bidbeacon_sessions.server.histogram import answer_histogram
from bidbeacon_sessions.server.hub import SYNC_SECONDS, Hub, TooManyClientsError
from bidbeacon_sessions.server.job_metrics import answer_job_metrics
from bidbeacon_sessions.server.listing import MOST_ACTIONS, describe_actions, load_session, load_sessions
from bidbeacon_sessions.server.metrics import metrics_text
from bidbeacon_sessions.server.parameters import (
    read_after,
    read_cursor,
    read_filter,
    read_limit,
    read_older_than,
)
from bidbeacon_sessions.server.problems import HANDLERS, BadRequestError, problem
from bidbeacon_sessions.server.surroundings import answer_surroundings
from bidbeacon_sessions.server.web_files import WebFiles
from bidbeacon_sessions.store import SessionStore

WEB = Path(__file__).resolve().parent.parent / "web"
HEALTH_SECONDS = 3.0
_FILES = WebFiles(WEB)


def create_app(
    store: SessionStore,
    access: Access | None = None,
    *,
    sync_seconds: float = SYNC_SECONDS,
    explainer: Explainer | None = None,
    coverage: CoverageReader | None = None,
) -> Starlette:
    """Make the app over one store; its lifespan starts and stops the loop that follows the change log.

    Args:
        store: whose sessions are shown; stays the caller's.
        access: who may read; by default only this machine, from the settings.
        sync_seconds: how often every stream says where the log stands.
        explainer: answers `GET /api/explain`; without it that address is not found.
        coverage: answers `GET /api/coverage` and `GET /api/accounts`; without it the page has no coverage to show.

    Returns:
        The app; `app.state.hub` holds its open streams.
    """
    rules = access or Access.for_host("127.0.0.1")
    app = Starlette(
        routes=_ROUTES,
        exception_handlers=HANDLERS,
        middleware=[Middleware(Gate, access=rules)],
        lifespan=_lifespan,
    )
    app.state.store = store
    app.state.access = rules
    app.state.explainer = explainer
    app.state.coverage = coverage
    app.state.hub = Hub(store, sync_seconds=sync_seconds)
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    hub: Hub = app.state.hub
    hub.start()
    yield
    await hub.stop()


def _store(connection: HTTPConnection) -> SessionStore:
    store: SessionStore = connection.app.state.store
    return store


def _hub(connection: HTTPConnection) -> Hub:
    hub: Hub = connection.app.state.hub
    return hub


def _page(name: str) -> Callable[[Request], Awaitable[Response]]:
    """Give the endpoint of one of our own pages."""

    async def answer(request: Request) -> Response:
        return _FILES.answer(name, request.headers)

    return answer


async def _file(request: Request) -> Response:
    return _FILES.answer(request.path_params["name"], request.headers)


async def _log_in(request: Request) -> Response:
    return await log_in(request, request.app.state.access)


def _list_sessions(request: Request) -> Response:
    query = request.query_params
    wanted = read_filter(query, also=frozenset({"limit", "older_than"}))
    page = replace(wanted, older_than=read_older_than(query))
    return JsonAnswer(load_sessions(_store(request), page, read_limit(query)))


def _one_session(request: Request) -> Response:
    session_id: UUID = request.path_params["session_id"]
    after = read_after(request.query_params)
    found = load_session(_store(request), session_id, as_written, after=after, most=MOST_ACTIONS)
    if found is None:
        return problem(
            404, f"There is no session {session_id}.", "Look for it at /; old sessions are removed."
        )
    return JsonAnswer(found)


def _actions(_: Request) -> Response:
    return JSONResponse(describe_actions())


async def _sse(request: Request) -> Response:
    try:
        client = _join(request, "sse")
    except TooManyClientsError:
        return _too_many()
    compressed = accepts_gzip(",".join(request.headers.getlist("accept-encoding")))
    return EventStreamResponse(_hub(request), client, compressed=compressed)


async def _websocket(websocket: WebSocket) -> None:
    try:
        client = _join(websocket, "websocket")
    except TooManyClientsError:
        await websocket.send_denial_response(_too_many())
        return
    except BadRequestError as error:
        await websocket.send_denial_response(problem(400, error.error, error.what_to_do))
        return
    await stream_to_websocket(_hub(websocket), client, websocket)


def _join(connection: HTTPConnection, transport: str) -> Client:
    wanted = read_filter(connection.query_params, also=frozenset({"cursor"}))
    try:
        cursor = read_cursor(connection.query_params, connection.headers.get("last-event-id"))
    except CursorError:
        return _hub(connection).refuse(wanted, "epoch", transport)
    return _hub(connection).join(wanted, cursor, transport)


def _too_many() -> Response:
    return problem(503, "Too many streams are open.", "Close some pages, or try again in a moment.")


async def _healthz(request: Request) -> Response:
    try:
        async with asyncio.timeout(HEALTH_SECONDS):  # a silent database is away, long before TCP says so
            await run_in_threadpool(_ask_database, _store(request))
    except (SQLAlchemyError, TimeoutError) as error:
        return JSONResponse({"status": "database away", "error": type(error).__name__}, status_code=503)
    return JSONResponse({"status": "ok"})


def _ask_database(store: SessionStore) -> None:
    with store.begin() as connection:
        connection.execute(text("SELECT 1"))


async def _readyz(request: Request) -> Response:
    hub = _hub(request)
    return JSONResponse(
        {"ready": hub.is_ready, "lag_seconds": round(hub.lag_seconds, 3)},
        status_code=200 if hub.is_ready else 503,
    )


async def _metrics(request: Request) -> Response:
    return PlainTextResponse(metrics_text(_hub(request)), media_type="text/plain; version=0.0.4")


_ROUTES = [
    Route("/", _page("index.html")),
    Route("/sessions/{session_id:uuid}", _page("session.html")),
    Route("/coverage", _page("coverage.html")),
    Route("/login", _page("login.html"), methods=["GET"]),
    Route("/login", _log_in, methods=["POST"]),
    Route("/web/{name}", _file),
    Route("/api/job-sessions", _list_sessions),
    Route("/api/job-sessions/histogram", answer_histogram),
    Route("/api/job-sessions/stream", _sse),
    Route("/api/job-sessions/values", answer_values),
    WebSocketRoute("/api/job-sessions/ws", _websocket),
    Route("/api/job-sessions/{session_id:uuid}", _one_session),
    Route("/api/job-sessions/{session_id:uuid}/surroundings", answer_surroundings),
    Route("/api/accounts", answer_accounts),
    Route("/api/actions", _actions),
    Route("/api/job-metrics", answer_job_metrics),
    Route("/api/coverage", answer_coverage),
    Route("/api/explain", answer_explain),
    Route("/healthz", _healthz),
    Route("/readyz", _readyz),
    Route("/metrics", _metrics),
]
