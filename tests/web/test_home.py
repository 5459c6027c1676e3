"""`GET /api/home`: what is fresh over all of history, what is wrong and for which cause, with one link each."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, insert, select

from bidbeacon_pipelines.accounts.queries import list_accounts, set_needs_attention
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.tables import ApiCall
from bidbeacon_pipelines.causes import Cause, cause
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_pipelines.windows.queries import set_windows_through
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_pipelines.windows.wanted_queries import list_wanted
from bidbeacon_sessions import SessionStore, Subject, with_job_session
from bidbeacon_sessions.server import Access
from tests.stream.reading import serve_stream
from tests.support.recorded_sessions import record
from tests.support.rows import (
    add_account,
    add_request,
    add_windows,
    as_loaded,
    change_windows,
    days_until,
)

NOW = datetime(2026, 7, 25, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
REPORT = "SP+SB+SD"
DATASET = "daily_targets"
TOKEN = "a-long-random-token"
CANCELLED = cause("report-failed", status="CANCELLED")


def refused(rows: int) -> Cause:
    """Return that a report was refused for so many invalid rows."""
    return cause("rows-invalid", detail={"bad": rows, "rows": 1_500, "share": rows / 1_500})


@pytest.fixture
def client(session_store: SessionStore) -> Iterator[httpx.Client]:
    """A client of the product's server, which may change something."""
    extension = pipelines_extension(session_store, Settings(), clock=lambda: NOW)
    access, shown = Access(TOKEN), {"Authorization": f"Bearer {TOKEN}"}
    with (
        serve_stream(session_store, extension=extension, access=access) as server,
        httpx.Client(base_url=server.url, timeout=30, headers=shown) as client,
    ):
        yield client


def add_two_accounts(engine: Engine) -> list[Account]:
    """Store two accounts without windows."""
    seen, ids = datetime(2026, 1, 1, tzinfo=UTC), ("amzn1.one", "amzn1.two")
    return [
        add_account(engine, account_id=each, time_zone="UTC", first_seen_at=seen) for each in ids
    ]


def make_windows(
    engine: Engine, account: Account, days: int, dataset: str = DATASET, **columns: Any
) -> None:
    """Store windows of an account for so many days up to yesterday."""
    past = days_until(TODAY - timedelta(days=1), days)
    with engine.begin() as connection:
        add_windows(connection, account, past, dataset, **columns)
        set_windows_through(connection, account, dataset, REPORT, TODAY, created=days)


def make_loaded(engine: Engine, account: Account, dataset: str = DATASET) -> None:
    """Store loaded windows of an account for two years up to yesterday."""
    later = NOW + timedelta(days=730)
    make_windows(engine, account, 700, dataset, expires_at=later, **as_loaded(NOW))


@pytest.fixture
def fresh(engine: Engine) -> Engine:
    """A database with two accounts, whose windows all are fresh."""
    for account in add_two_accounts(engine):
        make_loaded(engine, account)
    return engine


def change(
    engine: Engine,
    age: int,
    status: str = "loaded",
    why: Cause | None = None,
    *,
    account: str = "one",
    at: datetime = NOW,
    due: datetime | None = None,
    **columns: Any,
) -> None:
    """Change the windows of so many days ago of an account."""
    change_windows(
        engine,
        ReportWindow.account_id == f"amzn1.{account}",
        ReportWindow.window_date == TODAY - timedelta(days=age),
        status=status,
        cause=why,
        cause_since=at,
        next_refresh_at=due,
        **columns,
    )


def read_home(client: httpx.Client) -> dict[str, Any]:
    """Return what the endpoint says."""
    answer = client.get("/api/home")
    assert 200 == answer.status_code, answer.text
    return dict(answer.json())


def read_findings(client: httpx.Client) -> list[dict[str, Any]]:
    """Return what is wrong."""
    return list(read_home(client)["findings"])


def read_states(client: httpx.Client) -> dict[str, int]:
    """Return the states of a dataset's windows."""
    [told] = [one for one in read_home(client)["datasets"] if one["name"] == DATASET]
    return dict(told["states"])


def press(client: httpx.Client, finding: dict[str, Any], button: str = "act") -> httpx.Response:
    """Press a button of a finding."""
    return client.post(f"/api/findings/{button}", json={"finding": finding["key"]})


def test_a_new_database_has_nothing_wrong_but_no_accounts(client: httpx.Client) -> None:
    """All datasets are named, so that a newcomer sees what there will be."""
    home = read_home(client)
    assert (0, []) == (home["accounts"]["accounts"], home["findings"])
    assert list(DATASETS) == [one["name"] for one in home["datasets"]]
    assert home["starting"]["now"].startswith("Accounts are read from Amazon")


def test_home_is_starting_until_a_window_is_loaded(client: httpx.Client, engine: Engine) -> None:
    """With accounts and without data it says what happens now and when the first data comes; from the first load on, no more."""
    account, _ = add_two_accounts(engine)
    told = read_home(client)["starting"]
    assert "2 accounts are being synced" in told["now"]
    assert "The first data comes" in told["first_data"]
    make_windows(engine, account, 3, next_refresh_at=NOW)
    assert "for 3 windows" in read_home(client)["starting"]["now"]
    change(engine, 1, **as_loaded(NOW))
    assert read_home(client)["starting"] is None


def test_windows_of_all_history_are_counted_by_state(client: httpx.Client, fresh: Engine) -> None:
    """The same states as on the map; what is expired is nothing that somebody could solve."""
    soon = NOW + timedelta(hours=1)
    change(fresh, 1, "missing", due=soon, last_loaded_at=None, data_as_of=None)
    change(fresh, 2, due=NOW - timedelta(hours=1))
    change(fresh, 3, due=NOW - timedelta(days=1))
    change(fresh, 4, "failed", CANCELLED)
    change(fresh, 5, "unconfirmed", cause("rows-missing"), due=NOW)
    change(fresh, 6, why=cause("rows-lost"), suspicious_digest="digest", due=NOW)
    codes = {one["code"] for one in read_findings(client)}
    assert {"report-failed", "overdue", "rows-lost", "rows-missing"} == codes
    states = read_states(client)
    one_each = ("missing", "due", "late", "failed", "unconfirmed", "suspicious")
    assert {"fresh": 1394, **dict.fromkeys(one_each, 1)} == states
    coverage = client.get(
        "/api/coverage", params={"dataset": DATASET, "days": 731, "to": str(TODAY)}
    ).json()
    cells = Counter("".join(account["cells"] for account in coverage["accounts"]))
    assert states == {
        name: cells[letter] for letter, name in coverage["states"].items() if cells[letter]
    }


def test_windows_that_failed_for_one_cause_are_one_finding(
    client: httpx.Client, fresh: Engine
) -> None:
    """Whatever the details of their causes; with since when, of how many accounts, and a link to the map."""
    for age, account in ((3, "one"), (9, "one"), (5, "two")):
        change(fresh, age, "failed", refused(age), account=account, at=NOW - timedelta(hours=age))
    change(fresh, 20, "failed", CANCELLED)
    first, second = read_findings(client)
    assert ("rows-invalid", "error", 3, 2) == tuple(
        first[name] for name in ("code", "severity", "count", "accounts")
    )
    assert "3 windows of 2 accounts failed, in daily_targets" == first["effects"][0]["text"]
    assert datetime.fromisoformat(first["since"]) == NOW - timedelta(hours=9)
    assert "/coverage?dataset=daily_targets&state=failed&days=731" == first["link"]
    assert (1, "Amazon reported CANCELLED.") == (second["count"], second["sentence"])
    day = TODAY - timedelta(days=20)
    assert f"/coverage?dataset=daily_targets&account=US.one&window={day}" == second["link"]


def test_late_windows_of_a_stopped_account_are_below_the_account(
    client: httpx.Client, fresh: Engine
) -> None:
    """Late is due for longer than the tolerance; a stopped account is one finding, with its windows, and is resumed by a button."""
    change(fresh, 2, due=NOW - timedelta(hours=11))
    change(fresh, 3, due=NOW - timedelta(hours=13))
    change(fresh, 3, due=NOW - timedelta(hours=13), account="two")
    with fresh.begin() as connection:
        set_needs_attention(connection, "amzn1.two", cause("account-refused"))
        at = connection.execute(select(func.now())).scalar_one()
    stopped, late = read_findings(client)
    assert ["1 ads account not refreshed", "700 windows not refreshed"] == [
        one["text"] for one in stopped["effects"]
    ]
    assert ("/accounts/US.two", "Resume") == (stopped["link"], stopped["button"])
    assert at == datetime.fromisoformat(stopped["since"])
    assert ("overdue", 1, "error") == (late["code"], late["count"], late["severity"])
    assert datetime.fromisoformat(late["since"]) == NOW - timedelta(hours=13)
    assert 700 == read_states(client)["needs attention"]
    assert "Resumed 1 ads account" in press(client, stopped).json()["message"]
    assert "account-refused" not in [one["code"] for one in read_findings(client)]


def test_sessions_that_failed_alike_are_one_finding(
    client: httpx.Client, fresh: Engine, session_store: SessionStore
) -> None:
    """By the kind of error; one alone leads to its session."""
    for number in (1, 2):
        with suppress(OSError), with_job_session("bake", store=session_store, clock=lambda: NOW):
            raise OSError(f"oven {number} is cold")
    with (
        suppress(KeyError),
        with_job_session("brew", store=session_store, clock=lambda: NOW) as session,
    ):
        raise KeyError("tea")
    told = {one["effects"][0]["text"]: one["link"] for one in read_findings(client)}
    assert {
        "2 sessions of bake failed": "/sessions?job=bake&status=failed&since=24h",
        "1 session of brew failed": f"/sessions/{session.session_id}",
    } == told


def test_a_load_that_failed_is_below_its_windows(
    client: httpx.Client, fresh: Engine, session_store: SessionStore
) -> None:
    """Unless no window has any of its causes."""
    change(fresh, 3, "failed", refused(44))
    for said in ([refused(3), cause("no-slot-yet")], [cause("no-slot-yet")]):
        causes = {TODAY - timedelta(days=age): each for age, each in enumerate(said, start=3)}
        with (
            suppress(WindowNotLoadedError),
            with_job_session("load-windows", store=session_store, clock=lambda: NOW),
        ):
            raise WindowNotLoadedError(DATASET, causes)
    told = {
        one["code"]: [effect["text"] for effect in one["effects"]] for one in read_findings(client)
    }
    assert {"rows-invalid", "windows-not-loaded"} == told.keys()
    assert "1 session of load-windows failed" == told["rows-invalid"][-1]


def test_a_job_that_succeeded_since_is_no_finding(
    client: httpx.Client, fresh: Engine, session_store: SessionStore
) -> None:
    """For the same account: that of another says nothing of it."""
    for account in ("US.one", "US.two"):
        record(session_store, "bake", since=NOW, account=Subject(account), fails=True)
    for account, expected in (("US.one", ["error"]), ("US.two", [])):
        record(session_store, "bake", since=NOW, minute=1, account=Subject(account))
        assert expected == [one["severity"] for one in read_findings(client)]


def test_planned_reports_and_calls_are_told(client: httpx.Client, fresh: Engine) -> None:
    """Reports that are put off, and the cost of Amazon's limits are counted."""
    add_request(fresh, "amzn1.one", TODAY, DATASET, REPORT, created_at=NOW)
    call: dict[str, Any] = {
        "call": "create_report",
        "region": "NA",
        "status": 429,
        "retry_count": 0,
    }
    call |= {"called_at": NOW - timedelta(hours=2), "duration": timedelta(seconds=1)}
    call |= {"queued": timedelta(seconds=2), "waited": timedelta(seconds=3)}
    with fresh.begin() as connection:
        connection.execute(insert(ApiCall).values(call))
    limits = read_home(client)["limits"]
    assert [(DATASET, 1)] == [(one["dataset"], one["reports"]) for one in limits["put_off"]]
    assert (1, 1, 3.0, 2.0) == tuple(
        limits["calls"][name] for name in ("count", "throttled", "waited_seconds", "queued_seconds")
    )


def list_asked(engine: Engine) -> list[tuple[str, str, int]]:
    """Return what is wanted: account, dataset and number of days."""
    with engine.connect() as connection:
        wanted = list_wanted(connection)
    return sorted((one["account_key"], one["dataset"], len(one["windows"])) for one in wanted)


def test_all_days_of_a_finding_are_asked_for_in_all_datasets(
    client: httpx.Client, fresh: Engine
) -> None:
    """Whatever the details of their causes, of all accounts; neither those of another cause nor those that are fresh. A second click asks for no day twice."""
    with fresh.begin() as connection:
        stored = list_accounts(connection)
    for account in stored:
        make_loaded(fresh, account, "daily_products")
    for age in range(1, 131):
        change(fresh, age, "failed", refused(age))
    change(fresh, 7, "failed", refused(43), account="two")
    change(fresh, 200, "failed", CANCELLED)
    finding = read_findings(client)[0]
    assert (262, "Load these 262 windows again") == (finding["count"], finding["button"])
    answer = press(client, finding)
    assert answer.json()["message"].startswith("Requested 262 days of 2 accounts")
    assert [
        ("US.one", "daily_products", 130),
        ("US.one", "daily_targets", 130),
        ("US.two", "daily_products", 1),
        ("US.two", "daily_targets", 1),
    ] == list_asked(fresh)
    assert (
        "All of these days have been requested already." == press(client, finding).json()["message"]
    )


def test_a_finding_that_is_over_does_nothing(client: httpx.Client, fresh: Engine) -> None:
    """The answer says so; nothing is stored. A finding without a button does nothing either."""
    change(fresh, 1, "failed", refused(43))
    finding = read_findings(client)[0]
    change(fresh, 1)
    answer = press(client, finding)
    assert (404, "This finding is over.") == (answer.status_code, answer.json()["error"])
    assert [] == list_asked(fresh)


def test_rows_are_kept_of_findings_that_offer_it_only(client: httpx.Client, fresh: Engine) -> None:
    """For one whose button loads days again the answer says so, and nothing is stored."""
    change(fresh, 1, "failed", refused(43))
    [finding] = read_findings(client)
    answer = press(client, finding, "keep")
    assert (404, "This finding has no rows to keep.") == (
        answer.status_code,
        answer.json()["error"],
    )
    assert [] == list_asked(fresh)
