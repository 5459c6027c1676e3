"""Accounts' own cadences in the database: set by a person, kept by the rounds, and no obstacle to work by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from bidbeacon_pipelines.accounts.changes import store_cadence
from bidbeacon_pipelines.accounts.queries import UnknownAccountError, read_ads_account
from bidbeacon_pipelines.accounts.rules import Cadence
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.requests.plan import plan_account
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.support.jobs import due_ads_accounts, finish_requests, load_by_hand
from tests.support.rows import change_accounts, change_ads_accounts, change_windows, remove_requests
from tests.support.world import World

pytestmark = pytest.mark.datasets("daily_targets", "hourly_targets")
DAILY = Cadence(every=timedelta(days=1))


@pytest.fixture
def due(world: World) -> Callable[[], list[str]]:
    """Return what asks, as the sensor does, which accounts have due work now; only the US account is enabled."""
    world.shorten_history(150)
    is_other = Account.account_key != world.account("US").account_key
    change_accounts(world.engine, entities_synced_at=world.context.now(), paused=is_other)

    return partial(due_ads_accounts, world)


def stored(world: World, column: str) -> Any:
    """Return a column of the US account's ads account."""
    return getattr(world.account("US").ads_account, column)


def set_by_person(world: World, cadence: Cadence) -> None:
    """Change the US account as the command does."""
    key, now = world.account("US").account_key, world.context.now()
    with world.engine.begin() as connection:
        store_cadence(connection, key, cadence, now, by="test")


def settle(world: World) -> None:
    """Plan the US account, and have all loaded that is due: only what falls due later is left."""
    world.plan(world.account("US"))
    remove_requests(world.engine)
    is_due = ReportWindow.next_refresh_at <= world.context.now()
    change_windows(world.engine, is_due, next_refresh_at=None)


def load_all(world: World, due: Callable[[], list[str]]) -> int:
    """Refresh the US account for as long as it is due, and until all is loaded; return the number of refreshes."""
    count = 0
    while due():
        world.plan(world.account("US"))
        count += 1
        assert count < 20
    finish_requests(world)
    return count


def test_a_round_plans_all_that_was_due(world: World, due: Callable[[], list[str]]) -> None:
    """An empty account with a daily cadence is planned in one refresh, with all of its three reports, and then waits for a day."""
    set_by_person(world, DAILY)
    began = world.context.now()
    assert load_all(world, due) == 1
    assert stored(world, "next_run_at") == began + timedelta(days=1)
    assert len(world.accepted()) == 3


def test_nothing_starts_before_the_next_round(world: World, due: Callable[[], list[str]]) -> None:
    """With a day's windows due since midnight, the account waits until its own time, and no longer."""
    settle(world)
    world.advance(hours=10)
    set_by_person(world, Cadence(cron="0 6 * * *"))
    at = stored(world, "next_run_at")
    assert (at, due()) == (datetime(2026, 1, 16, 14, tzinfo=UTC), [])
    world.jump(at - timedelta(seconds=1))
    assert due() == []
    world.advance(seconds=1)
    assert due() == [world.account("US").ads_account_key]
    load_all(world, due)
    assert (stored(world, "next_run_at"), due()) == (at + timedelta(days=1), [])


def test_a_new_cadence_counts_from_the_last_refresh(
    world: World, due: Callable[[], list[str]]
) -> None:
    """An interval counts from the last refresh, a cron from now in the account's time zone; without either it is refreshed at once."""
    settle(world)
    refreshed = stored(world, "last_run_at")
    world.advance(days=1)
    set_by_person(world, Cadence(every=timedelta(days=2)))
    assert (due(), stored(world, "next_run_at")) == ([], refreshed + timedelta(days=2))
    set_by_person(world, Cadence(cron="30 2 * * *"))
    at = datetime(2026, 1, 17, 10, 30, tzinfo=UTC)
    assert (due(), stored(world, "next_run_at")) == ([], at)
    set_by_person(world, Cadence())
    assert due() == [world.account("US").ads_account_key]


def test_cadence_that_is_changed_during_a_refresh_sets_the_next_one(world: World) -> None:
    """Not the cadence that the refresh began with."""
    world.shorten_history(3)
    change_ads_accounts(world.engine, refresh_every=timedelta(days=1), refresh_cron=None)
    key = world.account("US").ads_account_key
    before = read_ads_account(world.engine, key)
    set_by_person(world, Cadence(cron="0 6 * * *"))
    at = stored(world, "next_run_at")
    with world.session() as session:
        plan_account(world.context, session, before)
    assert at == stored(world, "next_run_at")


def test_by_hand_waits_for_no_cadence(world: World, due: Callable[[], list[str]]) -> None:
    """A day is loaded at once while the account's next round is weeks away, and that stays where it is."""
    set_by_person(world, Cadence(cron="0 6 1 6 *"))
    assert due() == []
    account, at = world.account("US"), stored(world, "next_run_at")
    days = [world.day(3)]
    [window] = load_by_hand(world, account, *days)
    assert window.status == "loaded"
    assert stored(world, "next_run_at") == at


def test_a_refresh_by_hand_does_not_move_the_next_round(
    world: World, due: Callable[[], list[str]]
) -> None:
    """`bidbeacon refresh` before the time of a round does its work, and the round comes at its time."""
    settle(world)
    set_by_person(world, Cadence(cron="0 6 * * *"))
    at = stored(world, "next_run_at")
    world.refresh(world.account("US"))
    assert at == stored(world, "next_run_at")
    assert world.context.now() == stored(world, "last_run_at")


def test_who_was_not_looked_at_for_longest_comes_first(
    world: World, due: Callable[[], list[str]]
) -> None:
    """An account with 15 months to fill stands behind the others as soon as it has been looked at."""
    change_accounts(world.engine, paused=False)
    change_ads_accounts(world.engine, planned_at=None)
    active = due()
    world.plan(active[0])
    change_ads_accounts(world.engine, planned_at=None)
    assert due() == [*active[1:], active[0]]


def test_an_account_that_is_none_has_no_cadence(world: World) -> None:
    """The error says where the keys are."""
    refused = pytest.raises(UnknownAccountError, match="accounts list")
    with world.engine.begin() as connection, refused:
        store_cadence(connection, "US.nobody", DAILY, world.context.now(), by="test")
