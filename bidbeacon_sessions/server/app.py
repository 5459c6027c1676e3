"""The ASGI app: it runs under any ASGI server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from bidbeacon_sessions.following import Follower
from bidbeacon_sessions.server.auth import Access, Gate
from bidbeacon_sessions.server.pages import Extension, WebFiles
from bidbeacon_sessions.server.problems import HANDLERS
from bidbeacon_sessions.server.routes import make_routes
from bidbeacon_sessions.store import SessionStore


def create_app(
    store: SessionStore,
    access: Access | None = None,
    *,
    extension: Extension | None = None,
) -> Starlette:
    """Return the app over one store; its lifespan follows the change log.

    Args:
        store: whose sessions are shown; stays the caller's.
        access: who may read; by default only this machine.
        extension: what a product adds.
    """
    rules = access or Access.for_host("127.0.0.1")
    added = extension or Extension()
    app = Starlette(
        routes=make_routes(added),
        exception_handlers=HANDLERS,
        middleware=[Middleware(Gate, access=rules)],
        lifespan=_lifespan,
    )
    app.state.store = store
    app.state.access = rules
    app.state.files = WebFiles(added)
    app.state.follower = Follower(store)
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    # The first thread makes Starlette import a module, which fails while descriptors are short.
    await run_in_threadpool(lambda: None)
    async with app.state.follower:
        yield
