"""Keeps web pages of other sites away from the sandbox's own pages, which need no token."""

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class PageGuard:
    """ASGI middleware for paths below `/sandbox`: refuses foreign names of this host and foreign origins.

    IP addresses and names without a dot are served, since nobody on the internet can make them
    point here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] == "http" and scope["path"].startswith("/sandbox"):
            headers = Request(scope).headers
            host, origin = headers.get("host", ""), headers.get("origin")
            if not _is_local_name(host) or origin not in {None, f"http://{host}"}:
                refusal = f"Expected a request from a page of this server, got: {host}, {origin}.\n"
                await PlainTextResponse(refusal, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_local_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return "." not in name or bool(ipaddress.ip_address(name))
    except ValueError:
        return False
