"""Keeps web pages of other sites away from servers that have no login: Dagster's webserver, and the sandbox's own pages.

A browser sends requests to this machine for any page that a person opens: images and forms by
themselves, WebSockets to any address. Where the name of such a page's site is made to point here
(DNS rebinding), it sends everything. A page cannot forge the headers `Host` and `Origin`.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

_POLICY_VIOLATION = 1008


class BrowserGuard:
    """ASGI middleware that refuses what a page of another site asks for.

    Programs send no `Origin`, so they are served as long as they name a host that is served. IP
    addresses and names without a dot are always served: nobody on the internet can make them point
    here.

    Args:
        app: The app to guard.
        public_url: Another address at which browsers reach it, such as that of a proxy.
        prefix: Guard only paths that begin like this.
        post_only: The end of paths that take `POST` and nothing else, except that a browser may
            open them as a page.
    """

    def __init__(
        self, app: ASGIApp, *, public_url: str = "", prefix: str = "/", post_only: str = ""
    ) -> None:
        self._app = app
        self._public = urlsplit(public_url)
        self._prefix = prefix
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
        """Return why a request is refused, None where it is served."""
        if scope["type"] not in {"http", "websocket"} or not scope["path"].startswith(self._prefix):
            return None
        request = HTTPConnection(scope)
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if not self._is_served(host):
            return f"Expected a host that is served here, such as 127.0.0.1, got: {host}.\n"
        if origin is not None and not self._is_own(origin, host):
            return f"Expected a request from a page of this server, got one from: {origin}.\n"
        if (
            self._post_only
            and scope["path"].endswith(self._post_only)
            and not _is_post_or_page(request)
        ):
            return f"Expected POST, got: {scope.get('method')}.\n"
        return None

    def _is_served(self, host: str) -> bool:
        name = _split(f"//{host}").hostname
        return name is not None and (
            "." not in name or _is_address(name) or name == self._public.hostname
        )

    def _is_own(self, origin: str, host: str) -> bool:
        public = f"{self._public.scheme}://{self._public.netloc}"
        return origin in {f"http://{host}", f"https://{host}", public}


def _is_post_or_page(request: HTTPConnection) -> bool:
    is_post = request.scope["type"] == "websocket" or request.scope["method"] == "POST"
    return is_post or "text/html" in request.headers.get("accept", "")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _split(address: str) -> SplitResult:
    """Return the parts of an address, all of them empty where it can't be parsed."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")
