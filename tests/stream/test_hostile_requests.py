"""Requests that no browser sends, over a raw socket: each is answered below 500, and none is an error in the log."""

import base64
import re
import socket
from collections.abc import Iterator, Sequence
from urllib.parse import quote_from_bytes
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route, WebSocketRoute

from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.filters import SessionPage
from bidbeacon_sessions.server import StreamServer, auth, create_app
from bidbeacon_sessions.settings import get_session_settings
from bidbeacon_sessions.writes import NewSession, insert_session
from tests.stream.reading import serve_stream
from tests.support.waiting import wait_until

TOKEN = b"a-long-random-token"
SESSION = UUID(int=7)
Header = tuple[bytes, bytes]

_nowhere = SessionStore.connect("postgresql://nowhere")
_app = create_app(_nowhere, extension=pipelines_extension(_nowhere, Settings()))
PATHS = sorted(
    re.sub(r"\{session_id:uuid\}", str(SESSION), route.path).encode()
    for route in _app.routes
    if isinstance(route, Route | WebSocketRoute)
)
PATHS.append(b"/web/app.css")
UPGRADE: list[Header] = [
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Key", base64.b64encode(b"sixteen bytes ok")),
    (b"Sec-WebSocket-Version", b"13"),
]
BODIES: list[tuple[list[Header], bytes]] = [
    ([(b"Content-Type", b"application/json"), (b"Content-Length", b"4")], b"{\xff\x00}"),
    ([(b"Content-Type", b"\xff"), (b"Content-Length", b"9")], b"token=%ff"),
    ([(b"Content-Length", b"-3")], b"abcd"),
    ([(b"Transfer-Encoding", b"chunked")], b"zz\r\n"),
]

# What each place of a request may hold, beside any bytes at all.
METHODS = [*b"GET HEAD OPTIONS POST PUT DELETE TRACE CONNECT get FOO".split(), b"\xff", b""]
ODD_PATHS = rb"* //evil/ /% /%zz /%00 /%ff%fe /%ed%a0%80 /\ /#x /web/ /web/%00 /web/..%2fapp.css http://[/ /sessions/x".split()
NAMES = b"Origin Cookie Authorization If-None-Match Last-Event-ID X-Forwarded-Host Upgrade Expect".split()
HOSTS = rb"[ ] [] [::1 [v1.x] [::1%25eth0] ::1 user@[ localhost:x localhost:1:1 localhost/".split()
TEXTS = [*(b"http://" + host for host in HOSTS), *b":// javascript: null Bearer h2c".split()]
TEXTS += [b"\xff", b'bidbeacon_stream="\\777\\xff"', b"http://\xe2\x84\x80", b"0" * 5_000]
PARAMETERS = [name.encode() for name in SessionPage.model_fields]
PARAMETERS += b"after cursor days dataset interval limit[] next to window wrong".split()
VALUES = rb"%zz %00 %ff %ed%a0%80 %0d%0aX:%20y %E2%80%AE -1 0 1e400 NaN %D9%A1 0001-01-01 9999-12-31 20260101 null %22 %5C a:*".split()
VALUES += rb"0001-01-01T00:00:00%2B14:00 2025-01-01T00:00:00Z 2999-12-31T23:59:59-23:59 daily_targets 1d succeeded".split()
VALUES += [b"9" * 30, b"9" * 7_000, b"a" * 201, str(SESSION).encode()]


def any_or(*known: bytes) -> st.SearchStrategy[bytes]:
    """Draw one of these, or any bytes."""
    return st.sampled_from(known) | st.binary(max_size=40)


def queries() -> st.SearchStrategy[bytes]:
    """Draw parameters that a route may have, and some that none has."""
    quoted = st.binary(max_size=40).map(lambda value: quote_from_bytes(value).encode())
    pairs = st.tuples(any_or(*PARAMETERS), st.sampled_from(VALUES) | quoted).map(b"=".join)
    return st.lists(pairs, max_size=4).map(b"&".join)


def request(
    path: bytes,
    headers: Sequence[Header] = (),
    *,
    method: bytes = b"GET",
    host: bytes = b"localhost",
    body: bytes = b"",
) -> bytes:
    """Write a request as it goes over the wire."""
    lines = [b"%s %s HTTP/1.1" % (method, path), b"Host: " + host]
    return b"\r\n".join([*lines, *(b"%s: %s" % header for header in headers), b"", body])


def ask(server: StreamServer, sent: bytes, *, answered: bool = True) -> int:
    """Send a request and leave; return the status of the answer, 0 where none was waited for."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(sent)
        return int(connection.recv(12, socket.MSG_WAITALL)[9:12]) if answered else 0


@pytest.fixture(params=["no token is set", "a token is set and not shown", "the token is shown"])
def token(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Header]:
    """The headers of a request to a stream without a token, or with one."""
    if request.param != "no token is set":
        monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", TOKEN.decode())
    get_session_settings.cache_clear()
    is_shown = request.param == "the token is shown"
    return [(b"Authorization", b"Bearer " + TOKEN)] if is_shown else []


@pytest.fixture
def server(session_store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[StreamServer]:
    """A stream with everything that `bidbeacon stream` gives it; no reader may be left at the end."""
    monkeypatch.setattr(auth, "_WRONG_TOKEN_PAUSE", 0)
    with session_store.begin() as connection:
        insert_session(connection, NewSession(id=SESSION, job_name="job", started_at=utc_now()))
    extension = pipelines_extension(session_store, Settings())
    with serve_stream(session_store, extension=extension) as running:
        yield running
        wait_until(lambda: not running.app.state.follower.readers.total())


@given(
    path=st.sampled_from(PATHS),
    method=any_or(*METHODS),
    odd_path=any_or(*ODD_PATHS),
    query=queries(),
    header=st.tuples(st.sampled_from(NAMES), any_or(*TEXTS)),
    host=st.just(b"localhost") | any_or(*HOSTS),
    body=st.sampled_from(BODIES),
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_no_route_expects_is_refused(
    token: list[Header],
    server: StreamServer,
    path: bytes,
    method: bytes,
    odd_path: bytes,
    query: bytes,
    header: Header,
    host: bytes,
    body: tuple[list[Header], bytes],
) -> None:
    """Before the login, after it, and without one: each part is odd by itself, so that no other one hides it."""
    sent = [
        request(odd_path, token),
        request(path, token, method=method),
        request(path, token, host=host),
        request(path, [*token, header]),
        request(path, [*token, *UPGRADE, header]),
        request(b"%s?%s" % (path, query), token),
        request(b"%s?%s" % (path, query), [*token, *UPGRADE]),
        request(path, [*token, *body[0]], method=b"POST", body=body[1]),
    ]
    answers = [(one[:200], ask(server, one)) for one in sent]
    assert [] == [(one, status) for one, status in answers if not 100 <= status < 500]


def test_a_client_that_leaves_in_the_middle_is_no_error(
    token: list[Header], server: StreamServer
) -> None:
    """The rest of a body never comes; or it is gone before the answer."""
    for path in PATHS:
        for header in ((b"Content-Length", b"1000"), (b"Transfer-Encoding", b"chunked")):
            sent = request(path, [*token, header], method=b"POST", body=b"9\r\ntoken")
            ask(server, sent, answered=False)
        ask(server, request(path, token), answered=False)
    assert 200 == ask(server, request(b"/healthz"))
