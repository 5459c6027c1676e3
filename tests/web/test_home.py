"""`GET /api/home`: what is fresh over all of history, what is wrong and for which cause, with one link each."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from bidbeacon_pipelines.accounts.queries import list_accounts, set_needs_attention, set_resumed
from bidbeacon_pipelines.actions import WindowsQueued
from bidbeacon_pipelines.problems import health_checks
from bidbeacon_pipelines.requests.backfill import WindowNotLoadedError
from bidbeacon_pipelines.requests.wanted_queries import list_wanted
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_pipelines.windows.queries import WindowTimes, create_windows, set_windows_through
from bidbeacon_sessions import SessionStore, Subject, with_job_session
from bidbeacon_sessions.server import Access, StreamServer

NOW = datetime(2026, 7, 25, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
REPORT = "SP+SB+SD"
DUE = WindowTimes(NOW, NOW + timedelta(days=700))
DATASET = "daily_targets"
Serve = Callable[..., AbstractContextManager[StreamServer]]

ACCOUNTS = """
    WITH ads_account AS (
        INSERT INTO ads_accounts (account_id, ads_account_key, name, client_id, region, time_zone, first_seen_at)
        SELECT 'amzn1.' || n, n, initcap(n), 'client', 'NA', 'UTC', '2026-01-01' FROM unnest(ARRAY['one', 'two']) n)
    INSERT INTO advertiser_accounts (account_id, country_code, account_key, name, amazon_status, region, currency_code, time_zone, first_seen_at)
    SELECT 'amzn1.' || n, 'US', 'US.' || n, initcap(n), 'CREATED', 'NA', 'USD', 'UTC', '2026-01-01' FROM unnest(ARRAY['one', 'two']) n"""
FRESH = """
    INSERT INTO report_windows (account_id, country_code, dataset, report, window_date, expires_at, status, last_loaded_at, data_as_of, load_count)
    SELECT account_id, country_code, :dataset, 'SP+SB+SD', CAST(:today AS date) - n, now() + interval '2 years', 'loaded', :now, :now, 1
      FROM advertiser_accounts CROSS JOIN generate_series(1, :days) n"""
CHANGE = """
    UPDATE report_windows SET status = :status, failure_reason = :reason, last_requested_at = :at, next_refresh_at = :due, suspicious_digest = :suspicious
     WHERE account_id = 'amzn1.' || :account AND window_date = CAST(:today AS date) - :age"""


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
        reason: str | None = None,
        *,
        account: str = "one",
        at: datetime = NOW,
        due: datetime | None = None,
        suspicious: str | None = None,
    ) -> None:
        """Change the window of so many days ago."""
        values = {
            "account": account,
            "age": age,
            "today": TODAY,
            "at": at,
            "due": due,
            "suspicious": suspicious,
        }
        self.execute(CHANGE, status=status, reason=reason, **values)

    def home(self) -> dict[str, Any]:
        """Return what the endpoint says."""
        answer = self.client.get("/api/home")
        assert 200 == answer.status_code, answer.text
        return dict(answer.json())

    def problems(self) -> list[dict[str, Any]]:
        """Return the problems, without those that the machine of the test may have."""
        return list(self.home()["problems"])


@pytest.fixture
def nothing(session_store: SessionStore, engine: Engine, serve_stream: Serve) -> Iterator[World]:
    """A database without accounts."""
    extension = pipelines_extension(session_store, Settings(), clock=lambda: NOW)
    access = Access(changes_without_token=True)
    with (
        serve_stream(session_store, extension=extension, access=access) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        yield World(engine, client)


@pytest.fixture
def world(nothing: World) -> World:
    """Two accounts, whose windows all are fresh."""
    nothing.execute(ACCOUNTS)
    nothing.execute(FRESH, dataset=DATASET, today=TODAY, now=NOW, days=700)
    return nothing


def test_a_new_database_has_nothing_wrong_but_no_accounts(nothing: World) -> None:
    """All datasets are named, so that a newcomer sees what there will be."""
    home = nothing.home()
    assert (0, []) == (home["accounts"]["accounts"], home["problems"])
    assert 9 == len(home["datasets"])
    assert home["starting"]["now"].startswith("Accounts are read from Amazon")
    assert "warning" in [one["level"] for one in home["checks"] if one["name"] == "accounts"]


def test_home_is_starting_until_a_window_is_loaded(nothing: World) -> None:
    """With accounts and without data it says what happens now and when the first data comes; from the first load on, no more."""
    nothing.execute(ACCOUNTS)
    told = nothing.home()["starting"]
    assert "2 accounts are being synced" in told["now"]
    assert "The first data comes" in told["first_data"]
    with nothing.engine.begin() as connection:
        account = list_accounts(connection)[0]
        days = [TODAY - timedelta(days=age) for age in range(1, 4)]
        create_windows(connection, account, DATASET, REPORT, dict.fromkeys(days, DUE))
        set_windows_through(connection, account, DATASET, REPORT, TODAY)
    assert "3 days of data" in nothing.home()["starting"]["now"]
    nothing.execute(
        "UPDATE report_windows SET status = 'loaded', load_count = 1, last_loaded_at = :now, data_as_of = :now"
        " WHERE window_date = :day",
        now=NOW,
        day=days[0],
    )
    assert nothing.home()["starting"] is None


def test_windows_that_were_just_created_are_counted_in_each_state(nothing: World) -> None:
    """While the first windows are planned, the total is as new as the states: nothing is less than zero."""
    nothing.execute(ACCOUNTS)
    days = [TODAY - timedelta(days=age) for age in range(1, 701)]
    for planned in range(1, 3):
        with nothing.engine.begin() as connection:
            account = list_accounts(connection)[planned - 1]
            create_windows(connection, account, DATASET, REPORT, dict.fromkeys(days, DUE))
            set_windows_through(connection, account, DATASET, REPORT, TODAY)
        [told] = [one for one in nothing.home()["datasets"] if one["name"] == DATASET]
        assert (700 * planned, {"due": 700 * planned}) == (told["windows"], told["states"])


def test_windows_of_all_history_are_counted_by_state(world: World) -> None:
    """The same states as on the map; what is expired is no problem that somebody could solve."""
    world.change(1, "missing", due=NOW + timedelta(hours=1))
    world.change(2, due=NOW - timedelta(hours=1))
    world.change(3, due=NOW - timedelta(days=1))
    world.change(4, "failed", "no")
    world.change(5, "unconfirmed", "silent", due=NOW)
    world.change(6, suspicious="digest", due=NOW)
    world.change(699, "expired")
    home = world.home()
    assert ["failed", "late", "suspicious", "unconfirmed"] == [
        one["kind"] for one in home["problems"]
    ]
    [told] = [one for one in home["datasets"] if one["name"] == DATASET]
    one_each = ("not due", "due", "late", "failed", "unconfirmed", "suspicious", "expired")
    assert {"fresh": 1393, **dict.fromkeys(one_each, 1)} == told["states"]
    coverage = world.client.get(
        "/api/coverage", params={"dataset": DATASET, "days": 731, "to": str(TODAY)}
    ).json()
    cells = Counter("".join(account["cells"] for account in coverage["accounts"]))
    assert told["states"] == {
        name: cells[letter] for letter, name in coverage["states"].items() if cells[letter]
    }


def test_windows_that_failed_for_one_cause_are_one_problem(world: World) -> None:
    """Whatever the numbers in their reasons; with since when, of how many accounts, and a link to the map."""
    for age, account in ((3, "one"), (9, "one"), (5, "two")):
        reason = f"{age} of 1,{age}00 rows ({age}.0%) failed validation"
        world.change(age, "failed", reason, account=account, at=NOW - timedelta(hours=age))
    world.change(20, "failed", "Amazon reported INTERNAL_ERROR")
    first, second = world.problems()
    assert ("failed", 3, 2) == (first["kind"], first["count"], first["accounts"])
    assert datetime.fromisoformat(first["since"]) == NOW - timedelta(hours=9)
    assert "/coverage?dataset=daily_targets&state=failed&days=731" == first["link"]
    assert ("Amazon reported INTERNAL_ERROR", 1) == (second["cause"], second["count"])
    assert (
        f"/coverage?dataset=daily_targets&account=US.one&window={TODAY - timedelta(days=20)}"
        == second["link"]
    )


def test_late_windows_are_a_problem_and_those_that_wait_are_none(world: World) -> None:
    """Late is due for longer than the tolerance; a stopped account's windows are not late: the account is the problem."""
    world.change(2, due=NOW - timedelta(hours=11))
    world.change(3, due=NOW - timedelta(hours=13))
    world.change(3, due=NOW - timedelta(hours=13), account="two")
    world.execute(
        "UPDATE ads_accounts SET needs_attention = 'Not allowed', needs_attention_for = 'account' WHERE ads_account_key = 'two'"
    )
    stopped, late = world.problems()
    assert ("needs attention", "Not allowed") == (stopped["kind"], stopped["cause"])
    assert "/accounts/US.two" == stopped["link"]
    assert ("late", 1, "failure") == (late["kind"], late["count"], late["level"])
    assert datetime.fromisoformat(late["since"]) == NOW - timedelta(hours=13)


def test_several_stopped_accounts_lead_to_the_sessions_that_say_so(world: World) -> None:
    """One leads to its own page, where it can be resumed; of several, no single page has them all."""
    world.execute(
        "UPDATE ads_accounts SET needs_attention = 'Not allowed', needs_attention_for = 'account'"
    )
    [stopped] = world.problems()
    assert "/sessions?type=account-needs-attention" == stopped["link"]


def test_what_to_do_is_said_beside_the_cause(world: World) -> None:
    """Also where it is no more than to open it."""
    world.change(
        3, "failed", "Amazon reported FAILED (no reason given). Given up after 5 attempts."
    )
    [failed] = world.problems()
    assert (
        "Open it to see when a new report is requested, or to load it again now." == failed["to_do"]
    )


def test_a_stopped_account_says_since_when(world: World) -> None:
    """Since Amazon's refusal was believed; enabling it forgets that."""
    with world.engine.begin() as connection:
        set_needs_attention(connection, "amzn1.two", "Not allowed")
        at = connection.execute(text("SELECT now()")).scalar_one()
    [stopped] = world.problems()
    assert at == datetime.fromisoformat(stopped["since"])
    with world.engine.begin() as connection:
        set_resumed(connection, "US.two")
        left = connection.execute(
            text("SELECT count(needs_attention_since) FROM ads_accounts")
        ).scalar_one()
    assert 0 == left


def test_sessions_that_failed_alike_are_one_problem(
    world: World, session_store: SessionStore
) -> None:
    """By job and error, whatever the numbers in it; one alone leads to its session."""
    for number in (1, 2):
        with suppress(OSError), with_job_session("bake", store=session_store, clock=lambda: NOW):
            raise OSError(f"oven {number} is cold")
    with (
        suppress(KeyError),
        with_job_session("brew", store=session_store, clock=lambda: NOW) as session,
    ):
        raise KeyError("tea")
    told = {one["kind"]: one for one in world.problems()}
    assert (2, "/sessions?job=bake&status=failed&since=24h") == (
        told["bake failed"]["count"],
        told["bake failed"]["link"],
    )
    assert f"/sessions/{session.session_id}" == told["brew failed"]["link"]


def test_a_load_that_failed_is_not_shown_beside_its_windows(
    world: World, session_store: SessionStore
) -> None:
    """Unless it says something that no window says, be it the reason of one day of several."""
    reason, other = (
        "44 of 941 rows (4.7%) failed validation (6 × campaign.id: missing)",
        "Amazon said no. " * 20,
    )
    world.change(3, "failed", reason)
    world.change(4, "failed", other)
    shown = ([reason], [reason, other], [other] * 8)
    for said in (*shown, ["the account is paused"], [reason, "the limit is reached"]):
        reasons = {TODAY - timedelta(days=age): each for age, each in enumerate(said, start=3)}
        with (
            suppress(WindowNotLoadedError),
            with_job_session("load-windows", store=session_store, clock=lambda: NOW),
        ):
            raise WindowNotLoadedError(DATASET, reasons)
    told = [(one["kind"], one["count"]) for one in world.problems() if one["kind"] != "failed"]
    assert [("load-windows failed", 1)] * 2 == told


def test_a_job_that_succeeded_since_is_a_warning(world: World, session_store: SessionStore) -> None:
    """For the same account: that of another says nothing of it."""
    for account in ("US.one", "US.two"):
        with (
            suppress(OSError),
            with_job_session(
                "bake", store=session_store, account=Subject(account), clock=lambda: NOW
            ),
        ):
            raise OSError("the oven is cold")
    with with_job_session(
        "bake",
        store=session_store,
        account=Subject("US.one"),
        clock=lambda: NOW + timedelta(minutes=1),
    ):
        pass
    [told] = world.problems()
    assert ("failure", False, 2, ["One · US", "Two · US"]) == (
        told["level"],
        told["is_recovered"],
        told["count"],
        told["names"],
    )
    with with_job_session(
        "bake",
        store=session_store,
        account=Subject("US.two"),
        clock=lambda: NOW + timedelta(minutes=1),
    ):
        pass
    [told] = world.problems()
    assert ("warning", True) == (told["level"], told["is_recovered"])


def test_problems_are_named_in_plain_words(world: World, session_store: SessionStore) -> None:
    """Work that nobody did is a problem for a day after its deadline, and so is that no job has run since."""
    for age in (timedelta(days=8), WindowsQueued.promise_lasts + timedelta(hours=1)):
        with with_job_session(
            "plan", store=session_store, account=Subject("US.one"), clock=lambda at=NOW - age: at
        ) as session:
            queued = WindowsQueued(
                account="US.one", dataset=DATASET, windows=[TODAY], request_id=age.days
            )
            session.add(queued)
    told = {one["kind"]: (one["count"], one["link"]) for one in world.problems()}
    assert {
        "no job runs": (None, "/#checks"),
        "not done in time": (1, f"/sessions/{session.session_id}"),
    } == told


def test_promises_planned_reports_and_calls_are_told(
    world: World, session_store: SessionStore
) -> None:
    """Open and lost promises, reports that are put off, and the cost of Amazon's limits are counted."""
    for request, started in ((1, NOW - timedelta(days=30)), (2, datetime.now(UTC))):
        with with_job_session(
            "plan", store=session_store, account=Subject("US.one"), clock=lambda at=started: at
        ) as session:
            session.add(
                WindowsQueued(
                    account="US.one", dataset=DATASET, windows=[TODAY], request_id=request
                )
            )
    world.execute(
        """INSERT INTO report_requests (account_id, dataset, report, start_date, end_date, created_at)
           VALUES ('amzn1.one', :dataset, :report, :day, :day, :at)""",
        dataset=DATASET,
        report=REPORT,
        day=TODAY,
        at=NOW,
    )
    world.execute(
        """INSERT INTO api_calls (called_at, region, call, status, duration, queued, waited, retry_count)
           VALUES (:at, 'NA', 'create_report', 429, interval '1 s', interval '2 s', interval '3 s', 0)""",
        at=NOW - timedelta(hours=1),
    )
    home = world.home()
    assert (1, 1, ["report-request 1"]) == (
        home["promises"]["open"],
        home["promises"]["lost"],
        [one["key"] for one in home["promises"]["lost_last"]],
    )
    limits = home["throttling"]
    assert [(DATASET, 1)] == [(one["dataset"], one["reports"]) for one in limits["put_off"]]
    assert (1, 1, 3.0, 2.0) == tuple(
        limits["calls"][name] for name in ("count", "throttled", "waited_seconds", "queued_seconds")
    )
    names = {one["name"] for one in home["checks"]}
    ours = {
        "accounts",
        "requests",
        "gates",
        "contract",
        "sessions",
        "calls",
        "jobs",
        "Dagster",
        "alerts",
        "partitions",
        "processes",
        "disk",
    }
    assert ours == names


def test_more_partitions_than_dagster_shows_well_are_a_problem(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning, with the setting that makes room."""
    monkeypatch.setattr(health_checks, "NEARLY_FULL", 1_000)
    [problem] = world.problems()
    assert ("many partitions", "warning") == (problem["kind"], problem["level"])
    assert problem["to_do"].startswith("Set BIDBEACON_PARTITION_MONTHS=")


def test_home_takes_no_parameters(world: World) -> None:
    """An unknown one is refused, with what to do."""
    assert 400 == world.client.get("/api/home?days=3").status_code


REFUSED = "43 of 1,500 rows (2.9%) are invalid (43 × metric.clicks: missing)"


def load_again(world: World, problem: dict[str, Any]) -> httpx.Response:
    """Press the button of a problem."""
    return world.client.post("/api/problems/load", json={"problem": problem["load"]})


def list_asked(world: World) -> list[tuple[str, str, int]]:
    """Return what is wanted: account, dataset and number of days."""
    with world.engine.connect() as connection:
        wanted = list_wanted(connection)
    return sorted((one["account_key"], one["dataset"], len(one["windows"])) for one in wanted)


def test_all_days_of_a_problem_are_asked_for_in_all_datasets(world: World) -> None:
    """Whatever the numbers in their reasons, of all accounts; neither those of another cause nor those that are fresh."""
    world.execute(FRESH, dataset="daily_products", today=TODAY, now=NOW, days=700)
    for age in range(1, 131):
        world.change(age, "failed", REFUSED.replace("43", str(age)))
    world.change(7, "failed", REFUSED, account="two")
    world.change(200, "failed", "Amazon reported CANCELLED")
    problem = world.problems()[0]
    assert (262, ["daily_products", "daily_targets"]) == (
        problem["count"],
        sorted(problem["datasets"]),
    )
    answer = load_again(world, problem)
    assert (200, {"runs": 4, "windows": 262, "stopped": []}) == (
        answer.status_code,
        answer.json(),
    )
    assert [
        ("US.one", "daily_products", 130),
        ("US.one", "daily_targets", 130),
        ("US.two", "daily_products", 1),
        ("US.two", "daily_targets", 1),
    ] == list_asked(world)


def test_days_that_are_wanted_already_are_not_asked_for_twice(world: World) -> None:
    """A second click asks for those that failed meanwhile."""
    world.change(1, "failed", REFUSED)
    load_again(world, world.problems()[0])
    world.change(2, "failed", REFUSED)
    answer = load_again(world, world.problems()[0])
    assert {"runs": 1, "windows": 1, "stopped": []} == answer.json()
    assert [("US.one", DATASET, 1)] * 2 == list_asked(world)


def test_a_problem_that_is_over_is_not_loaded_again(world: World) -> None:
    """The answer says so; nothing is stored."""
    world.change(1, "failed", REFUSED)
    problem = world.problems()[0]
    world.change(1)
    answer = load_again(world, problem)
    assert (404, "This problem is over.") == (answer.status_code, answer.json()["error"])
    assert [] == list_asked(world)


def test_only_windows_can_be_loaded_again(world: World) -> None:
    """A problem without windows has no button."""
    with suppress(RuntimeError), with_job_session("bakes", store=SessionStore(world.engine)):
        raise RuntimeError("no flour")
    assert [None] == [one["load"] for one in world.problems() if one["kind"] == "bakes failed"]


@pytest.mark.parametrize(
    "reason", [REFUSED, "34 of 34 rows (100.0%) of the report have no readable date or country"]
)
def test_quarantine_is_named_where_it_has_the_rows(world: World, reason: str) -> None:
    """With the command that shows them; of another cause it is not."""
    world.change(1, "failed", reason)
    world.change(2, "failed", "Amazon reported CANCELLED")
    told = {one["cause"]: one["to_do"] for one in world.problems()}
    assert "The rows are in quarantine: `bidbeacon quarantine list` shows them" in told[reason]
    assert "quarantine" not in told["Amazon reported CANCELLED"]
