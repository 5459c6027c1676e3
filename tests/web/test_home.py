"""`GET /api/home`: what is fresh over all of history, what is wrong and for which cause, with one link each."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from bidbeacon_pipelines.accounts.queries import list_accounts, set_needs_attention
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import Cause, cause
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.requests.backfill import WindowNotLoadedError
from bidbeacon_pipelines.requests.wanted_queries import list_wanted
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_pipelines.windows.queries import WindowTimes, create_windows, set_windows_through
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import SessionStore, Subject, with_job_session
from bidbeacon_sessions.server import Access, StreamServer
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
DUE = WindowTimes(NOW, NOW + timedelta(days=700))
DATASET = "daily_targets"
TOKEN = "a-long-random-token"
Serve = Callable[..., AbstractContextManager[StreamServer]]

MADE = """
    INSERT INTO dataset_windows (account_id, country_code, dataset, report, through_date, windows)
    SELECT account_id, country_code, dataset, report, max(window_date), count(*) FROM report_windows GROUP BY 1, 2, 3, 4"""

CANCELLED = cause("report-failed", status="CANCELLED")


def refused(rows: int) -> Cause:
    """Return that a report was refused for so many invalid rows."""
    return cause("rows-invalid", detail={"bad": rows, "rows": 1_500, "share": rows / 1_500})


class World:
    """Two accounts with windows of two years, and what the server says of them."""

    def __init__(self, engine: Engine, client: httpx.Client) -> None:
        self.engine = engine
        self.client = client

    def execute(self, statement: str, **values: Any) -> None:
        """Change the database."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def change(
        self,
        age: int,
        status: str = "loaded",
        why: Cause | None = None,
        *,
        account: str = "one",
        at: datetime = NOW,
        due: datetime | None = None,
        suspicious: str | None = None,
    ) -> None:
        """Change the window of so many days ago."""
        change_windows(
            self.engine,
            ReportWindow.account_id == f"amzn1.{account}",
            ReportWindow.window_date == TODAY - timedelta(days=age),
            status=status,
            cause=why,
            cause_since=at,
            next_refresh_at=due,
            suspicious_digest=suspicious,
        )

    def accounts(self) -> list[Account]:
        """Return all accounts."""
        with self.engine.begin() as connection:
            return list_accounts(connection)

    def add_accounts(self) -> list[Account]:
        """Store two accounts."""
        names, seen = ("one", "two"), {"first_seen_at": datetime(2026, 1, 1, tzinfo=UTC)}
        return [
            add_account(self.engine, account_id=f"amzn1.{name}", time_zone="UTC", **seen)
            for name in names
        ]

    def home(self) -> dict[str, Any]:
        """Return what the endpoint says."""
        answer = self.client.get("/api/home")
        assert 200 == answer.status_code, answer.text
        return dict(answer.json())

    def findings(self) -> list[dict[str, Any]]:
        """Return what is wrong."""
        return list(self.home()["findings"])

    def press(self, finding: dict[str, Any]) -> httpx.Response:
        """Press the button of a finding."""
        return self.client.post("/api/findings/act", json={"finding": finding["key"]})


def add_fresh(world: World, account: Account, dataset: str, days: int) -> None:
    """Store so many loaded windows of an account, up to yesterday."""
    past = days_until(TODAY - timedelta(days=1), days)
    later = NOW + timedelta(days=730)
    add_windows(world.engine, account, past, dataset, expires_at=later, **as_loaded(NOW))


@pytest.fixture
def nothing(session_store: SessionStore, engine: Engine, serve_stream: Serve) -> Iterator[World]:
    """A database without accounts."""
    extension = pipelines_extension(session_store, Settings(), clock=lambda: NOW)
    access, shown = Access(TOKEN), {"Authorization": f"Bearer {TOKEN}"}
    with (
        serve_stream(session_store, extension=extension, access=access) as server,
        httpx.Client(base_url=server.url, timeout=30, headers=shown) as client,
    ):
        yield World(engine, client)


@pytest.fixture
def world(nothing: World) -> World:
    """Two accounts, whose windows all are fresh."""
    for account in nothing.add_accounts():
        add_fresh(nothing, account, DATASET, 700)
    nothing.execute(MADE)
    return nothing


def test_a_new_database_has_nothing_wrong_but_no_accounts(nothing: World) -> None:
    """All datasets are named, so that a newcomer sees what there will be."""
    home = nothing.home()
    assert (0, []) == (home["accounts"]["accounts"], home["findings"])
    assert list(DATASETS) == [one["name"] for one in home["datasets"]]
    assert home["starting"]["now"].startswith("Accounts are read from Amazon")


def test_home_is_starting_until_a_window_is_loaded(nothing: World) -> None:
    """With accounts and without data it says what happens now and when the first data comes; from the first load on, no more."""
    nothing.add_accounts()
    told = nothing.home()["starting"]
    assert "2 accounts are being synced" in told["now"]
    assert "The first data comes" in told["first_data"]
    with nothing.engine.begin() as connection:
        account = list_accounts(connection)[0]
        days = [TODAY - timedelta(days=age) for age in range(1, 4)]
        create_windows(connection, account, DATASET, REPORT, dict.fromkeys(days, DUE))
        set_windows_through(connection, account, DATASET, REPORT, TODAY, created=3)
    assert "of 3 windows" in nothing.home()["starting"]["now"]
    change_windows(
        nothing.engine,
        ReportWindow.window_date == days[0],
        status="loaded",
        load_count=1,
        last_loaded_at=NOW,
        data_as_of=NOW,
        next_refresh_at=None,
    )
    assert nothing.home()["starting"] is None


def test_windows_of_all_history_are_counted_by_state(world: World) -> None:
    """The same states as on the map; what is expired is nothing that somebody could solve."""
    world.change(1, "missing", due=NOW + timedelta(hours=1))
    world.change(2, due=NOW - timedelta(hours=1))
    world.change(3, due=NOW - timedelta(days=1))
    world.change(4, "failed", CANCELLED)
    world.change(5, "unconfirmed", cause("rows-missing"), due=NOW)
    world.change(6, why=cause("rows-lost"), suspicious="digest", due=NOW)
    change_windows(
        world.engine, ReportWindow.status == "missing", last_loaded_at=None, data_as_of=None
    )
    home = world.home()
    assert {"report-failed", "overdue", "rows-lost", "rows-missing"} == {
        one["code"] for one in home["findings"]
    }
    [told] = [one for one in home["datasets"] if one["name"] == DATASET]
    one_each = ("missing", "due", "late", "failed", "unconfirmed", "suspicious")
    assert {"fresh": 1394, **dict.fromkeys(one_each, 1)} == told["states"]
    coverage = world.client.get(
        "/api/coverage", params={"dataset": DATASET, "days": 731, "to": str(TODAY)}
    ).json()
    cells = Counter("".join(account["cells"] for account in coverage["accounts"]))
    assert told["states"] == {
        name: cells[letter] for letter, name in coverage["states"].items() if cells[letter]
    }


def test_windows_that_failed_for_one_cause_are_one_finding(world: World) -> None:
    """Whatever the details of their causes; with since when, of how many accounts, and a link to the map."""
    for age, account in ((3, "one"), (9, "one"), (5, "two")):
        world.change(age, "failed", refused(age), account=account, at=NOW - timedelta(hours=age))
    world.change(20, "failed", CANCELLED)
    first, second = world.findings()
    assert ("rows-invalid", "error", 3, 2) == tuple(
        first[name] for name in ("code", "severity", "count", "accounts")
    )
    assert "3 windows of 2 accounts failed, in daily_targets" == first["effects"][0]["text"]
    assert datetime.fromisoformat(first["since"]) == NOW - timedelta(hours=9)
    assert "/coverage?dataset=daily_targets&state=failed&days=731" == first["link"]
    assert (1, "Amazon reported CANCELLED.") == (second["count"], second["sentence"])
    day = TODAY - timedelta(days=20)
    assert f"/coverage?dataset=daily_targets&account=US.one&window={day}" == second["link"]


def test_late_windows_of_a_stopped_account_are_below_the_account(world: World) -> None:
    """Late is due for longer than the tolerance; a stopped account is one finding, with its windows, and is resumed by a button."""
    world.change(2, due=NOW - timedelta(hours=11))
    world.change(3, due=NOW - timedelta(hours=13))
    world.change(3, due=NOW - timedelta(hours=13), account="two")
    with world.engine.begin() as connection:
        set_needs_attention(connection, "amzn1.two", cause("account-refused"))
        at = connection.execute(text("SELECT now()")).scalar_one()
    stopped, late = world.findings()
    assert ["1 ads account not refreshed", "700 windows not refreshed"] == [
        one["text"] for one in stopped["effects"]
    ]
    assert ("/accounts/US.two", "Resume") == (stopped["link"], stopped["button"])
    assert at == datetime.fromisoformat(stopped["since"])
    assert ("overdue", 1, "error") == (late["code"], late["count"], late["severity"])
    assert datetime.fromisoformat(late["since"]) == NOW - timedelta(hours=13)
    [told] = [one for one in world.home()["datasets"] if one["name"] == DATASET]
    assert 700 == told["states"]["needs attention"]
    assert "Resumed 1 ads account" in world.press(stopped).json()["said"]
    assert "account-refused" not in [one["code"] for one in world.findings()]


def test_sessions_that_failed_alike_are_one_finding(
    world: World, session_store: SessionStore
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
    told = {one["effects"][0]["text"]: one["link"] for one in world.findings()}
    assert {
        "2 sessions of bake failed": "/sessions?job=bake&status=failed&since=24h",
        "1 session of brew failed": f"/sessions/{session.session_id}",
    } == told


def test_a_load_that_failed_is_below_its_windows(world: World, session_store: SessionStore) -> None:
    """Unless no window has any of its causes."""
    world.change(3, "failed", refused(44))
    for said in ([refused(3), cause("no-slot-yet")], [cause("no-slot-yet")]):
        causes = {TODAY - timedelta(days=age): each for age, each in enumerate(said, start=3)}
        with (
            suppress(WindowNotLoadedError),
            with_job_session("load-windows", store=session_store, clock=lambda: NOW),
        ):
            raise WindowNotLoadedError(DATASET, causes)
    told = {one["code"]: [effect["text"] for effect in one["effects"]] for one in world.findings()}
    assert {"rows-invalid", "windows-not-loaded"} == told.keys()
    assert "1 session of load-windows failed" == told["rows-invalid"][-1]


def test_a_job_that_succeeded_since_is_no_finding(
    world: World, session_store: SessionStore
) -> None:
    """For the same account: that of another says nothing of it."""
    for account in ("US.one", "US.two"):
        with (
            suppress(OSError),
            with_job_session(
                "bake", store=session_store, account=Subject(account), clock=lambda: NOW
            ),
        ):
            raise OSError("the oven is cold")
    for account, expected in (("US.one", ["error"]), ("US.two", [])):
        with with_job_session(
            "bake",
            store=session_store,
            account=Subject(account),
            clock=lambda: NOW + timedelta(minutes=1),
        ):
            pass
        assert expected == [one["severity"] for one in world.findings()]


def test_planned_reports_and_calls_are_told(world: World) -> None:
    """Reports that are put off, and the cost of Amazon's limits are counted."""
    add_request(world.engine, "amzn1.one", TODAY, DATASET, REPORT, created_at=NOW)
    world.execute(
        """INSERT INTO api_calls (called_at, region, call, status, duration, queued, waited, retry_count)
           VALUES (:at, 'NA', 'create_report', 429, interval '1 s', interval '2 s', interval '3 s', 0)""",
        at=NOW - timedelta(hours=2),
    )
    home = world.home()
    limits = home["limits"]
    assert [(DATASET, 1)] == [(one["dataset"], one["reports"]) for one in limits["put_off"]]
    assert (1, 1, 3.0, 2.0) == tuple(
        limits["calls"][name] for name in ("count", "throttled", "waited_seconds", "queued_seconds")
    )


def test_home_takes_no_parameters(world: World) -> None:
    """An unknown one is refused, with what to do."""
    assert 400 == world.client.get("/api/home?days=3").status_code


def list_asked(world: World) -> list[tuple[str, str, int]]:
    """Return what is wanted: account, dataset and number of days."""
    with world.engine.connect() as connection:
        wanted = list_wanted(connection)
    return sorted((one["account_key"], one["dataset"], len(one["windows"])) for one in wanted)


def test_all_days_of_a_finding_are_asked_for_in_all_datasets(world: World) -> None:
    """Whatever the details of their causes, of all accounts; neither those of another cause nor those that are fresh. A second click asks for no day twice."""
    for account in world.accounts():
        add_fresh(world, account, "daily_products", 700)
    for age in range(1, 131):
        world.change(age, "failed", refused(age))
    world.change(7, "failed", refused(43), account="two")
    world.change(200, "failed", CANCELLED)
    finding = world.findings()[0]
    assert (262, "Load these 262 windows again") == (finding["count"], finding["button"])
    answer = world.press(finding)
    assert answer.json()["said"].startswith("Requested 262 days of 2 accounts")
    assert [
        ("US.one", "daily_products", 130),
        ("US.one", "daily_targets", 130),
        ("US.two", "daily_products", 1),
        ("US.two", "daily_targets", 1),
    ] == list_asked(world)
    assert "All of these days have been requested already." == world.press(finding).json()["said"]


def test_a_finding_that_is_over_does_nothing(world: World) -> None:
    """The answer says so; nothing is stored. A finding without a button does nothing either."""
    world.change(1, "failed", refused(43))
    finding = world.findings()[0]
    world.change(1)
    answer = world.press(finding)
    assert (404, "This finding is over.") == (answer.status_code, answer.json()["error"])
    assert [] == list_asked(world)


def test_rows_are_kept_of_findings_that_offer_it_only(world: World) -> None:
    """For one whose button loads days again the answer says so, and nothing is stored."""
    world.change(1, "failed", refused(43))
    [finding] = world.findings()
    answer = world.client.post("/api/findings/keep", json={"finding": finding["key"]})
    assert (404, "No rows of this finding can be kept.") == (
        answer.status_code,
        answer.json()["error"],
    )
    assert [] == list_asked(world)


def test_a_finding_is_acknowledged_on_the_page(world: World) -> None:
    """With a note, and by whom; it can be taken back."""
    world.change(1, "failed", CANCELLED)
    [finding] = world.findings()
    body = {"finding": finding["key"], "note": "known"}
    assert 200 == world.client.post("/api/findings/acknowledge", json=body).status_code
    [known] = world.findings()
    assert ("page", "known") == tuple(known["acknowledged"][name] for name in ("by", "note"))
    del body["note"]
    assert 200 == world.client.post("/api/findings/unacknowledge", json=body).status_code
    assert [None] == [one["acknowledged"] for one in world.findings()]
