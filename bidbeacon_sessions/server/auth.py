"""Who may read the stream: this machine's own browsers, or whoever has the token.

Without a token only loopback addresses are listened on, and only requests that name a loopback host
are answered, so that a web site whose name is made to point here (DNS rebinding) reads nothing.
With a token every request needs it, by header or by the cookie of the login form. State-changing
requests and WebSockets must come from the page itself (`Origin`), and changes need the token: a
proxy on this machine need not leave a trace in what it passes on.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from bidbeacon_sessions.errors import UnsafeAddressError
from bidbeacon_sessions.server.problems import problem, refuse_websocket, wants_page
from bidbeacon_sessions.settings import get_session_settings, is_loopback

COOKIE = "bidbeacon_stream"
_COOKIE_SECONDS = 30 * 24 * 3600
_MAX_FORM_BYTES = 4_096
_FORM_SECONDS = 5.0
_WRONG_TOKEN_PAUSE = 0.5
_OPEN_PATHS = frozenset({"/login", "/healthz", "/readyz"})
_OPEN_PREFIX = "/web/"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_PROXY_HEADERS = frozenset({"forwarded", "via", "x-real-ip"})
_FORWARDED = "x-forwarded-"

_SECURITY_HEADERS = {
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
        public_url: the address that browsers reach the page at.
        changes_without_token: whether programs and browsers on this machine may change something
            where there is no token.
    """

    token: str | None = None
    public_url: str = ""
    changes_without_token: bool = False

    @classmethod
    def for_host(cls, host: str) -> "Access":
        """Return the rules for an address to listen on, from the settings.

        Raises:
            UnsafeAddressError: other machines reach that address, and no token is set.
        """
        settings = get_session_settings()
        token = settings.stream_token.get_secret_value() if settings.stream_token else None
        if not token and not is_loopback(host):
            raise UnsafeAddressError(host)
        return cls(token or None, settings.stream_public_url, settings.stream_changes_without_token)

    def refuse(self, connection: HTTPConnection) -> Response | None:
        """Return the answer to a request that may not be served, else None."""
        if self.token is None and not self._knows_host(connection):
            return problem(
                403,
                "This host name is not served.",
                "Use http://127.0.0.1, or set BIDBEACON_STREAM_PUBLIC_URL.",
            )
        may_change = (
            connection.scope["type"] == "websocket" or connection.scope["method"] not in _READING
        )
        if may_change and not self._is_own_origin(connection):
            return problem(
                403,
                "This request comes from another site.",
                "Open the Event Stream page at its own address.",
            )
        path = connection.scope["path"]
        is_open = path in _OPEN_PATHS or path.startswith(_OPEN_PREFIX)
        if self.token is None or is_open or self._shows_token(connection):
            return None
        return _ask_for_token(connection)

    def may_change(self, connection: HTTPConnection) -> bool:
        """Return whether a request that is served may also change something.

        With a token every request that is served has shown it.
        """
        return self.token is not None or (self.changes_without_token and _is_direct(connection))

    def knows_token(self, given: str) -> bool:
        """Return whether the text is the token; takes the same time whatever it is."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    @property
    def cookie(self) -> str:
        """What the login form's cookie holds: proof of the token, not the token."""
        return hmac.new(
            (self.token or "").encode(), b"bidbeacon stream cookie", hashlib.sha256
        ).hexdigest()

    def _knows_host(self, connection: HTTPConnection) -> bool:
        host = _host_of(connection)
        return is_loopback(host) or host == _split(self.public_url).hostname

    def _is_own_origin(self, connection: HTTPConnection) -> bool:
        origin = connection.headers.get("origin")
        if origin is None:  # not a browser
            return True
        host = connection.headers.get("host")
        public = _split(self.public_url)
        return origin in {f"http://{host}", f"https://{host}", f"{public.scheme}://{public.netloc}"}

    def _shows_token(self, connection: HTTPConnection) -> bool:
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.knows_token(given.strip()):
            return True
        return hmac.compare_digest(
            connection.cookies.get(COOKIE, "").encode(), self.cookie.encode()
        )


class Gate:
    """ASGI middleware: applies the rules, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = self._access.refuse(HTTPConnection(scope))
        guarded = _with_security_headers(send)
        if refusal is not None and scope["type"] == "websocket":
            await refuse_websocket(WebSocket(scope, receive, guarded), refusal)
        else:
            await (refusal or self._app)(scope, receive, guarded)


async def log_in(request: Request) -> Response:
    """Take the login form: set the cookie and go on to the page that was asked for, or ask again."""
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
    if not access.knows_token(given.strip()):
        await asyncio.sleep(_WRONG_TOKEN_PAUSE)  # makes guessing slow
        return RedirectResponse(
            f"/login?wrong=1&next={quote(_next_path(request))}", status_code=303
        )
    response = RedirectResponse(_next_path(request), status_code=303)
    response.set_cookie(
        COOKIE,
        access.cookie,
        max_age=_COOKIE_SECONDS,
        httponly=True,
        samesite="strict",
        secure="https" in {request.scope["scheme"], _split(access.public_url).scheme},
    )
    return response


def _host_of(connection: HTTPConnection) -> str:
    """Return the host that a request names, without its port; empty where it names none."""
    return _split(f"//{connection.headers.get('host', '')}").hostname or ""


def _is_direct(connection: HTTPConnection) -> bool:
    """Return whether a request comes from this machine without a sign of a proxy: a header of theirs, or HTTP/1.0."""
    return (
        connection.client is not None
        and is_loopback(connection.client.host)
        and is_loopback(_host_of(connection))
        and connection.scope["http_version"] >= "1.1"
        and not any(
            name in _PROXY_HEADERS or name.startswith(_FORWARDED) for name in connection.headers
        )
    )


def _split(address: str) -> SplitResult:
    """Return the parts of an address, all of them empty where it can't be parsed: `http://[` raises in the standard library."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _ask_for_token(connection: HTTPConnection) -> Response:
    path, query = connection.scope["path"], connection.scope["query_string"].decode("latin-1")
    if _is_page(connection, path) or wants_page(connection):
        asked = f"{path}?{query}" if query else path
        return RedirectResponse(f"/login?next={quote(asked)}", status_code=303)
    return problem(
        401,
        "A token is needed.",
        "Send `Authorization: Bearer <token>` or log in at /login; see BIDBEACON_STREAM_TOKEN.",
    )


def _next_path(request: Request) -> str:
    """Return where to go after the login: a path of this site, never another site."""
    asked = request.query_params.get("next", "/")
    return asked if _is_page(request, asked.partition("?")[0]) else "/"


def _is_page(connection: HTTPConnection, path: str) -> bool:
    """Return whether a path is that of a page, perhaps with the name of what it shows: `/sessions/{session_id}`."""
    pages: Collection[str] = connection.app.state.pages
    named = (page.partition("{")[0] for page in pages if "{" in page)
    return path in pages or any(path.startswith(beginning) for beginning in named)


def _with_security_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            headers = MutableHeaders(scope=message)
            for name, value in _SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-cache")
        await send(message)

    return wrapped
