"""Refuses requests of other sites' pages to Dagster's webserver, which has no login."""

import sys
from functools import cache
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.browser_guard import BrowserGuard

_POLICY_VIOLATION = 1008


class GuardedApp:
    """ASGI middleware that refuses requests from pages of other sites.

    Args:
        app: the app to guard.
        public_url: another address at which browsers reach the app, such as a proxy's address.
        post_only: a suffix; paths with it accept only `POST`, WebSockets and requests for HTML.
    """

    def __init__(self, app: ASGIApp, *, public_url: str = "", post_only: str = "") -> None:
        self._app = app
        self._guard = BrowserGuard(public_url, only_loopback=False)
        self._post_only = post_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        refusal = self._find_refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(_POLICY_VIOLATION, refusal)(scope, receive, send)
        else:
            await PlainTextResponse(refusal, 403)(scope, receive, send)

    def _find_refusal(self, scope: Scope) -> str | None:
        if scope["type"] not in {"http", "websocket"}:
            return None
        request = HTTPConnection(scope)
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if not self._guard.serves(request.headers):
            return f"Expected a host name of this server, such as 127.0.0.1, got: {host}.\n"
        if not self._guard.comes_from_own_page(request.headers):
            return f"Expected a request from a page of this server, got one from: {origin}.\n"
        is_post_only = self._post_only and scope["path"].endswith(self._post_only)
        if is_post_only and not _is_post_or_page(request):
            return f"Expected POST, got: {scope.get('method')}.\n"
        return None


def _is_post_or_page(request: HTTPConnection) -> bool:
    is_post = request.scope["type"] == "websocket" or request.scope["method"] == "POST"
    return is_post or "text/html" in request.headers.get("accept", "")


def guard_webserver() -> None:
    """Refuse requests of other sites' pages to Dagster's webserver, if this process is one.

    The webserver executes mutations sent by GET, checks neither `Host` nor `Origin`, and has no
    setting for middleware. Our storage calls this, because every webserver loads it.
    """
    # Importing the webserver would cost every run a second.
    module = sys.modules.get("dagster_webserver.webserver")
    if module is not None:
        _guard(module.DagsterWebserver)


@cache
def _guard(webserver: type[Any]) -> None:
    """Put the guard before the middleware of a webserver class, once."""
    build = webserver.build_middleware

    def build_middleware(self: Any) -> list[Middleware]:
        guard = Middleware(
            GuardedApp, public_url=get_settings().dagster_public_url, post_only="/graphql"
        )
        return [guard, *build(self)]

    webserver.build_middleware = build_middleware
