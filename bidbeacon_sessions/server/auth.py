"""Access control: serves this machine's own browsers and programs, or clients that have the token.

Without a token the server listens on loopback only and answers requests that name a loopback host
only. With a token every request needs it, as a header or by the cookie of the login form. Requests
that change something and WebSockets must come from our own pages.
"""

import asyncio
import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bidbeacon_sessions.browser_guard import BrowserGuard, split_address
from bidbeacon_sessions.errors import SettingsError
from bidbeacon_sessions.server.answers import problem, wants_page
from bidbeacon_sessions.settings import get_session_settings, is_loopback

COOKIE = "bidbeacon_stream"
_COOKIE_SECONDS = 30 * 24 * 3600
_MAX_FORM_BYTES = 4_096
_FORM_SECONDS = 5.0
_WRONG_TOKEN_PAUSE = 0.5
_OPEN_PATHS = frozenset({"/login", "/healthz", "/readyz"})
_OPEN_PREFIX = "/web/"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Access:
    """The rules of one server.

    Args:
        token: what a reader must show; None on loopback only.
        public_url: the address at which browsers reach the page.
    """

    token: str | None = None
    public_url: str = ""

    @classmethod
    def for_host(cls, host: str) -> "Access":
        """Return the rules for an address to listen on, from the settings.

        Raises:
            SettingsError: other machines reach that address, and no token is set.
        """
        settings = get_session_settings()
        token = settings.stream_token.get_secret_value() if settings.stream_token else None
        if not token and not is_loopback(host):
            raise SettingsError(
                f"The stream may listen on {host} only with a token, since other machines can reach it there: "
                "set BIDBEACON_STREAM_TOKEN to a long random text, or BIDBEACON_STREAM_HOST=127.0.0.1."
            )
        return cls(token or None, settings.stream_public_url)

    def refuse(self, connection: HTTPConnection) -> Response | None:
        """Return the answer to a request that may not be served, else None."""
        guard, scope = BrowserGuard(self.public_url), connection.scope
        if self.token is None and not guard.serves(connection.headers):
            return problem(
                403,
                "This host name is not served.",
                "Use http://127.0.0.1, or set BIDBEACON_STREAM_PUBLIC_URL.",
            )
        is_read = scope["type"] == "http" and scope["method"] in _READING
        if not is_read and not guard.comes_from_own_page(connection.headers):
            return problem(
                403,
                "This request comes from another site.",
                "Open the Event Stream page at its own address.",
            )
        is_open = scope["path"] in _OPEN_PATHS or scope["path"].startswith(_OPEN_PREFIX)
        if self.token is None or is_open or self._shows_token(connection):
            return None
        return _ask_for_token(connection)

    def knows_token(self, given: str) -> bool:
        """Return whether the text is the token; takes the same time whatever it is."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    @property
    def cookie(self) -> str:
        """The value of the login form's cookie: proof of the token, not the token."""
        key = (self.token or "").encode()
        return hmac.new(key, b"bidbeacon stream cookie", hashlib.sha256).hexdigest()

    def _shows_token(self, connection: HTTPConnection) -> bool:
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.knows_token(given.strip()):
            return True
        shown = connection.cookies.get(COOKIE, "")
        return hmac.compare_digest(shown.encode(), self.cookie.encode())


class Gate:
    """ASGI middleware that applies the rules, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._access.refuse(HTTPConnection(scope))
        await (refusal or self._app)(scope, receive, send_with_headers)


async def log_in(request: Request) -> Response:
    """Take the login form: set the cookie and go to the page that was asked for, or ask again."""
    access: Access = request.app.state.access
    body = b""
    try:
        async with asyncio.timeout(_FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_FORM_BYTES:
                    return problem(413, "This form is too large.", "Enter the token only.")
    except TimeoutError:
        return problem(408, "This form did not arrive in time.", "Send it again.")
    given = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
    asked_for = _next_path(request)
    if not access.knows_token(given.strip()):
        await asyncio.sleep(_WRONG_TOKEN_PAUSE)  # makes guessing slow
        return RedirectResponse(f"/login?wrong=1&next={quote(asked_for)}", status_code=303)
    response = RedirectResponse(asked_for, status_code=303)
    schemes = {request.scope["scheme"], split_address(access.public_url).scheme}
    response.set_cookie(
        COOKIE,
        access.cookie,
        max_age=_COOKIE_SECONDS,
        httponly=True,
        samesite="strict",
        secure="https" in schemes,
    )
    return response


def _ask_for_token(connection: HTTPConnection) -> Response:
    path, query = connection.scope["path"], connection.scope["query_string"].decode("latin-1")
    if wants_page(connection):
        asked = f"{path}?{query}" if query else path
        return RedirectResponse(f"/login?next={quote(asked)}", status_code=303)
    return problem(
        401,
        "A token is needed.",
        "Send `Authorization: Bearer <token>` or log in at /login; see BIDBEACON_STREAM_TOKEN.",
    )


def _next_path(request: Request) -> str:
    """Return where to go after the login: an address of this site, never another site."""
    asked = request.query_params.get("next", "/")
    return asked if re.match(r"/(?![/\\])", asked) else "/"
