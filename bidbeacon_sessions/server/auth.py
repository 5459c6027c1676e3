"""Access control: clients on this machine may read; changes require a token.

Without `BIDBEACON_STREAM_TOKEN`, the server listens on loopback only, and answers only requests to
a loopback host or the public address. If this token is set, every request needs a token. Changes
always need one: `BIDBEACON_STREAM_TOKEN` or `BIDBEACON_STREAM_CHANGES_TOKEN`. Clients send a token
as a header or as the cookie that `/login` sets. Browsers may send changes and open WebSockets only
from our own pages.
"""

import asyncio
import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bidbeacon_sessions.browser_guard import BrowserGuard, split_address
from bidbeacon_sessions.errors import SettingsError
from bidbeacon_sessions.server.answers import RefusedError, problem, wants_page
from bidbeacon_sessions.server.pages import LOGIN_PAGE
from bidbeacon_sessions.settings import get_session_settings, is_loopback

_COOKIE = "bidbeacon_stream"
_COOKIE_SECONDS = 30 * 24 * 3600
_MAX_FORM_BYTES = 4_096
_FORM_SECONDS = 5.0
_WRONG_TOKEN_PAUSE = 0.5
_OPEN_PATHS = frozenset({"/login", "/healthz", "/readyz"})
_OPEN_PREFIX = "/web/"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Access:
    """The access rules of one server.

    Args:
        token: the token that every request needs; None is allowed on loopback only.
        public_url: the address at which browsers reach the page.
        changes_token: changes need this token or `token`; if both are None, changes are refused.
    """

    token: str | None = None
    public_url: str = ""
    changes_token: str | None = None

    @classmethod
    def for_host(cls, host: str) -> "Access":
        """Return the access rules from the settings, for a server that listens on `host`.

        Raises:
            SettingsError: other machines can reach `host`, and no token is set.
        """
        settings = get_session_settings()
        tokens = (settings.stream_token, settings.stream_changes_token)
        token, changes_token = (each.get_secret_value() if each else None for each in tokens)
        if not token and not is_loopback(host):
            raise SettingsError(
                f"The stream may listen on {host} only with a token, since other machines can "
                "reach it there: set BIDBEACON_STREAM_TOKEN to a long random text, or "
                "BIDBEACON_STREAM_HOST=127.0.0.1."
            )
        return cls(token, settings.stream_public_url, changes_token)

    def refuse(self, connection: HTTPConnection) -> Response | None:
        """Return the response that refuses a request, or None if the request may be served."""
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
        if scope["path"] in _OPEN_PATHS or scope["path"].startswith(_OPEN_PREFIX):
            return None
        if scope["type"] == "http" and not is_read:
            refusal = self.refusal_of_changes(connection)
            return problem(401 if self._tokens else 403, *refusal) if refusal else None
        if self.token is None or self._shows_token(connection):
            return None
        return _require_token(connection)

    def refusal_of_changes(self, connection: HTTPConnection) -> tuple[str, str] | None:
        """Return why a client may not change anything and what to do, or None if it may."""
        if not self._tokens:
            what_to_do = (
                "Set BIDBEACON_STREAM_TOKEN or BIDBEACON_STREAM_CHANGES_TOKEN, "
                "start the stream again and log in."
            )
            return "Changes need an access token, and none is set.", what_to_do
        if self._shows_token(connection):
            return None
        return "Changes need a login.", connection.app.state.login_hint

    def knows_token(self, given: str) -> bool:
        """Return whether the text is a valid token; compare in constant time."""
        return any(hmac.compare_digest(given.encode(), token.encode()) for token in self._tokens)

    @property
    def _tokens(self) -> list[str]:
        return [token for token in (self.token, self.changes_token) if token]

    def _shows_token(self, connection: HTTPConnection) -> bool:
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.knows_token(given.strip()):
            return True
        shown = connection.cookies.get(_cookie_name(connection), "").encode()
        return any(hmac.compare_digest(shown, _proof_of(each).encode()) for each in self._tokens)


class Gate:
    """ASGI middleware that enforces `Access`, and adds security headers to every answer."""

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
    """Serve the login form; if a token is given, set the cookie and redirect to the page.

    The token is in the form or in the URL. The redirect keeps the token out of `Referer` headers.
    After a wrong token, the form is shown again.
    """
    if request.method == "POST":
        given = await _read_form(request)
    elif "token" in request.query_params:
        given = request.query_params["token"]
    else:
        page = request.app.state.pages[LOGIN_PAGE]
        return HTMLResponse(page, 403 if "wrong" in request.query_params else 200)
    access: Access = request.app.state.access
    given, target = given.strip(), _next_path(request)
    if not access.knows_token(given):
        await asyncio.sleep(_WRONG_TOKEN_PAUSE)  # makes guessing slow
        return RedirectResponse(f"/login?wrong=1&next={quote(target)}", status_code=303)
    response = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
    schemes = {request.scope["scheme"], split_address(access.public_url).scheme}
    response.set_cookie(
        _cookie_name(request),
        _proof_of(given),
        max_age=_COOKIE_SECONDS,
        httponly=True,
        samesite="lax",  # links of Dagster, which may have another host name, lead to the page
        secure="https" in schemes,
    )
    return response


def _proof_of(token: str) -> str:
    """Return the cookie's value, which is derived from the token but doesn't contain it."""
    return hmac.new(token.encode(), b"bidbeacon stream cookie", hashlib.sha256).hexdigest()


def _cookie_name(connection: HTTPConnection) -> str:
    """Return the cookie's name, with the port, since all ports of a host share cookies."""
    port = connection.headers.get("host", "").rpartition(":")[2]
    return f"{_COOKIE}_{port}" if port.isdecimal() else _COOKIE


async def _read_form(request: Request) -> str:
    body = b""
    try:
        async with asyncio.timeout(_FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_FORM_BYTES:
                    raise RefusedError(413, "This form is too large.", "Enter the token only.")
    except TimeoutError:
        raise RefusedError(
            408, "This form did not arrive in time.", "Send the form again."
        ) from None
    return parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]


def _require_token(connection: HTTPConnection) -> Response:
    path, query = connection.scope["path"], connection.scope["query_string"].decode("latin-1")
    if wants_page(connection):
        target = f"{path}?{query}" if query else path
        return RedirectResponse(f"/login?next={quote(target)}", status_code=303)
    return problem(
        401,
        "A token is needed.",
        f"Send `Authorization: Bearer <token>`, or log in. {connection.app.state.login_hint}",
    )


def _next_path(request: Request) -> str:
    """Return the path to redirect to after the login; `/` if it would lead to another site."""
    target = request.query_params.get("next", "/")
    return target if re.match(r"/(?![/\\])", target) else "/"
