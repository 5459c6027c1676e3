"""What the product adds to the server: coverage, accounts, explanations, a page, navigation and links; and a server without it."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import Engine, func, text
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.causes import CAUSE_KINDS, explain_kind
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_pipelines.windows.queries import set_windows_through
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.server import Access, Extension
from tests.stream.reading import serve_stream
from tests.support.rows import (
    add_account,
    add_windows,
    as_loaded,
    change_accounts,
    change_windows,
    days_until,
)

QUESTION = {"account": "US.one", "dataset": "daily_targets", "window": "2026-11-23"}
REPORT = "SP+SB+SD"
TOKEN = "a-long-random-token"


@contextmanager
def client_of(store: SessionStore, **options: Any) -> Iterator[httpx.Client]:
    """Serve the product; yield a client of it."""
    extension = pipelines_extension(store, Settings())
    with (
        serve_stream(store, extension=extension, **options) as server,
        httpx.Client(base_url=server.url, timeout=15) as client,
    ):
        yield client


@pytest.fixture
def product(session_store: SessionStore, engine: Engine) -> Iterator[httpx.Client]:
    """A client of the product's server, whose database has one account without windows."""
    add_account(engine)
    with client_of(session_store) as client:
        yield client


def test_coverage_has_the_days_that_were_asked_for(product: httpx.Client) -> None:
    """Dataset, days and last day; left out, they are 91 days up to now."""
    query = {"dataset": "daily_targets", "days": "30", "to": "2026-07-25"}
    told = product.get("/api/coverage", params=query).json()
    assert ("daily_targets", "2026-06-26", "2026-07-25") == (
        told["dataset"],
        told["from"],
        told["to"],
    )
    assert [("US.one", "-" * 30)] == [(one["key"], one["cells"]) for one in told["accounts"]]
    usual = product.get("/api/coverage").json()
    assert 90 == (date.fromisoformat(usual["to"]) - date.fromisoformat(usual["from"])).days


def test_accounts_have_names_and_time_zones(product: httpx.Client) -> None:
    """As the pages show them."""
    expected = {
        "key": "US.one",
        "label": "One · US",
        "time_zone": "America/Los_Angeles",
        "stopped": None,
    }
    assert {"accounts": [expected]} == product.get("/api/accounts").json()


COVERAGE, EXPLAIN, ACCOUNT = "/api/coverage", "/api/explain", "/api/account"
WRONG: Sequence[tuple[str, dict[str, str], int, str]] = [
    (COVERAGE, {"days": "0"}, 400, "days: expected greater than or equal to 1, got: '0'."),
    (COVERAGE, {"days": "many"}, 400, "days: expected a valid integer"),
    (COVERAGE, {"to": "tomorrow"}, 400, "to: expected a day like 2026-11-23"),
    (COVERAGE, {"to": "0001-01-01"}, 400, "to: expected a day like"),
    (COVERAGE, {"dataset": "x" * 201}, 400, "dataset: "),
    (COVERAGE, {"dataset": "unknown"}, 404, "got: 'unknown'"),
    (COVERAGE, {"account": "US.a"}, 400, "Unknown parameter 'account'."),
    (EXPLAIN, QUESTION | {"account": ""}, 400, "The parameter account is missing."),
    (EXPLAIN, QUESTION | {"window": ""}, 400, "The parameter window is missing."),
    (
        EXPLAIN,
        QUESTION | {"window": "yesterday"},
        400,
        "window: expected a day like 2026-11-23, got: 'yesterday'.",
    ),
    (EXPLAIN, QUESTION | {"window": "2026-02-30"}, 400, "window: expected a day"),
    (EXPLAIN, QUESTION | {"window": "9999-12-31"}, 400, "window: expected a day"),
    (EXPLAIN, QUESTION | {"windows": "2026-11-23"}, 400, "Unknown parameter 'windows'."),
    (EXPLAIN, QUESTION | {"account": "US.two"}, 404, "No account 'US.two'"),
    (
        EXPLAIN,
        QUESTION | {"report": "SP+TV"},
        404,
        "report: expected one of SP+SB+SD, got: 'SP+TV'.",
    ),
    (ACCOUNT, {}, 400, "The parameter account is missing."),
    (ACCOUNT, {"account": "nobody"}, 404, "No account 'nobody'"),
    (ACCOUNT, {"account": "US.one", "days": "3"}, 400, "Unknown parameter 'days'."),
    ("/api/home", {"days": "3"}, 400, "Unknown parameter 'days'."),
]


def test_an_invalid_question_is_refused(product: httpx.Client) -> None:
    """What was expected, what came, and how to ask."""
    for path, query, status, said in WRONG:
        response = product.get(path, params=query)
        assert (status, True) == (response.status_code, said in response.json()["error"]), query
        assert response.json()["what_to_do"]


def test_a_window_is_explained(product: httpx.Client) -> None:
    """The account exists, and nothing was requested for it yet."""
    told = product.get("/api/explain", params=QUESTION).json()
    assert "no window" == told["verdict"]["state"]
    assert told["partition_url"].endswith("partition=US.one%7C2026-11-23")


def test_without_the_token_nothing_is_told(session_store: SessionStore) -> None:
    """The product's routes are guarded like the sessions; its pages lead to the login and back, with their address."""
    page, login = "/coverage?days=30", "/login?next=/coverage%3Fdays%3D30"
    with client_of(session_store, access=Access(TOKEN)) as client:
        for path in ("/api/explain", "/api/coverage", "/api/accounts"):
            assert 401 == client.get(path).status_code
        asked = client.get(page, headers={"Accept": "text/html"})
        assert (303, login) == (asked.status_code, asked.headers["location"])
        assert page == client.post(login, data={"token": TOKEN}).headers["location"]
        for path in ("/api/coverage", "/api/accounts", page, "/accounts/US.one"):
            assert 200 == client.get(path).status_code


@pytest.mark.parametrize(
    ("page", "entries"),
    [
        (
            "/sessions",
            ['<a href="/sessions" aria-current="page">Stream', '<a href="/coverage">Coverage'],
        ),
        (
            "/coverage",
            ['<a href="/coverage" aria-current="page">Coverage', '<a href="/sessions">Stream'],
        ),
        ("/accounts/US.one", ['<a href="/accounts" aria-current="true">Accounts']),
        (f"/sessions/{uuid4()}", ['<a href="/sessions" aria-current="true">Stream']),
    ],
    ids=["stream", "coverage", "an account", "a session"],
)
def test_the_navigation_marks_where_one_is(
    product: httpx.Client, page: str, entries: list[str]
) -> None:
    """Every page leads to the product's pages; one entry is marked: the page, or the list that it is in."""
    text = product.get(page).text
    assert [] == [entry for entry in entries if f"{entry}</a>" not in text]
    assert 1 == text.count("aria-current=")


def test_the_page_of_causes_has_an_entry_for_each_code(product: httpx.Client) -> None:
    """Alerts link to these entries: each has the sentence, and what helps."""
    page = unescape(re.sub("</?code>", "`", product.get("/causes").text))
    for kind in CAUSE_KINDS.values():
        shown = explain_kind(kind)
        entry = page.partition(f'<section id="{kind.code}"')[2].partition("</section>")[0]
        assert [True, True] == [text in entry for text in (shown.sentence, shown.advice)], kind.code


def test_another_product_adds_its_own(session_store: SessionStore) -> None:
    """Routes, an entry of the navigation and links, without any of ours."""

    def hello(_: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    added = Extension(
        routes=[Route("/api/hello", hello)],
        navigation={"/api/hello": "Say <hello>"},
        links={"window": "/days/{window}?of={account}"},
    )
    with serve_stream(session_store, extension=added) as server:
        page = httpx.get(server.url).text
        assert '<a href="/api/hello">Say &lt;hello&gt;</a>' in page
        assert "/days/{window}?of={account}" in page
        assert "hello" == httpx.get(f"{server.url}/api/hello").text
        assert 404 == httpx.get(f"{server.url}/api/coverage").status_code


def test_a_server_without_a_product_has_the_stream_only(http: httpx.Client) -> None:
    """Its pages work without names of accounts and without links to windows."""
    assert [404] * 3 == [
        http.get(path).status_code for path in ("/api/explain", "/api/accounts", "/coverage")
    ]
    assert "Coverage" not in http.get("/").text
    assert http.get("/").text == http.get("/sessions").text


SPENT = """
    INSERT INTO daily_campaigns (account, window_date, row_key, ad_product, currency_code, campaign_id, spend, sales, orders, request_id)
    SELECT a.id, (now() AT TIME ZONE 'America/Los_Angeles')::date - n, decode(md5(p || c), 'hex'), p, c, '1', 0.1, 0.3, 1, 1
      FROM advertiser_accounts a, generate_series(0, 60) n, unnest(ARRAY['SPONSORED_PRODUCTS', 'SPONSORED_BRANDS']) p, unnest(ARRAY['USD', 'CAD']) c
     WHERE a.account_id = 'amzn1.ads-account.g.one'"""


def test_an_account_has_exact_sums_of_two_periods(product: httpx.Client, engine: Engine) -> None:
    """Of days that are over in its time zone, in its own currency, by ad product and in all; as text, without a float between."""
    with engine.begin() as connection:
        connection.execute(text(SPENT))
        change_accounts(connection, account_type="seller")
    told = product.get("/api/account", params={"account": "One · US"}).json()
    assert ("US.one", "One · US", "USD") == (told["key"], told["label"], told["currency"])
    brands, products, total = told["figures"]["products"]
    assert ("Sponsored Brands", 14) == (brands["name"], brands["attribution_days"])
    assert ("Sponsored Products", 7) == (products["name"], products["attribution_days"])
    assert (30, "3.000000", "9.000000", "0.3333") == tuple(
        products["recent"][name] for name in ("days", "spend", "sales", "acos")
    )
    assert products["recent"] == products["before"]
    assert (None, 30, "6.000000") == (
        total["ad_product"],
        total["recent"]["days"],
        total["recent"]["spend"],
    )
    assert 30 == len(told["figures"]["days"])
    assert {"date": told["figures"]["to"], "spend": "0.200000", "sales": "0.600000"} == told[
        "figures"
    ]["days"][-1]


def test_an_account_counts_its_windows_as_home_does(product: httpx.Client, engine: Engine) -> None:
    """Those of other accounts are not among them."""
    with engine.begin() as connection:
        account, days = get_account(connection, "US.one"), days_until(date(2026, 7, 10), 9)
        add_windows(connection, account, days, **as_loaded(func.now()))
        failed = ReportWindow.window_date == date(2026, 7, 4)
        change_windows(connection, failed, status="failed")
        set_windows_through(connection, account, "daily_targets", REPORT, days[-1], created=9)
    datasets = product.get("/api/account", params={"account": "US.one"}).json()["datasets"]
    assert datasets == product.get("/api/home").json()["datasets"]
    [targets] = [one for one in datasets if one["name"] == "daily_targets"]
    assert (9, {"fresh": 8, "failed": 1}) == (targets["windows"], targets["states"])


def test_the_list_of_accounts_says_how_each_does(product: httpx.Client, engine: Engine) -> None:
    """Fresh days of those that are due, spend of 14 days that are over in its zone with a hole for a failed one, next refresh; a stopped account has none.

    The windows are to be made anew, as after a sync that has found other ad products.
    """
    with engine.begin() as connection:
        account = get_account(connection, "US.one")
        today = local_date(utc_now(), account.time_zone)
        for age in range(20):
            state = {0: {}, 3: {"status": "failed"}}.get(age, as_loaded(func.now()))
            next_at, day = func.now() + timedelta(hours=20 - age), today - timedelta(days=age)
            columns = state | {"next_refresh_at": next_at, "spend": age}
            add_windows(connection, account, [day], "daily_campaigns", **columns)
        long_ago = date(2000, 1, 1)
        set_windows_through(connection, account, "daily_campaigns", REPORT, long_ago, created=20)
    [one] = product.get("/api/account-list").json()["accounts"]
    assert ("US.one", "One · US", None) == (one["key"], one["label"], one["stopped"])
    assert (19, 18) == (one["windows"], one["fresh"])
    assert [*range(14, 3, -1), None, 2, 1] == [each and float(each) for each in one["spend"]]
    days = date.fromisoformat(one["to"]) - date.fromisoformat(one["from"])
    with engine.begin() as connection:
        first = text("SELECT now() + interval '1 hour' > CAST(:at AS timestamptz)")
        assert connection.execute(first, {"at": one["next_at"]}).scalar_one()
        change_accounts(connection, paused=True)
    [stopped] = product.get("/api/account-list").json()["accounts"]
    assert (13, "USD") == (days.days, one["currency"])
    assert ("paused", None, None) == tuple(stopped[k] for k in ("stopped", "fresh", "next_at"))
