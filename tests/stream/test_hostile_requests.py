"""Requests that no browser sends, over a raw socket: each is answered below 500, and none is an error in the log."""

import base64
import re
import socket
from collections.abc import Iterable, Iterator
from uuid import UUID

import pytest
from starlette.routing import Route, WebSocketRoute

from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.filters import SessionFilter, SessionPage
from bidbeacon_sessions.server import StreamServer, auth, create_app
from bidbeacon_sessions.settings import get_session_settings
from bidbeacon_sessions.writes import NewSession, insert_session
from tests.stream.reading import wait_until
from tests.stream.serving import Serve

TOKEN = b"a-long-random-token"
SESSION = UUID(int=7)
SESSION_ID = str(SESSION).encode()
Header = tuple[bytes, bytes]

_nowhere = SessionStore.connect("postgresql://nowhere")
_app = create_app(_nowhere, extension=pipelines_extension(_nowhere, Settings()))
PATHS = sorted(
    re.sub(r"\{session_id:uuid\}", str(SESSION), route.path).encode()
    for route in _app.routes
    if isinstance(route, Route | WebSocketRoute)
)
PATHS.append(b"/web/app.css")
ODD_PATHS = rb"/nope * //evil/ /% /%zz /%00 /%ff%fe /%ed%a0%80 /\ /#x /web/ /web/%00 /web/..%2fapp.css http://[/ /sessions/x".split()
ODD_PATHS += [b"/\xff", b"/api/job-sessions/" + b"0" * 5_000, b"/" + b"a" * 7_000]
METHODS = [*b"GET HEAD OPTIONS POST PUT DELETE TRACE CONNECT get FOO".split(), b"\xff", b""]
UPGRADE: list[Header] = [
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Key", base64.b64encode(b"sixteen bytes ok")),
    (b"Sec-WebSocket-Version", b"13"),
]
HOSTS = rb"[ ] [] [::1 [v1.x] [::1%25eth0] ::1 user@[ localhost:x localhost:1:1 localhost/".split()
ORIGINS = (
    rb"http://[ http://[::1 http://] //[ http://user@[ http://[v1.x] :// javascript: null".split()
)
ORIGINS += [b"http://\xe2\x84\x80", b"http://" + b"a" * 5_000, b"\xff", b""]
HEADERS: list[Header] = [
    *((b"Origin", origin) for origin in ORIGINS),
    (b"Cookie", b"bidbeacon_stream=\xff"),
    (b"Cookie", b'bidbeacon_stream="\\777\\xff"'),
    (b"Authorization", b"Bearer \xff"),
    (b"Authorization", b"Bearer"),
    (b"If-None-Match", b"\xff"),
    (b"Last-Event-ID", b"\xff"),
    (b"Last-Event-ID", b"0" * 5_000),
    (b"X-Forwarded-Host", b"["),
    (b"Upgrade", b"h2c"),
    (b"Expect", b"\xff"),
]
BODIES: list[tuple[list[Header], bytes]] = [
    ([(b"Content-Type", b"application/json"), (b"Content-Length", b"4")], b"{\xff\x00}"),
    ([(b"Content-Type", b"\xff"), (b"Content-Length", b"9")], b"token=%ff"),
    ([(b"Content-Length", b"-3")], b"abcd"),
    ([(b"Transfer-Encoding", b"chunked")], b"zz\r\n"),
]
BROKEN_OFF: list[tuple[list[Header], bytes]] = [
    ([(b"Content-Length", b"1000")], b"token="),
    ([(b"Transfer-Encoding", b"chunked")], b"9\r\ntoken"),
]
FILTERS = [name.encode() for name in SessionFilter.model_fields]
PARAMETERS = {
    b"/api/job-sessions": [name.encode() for name in SessionPage.model_fields],
    b"/api/job-sessions/stream": (*FILTERS, b"cursor"),
    b"/api/job-sessions/histogram": (b"since", b"before"),
    b"/api/coverage": (b"dataset", b"days", b"to"),
    b"/api/explain": (b"account", b"dataset", b"window"),
    b"/api/job-sessions/" + SESSION_ID: (b"after",),
    b"/login": (b"next", b"wrong"),
}
VALUES = rb"% %zz %00 %ff %ed%a0%80 %0d%0aX:%20y %E2%80%AE -1 0 1e400 NaN %C2%B2 %D9%A1 %2B1 0001-01-01 9999-12-31 20260101 [] {} null ' %22 %5C a:*".split()
VALUES += rb"0001-01-01T00:00:00%2B14:00 1970-01-01T00:00:00%2B23:59 2999-12-31T23:59:59-23:59 daily_targets 1d succeeded".split()
VALUES += [b"", b"\xff", b"9" * 30, b"9" * 7_000, b"%F0%9F%98%80" * 60, b"a" * 201, SESSION_ID]
QUERIES = [
    *(
        b"%",
        b"=",
        b"&&=&;",
        b"\xff=\xff",
        b"a" * 30_000,
        b"&".join(b"a%d=1" % n for n in range(999)),
    ),
    b"since=2026-01-01T00:00:00Z&before=2025-01-01T00:00:00Z",
    b"since=1970-01-01T00:00:00Z&before=2999-01-01T00:00:00Z&interval=1m",
    b"limit=1&limit=2&limit[]=3&days=1&days=2&after=1&after=x&job=a&job=b",
]


def request(
    path: bytes,
    *headers: Header,
    method: bytes = b"GET",
    host: bytes = b"localhost",
    body: bytes = b"",
) -> bytes:
    """Write a request as it goes over the wire."""
    lines = [b"%s %s HTTP/1.1" % (method, path), b"Host: " + host]
    return b"\r\n".join([*lines, *(b"%s: %s" % header for header in headers), b"", body])


def to_every_route(*shown: Header) -> Iterator[bytes]:
    """Write all that any route may be asked, with the headers that show the token, if any."""
    for path in [*PATHS, *ODD_PATHS]:
        yield from (request(path, *shown, method=method) for method in METHODS)
        yield request(path, *shown, *UPGRADE)
    for path in PATHS:
        for headers, body in BODIES:
            yield request(path, *shown, *headers, method=b"POST", body=body)


def with_odd_headers(*shown: Header) -> Iterator[bytes]:
    """Write requests whose headers nobody means, to one address of each kind."""
    for path in (b"/", b"/login", b"/web/app.css", b"/api/job-sessions", b"/api/job-sessions/ws"):
        yield from (request(path, *shown, host=host) for host in HOSTS)
        for header in HEADERS:
            yield from (request(path, *shown, header, method=m) for m in (b"GET", b"POST"))
            yield request(path, *shown, *UPGRADE, header)


def to_every_parameter() -> Iterator[bytes]:
    """Write a request for each value of each parameter, and unknown ones everywhere."""
    for path in PATHS:
        yield from (request(b"%s?%s" % (path, query)) for query in QUERIES)
    for path, names in PARAMETERS.items():
        for query in (b"%s=%s" % (name, value) for name in names for value in VALUES):
            yield request(b"%s?%s" % (path, query))
            if path.endswith(b"/stream"):
                yield request(b"/api/job-sessions/ws?%s" % query, *UPGRADE)


def ask(server: StreamServer, sent: bytes, *, answered: bool = True) -> int:
    """Send a request and leave; return the status of the answer, 0 where none was waited for."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(sent)
        return int(connection.recv(12, socket.MSG_WAITALL)[9:12]) if answered else 0


def refused_wrongly(server: StreamServer, requests: Iterable[bytes]) -> list[tuple[bytes, int]]:
    """Return the beginnings of those requests that are not answered with a status below 500."""
    answers = ((sent[:200], ask(server, sent)) for sent in requests)
    return [(sent, status) for sent, status in answers if not 100 <= status < 500]


@pytest.fixture(params=["no token is set", "a token is set and not shown", "the token is shown"])
def token(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Header]:
    """The headers of a request to a stream without a token, or with one."""
    if request.param != "no token is set":
        monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", TOKEN.decode())
    get_session_settings.cache_clear()
    is_shown = request.param == "the token is shown"
    return [(b"Authorization", b"Bearer " + TOKEN)] if is_shown else []


@pytest.fixture
def server(
    session_store: SessionStore, serve_stream: Serve, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StreamServer]:
    """A stream with everything that `bidbeacon stream` gives it; no reader may be left at the end."""
    monkeypatch.setattr(auth, "_WRONG_TOKEN_PAUSE", 0)
    with session_store.begin() as connection:
        insert_session(connection, NewSession(id=SESSION, job_name="job", started_at=utc_now()))
    extension = pipelines_extension(session_store, Settings())
    with serve_stream(session_store, extension=extension) as running:
        yield running
        wait_until(lambda: not running.app.state.follower.readers.total())


def test_what_no_route_expects_is_refused(token: list[Header], server: StreamServer) -> None:
    """Methods, paths, bodies, upgrades and headers: before the login, after it, and without one."""
    assert [] == refused_wrongly(server, to_every_route(*token))
    assert [] == refused_wrongly(server, with_odd_headers(*token))


def test_what_no_parameter_means_is_refused(server: StreamServer) -> None:
    """Broken encodings, NUL, numbers and days out of range, texts too long, repeated and unknown names."""
    assert [] == refused_wrongly(server, to_every_parameter())


def test_a_client_that_leaves_in_the_middle_is_no_error(
    token: list[Header], server: StreamServer
) -> None:
    """The rest of a body never comes; or it is gone before the answer."""
    for path in PATHS:
        for headers, body in BROKEN_OFF:
            ask(server, request(path, *token, *headers, method=b"POST", body=body), answered=False)
        ask(server, request(path, *token), answered=False)
    assert 200 == ask(server, request(b"/healthz"))
