"""Who may read the stream, and what every answer carries."""

import hashlib
import hmac
import logging
import socket
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from websockets.sync.client import connect

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.errors import SessionsError, SettingsError
from bidbeacon_sessions.server import Access, StreamServer
from bidbeacon_sessions.settings import get_session_settings
from tests.stream.reading import Stream, refusal_of, serve_stream, websocket_address

TOKEN = "a-long-random-token"


@pytest.fixture
def guarded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> httpx.Client:
    """A client of a stream that demands a token."""
    monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", TOKEN)
    get_session_settings.cache_clear()
    client: httpx.Client = request.getfixturevalue("http")
    return client


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "stream.example.com"])
def test_without_a_token_only_this_machine_is_served(
    session_store: SessionStore, host: str
) -> None:
    """Any other address is refused before anything is listened on, with what to do."""
    with pytest.raises(SettingsError, match="set BIDBEACON_STREAM_TOKEN"):
        StreamServer(session_store, host=host, port=0)


def test_rules_of_access_come_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both tokens and the public address."""
    monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", TOKEN)
    monkeypatch.setenv("BIDBEACON_STREAM_CHANGES_TOKEN", "another-random-token")
    monkeypatch.setenv("BIDBEACON_STREAM_PUBLIC_URL", "https://stream.example.com")
    get_session_settings.cache_clear()
    rules = Access(TOKEN, "https://stream.example.com", "another-random-token")
    assert rules == Access.for_host("127.0.0.1")


def test_a_port_in_use_is_said_in_one_line(session_store: SessionStore) -> None:
    """The error names the address and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SessionsError, match=rf"127\.0\.0\.1:{port}: the port is in use"):
            StreamServer(session_store, host="127.0.0.1", port=port)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/sessions/00000000-0000-0000-0000-000000000001", 200),
        ("/login", 200),
        ("/web/app.css", 200),
        ("/web/event-stream.js", 200),
        ("/api/job-sessions", 200),
        ("/healthz", 200),
        ("/api/nothing-here", 404),
    ],
)
def test_every_answer_carries_the_security_headers(stream: Stream, path: str, status: int) -> None:
    """Nothing inline and nothing from elsewhere runs, nothing is framed, no type is guessed."""
    answer = stream.http.get(path)

    assert status == answer.status_code
    assert answer.headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "nosniff" == answer.headers["x-content-type-options"]
    assert "DENY" == answer.headers["x-frame-options"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("app.css", "text/css; charset=utf-8"),
        ("event-stream.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_a_file_that_the_browser_has_is_not_sent_again(
    stream: Stream, name: str, kind: str
) -> None:
    """Browsers ask each time, since files change with a new version."""
    first = stream.http.get(f"/web/{name}")
    assert (200, kind) == (first.status_code, first.headers["content-type"])
    assert "no-cache" == first.headers["cache-control"]
    tag = first.headers["etag"]
    again, weak, other = (
        stream.http.get(f"/web/{name}", headers={"If-None-Match": held})
        for held in (tag, f'"older", W/{tag}', '"another"')
    )
    assert (304, b"") == (again.status_code, again.content) == (weak.status_code, weak.content)
    assert (200, first.content) == (other.status_code, other.content)


def test_only_loopback_names_are_answered(stream: Stream) -> None:
    """A name that was made to point here (DNS rebinding) reads nothing; a forwarded port is no matter."""

    def status_for(host: str) -> int:
        return stream.http.get("/api/job-sessions", headers={"Host": host}).status_code

    refused = ("evil.example", "evil.example:3030", "127.0.0.1.evil.example", "")
    assert {403} == {status_for(host) for host in refused}
    assert {200} == {status_for(host) for host in ("localhost:3030", "127.0.0.1", "[::1]:3030")}


def test_a_websocket_must_come_from_our_own_page_or_a_program(stream: Stream) -> None:
    """By `Origin`, which a page of another site cannot forge."""
    address = websocket_address(stream.url)
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        assert 403 == refusal_of(address, {"Origin": origin})
    for headers in ({"Origin": stream.url}, {}):
        with connect(address, additional_headers=headers) as reader:
            assert "sync" in str(reader.recv(timeout=10))


def test_a_websocket_of_what_is_no_stream_is_refused(stream: Stream) -> None:
    """A filter that is none, a page, an unknown address: before the handshake ends."""
    for path, status in (("/api/job-sessions/ws", 400), ("/web/app.css", 403), ("/nope", 403)):
        assert status == refusal_of(websocket_address(stream.url, "status=nonsense", path))


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("/api/job-sessions/stream", ""),
        ("/api/job-sessions/values", ""),
        ("/metrics", ""),
        (f"/api/job-sessions?token={TOKEN}", ""),
        ("/api/job-sessions", "Bearer wrong"),
        ("/api/job-sessions", "Bearer"),
        ("/api/job-sessions", f"Basic {TOKEN}"),
        ("/api/job-sessions", TOKEN),
        ("/api/job-sessions", "Bearer ü"),
    ],
)
def test_without_the_token_nothing_is_told(guarded: httpx.Client, path: str, header: str) -> None:
    """Data asks for the token. Addresses end up in logs, so there it opens nothing."""
    response = guarded.get(path, headers={b"Authorization": header.encode()})

    assert 401 == response.status_code
    assert "Bearer" in response.json()["what_to_do"]


def test_the_token_opens_by_header(guarded: httpx.Client) -> None:
    """`Authorization: Bearer` is enough, for HTTP and WebSocket; without it neither is open."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    address = websocket_address(str(guarded.base_url).rstrip("/"))
    assert 401 == refusal_of(address)
    assert 200 == guarded.get("/api/job-sessions", headers=headers).status_code
    with connect(address, additional_headers=headers) as websocket:
        assert "sync" in str(websocket.recv(timeout=10))


def test_the_login_form_sets_a_cookie_that_scripts_cannot_read(guarded: httpx.Client) -> None:
    """The page leads to the form, the form leads back, and the cookie is proof of the token without being it."""
    asked = guarded.get("/?status=failed", headers={"Accept": "text/html"})
    assert 303 == asked.status_code
    assert "/login?next=/%3Fstatus%3Dfailed" == asked.headers["location"]

    done = guarded.post(asked.headers["location"], data={"token": TOKEN})
    assert (303, "/?status=failed") == (done.status_code, done.headers["location"])
    cookie = done.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    assert 200 == guarded.get("/api/job-sessions").status_code


@pytest.mark.parametrize(
    ("public_url", "secure"), [("https://stream.example", True), ("http://h", False)]
)
def test_the_cookie_is_secure_where_browsers_come_by_https(
    session_store: SessionStore, public_url: str, *, secure: bool
) -> None:
    """The public address decides: a proxy that ends TLS talks plain HTTP to us."""
    with serve_stream(session_store, access=Access(TOKEN, public_url)) as server:
        done = httpx.post(f"{server.url}/login", data={"token": TOKEN})
    assert secure == ("Secure" in done.headers["set-cookie"])


def test_the_address_with_the_token_sets_the_cookie_and_leads_away(guarded: httpx.Client) -> None:
    """A browser shows no page at it, so the token is not sent on as `Referer`; nothing keeps the answer."""
    done = guarded.get("/login", params={"token": TOKEN, "next": "/sessions?status=failed"})
    assert (303, "/sessions?status=failed") == (done.status_code, done.headers["location"])
    assert "no-store" == done.headers["cache-control"]
    assert "same-origin" == done.headers["referrer-policy"]
    assert TOKEN not in str(done.headers) + done.text
    assert 200 == guarded.get("/api/job-sessions").status_code


@pytest.mark.parametrize("given", [TOKEN, "wrong-" * 5])
def test_the_address_with_a_token_is_never_logged(
    guarded: httpx.Client, caplog: pytest.LogCaptureFixture, given: str
) -> None:
    """At no level: by no logger of the server's process."""
    caplog.set_level(logging.DEBUG)
    connection = HTTPConnection(guarded.base_url.host, guarded.base_url.port)
    connection.request("GET", f"/login?token={given}")
    assert 303 == connection.getresponse().status
    assert given not in caplog.text


def test_two_streams_of_a_host_keep_a_cookie_each(session_store: SessionStore) -> None:
    """Browsers send the cookies of a host to all of its ports, so the name has the port."""
    others = "another-random-token"
    with (
        serve_stream(session_store, access=Access(TOKEN)) as one,
        serve_stream(session_store, access=Access(others)) as other,
        httpx.Client() as browser,
    ):
        browser.get(f"{one.url}/login", params={"token": TOKEN})
        browser.get(f"{other.url}/login", params={"token": others})
        assert {f"bidbeacon_stream_{server.port}" for server in (one, other)} == set(
            browser.cookies
        )
        for server in (one, other):
            assert 200 == browser.get(f"{server.url}/api/job-sessions").status_code


def test_a_cookie_of_no_token_opens_nothing(session_store: SessionStore) -> None:
    """Neither the proof of an empty token nor that of another one is taken."""
    with serve_stream(session_store, access=Access(changes_token=TOKEN)) as server:
        for key in ("", "None", "another-random-token"):
            proof = hmac.new(key.encode(), b"bidbeacon stream cookie", hashlib.sha256).hexdigest()
            cookies = {f"bidbeacon_stream_{server.port}": proof}
            assert 401 == httpx.post(f"{server.url}/any", cookies=cookies).status_code


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_login_never_leads_to_another_site(guarded: httpx.Client, target: str) -> None:
    """`next` is a path of this site or the front page."""
    response = guarded.post("/login", params={"next": target}, data={"token": TOKEN})
    assert "/" == response.headers["location"]
    response = guarded.get("/login", params={"next": target, "token": TOKEN})
    assert "/" == response.headers["location"]


@pytest.mark.parametrize(
    ("posted", "status", "leads_to"),
    [
        ({"data": {"token": "wrong"}}, 303, "/login?wrong=1&next=/"),
        ({"data": {"token": TOKEN}, "headers": {"Origin": "https://evil.example"}}, 403, None),
        ({"content": b"x" * 100_000}, 413, None),
    ],
    ids=["wrong token", "from another site", "a huge form"],
)
def test_a_login_that_fails_sets_no_cookie(
    guarded: httpx.Client, posted: dict[str, Any], status: int, leads_to: str | None
) -> None:
    """The form says that the token was wrong; a form of another site, or one that can't be ours, is refused."""
    response = guarded.post("/login", **posted)

    assert (status, leads_to) == (response.status_code, response.headers.get("location"))
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("given", ["", "wrong", TOKEN[:-1], "ü", "\udc80"])
def test_a_wrong_token_leads_to_the_form(guarded: httpx.Client, given: str) -> None:
    """Which answers 403, and says where the token is."""
    query = urlencode({"token": given}, errors="surrogateescape")
    response = guarded.get(f"/login?{query}")
    assert (303, "/login?wrong=1&next=/") == (response.status_code, response.headers["location"])
    assert "set-cookie" not in response.headers
    form = guarded.get(response.headers["location"])
    assert 403 == form.status_code
    assert "the value of <code>BIDBEACON_STREAM_TOKEN</code>" in form.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/login", "/web/app.css"])
def test_health_and_login_need_no_token(guarded: httpx.Client, path: str) -> None:
    """Probes and the form itself are open; neither tells of sessions."""
    assert 200 == guarded.get(path).status_code
