"""Requests that change something: what they do, who they are recorded as, and which are refused."""

import itertools
import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, select

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_pipelines.web.changes import LONGEST_USER, MOST_BODY_BYTES
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_pipelines.windows.wanted_queries import claim_windows, list_wanted
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.server import Access, StreamServer
from bidbeacon_sessions.tables import SessionHeader
from tests.stream.reading import serve_stream
from tests.support.reading import call
from tests.support.rows import (
    add_account,
    add_session,
    add_windows,
    as_loaded,
    change_windows,
    days_until,
    remove_windows,
)

Serve = Callable[..., AbstractContextManager[StreamServer]]
KEY = "US.one"
DAYS = [str(utc_now().date() - timedelta(days=ago)) for ago in (5, 4)]
LOAD = {"account": KEY, "dataset": "daily_targets", "windows": DAYS[::-1]}
TOKEN = "a-long-random-token"
HOST = "stream.example.com"
PUBLIC_URL = f"https://{HOST}"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}
USER = "X-Forwarded-User"


@pytest.fixture
def stored(session_store: SessionStore, engine: Engine) -> SessionStore:
    """Store one account with windows."""
    with engine.begin() as connection:
        days = days_until(utc_now().date() - timedelta(days=2), 8)
        add_windows(connection, add_account(connection), days)
    return session_store


@pytest.fixture
def serve(stored: SessionStore) -> Serve:
    """Serves the product with the given rules of access and settings."""
    return lambda access, **given: serve_stream(
        stored, extension=pipelines_extension(stored, Settings(**given)), access=access
    )


@pytest.fixture
def product(serve: Serve) -> Iterator[httpx.Client]:
    """A client that shows the token to the product's server, which trusts a proxy's header."""
    with (
        serve(Access(TOKEN), user_header=USER) as server,
        httpx.Client(base_url=server.url, timeout=15, headers=SHOWN) as client,
    ):
        yield client


@pytest.fixture
def on_dev(serve: Serve) -> Iterator[httpx.Client]:
    """A client on the machine of a server that `bidbeacon dev` runs, which shows the token for changes."""
    with (
        serve(Access(changes_token=TOKEN)) as server,
        httpx.Client(base_url=server.url, timeout=15, headers=SHOWN) as client,
    ):
        yield client


def account(store: SessionStore) -> Account:
    """Return the account as it is stored."""
    with store.begin() as connection:
        return get_account(connection, KEY)


def test_an_account_is_paused_and_resumed_by_the_user_whom_the_proxy_names(
    product: httpx.Client, stored: SessionStore
) -> None:
    """The answer has its key and label."""
    answer = product.post(
        "/api/account/pause", json={"account": "One"}, headers={USER: "maria@example.com"}
    )
    assert (200, {"account": KEY, "account_label": "One · US"}) == (
        answer.status_code,
        answer.json(),
    )
    assert (True, "maria@example.com") == (account(stored).paused, account(stored).paused_by)
    assert 200 == product.post("/api/account/resume", json={"account": KEY}).status_code
    assert not account(stored).paused


@pytest.mark.parametrize(
    ("headers", "by"),
    [
        ([], "page"),
        ([(USER, "maria"), (USER, "root")], "page"),
        ([("X-Other", "root")], "page"),
        ([(USER, "")], "page"),
        ([(USER, "maria  \t müller")], "maria müller"),
        ([(USER, "x" * 300)], "x" * LONGEST_USER),
        ([(USER, "Bearer abcdefghijklmnopqrstuvwxyz012345")], "Bearer •••"),
        ([(USER, "maria\u202e\u0085evil")], "maria evil"),
    ],
)
def test_the_name_of_a_user_is_bounded_and_masked(
    product: httpx.Client, stored: SessionStore, headers: list[tuple[str, str]], by: str
) -> None:
    """A header that comes twice, or another one, names nobody."""
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    answer = product.post("/api/account/pause", json={"account": KEY}, headers=encoded)
    assert 200 == answer.status_code
    assert by == account(stored).paused_by


def test_without_the_setting_no_header_is_trusted(serve: Serve, stored: SessionStore) -> None:
    """Anybody could send it."""
    with serve(Access(TOKEN)) as server:
        address = f"{server.url}/api/account/pause"
        httpx.post(address, json={"account": KEY}, headers=SHOWN | {USER: "root"})
    assert "page" == account(stored).paused_by


def test_cadence_and_alias_are_changed(product: httpx.Client) -> None:
    """As by the commands; without a cadence it is the default again, without an alias Amazon's name."""

    def post(path: str, **body: str) -> dict[str, Any]:
        return dict(product.post(f"/api/account/{path}", json=body).json())

    told = post("cadence", account=KEY, every="6h")
    assert "every 6 hours" == told["cadence"]
    assert "as soon as due" == post("cadence", account=KEY)["cadence"]
    of_all = post("cadence", account=told["account"], every="3h")
    assert told | {"cadence": "every 3 hours"} == of_all
    assert "Mine · US" == post("alias", account=KEY, alias=" Mine ")["account_label"]
    assert "One · US" == post("alias", account="Mine", alias="")["account_label"]


def wanted(product: httpx.Client) -> list[dict[str, Any]]:
    """Return what is wanted of the account."""
    return list(product.get("/api/account/wanted", params={"account": KEY}).json())


def test_a_load_is_asked_for_once_and_followed_to_its_session(
    product: httpx.Client, stored: SessionStore
) -> None:
    """A second click joins the first, whose name stays; the living session that drives it is known."""
    first = product.post("/api/account/load-windows", json=LOAD, headers={USER: "maria"}).json()
    again = product.post("/api/account/load-windows", json=LOAD).json()
    assert first == again
    assert [first] == wanted(product)
    assert ("maria", DAYS, None) == (first["by"], first["windows"], first["session"])
    with with_job_session("load-windows", store=stored) as session:
        account = call(stored.engine, get_account, KEY)
        days = [date.fromisoformat(day) for day in DAYS]
        call(
            stored.engine,
            claim_windows,
            account,
            "daily_targets",
            days,
            session.session_id,
            by="maria",
        )
        assert [str(session.session_id)] == [one["session"] for one in wanted(product)]
    assert [None] == [one["session"] for one in wanted(product)]


def test_days_that_cannot_be_loaded_are_not_requested(product: httpx.Client) -> None:
    """Days that Amazon no longer serves, or that are not over, are left out; without any other the request is refused."""
    old, new = "2019-01-01", str(utc_now().date() + timedelta(days=2))
    mixed = product.post("/api/account/load-windows", json=LOAD | {"windows": [old, *DAYS, new]})
    assert DAYS == mixed.json()["windows"]
    for day in (old, new):
        answer = product.post("/api/account/load-windows", json=LOAD | {"windows": [day]})
        assert 409 == answer.status_code
        assert "Expected days of daily_targets from" in answer.json()["error"]
        assert f"got: {day}." in answer.json()["error"]


def test_a_sync_is_asked_for_once(product: httpx.Client) -> None:
    """A second click joins the first."""
    first = product.post("/api/account/sync-entities", json={"account": KEY}).json()
    assert (KEY, None, "page") == (first["account"], first["dataset"], first["by"])
    assert first == product.post("/api/account/sync-entities", json={"account": KEY}).json()
    assert [first] == wanted(product)


def test_days_without_windows_are_refused(product: httpx.Client, engine: Engine) -> None:
    """A new account gets them with its first refresh; until then no run could load one."""
    remove_windows(engine)
    answer = product.post("/api/account/load-windows", json=LOAD)
    assert (409, True) == (answer.status_code, "has no windows" in answer.json()["error"])


def test_nothing_is_asked_for_a_paused_account(product: httpx.Client) -> None:
    """It is said why, and what brings it back."""
    product.post("/api/account/pause", json={"account": KEY})
    for path, body in (("load-windows", LOAD), ("sync-entities", {"account": KEY})):
        answer = product.post(f"/api/account/{path}", json=body)
        assert 409 == answer.status_code
        assert (
            "No reports are requested for One · US: The account is paused" in answer.json()["error"]
        )


WRONG: Sequence[tuple[str, Any, int, str]] = [
    ("pause", {"account": "nobody"}, 404, "No account 'nobody'"),
    ("pause", {}, 400, "The field account is missing."),
    ("pause", {"account": 7}, 400, "account: expected a valid string, got: '7'."),
    ("pause", {"account": "a\x00b"}, 400, "account: expected text without NUL, got:"),
    ("pause", {"account": ""}, 400, "account: expected at least 1 character, got: ''."),
    ("pause", {"account": KEY, "force": True}, 400, "Unknown field 'force'."),
    ("pause", [KEY], 400, "Expected a JSON object."),
    ("cadence", {"account": KEY, "every": "soon"}, 400, "expected a duration"),
    ("cadence", {"account": KEY, "every": "6h", "cron": "0 6 * * *"}, 400, "expected one of"),
    ("alias", {"account": KEY, "alias": "x" * 81}, 400, "Expected an alias"),
    ("load-windows", LOAD | {"dataset": "weather"}, 404, "weather"),
    ("load-windows", LOAD | {"windows": []}, 400, "windows: expected at least 1 item"),
    ("load-windows", LOAD | {"windows": ["x"]}, 400, "windows: expected a day like 2026-11-23"),
    ("load-windows", LOAD | {"windows": ["2026-11-22"] * 101}, 400, "expected at most 100 items"),
]
"""What is asked for, and how it is refused."""


def test_a_change_that_is_not_understood_changes_nothing(
    product: httpx.Client, stored: SessionStore
) -> None:
    """What was expected, and what came."""
    for path, body, status, said in WRONG:
        answer = product.post(f"/api/account/{path}", json=body)
        assert status == answer.status_code, (path, body)
        assert said in answer.json()["error"]
        assert answer.json()["what_to_do"]
    assert not account(stored).paused


JSON = {"Content-Type": "application/json"}
PREFLIGHT = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
BODY = f'{{"account": "{KEY}"}}'
FOREIGN: Sequence[tuple[str, Mapping[str, str], str | bytes | None, int]] = [
    ("POST", JSON | {"Origin": "https://evil.example"}, BODY, 403),
    ("POST", JSON | {"Origin": "null"}, BODY, 403),
    ("POST", JSON | {"Sec-Fetch-Site": "cross-site"}, BODY, 403),
    ("POST", JSON | {"Sec-Fetch-Site": "same-site"}, BODY, 403),
    ("POST", JSON | {"Host": "evil.example"}, BODY, 403),
    ("POST", {"Content-Type": "application/x-www-form-urlencoded"}, f"account={KEY}", 415),
    ("POST", {"Content-Type": "text/plain"}, BODY, 415),
    ("POST", {}, BODY, 415),
    ("POST", JSON, "", 400),
    ("POST", JSON, "{", 400),
    ("POST", JSON, '{"account": ' + "[" * 8_000, 400),
    ("POST", JSON, '{"account": ' + "[" * 900 + "]" * 900 + "}", 400),
    ("POST", JSON, "\ud800".encode("utf-8", "surrogatepass"), 400),
    ("POST", JSON, "x" * (MOST_BODY_BYTES + 1), 413),
    ("GET", JSON, None, 405),
    ("PUT", JSON, BODY, 405),
    ("OPTIONS", PREFLIGHT, None, 405),
]
"""What another site could send, and how it is refused."""


def test_what_another_site_could_send_is_refused(
    on_dev: httpx.Client, stored: SessionStore
) -> None:
    """A foreign origin, a form, plain text, a GET, a preflight: none changes anything, and none is allowed by CORS."""
    for method, headers, body, status in FOREIGN:
        answer = on_dev.request(method, "/api/account/pause", headers=dict(headers), content=body)
        assert status == answer.status_code, (method, headers, answer.text)
        assert "access-control-allow-origin" not in answer.headers
    assert not account(stored).paused


def test_a_button_of_the_page_itself_is_served(on_dev: httpx.Client, stored: SessionStore) -> None:
    """With the headers that a browser sends."""
    headers = {"Origin": str(on_dev.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    answer = on_dev.post("/api/account/pause", json={"account": KEY}, headers=headers)
    assert 200 == answer.status_code
    assert account(stored).paused


@pytest.mark.parametrize("access", [Access(TOKEN), Access(changes_token=TOKEN)])
def test_nothing_is_changed_without_the_token(
    serve: Serve, stored: SessionStore, access: Access
) -> None:
    """By no request of this machine, nor to a route that is not there; header and cookie show it."""
    with (
        serve(access) as server,
        httpx.Client(base_url=server.url, timeout=15) as client,
    ):
        for method, path in (("POST", "pause"), ("PUT", "pause"), ("DELETE", "other")):
            answer = client.request(method, f"/api/account/{path}", json={"account": KEY})
            assert 401 == answer.status_code
            assert "`bidbeacon login`" in answer.json()["what_to_do"]
        assert not account(stored).paused
        answer = client.post("/api/account/pause", json={"account": KEY}, headers=SHOWN)
        assert 200 == answer.status_code
        assert account(stored).paused
        assert "/accounts" == client.get(f"/login?token={TOKEN}&next=/accounts").headers["location"]
        assert 200 == client.post("/api/account/resume", json={"account": KEY}).status_code
    assert not account(stored).paused


CHANGES = {
    "pause": {"account": KEY},
    "resume": {"account": KEY},
    "cadence": {"account": KEY, "every": "6h"},
    "alias": {"account": KEY, "alias": "Mine"},
    "sync-entities": {"account": KEY},
    "load-windows": LOAD,
}


def send_as_nginx(server: StreamServer, path: str, body: object, host: str, version: str) -> int:
    """Send a change as nginx passes it on by default, with no header of its own; return the answer's status.

    It speaks HTTP/1.0 to its upstreams, and 1.1 since version 1.29.7.
    """
    content = json.dumps(body)
    head = f"POST /api/account/{path} HTTP/{version}\r\nHost: {host}\r\nConnection: close"
    typed = f"Content-Type: application/json\r\nContent-Length: {len(content)}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(f"{head}\r\n{typed}\r\n\r\n{content}".encode())
        return int(connection.recv(12, socket.MSG_WAITALL)[9:])


@pytest.mark.parametrize(
    ("access", "status"),
    [
        pytest.param(Access(), 403, id="no token"),
        pytest.param(Access(public_url=PUBLIC_URL), 403, id="a public address"),
        pytest.param(Access(changes_token=TOKEN), 401, id="a token for changes"),
        pytest.param(Access(TOKEN, PUBLIC_URL), 401, id="a token and a public address"),
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_proxy_has_no_right_of_its_own(
    serve: Serve, engine: Engine, access: Access, status: int, version: str
) -> None:
    """It comes from loopback, whatever name it sends as `Host`, and nothing tells it from a browser here."""
    with serve(access) as server:
        hosts = [f"127.0.0.1:{server.port}", *([HOST] if access.public_url else [])]
        for host, (path, body) in itertools.product(hosts, CHANGES.items()):
            assert status == send_as_nginx(server, path, body, host, version), (path, host)
    with engine.connect() as connection:
        assert [] == list_wanted(connection)
        assert 0 == connection.execute(select(func.count()).select_from(SessionHeader)).scalar_one()


def test_token_and_login_pass_through_a_proxy(serve: Serve) -> None:
    """Where it sends the public name as `Host`."""
    through, body = {"Host": HOST}, {"account": KEY}
    with serve(Access(TOKEN, PUBLIC_URL)) as server:
        pause, resume = (f"{server.url}/api/account/{path}" for path in ("pause", "resume"))
        by_token = httpx.post(pause, json=body, headers=through | SHOWN)
        login = httpx.get(f"{server.url}/login?token={TOKEN}", headers=through)
        cookie = {"Cookie": login.headers["set-cookie"].partition(";")[0]}
        by_login = httpx.post(resume, json=body, headers=through | cookie)
    assert [200, 200] == [by_token.status_code, by_login.status_code]


def test_reading_needs_no_token_where_only_changes_do(serve: Serve) -> None:
    """As under `bidbeacon dev`."""
    with serve(Access(changes_token=TOKEN)) as server:
        assert 200 == httpx.get(f"{server.url}/api/accounts").status_code


@pytest.mark.parametrize(
    ("access", "shown", "status"),
    [
        (Access(), SHOWN, 403),
        (Access(changes_token=TOKEN), {}, 401),
        (Access(changes_token=TOKEN), SHOWN, 200),
        (Access(TOKEN), SHOWN, 200),
        (Access("another-random-token", changes_token=TOKEN), SHOWN, 200),
    ],
)
def test_clients_can_ask_whether_they_may_change_something(
    serve: Serve, access: Access, shown: dict[str, str], status: int
) -> None:
    """The page's buttons are off where they would be refused, for the reason that the answer gives."""
    with serve(access) as server:
        told = httpx.get(f"{server.url}/api/changes", headers=shown).json()
        answer = httpx.post(f"{server.url}/api/account/pause", json={"account": KEY}, headers=shown)
    refusal = {name: answer.json().get(name) for name in ("error", "what_to_do")}
    assert status == answer.status_code
    assert (status == 200, refusal) == (told.pop("allowed"), told)


def test_final_days_are_decided_about(
    product: httpx.Client, stored: SessionStore, engine: Engine
) -> None:
    """Those that wait for it: an accepted one is asked for; by whom is stored. Where none waits, the answer says so."""
    for path, asked_for in (("accept-report", ["maria"]), ("keep-rows", [])):
        change_windows(
            engine,
            ReportWindow.window_date == date.fromisoformat(DAYS[0]),
            **as_loaded(func.now()),
            suspicious_digest="empty",
        )
        told = product.post(f"/api/account/{path}", json=LOAD, headers={USER: "maria"}).json()
        assert (KEY, [DAYS[0]]) == (told["account"], told["windows"])
        with stored.begin() as connection:
            decided = ReportWindow.decision, ReportWindow.decided_by
            is_decided = ReportWindow.decision.is_not(None)
            [row] = connection.execute(select(*decided).where(is_decided))
        assert (path.partition("-")[0], "maria") == tuple(row)
        assert asked_for == [one["by"] for one in wanted(product)]
    answer = product.post("/api/account/keep-rows", json=LOAD)
    assert (409, "The page Home shows") == (answer.status_code, answer.json()["what_to_do"][:19])


def test_a_finding_is_acknowledged_with_or_without_a_note(
    product: httpx.Client, engine: Engine
) -> None:
    """A note that is null is none."""
    ago = func.now() - timedelta(hours=3)
    ended: dict[str, Any] = {"status": "succeeded", "outcome": "ok", "finished_at": ago}
    add_session(engine, "poll-reports", started_at=ago, **ended)
    path, asked = "/api/findings/acknowledge", {"finding": "nothing-happens"}
    answers = [
        product.post(path, json=asked | note) for note in ({}, {"note": None}, {"note": "x"})
    ]
    assert [200] * 3 == [answer.status_code for answer in answers]
    assert ["", "", "x"] == [answer.json()["acknowledged"]["note"] for answer in answers]
