"""Old days that Amazon answers without rows: loaded by hand, explained, recorded."""

from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import UNLOADED
from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError
from bidbeacon_pipelines.states.coverage import WindowCoverage
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.explaining import explained, explained_json, findings
from tests.support.jobs import load_by_hand
from tests.support.reading import tuples
from tests.support.rows import change_accounts, change_windows
from tests.support.world import DATASET, World

pytestmark = pytest.mark.datasets(DATASET.name)
TODAY = date(2026, 1, 15)
OLD = TODAY - timedelta(days=200)
SERVED_DAYS = 100


@pytest.fixture
def account(world: World) -> Account:
    """The only active account, whose campaigns are known, and which has rows of 90 days ago."""
    account = world.account()
    change_accounts(world.engine, paused=Account.account_key != account.account_key)
    world.sync_entities(account)
    world.load(account, TODAY - timedelta(days=90))
    return account


def load_twice(world: World, account: Account, day: date = OLD) -> None:
    """Load a day that comes without rows, until that is believed."""
    world.break_with("history", days=SERVED_DAYS, empty=True)
    for _ in range(2):
        world.load(account, day)
        world.advance(minutes=16)


def load_without_brands(world: World, account: Account, *days: date) -> list[ReportWindow]:
    """Load days by hand that come without rows of Brands."""
    world.break_with("history", days=SERVED_DAYS, products=("SPONSORED_BRANDS",), empty=True)
    return load_by_hand(world, account, *days)


def test_a_day_that_stays_not_served_is_not_loaded(world: World, account: Account) -> None:
    """A load by hand requests it, and fails with the reason; once rows come, it is loaded."""
    load_twice(world, account)
    assert "not_served" == world.window(account, OLD).status
    with pytest.raises(WindowNotLoadedError, match=f"{OLD}: Amazon reports no rows of old days"):
        load_by_hand(world, account, OLD)
    window = world.window(account, OLD)
    assert ("not_served", None) == (window.status, window.wanted_by)
    world.sandbox.state.rules.clear()
    [window] = load_by_hand(world, account, OLD)
    assert ("loaded", []) == (window.status, window.not_served)


def test_a_load_that_is_refused_says_so(world: World, account: Account) -> None:
    """The day stays not served; the reason is what Amazon answers now."""
    load_twice(world, account)
    world.break_with("refuse", reason="wrong_region")
    with pytest.raises(WindowNotLoadedError, match="The account is not in this region"):
        load_by_hand(world, account, OLD)
    window = world.window(account, OLD)
    assert ("not_served", {"code": "history-not-proven"}) == (window.status, window.cause)


def test_a_day_that_is_not_served_is_explained(world: World, account: Account) -> None:
    """The sentences say how old it was, up to which age rows have come, and that nothing is due."""
    load_twice(world, account)
    told = explained(world, account, OLD)
    assert ("not served", Severity.WARNING) == (told.state, told.severity)
    assert "Amazon reports no rows of old days" in told.sentence
    age = "It was 200 days old when it was requested, and the oldest rows of"
    products = "Sponsored Products, Sponsored Brands and Sponsored Display"
    assert told.sentence.endswith(
        f"{age} {products} were 90 days old; it is requested again only by hand."
    )
    verdict = explained_json(world, account, OLD)["verdict"]
    assert ("history-not-proven", ["SP", "SB", "SD"]) == (verdict["cause"], verdict["not_served"])
    assert "become zeros without a new request" in verdict["advice"]


def test_a_day_has_the_age_of_its_first_report(world: World, account: Account) -> None:
    """By which it is judged, however late it is loaded again."""
    load_without_brands(world, account, OLD)
    world.advance(days=10)
    load_by_hand(world, account, OLD)
    told = explained(world, account, OLD)
    assert "but Sponsored Brands is not served (it was 200 days old" in told.sentence


def test_a_product_that_was_refused_is_no_unproven_one(world: World, account: Account) -> None:
    """A new grouping may bring a refused product into a window; nothing was ever reported of it."""
    load_without_brands(world, account, OLD)
    is_old = ReportWindow.window_date == OLD
    rest = ReportWindow.product_totals.op("-")("SPONSORED_DISPLAY")
    refused = ["SPONSORED_BRANDS", "SPONSORED_DISPLAY"]
    change_windows(world.engine, is_old, product_totals=rest, not_served=refused)
    told = explained(world, account, OLD)
    assert "; Amazon has refused Sponsored Display as too old." in told.sentence
    assert "but Sponsored Brands is not served (it was 200 days old" in told.sentence
    assert ["SB", "SD"] == explained_json(world, account, OLD)["verdict"]["not_served"]
    rest = ReportWindow.product_totals.op("-")("SPONSORED_BRANDS")
    change_windows(world.engine, is_old, product_totals=rest)
    told = explained(world, account, OLD)
    products = "Sponsored Brands and Sponsored Display"
    assert f"; Amazon has refused {products} as too old." in told.sentence
    assert "days old when it was requested" not in told.sentence
    assert ("fresh", Severity.WARNING, None) == (told.state, told.severity, told.cause)


def test_a_day_is_loaded_without_what_is_not_served(world: World, account: Account) -> None:
    """Explanation, coverage and finding name the ad product."""
    [window] = load_without_brands(world, account, OLD)
    assert ("loaded", ["SPONSORED_BRANDS"]) == (window.status, window.not_served)
    told = explained(world, account, OLD)
    assert ("fresh", Severity.WARNING) == (told.state, told.severity)
    assert f"It has {window.row_count} rows as of" in told.sentence
    assert "but Sponsored Brands is not served (it was 200 days old" in told.sentence
    assert "No further refresh is scheduled." in told.sentence
    assert ["SB"] == explained_json(world, account, OLD)["verdict"]["not_served"]
    coverage = WindowCoverage(world.sessions, clock=world.context.now)
    rows = coverage.read_coverage(DATASET.name, 1, OLD)["accounts"]
    [row] = [one for one in rows if one["key"] == account.account_key]
    assert ("g", ["SB"]) == (row["cells"], row["not_served"][0]["ad_products"])
    [finding] = findings(world, "history-not-proven")
    assert (
        f"not served in daily_targets: Sponsored Brands for 1 day, {OLD}" == finding.effects[0].text
    )


def unloaded(world: World) -> list[tuple[date, str]]:
    """Return the days that the last session handled and did not load, with what became of them."""
    recorded = """SELECT CAST(window_key AS date), effect FROM session_references
                   WHERE session_id = (SELECT session_id FROM session_actions ORDER BY at DESC LIMIT 1)"""
    return [(day, effect) for day, effect in tuples(world.engine, recorded) if effect in UNLOADED]


def sentence(world: World, account: Account) -> str:
    """Return the sentence of the action that marked the old day."""
    timeline = explained_json(world, account, OLD)["timeline"]
    [told] = [one for one in timeline if one["type"] == "windows-not-served"]
    return "".join(part["text"] for part in told["parts"])


def test_a_load_records_what_is_not_served(world: World, account: Account) -> None:
    """One action for the days on which the same ad products are not served, also of loaded days."""
    load_without_brands(world, account, OLD, OLD - timedelta(days=1))
    [partly] = world.actions("windows-not-served")
    assert ("daily_targets", account.account_key) == (partly["dataset"], partly["account"])
    assert [str(OLD - timedelta(days=1)), str(OLD)] == partly["windows"]
    said = "Marked 2 windows of daily_targets as partly not served in Sponsored Brands: "
    assert sentence(world, account).startswith(said)
    assert [] == unloaded(world)
    day = OLD - timedelta(days=50)
    load_twice(world, account, day)
    assert (day, "not-served") in unloaded(world)
