"""Silence is not zero: a report without any row of a country that should have some is requested once more."""

from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.entities.sync import ExportFailedError
from tests.postgres.explaining import explained, findings
from tests.support.checking import assert_has
from tests.support.world import World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)


@pytest.fixture
def account(world: World) -> Account:
    """Return an account with campaigns, in Germany, whose ads account has another country."""
    found = world.account("DE")
    world.sync_entities(found)
    return found


def miss_country(world: World, *, times: int | None) -> None:
    """Leave Germany out of reports."""
    world.break_with("rows", times=times, change="no_country")


def test_missing_country_is_unconfirmed_and_asked_for_again(world: World, account: Account) -> None:
    """The first report leaves the country out, the second one doesn't: its rows are loaded a quarter of an hour later."""
    miss_country(world, times=1)
    world.load(account, DAY)
    again_at = world.context.now() + timedelta(minutes=15)
    unconfirmed = {"status": "unconfirmed", "load_count": 0, "next_refresh_at": again_at}
    assert_has(world.window(account, DAY), **unconfirmed)
    [told] = world.actions("windows-unconfirmed")
    assert "deliverable campaigns" in explain(told["cause"]).sentence
    assert "unconfirmed" == explained(world, account, DAY).state
    asked_at = world.advance(minutes=15)
    world.load(account, DAY)
    assert world.true_rows(account, DAY, asked_at) == world.stored_rows(account, DAY)
    assert ("loaded", []) == (world.window(account, DAY).status, world.actions("silence-accepted"))


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 400}], indirect=True)
def test_rows_without_a_readable_country_do_not_break_the_silence(
    world: World, account: Account
) -> None:
    """A few rows that may be any country's are no proof that the report has rows of this one."""
    miss_country(world, times=1)
    world.break_with("rows", times=1, change="unreadable_country", share=0.01)
    world.load(account, DAY)
    assert world.query("SELECT 1 FROM quarantined_rows")
    assert "unconfirmed" == world.window(account, DAY).status


def test_silence_is_accepted_with_a_warning_when_it_comes_twice(
    world: World, account: Account
) -> None:
    """Two reports without a row of the country are believed, and said to be odd; the next refresh takes it as it is."""
    miss_country(world, times=None)
    world.load(account, DAY)
    world.advance(minutes=15)
    world.load(account, DAY)
    assert_has(world.window(account, DAY), status="loaded", row_count=0, load_count=1)
    assert [[str(DAY)]] == [action["windows"] for action in world.actions("silence-accepted")]
    [found] = findings(world, "country-silent")
    assert "1 window without rows, in daily_targets" == found.effects[0].text
    world.advance(days=2)
    assert [] == findings(world, "country-silent")
    world.load(account, DAY)
    assert 2 == world.window(account, DAY).load_count
    assert 1 == len(world.actions("windows-unconfirmed"))


@pytest.mark.parametrize("state", ["PAUSED", "ARCHIVED", None])
def test_country_without_deliverable_campaigns_may_be_silent(
    world: World, account: Account, state: str | None
) -> None:
    """Where no campaign is enabled, or none had started, no rows are a zero day."""
    change = f"state = '{state}'" if state else "start_date = '2026-01-14'"
    world.execute(f"UPDATE campaigns SET {change}")
    miss_country(world, times=None)
    world.load(account, DAY)
    assert_has(world.window(account, DAY), status="loaded", row_count=0)
    assert [] == world.actions("windows-unconfirmed")


def loaded_state(world: World, account: Account, day: date) -> str:
    """Load a day, and let eight hours pass; return the state of its window."""
    world.load(account, day)
    world.advance(hours=8)
    return world.window(account, day).status


def test_silence_of_campaigns_that_are_gone_is_a_zero_day(world: World, account: Account) -> None:
    """They stay enabled in the table. One export without them is not enough, nor a failed one."""
    enabled = "SELECT 1 FROM campaigns WHERE state = 'ENABLED'"
    before = len(world.query(enabled))
    world.break_with("rows", of="campaigns", change="vanish", share=1)
    miss_country(world, times=None)
    world.sync_entities(account)
    assert "unconfirmed" == loaded_state(world, account, DAY)
    world.break_with("export_ends", times=1)
    with pytest.raises(ExportFailedError):
        world.sync_entities(account)
    assert "unconfirmed" == loaded_state(world, account, DAY - timedelta(days=1))
    world.sync_entities(account)
    assert "loaded" == loaded_state(world, account, DAY - timedelta(days=2))
    assert before == len(world.query(enabled)) > 0


def test_one_day_without_rows_is_a_zero_day(world: World, account: Account) -> None:
    """Where the report has rows of the country, a day without any has none."""
    world.load(account, DAY, TODAY + timedelta(days=0))
    assert "loaded" == world.window(account, DAY).status
    assert [] == world.actions("windows-unconfirmed")
