"""Who may read the stream, and what every answer carries."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.errors import CannotListenError, UnsafeAddressError
from bidbeacon_sessions.server import StreamServer
from bidbeacon_sessions.settings import get_session_settings

TOKEN = "a-long-random-token"


@pytest.fixture
def guarded(
    session_store: SessionStore,
    serve_stream: Callable[..., AbstractContextManager[StreamServer]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[httpx.Client]:
    """A client of a stream that demands a token."""
    monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", TOKEN)
    get_session_settings.cache_clear()
    with (
        serve_stream(session_store) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=15) as client,
    ):
        yield client


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "stream.example.com"])
def test_without_a_token_only_this_machine_is_served(session_store: SessionStore, host: str) -> None:
    """Any other address is refused before anything is listened on, with what to do."""
    with pytest.raises(UnsafeAddressError, match="set BIDBEACON_STREAM_TOKEN"):
        StreamServer(session_store, host=host, port=0)


def test_a_port_in_use_is_said_in_one_line(session_store: SessionStore) -> None:
    """The error names the address and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListenError, match=rf"127\.0\.0\.1:{port}: the port is in use"):
            StreamServer(session_store, host="127.0.0.1", port=port)


@pytest.mark.parametrize("path", ["/", "/api/job-sessions", "/web/app.css", "/api/nothing-here", "/healthz"])
def test_every_answer_carries_the_security_headers(http: httpx.Client, path: str) -> None:
    """Nothing inline and nothing from elsewhere runs, nothing is framed, no type is guessed."""
    headers = http.get(path).headers

    assert headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in headers["content-security-policy"]
    assert "nosniff" == headers["x-content-type-options"]
    assert "DENY" == headers["x-frame-options"]
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3030", "127.0.0.1.evil.example", ""])
def test_another_host_name_is_not_answered(http: httpx.Client, host: str) -> None:
    """A name that was made to point here (DNS rebinding) reads nothing."""
    assert 403 == http.get("/api/job-sessions", headers={"Host": host}).status_code


@pytest.mark.parametrize("host", ["localhost:3030", "127.0.0.1", "[::1]:3030"])
def test_loopback_names_are_answered(http: httpx.Client, host: str) -> None:
    """However this machine is called, and through whatever forwarded port."""
    assert 200 == http.get("/api/job-sessions", headers={"Host": host}).status_code


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_websocket_from_another_site_is_refused(base_url: str, origin: str) -> None:
    """`Origin` must be the page's own."""
    address = base_url.replace("http", "ws", 1) + "/api/job-sessions/ws"
    with pytest.raises(InvalidStatus) as caught, connect(address, additional_headers={"Origin": origin}):
        raise AssertionError("it was let in")
    assert 403 == caught.value.response.status_code


def test_a_websocket_from_the_page_is_accepted(base_url: str) -> None:
    """The page's own origin, and readers that are no browsers, come in."""
    address = base_url.replace("http", "ws", 1) + "/api/job-sessions/ws"
    with connect(address, additional_headers={"Origin": base_url}) as page, connect(address) as program:
        assert "sync" in str(page.recv(timeout=10))
        assert "sync" in str(program.recv(timeout=10))


def test_a_websocket_that_asks_nonsense_is_told_so(base_url: str) -> None:
    """A bad filter is refused before the handshake ends."""
    address = base_url.replace("http", "ws", 1) + "/api/job-sessions/ws?status=nonsense"
    with pytest.raises(InvalidStatus) as caught, connect(address):
        raise AssertionError("it was let in")
    assert 400 == caught.value.response.status_code


@pytest.mark.parametrize(
    "path", ["/api/job-sessions", "/api/job-sessions/stream", "/api/actions", "/metrics"]
)
def test_without_the_token_nothing_is_told(guarded: httpx.Client, path: str) -> None:
    """Data asks for the token."""
    response = guarded.get(path)

    assert 401 == response.status_code
    assert "Bearer" in response.json()["what_to_do"]


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", f"Basic {TOKEN}", TOKEN, "Bearer ü"])
def test_a_wrong_token_is_refused(guarded: httpx.Client, header: str) -> None:
    """Only the token itself opens."""
    response = guarded.get("/api/job-sessions", headers={b"Authorization": header.encode()})
    assert 401 == response.status_code


def test_the_token_opens_by_header(guarded: httpx.Client) -> None:
    """`Authorization: Bearer` is enough, for HTTP and WebSocket."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert 200 == guarded.get("/api/job-sessions", headers=headers).status_code
    address = str(guarded.base_url).replace("http", "ws", 1).rstrip("/") + "/api/job-sessions/ws"
    with connect(address, additional_headers=headers) as socket_:
        assert "sync" in str(socket_.recv(timeout=10))
    with pytest.raises(InvalidStatus), connect(address):
        raise AssertionError("it was let in")


def test_a_token_in_the_address_opens_nothing(guarded: httpx.Client) -> None:
    """Addresses end up in logs, so they never carry the token."""
    assert 401 == guarded.get("/api/job-sessions", params={"token": TOKEN}).status_code


def test_the_login_form_sets_a_cookie_that_scripts_cannot_read(guarded: httpx.Client) -> None:
    """The page leads to the form, the form leads back, and the cookie is proof of the token without being it."""
    asked = guarded.get("/?status=failed")
    assert (303, "/login?next=/%3Fstatus%3Dfailed") == (asked.status_code, asked.headers["location"])

    done = guarded.post(asked.headers["location"], data={"token": TOKEN})
    assert (303, "/?status=failed") == (done.status_code, done.headers["location"])
    cookie = done.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert 200 == guarded.get("/api/job-sessions").status_code


@pytest.mark.parametrize(("public_url", "secure"), [("https://stream.example", True), ("http://h", False)])
def test_the_cookie_is_secure_where_browsers_come_by_https(
    session_store: SessionStore,
    serve_stream: Callable[..., AbstractContextManager[StreamServer]],
    monkeypatch: pytest.MonkeyPatch,
    public_url: str,
    *,
    secure: bool,
) -> None:
    """The public address decides: a proxy that ends TLS talks plain HTTP to us."""
    monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", TOKEN)
    monkeypatch.setenv("BIDBEACON_STREAM_PUBLIC_URL", public_url)
    get_session_settings.cache_clear()
    with serve_stream(session_store) as server:
        done = httpx.post(f"http://127.0.0.1:{server.port}/login", data={"token": TOKEN})
    assert secure == ("Secure" in done.headers["set-cookie"])


def test_a_wrong_login_sets_no_cookie(guarded: httpx.Client) -> None:
    """The form says that the token was wrong."""
    response = guarded.post("/login", data={"token": "wrong"})

    assert "/login?wrong=1&next=/" == response.headers["location"]
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_login_never_leads_to_another_site(guarded: httpx.Client, target: str) -> None:
    """`next` is a path of this site or the front page."""
    response = guarded.post("/login", params={"next": target}, data={"token": TOKEN})

    assert "/" == response.headers["location"]


def test_a_login_from_another_site_is_refused(guarded: httpx.Client) -> None:
    """A form on another site can't log anybody in."""
    response = guarded.post("/login", data={"token": TOKEN}, headers={"Origin": "https://evil.example"})

    assert 403 == response.status_code


def test_a_huge_login_form_is_refused(guarded: httpx.Client) -> None:
    """What can't be a token is not read."""
    assert 413 == guarded.post("/login", content=b"x" * 100_000).status_code


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/login", "/web/app.css"])
def test_health_and_login_need_no_token(guarded: httpx.Client, path: str) -> None:
    """Probes and the form itself are open; neither tells of sessions."""
    assert 200 == guarded.get(path).status_code
