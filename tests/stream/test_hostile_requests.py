"""Requests that no browser sends, over a raw socket, to every route: each is answered below 500, and none is an error in the log."""

import base64
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import fields
from uuid import UUID

import pytest
from starlette.routing import Route, WebSocketRoute

from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.server import auth
from bidbeacon_sessions.server.serve import MAX_HEAD_BYTES, create_app
from bidbeacon_sessions.settings import get_session_settings
from bidbeacon_sessions.writes import NewSession, insert_session
from tests.stream.asgi_servers import BY_SETTINGS_OF_GRANIAN, Serve, Server
from tests.stream.reading import wait_until

pytestmark = BY_SETTINGS_OF_GRANIAN
TOKEN = "a-long-random-token"
SESSION = UUID(int=7)
SESSION_ID = str(SESSION).encode()
DEADLINE = 10.0
Header = tuple[bytes, bytes]

_nowhere = SessionStore.connect("postgresql://nowhere")
PATHS = sorted(
    {
        re.sub(
            r"\{name\}", "app.css", re.sub(r"\{session_id:uuid\}", str(SESSION), route.path)
        ).encode()
        for route in create_app(
            _nowhere, extension=pipelines_extension(_nowhere, Settings())
        ).routes
        if isinstance(route, Route | WebSocketRoute)
    }
)
ODD_PATHS = [
    *(
        b"/nope",
        b"*",
        b"//evil/",
        b"/%",
        b"/%zz",
        b"/%00",
        b"/%ff%fe",
        b"/%ed%a0%80",
        b"/\\",
        b"/#x",
    ),
    *(b"/web", b"/web/", b"/web/%00", b"/web/%ff", b"/web/..%2fapp.css", b"/web/../app.py"),
    *(
        b"http://[/",
        b"/\xff",
        b"/sessions/x",
        b"/api/job-sessions/" + b"0" * 5_000,
        b"/" + b"a" * 70_000,
    ),
]
METHODS = [
    *(
        b"GET",
        b"HEAD",
        b"OPTIONS",
        b"POST",
        b"PUT",
        b"PATCH",
        b"DELETE",
        b"TRACE",
        b"CONNECT",
        b"PROPFIND",
    ),
    *(b"get", b"FOO", b"PRI", b"\xff", b""),
]
UPGRADE: list[Header] = [
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Key", base64.b64encode(b"sixteen bytes ok")),
    (b"Sec-WebSocket-Version", b"13"),
]
HOSTS = [
    *(
        b"[",
        b"]",
        b"[]",
        b"[::1",
        b"[::1]",
        b"[127.0.0.1]",
        b"[v1.x]",
        b"[::1%25eth0]",
        b"::1",
        b"user@[",
    ),
    *(b"localhost:x", b"localhost:99999", b"localhost:1:1", b"localhost/", b"localhost#"),
    *(b"\xff", b"a" * 5_000, b""),
]
ORIGINS = [
    *(b"http://[", b"http://[::1", b"http://]", b"//[", b"http://user@[", b"http://[v1.x]", b"://"),
    *(b"http://\xe2\x84\x80", b"http://localhost:x", b"http://" + b"a" * 5_000),
    *(b"javascript:", b"null", b"\xff", b""),
]
HEADERS: list[Header] = [
    *((b"Origin", origin) for origin in ORIGINS),
    (b"Host", b"["),
    (b"Cookie", b"bidbeacon_stream=\xff"),
    (b"Cookie", b'bidbeacon_stream="\\777\\xff"'),
    (b"Cookie", b";;=;;"),
    (b"Authorization", b"Bearer \xff"),
    (b"Authorization", b"Bearer"),
    (b"Accept-Encoding", b"gzip;q=\xff" + b"," * 1_000),
    (b"If-None-Match", b"\xff"),
    (b"Last-Event-ID", b"\xff"),
    (b"Last-Event-ID", b"0" * 5_000),
    (b"Range", b"bytes=-1"),
    (b"X-Forwarded-Host", b"["),
    (b"X-Forwarded-Proto", b"\xff"),
    (b"Upgrade", b"h2c"),
    (b"Expect", b"100-continue"),
    (b"Expect", b"\xff"),
    (b"X-Long", b"x" * 70_000),
    (b"X-\xff", b"y"),
    (b"", b"y"),
    (b"X-Null\x00", b"\x00"),
]
BODIES: list[tuple[list[Header], bytes]] = [
    ([(b"Content-Type", b"application/json"), (b"Content-Length", b"4")], b"{\xff\x00}"),
    (
        [(b"Content-Type", b"multipart/form-data; boundary=\xff"), (b"Content-Length", b"4")],
        b"--\xff\n",
    ),
    ([(b"Content-Type", b"\xff"), (b"Content-Length", b"9")], b"token=%ff"),
    ([(b"Content-Length", b"3"), (b"Content-Length", b"4")], b"abcd"),
    ([(b"Content-Length", b"-3")], b"abcd"),
    ([(b"Content-Length", b"9" * 30)], b"abcd"),
    ([(b"Transfer-Encoding", b"chunked")], b"zz\r\n"),
    ([(b"Transfer-Encoding", b"gzip, chunked"), (b"Content-Length", b"3")], b"abc"),
]
BROKEN_OFF: list[tuple[list[Header], bytes]] = [
    ([(b"Content-Length", b"1000")], b"token="),
    ([(b"Content-Length", b"9" * 15)], b"token="),
    ([(b"Transfer-Encoding", b"chunked")], b"9\r\ntoken"),
]
HANDSHAKES: list[list[Header]] = [
    UPGRADE[:2],
    [*UPGRADE, UPGRADE[2]],
    [*UPGRADE[:2], (b"Sec-WebSocket-Key", b"x"), UPGRADE[3]],
    [*UPGRADE[:3], (b"Sec-WebSocket-Version", b"99")],
    [*UPGRADE, (b"Sec-WebSocket-Extensions", b"\xff")],
    [*UPGRADE, (b"Sec-WebSocket-Extensions", b";;,,")],
    [*UPGRADE, (b"Sec-WebSocket-Extensions", b"permessage-deflate; server_max_window_bits=99")],
    [*UPGRADE, (b"Sec-WebSocket-Protocol", b",\xff,")],
    [*UPGRADE, (b"Content-Length", b"5")],
    *([*UPGRADE, (b"Origin", origin)] for origin in ORIGINS),
]
FRAMES = [
    b"\x81\x81\x00\x00\x00\x00\xff",  # text that is not UTF-8
    b"\x01\x81\x00\x00\x00\x00\xc3\x80\x81\x00\x00\x00\x00\xff",  # the same in two fragments
    b"\x80\x81\x00\x00\x00\x00a",  # a continuation of nothing
    b"\x01\x81\x00\x00\x00\x00a\x81\x81\x00\x00\x00\x00a",  # text within an unfinished text
    b"\x81\x01a",  # not masked
    b"\x83\x80\x00\x00\x00\x00",  # an unknown opcode
    b"\xff\xff\xff\xff",
    b"\xc1\x81\x00\x00\x00\x00\xff",  # compressed, without the extension or with it
    b"\x82\xff" + b"\xff" * 8,  # a length of 2^64 - 1
    b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + b"a" * 126,  # a ping that is too long
    b"\x88\x81\x00\x00\x00\x00\x01",  # a close with half a code
    b"\x88\x82\x00\x00\x00\x00\x00\x01",  # an invalid code
    b"\x88\x85\x00\x00\x00\x00\x03\xe8\xff\xff\xff",  # a reason that is not UTF-8
    b"GET / HTTP/1.1\r\n\r\n",
]
FILTERS = [field.name.encode() for field in fields(SessionFilter)]
PARAMETERS = {
    b"/api/job-sessions": (*FILTERS, b"limit"),
    b"/api/job-sessions/stream": (*FILTERS, b"cursor"),
    b"/api/job-sessions/histogram": (b"since", b"before"),
    b"/api/job-metrics": (b"since", b"before", b"interval", b"job", b"account"),
    b"/api/coverage": (b"dataset", b"days", b"to"),
    b"/api/explain": (b"account", b"dataset", b"window"),
    b"/api/job-sessions/" + SESSION_ID: (b"after",),
    b"/login": (b"next", b"wrong"),
}
VALUES = [
    *(b"", b"%", b"%zz", b"%00", b"%ff", b"%ed%a0%80", b"\xff", b"%0d%0aX:%20y", b"%E2%80%AE"),
    *(b"-1", b"0", b"1e400", b"NaN", b"%C2%B2", b"%D9%A1", b"%2B1", b"9" * 30, b"9" * 9_000),
    *(b"0000000019999", b"000000001" + b"9" * 9, b"%F0%9F%98%80" * 60, b"a" * 200, b"a" * 201),
    *(b"0001-01-01", b"1970-01-01", b"2999-12-31", b"9999-12-31", b"2026-W01-1", b"20260101"),
    *(b"0001-01-01T00:00:00%2B14:00", b"1970-01-01T00:00:00%2B23:59", b"2999-12-31T23:59:59-23:59"),
    *(
        b"9999-12-31T23:59:59.999999Z",
        b"[]",
        b"{}",
        b"null",
        b"'",
        b"%22",
        b"%5C",
        b"%25",
        b"((((",
        b"-",
    ),
    *(
        b"a:*",
        b"daily_targets",
        b"1d",
        b"succeeded",
        SESSION_ID,
        SESSION_ID + b".999999999999999999",
    ),
]
QUERIES = [
    *(
        b"%",
        b"=",
        b"&&=&;",
        b"?",
        b"\xff=\xff",
        b"a" * 30_000,
        b"&".join(b"a%d=1" % n for n in range(2_000)),
    ),
    b"since=2026-01-01T00:00:00Z&before=2025-01-01T00:00:00Z",
    b"since=1970-01-01T00:00:00Z&before=2999-01-01T00:00:00Z&interval=1m",
    b"before=1970-01-01T00:00:00%2B14:00&interval=1d",
    b"since=2999-12-31T00:00:00Z&before=2999-12-31T23:59:59-14:00",
    b"dataset=daily_targets&to=1970-01-01&days=500",
    b"dataset=daily_targets&to=2999-12-31&days=500",
    b"account=a&dataset=daily_targets&window=1970-01-01",
    b"account=a&dataset=daily_targets&window=2999-12-31",
    b"limit=1&limit=2&limit[]=3&limit[a]=4&days=1&days=2&after=1&after=x&job=a&job=b",
]
NOT_HTTP = [
    *(b"\x00" * 100 + b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET\r\n\r\n"),
    *(b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET  /  HTTP/1.1\r\n\r\n"),
    *(b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\nHost: localhost\n\n", b"GET / HTTP/1.1\r\n\r\n"),
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
        yield from (
            request(path, *shown, *headers, method=b"POST", body=body) for headers, body in BODIES
        )
    yield from NOT_HTTP


def with_odd_headers(*shown: Header) -> Iterator[bytes]:
    """Write requests whose headers nobody means, to one address of each kind."""
    for path in (b"/", b"/login", b"/web/app.css", b"/api/job-sessions", b"/api/job-sessions/ws"):
        yield from (request(path, *shown, host=host) for host in HOSTS)
        yield from (request(path, *shown, header) for header in HEADERS)
        yield from (request(path, *shown, header, method=b"POST") for header in HEADERS)
        yield from (request(path, *shown, *headers) for headers in HANDSHAKES)


def to_every_parameter() -> Iterator[bytes]:
    """Write a request for each value of each parameter where it is known, and for unknown ones everywhere."""
    for path in PATHS:
        yield from (request(b"%s?%s" % (path, query)) for query in QUERIES)
    for path, names in PARAMETERS.items():
        for query in (b"%s=%s" % (name, value) for name in names for value in VALUES):
            yield request(b"%s?%s" % (path, query))
            if path.endswith(b"/stream"):
                yield request(b"/api/job-sessions/ws?%s" % query, *UPGRADE)


def ask(server: Server, sent: bytes, *, then: bytes = b"", answered: bool = True) -> int:
    """Send a request and leave; return the status of the answer, 0 where none was waited for."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as connection:
        try:
            connection.sendall(sent)
        except (BrokenPipeError, ConnectionResetError):  # it was refused before all of it was sent
            assert len(sent) > MAX_HEAD_BYTES
            return 431
        if not answered:
            return 0
        answer = connection.recv(12, socket.MSG_WAITALL)
        if not answer:
            assert sent.startswith(b"PRI ")  # HTTP/2, which is not spoken here
            return 400
        status = int(answer[9:12])
        if then:
            connection.sendall(then)
        return status


def refused_wrongly(server: Server, requests: Iterable[bytes]) -> list[tuple[bytes, int]]:
    """Return the beginnings of those requests that are not answered with a status below 500."""
    answers = ((sent[:200], ask(server, sent)) for sent in requests)
    return [(sent, status) for sent, status in answers if not 100 <= status < 500]


@pytest.fixture(params=["no token is set", "a token is set and not shown", "the token is shown"])
def token(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Header]:
    """The headers of a request to a stream without a token, or with one."""
    if request.param != "no token is set":
        monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", TOKEN)
    get_session_settings.cache_clear()
    return (
        [(b"Authorization", b"Bearer " + TOKEN.encode())]
        if request.param == "the token is shown"
        else []
    )


@pytest.fixture
def server(
    session_store: SessionStore,
    serve_stream: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Server]:
    """A stream with everything that `bidbeacon stream` gives it; no reader may be left at the end."""
    monkeypatch.setattr(auth, "_WRONG_TOKEN_PAUSE", 0)
    with session_store.begin() as connection:
        insert_session(connection, NewSession(id=SESSION, job_name="job", started_at=utc_now()))
    extension = pipelines_extension(session_store, Settings())
    with serve_stream(session_store, extension=extension) as running:
        yield running
        wait_until(lambda: not running.app.state.stream.readers.total())


def test_what_no_route_expects_is_refused(token: list[Header], server: Server) -> None:
    """Methods, paths, bodies and upgrades: before the login, after it, and without one."""
    assert [] == refused_wrongly(server, to_every_route(*token))


def test_odd_headers_are_refused_or_ignored(token: list[Header], server: Server) -> None:
    """Hosts, origins, credentials, handshakes: before the login, after it, and without one."""
    assert [] == refused_wrongly(server, with_odd_headers(*token))


def test_what_no_parameter_means_is_refused(server: Server) -> None:
    """Broken encodings, NUL, numbers and days out of range, texts too long, repeated and unknown names."""
    assert [] == refused_wrongly(server, to_every_parameter())


def test_a_client_that_leaves_in_the_middle_of_its_request_is_no_error(
    token: list[Header], server: Server
) -> None:
    """The form of the login and every other address: the rest of the body never comes."""
    for path in PATHS:
        for headers, body in BROKEN_OFF:
            ask(server, request(path, *token, *headers, method=b"POST", body=body), answered=False)
    assert 200 == ask(server, request(b"/healthz"))


def test_a_client_that_leaves_before_its_last_answer_is_no_error(server: Server) -> None:
    """It sends several requests at once, reads the beginning of the first answer, and is gone."""
    for path in (b"/api/job-sessions/stream", b"/healthz", b"/api/job-sessions"):
        assert 200 == ask(server, request(path) + request(b"/") + request(b"/healthz") * 50)
    assert 200 == ask(server, request(b"/healthz"))


def test_invalid_frames_end_their_connection_only(server: Server) -> None:
    """With and without compression; who sends them may be anybody who may read."""
    deflate = (b"Sec-WebSocket-Extensions", b"permessage-deflate")
    for frame in FRAMES:
        assert 101 == ask(server, request(b"/api/job-sessions/ws", *UPGRADE), then=frame)
        assert 101 == ask(server, request(b"/api/job-sessions/ws", *UPGRADE, deflate), then=frame)
    assert 200 == ask(server, request(b"/healthz"))
