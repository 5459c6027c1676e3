"""Days that Amazon calls too old: how they are found, when they end as not served, and when they are requested again."""

from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError
from bidbeacon_pipelines.windows.not_served_queries import REQUESTED_AGAIN_AFTER
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.explaining import explained, findings
from tests.support.jobs import load_by_hand, make_windows, set_contract
from tests.support.rows import change_accounts, change_ads_accounts, change_windows, remove_requests
from tests.support.world import World

pytestmark = pytest.mark.datasets(DAILY_PRODUCTS.name)
TODAY = date(2026, 1, 15)
LOOSE_WORDS = "lookbackWindow must be one of 7, 14, 30"
"""A refusal of a field's value that names a window of days, and is not about the age of days."""


def prepare(
    world: World, oldest: int, newest: int = 1, countries: tuple[str, ...] = ("US",)
) -> Account:
    """Return the first of the only enabled accounts; of Brands the days from so many to so many days ago are due."""
    accounts = [world.account(country) for country in countries]
    for one in accounts:
        world.sync_entities(one)
    keys = [one.account_key for one in accounts]
    change_accounts(world.engine, paused=Account.account_key.not_in(keys))
    account = accounts[0]
    world.plan(account)
    remove_requests(world.engine)
    change_windows(world.engine, next_refresh_at=None)
    make_due(world, oldest, newest)
    return account


def make_due(world: World, oldest: int, newest: int) -> None:
    """Make the days of Brands due from so many to so many days ago."""
    first, last = (TODAY - timedelta(days=ago) for ago in (oldest, newest))
    are_days = ReportWindow.window_date.between(first, last)
    is_brands, now = ReportWindow.report == "SB", world.context.now()
    change_windows(world.engine, is_brands, are_days, next_refresh_at=now)
    change_ads_accounts(world.engine, planned_at=None)


def load_all_that_is_due(world: World, account: Account) -> None:
    """Go on until no report is open and none is planned."""
    for _ in range(80):
        world.plan(account)
        if not world.query("SELECT FROM report_requests WHERE finished_at IS NULL"):
            return
        world.step()
        world.advance(minutes=5)
    raise AssertionError("something is still requested")


def pass_days(world: World, account: Account, days: int) -> None:
    """Let days pass, and do what is due on the last of them."""
    world.advance(days=days)
    load_all_that_is_due(world, account)


def ages(world: World, status: str) -> list[int]:
    """Return how many days before `TODAY` the windows of Brands of a status are, youngest first."""
    return found_ages(world, "report = 'SB' AND status = :status", status=status)


def found_ages(world: World, condition: str, **values: object) -> list[int]:
    """Return how many days before `TODAY` the windows of a condition are, youngest first."""
    query = f"SELECT window_date FROM report_windows WHERE {condition} ORDER BY 1 DESC"
    return [(TODAY - row["window_date"]).days for row in world.query(query, **values)]


def creates(world: World) -> int:
    """Return how many reports of Brands were requested so far, whether or not Amazon accepted them."""
    [row] = world.query("SELECT sum(attempts) AS n FROM report_requests WHERE report = 'SB'")
    return int(row["n"])


def history(days: int) -> dict[str, object]:
    """Return the sandbox's settings for Brands that are served for so many days."""
    served = {"rule": "history", "days": days, "products": ["SPONSORED_BRANDS"]}
    return {"rows_per_day": 12, "rules": [served]}


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 12}], indirect=True)
@pytest.mark.parametrize("chance", [0.35, 0.5, 0.75])
def test_loose_words_by_chance_cost_no_window(world: World, chance: float) -> None:
    """Older days were loaded, and younger ones are refused by chance for a week: all are loaded in the end, and nothing is learned."""
    account = prepare(world, 300, 291)
    load_all_that_is_due(world, account)
    make_due(world, 290, 1)
    loosely: dict[str, Any] = {"code": "400000", "message": LOOSE_WORDS, "probability": chance}
    world.break_with("refuse", "create_report", **loosely)
    load_all_that_is_due(world, account)
    for _ in range(6):
        pass_days(world, account, 1)
    assert [] == world.query("SELECT subject, value FROM registry_overrides")
    assert [] == [ago for ago in ages(world, "expired") if ago <= 300]
    world.sandbox.state.rules.clear()
    pass_days(world, account, 1)
    assert set(range(1, 301)) <= set(ages(world, "loaded"))


@pytest.mark.parametrize("sandbox", [history(60)], indirect=True)
def test_days_past_a_shorter_history_end_on_the_second_day(world: World) -> None:
    """The first one refused alone is found by halves and refused alone the next day: it ends, and all older ones with it."""
    account = prepare(world, 400)
    load_all_that_is_due(world, account)
    assert list(range(1, 61)) == ages(world, "loaded")
    assert (list(range(61, 401)), []) == (ages(world, "failed"), ages(world, "not_served"))
    on_the_first_day = creates(world)
    pass_days(world, account, 1)
    on_the_second = creates(world) - on_the_first_day
    ended = [ago for ago in ages(world, "not_served") if ago <= 400]
    assert (list(range(61, 401)), []) == (ended, ages(world, "failed"))
    assert [] == world.query("SELECT subject, value FROM registry_overrides")
    # Four reports that are refused twice, a search of eight; then one of yesterday, and the refused day twice.
    assert (16, 3) == (on_the_first_day, on_the_second)
    pass_days(world, account, 1)
    assert 20 == creates(world)


def end_days(world: World, oldest: int = 70, newest: int = 55) -> Account:
    """Have days end as not served that are due and older than the 60 for which Brands are served."""
    account = prepare(world, oldest, newest)
    load_all_that_is_due(world, account)
    pass_days(world, account, 1)
    ended = [ago for ago in ages(world, "not_served") if ago <= oldest]
    assert list(range(61, oldest + 1)) == ended
    return account


@pytest.mark.parametrize("sandbox", [history(60)], indirect=True)
def test_the_youngest_is_requested_again_after_28_days(world: World) -> None:
    """It is refused again and stays; another 28 days later it comes, and the others are due and come too."""
    account = end_days(world)
    day = TODAY - timedelta(days=61)
    asked = """SELECT start_date, end_date FROM report_requests
                WHERE report = 'SB' AND end_date <= :day ORDER BY id DESC LIMIT 1"""
    ended = "SELECT min(not_served_since) AS at FROM report_windows"
    for _ in range(2):
        assert [61] == due_again(world)
        since = world.query(ended)
        pass_days(world, account, REQUESTED_AGAIN_AFTER.days)
        assert [{"start_date": day, "end_date": day}] == world.query(asked, day=day)
        assert since == world.query(ended)
    world.sandbox.state.rules.clear()
    pass_days(world, account, REQUESTED_AGAIN_AFTER.days)
    assert ([], []) == (ages(world, "not_served"), ages(world, "failed"))
    assert set(range(55, 71)) <= set(ages(world, "loaded"))
    [reopened] = world.actions("windows-reopened")
    assert str(TODAY - timedelta(days=62)) in reopened["windows"]


@pytest.mark.parametrize("sandbox", [history(60)], indirect=True)
def test_what_is_said_of_days_that_have_ended(world: World) -> None:
    """The action and each day name Amazon's words and what happens next; Home has one finding of them, which is no warning."""
    account = end_days(world)
    [ended] = world.actions("windows-not-served")
    assert str(TODAY - timedelta(days=70)) in ended["windows"]
    assert "startDate is too old" in ended["cause"]["detail"]["reason"]
    for ago, then in ((61, "It is requested again at"), (70, "A younger day is requested again")):
        told = explained(world, account, TODAY - timedelta(days=ago), DAILY_PRODUCTS)
        assert ("not served", Severity.WARNING) == (told.state, told.severity)
        assert "startDate is too old" in told.sentence
        assert then in told.sentence
    [finding] = findings(world, "not-served")
    counted = f"{len(ages(world, 'not_served'))} windows"
    assert (Severity.WAITING, "load", counted) == (finding.severity, finding.action, finding.unit)


def due_again(world: World) -> list[int]:
    """Return how many days before `TODAY` the days are that have ended and are due again some day."""
    return found_ages(world, "status = 'not_served' AND next_refresh_at IS NOT NULL")


@pytest.mark.parametrize("sandbox", [history(60)], indirect=True)
def test_a_load_by_hand_requests_a_day_that_has_ended_at_once(world: World) -> None:
    """Refused, it has ended again and the person is told why; once it comes, the others are due."""
    account = end_days(world)
    day = TODAY - timedelta(days=65)
    with pytest.raises(WindowNotLoadedError, match="as too old"):
        load_by_hand(world, account, day, dataset=DAILY_PRODUCTS)
    assert list(range(61, 71)) == [ago for ago in ages(world, "not_served") if ago <= 70]
    assert [61] == due_again(world)
    world.sandbox.state.rules.clear()
    load_by_hand(world, account, day, dataset=DAILY_PRODUCTS)
    load_all_that_is_due(world, account)
    assert set(range(55, 71)) <= set(ages(world, "loaded"))


@pytest.mark.parametrize("sandbox", [history(60)], indirect=True)
def test_a_day_that_has_ended_and_comes_empty_reopens_no_other_one(world: World) -> None:
    """Nothing shows that Amazon serves it: it is not served, as days without rows past the proven history are; the others stay."""
    account = end_days(world)
    world.sandbox.state.rules.clear()
    world.break_with("history", days=60, products=("SPONSORED_BRANDS",), empty=True)
    day = TODAY - timedelta(days=61)
    for _ in range(2):
        with suppress(WindowNotLoadedError):
            load_by_hand(world, account, day, dataset=DAILY_PRODUCTS)
        world.advance(minutes=30)
    assert list(range(61, 71)) == [ago for ago in ages(world, "not_served") if ago <= 70]
    assert ([], []) == (due_again(world), world.actions("windows-reopened"))
    by_report = {one.report: one for one in world.windows(account, day, dataset=DAILY_PRODUCTS)}
    window = by_report["SB"]
    assert (1, {"code": "history-not-proven"}) == (window.load_count, window.cause)
    assert window.refused_alone_at is None
    world.sandbox.state.rules.clear()
    load_by_hand(world, account, TODAY - timedelta(days=65), dataset=DAILY_PRODUCTS)
    load_all_that_is_due(world, account)
    assert set(range(62, 71)) <= set(ages(world, "loaded"))


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 12}], indirect=True)
def test_an_account_that_is_refused_everything_loses_no_window(world: World) -> None:
    """While no younger day has come, it may not be the age that is refused: days fail, few are requested, and all come in the end."""
    account = prepare(world, 300)
    world.break_with("refuse", "create_report", reason="too_old")
    load_all_that_is_due(world, account)
    for _ in range(3):
        before = creates(world)
        pass_days(world, account, 1)
        assert creates(world) - before <= 4
    assert ([], []) == (ages(world, "not_served"), ages(world, "loaded"))
    world.sandbox.state.rules.clear()
    pass_days(world, account, 1)
    assert set(range(1, 301)) <= set(ages(world, "loaded"))


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 12}], indirect=True)
def test_a_day_ends_alone_where_an_older_one_was_loaded(world: World) -> None:
    """It can't be the age that is refused: older days are searched, and come; with one that was refused alone the ended one is due again."""
    account = prepare(world, 100, 91)
    load_all_that_is_due(world, account)
    make_due(world, 90, 51)
    world.break_with("history", days=69, products=("SPONSORED_BRANDS",))
    load_all_that_is_due(world, account)
    pass_days(world, account, 1)
    assert ([70], list(range(71, 91))) == (ages(world, "not_served"), ages(world, "failed"))
    assert [70] == due_again(world)
    world.sandbox.state.rules.clear()
    pass_days(world, account, 1)
    assert set(range(51, 101)) <= set(ages(world, "loaded"))


@pytest.mark.parametrize("sandbox", [history(60)], indirect=True)
def test_days_of_all_countries_of_an_ads_account_end(world: World) -> None:
    """One report is refused for all of them; each account has its action."""
    account = prepare(world, 70, 55, countries=("DE", "GB"))
    load_all_that_is_due(world, account)
    pass_days(world, account, 1)
    first, second = world.actions("windows-not-served")
    accounts = {account.account_key, world.account("GB").account_key}
    assert accounts == {first["account"], second["account"]}
    assert first["windows"] == second["windows"]
    ended = [ago for ago in ages(world, "not_served") if ago <= 70]
    assert sorted([*range(61, 71), *range(61, 71)]) == ended


@pytest.mark.parametrize("sandbox", [history(60)], indirect=True)
def test_a_young_day_that_was_refused_once_reopens_no_older_one(world: World) -> None:
    """That it comes shows nothing about days that ended for their age."""
    account = end_days(world, 100, 1)
    ended = ages(world, "not_served")
    make_due(world, 20, 20)
    is_young = ReportWindow.window_date == TODAY - timedelta(days=20)
    is_brands, now = ReportWindow.report == "SB", world.context.now()
    change_windows(world.engine, is_brands, is_young, refused_alone_at=now)
    load_all_that_is_due(world, account)
    assert [] == found_ages(world, "refused_alone_at IS NOT NULL AND status = 'loaded'")
    assert ended == ages(world, "not_served")


@pytest.mark.parametrize("sandbox", [history(60)], indirect=True)
def test_days_that_expired_with_a_cause_are_due_when_the_history_is_longer_again(
    world: World,
) -> None:
    """A person sets a shorter history, which ends them, and forgets it."""
    account = end_days(world, 100, 1)
    ended = ages(world, "not_served")
    for days, status in (("50", "expired"), (None, "missing")):
        set_contract(world, DAILY_PRODUCTS, "history:SB", days)
        make_windows(world, account, DAILY_PRODUCTS, again=True)
        assert set(ended) <= set(ages(world, status))
    is_due = "report = 'SB' AND status = 'missing' AND next_refresh_at <= :now"
    assert set(ended) <= set(found_ages(world, is_due, now=world.context.now()))
