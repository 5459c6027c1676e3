"""Instants that were stored while the database's clock was ahead are repaired, and keep nothing from being requested."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.clock_repair import repair_clock, repair_instants
from bidbeacon_pipelines.requests.queries import list_days_to_plan
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.support.jobs import due_ads_accounts, due_syncs, make_windows
from tests.support.reading import call, tuples
from tests.support.rows import (
    as_loaded,
    change_accounts,
    change_ads_accounts,
    change_requests,
    change_windows,
)
from tests.support.world import DATASET, World

pytestmark = pytest.mark.datasets(DATASET.name)
DAY, FUTURE = date(2026, 1, 5), datetime(2031, 1, 15, tzinfo=UTC)


@pytest.fixture
def settled(world: World) -> World:
    """Have windows of the only account that is not paused, none of which is due, and one of which is loaded."""
    change_accounts(
        world.engine, entities_synced_at=world.context.now(), paused=Account.country_code != "US"
    )
    make_windows(world, world.account())
    world.load(world.account(), DAY)
    now = world.context.now()
    change_windows(world.engine, next_refresh_at=None, **as_loaded(now))
    change_ads_accounts(world.engine, planned_at=now - timedelta(hours=2))
    assert due_ads_accounts(world) == []
    return world


def repair(world: World) -> None:
    """Repair what is stored, by the world's clock."""
    assert call(world.engine, repair_instants, world.context.now())
    assert not call(world.engine, repair_instants, world.context.now())


def make_windows_ahead(world: World, days: int) -> None:
    """Create and end the US account's windows, with a clock that is ahead."""
    now = world.context.now() + timedelta(days=days)
    ahead = replace(world.context, clock=lambda: now)
    make_windows(replace(world, context=ahead), world.account())


def due_days(world: World) -> list[date]:
    """Return the days that planning asks for."""
    account_id, now = world.account().account_id, world.context.now()
    found = call(world.engine, list_days_to_plan, account_id, now=now)
    days = [day for (dataset, _), own in found.items() if dataset == DATASET.name for day in own]
    assert all(day.due_since is not None and day.due_since <= now for day in days)
    return [day.window_date for day in days]


@pytest.mark.parametrize("wrong", ["next_refresh_at", "data_as_of"])
def test_window_of_the_future_is_due(settled: World, wrong: str) -> None:
    """It is asked for at once and loaded; afterwards its instants are right."""
    change_windows(settled.engine, ReportWindow.window_date == DAY, **{wrong: FUTURE})
    repair(settled)
    assert due_ads_accounts(settled) == [settled.account().ads_account_key]
    assert due_days(settled) == [DAY]
    settled.plan(settled.account())
    for _ in range(4):
        settled.advance(minutes=5)
        settled.step()
    window = settled.window(settled.account(), DAY)
    assert window.data_as_of is not None
    assert window.data_as_of <= settled.context.now()
    assert due_days(settled) == []


def test_plan_of_the_future_hides_no_due_window(settled: World) -> None:
    """What fell due is found though it seems to be planned already."""
    change_ads_accounts(settled.engine, planned_at=FUTURE)
    repair(settled)
    a_minute_ago = settled.context.now() - timedelta(minutes=1)
    change_windows(settled.engine, ReportWindow.window_date == DAY, next_refresh_at=a_minute_ago)
    assert due_ads_accounts(settled) == [settled.account().ads_account_key]


@pytest.mark.parametrize("days", [40, 5 * 365])
def test_windows_of_days_to_come_are_not_asked_for(settled: World, days: int) -> None:
    """Made by a clock that was ahead, they wait for their day; the windows of the days from now on are made as ever."""
    make_windows_ahead(settled, days)
    repair(settled)
    assert due_ads_accounts(settled) == [settled.account().ads_account_key]
    make_windows(settled, settled.account())
    assert due_ads_accounts(settled) == []
    assert due_days(settled) == []
    settled.advance(days=2)
    assert due_ads_accounts(settled) == [settled.account().ads_account_key]
    make_windows(settled, settled.account())
    assert date(2026, 1, 16) in due_days(settled)


def test_windows_that_a_wrong_clock_expired_are_missing_again(world: World) -> None:
    """The next time windows are made, since the instant at which each expires is known."""
    stored = "SELECT window_date, next_refresh_at, status FROM report_windows ORDER BY window_date"
    make_windows(world, world.account())
    before = tuples(world.engine, stored)
    make_windows_ahead(world, 5 * 365)
    repair(world)
    ended = tuples(world.engine, stored)[: len(before)]
    assert {"expired"} == {status for *_, status in ended}
    make_windows(world, world.account())
    assert before == tuples(world.engine, stored)[: len(before)]
    assert world.actions("windows-reopened")


@pytest.mark.parametrize(
    "cadence", [{"refresh_every": timedelta(hours=6)}, {"refresh_cron": "0 6 * * *"}]
)
def test_refresh_planned_for_the_future_may_begin(settled: World, cadence: dict[str, Any]) -> None:
    """The cadence goes on from now."""
    now, looks = settled.context.now(), {"next_look_at": FUTURE, "last_look_at": FUTURE}
    change_ads_accounts(settled.engine, **cadence, **looks, planned_at=None)
    repair(settled)
    change_windows(settled.engine, ReportWindow.window_date == DAY, next_refresh_at=now)
    assert due_ads_accounts(settled) == [settled.account().ads_account_key]
    settled.plan(settled.account())
    next_look_at = settled.account().ads_account.next_look_at
    assert next_look_at is not None
    assert timedelta(0) < next_look_at - settled.context.now() <= timedelta(days=1)


def test_entities_synced_in_the_future_are_synced(world: World) -> None:
    """As if that were long ago."""
    change_accounts(world.engine, entities_synced_at=FUTURE)
    repair(world)
    assert world.account().account_key in due_syncs(world)


@pytest.mark.parametrize("status", ["in_flight", "sent"])
def test_request_of_the_future_goes_on(world: World, status: str) -> None:
    """A report that was asked for under a wrong clock is polled, or created, and does not hold its place for years."""
    request_id = world.ask(world.account(), DAY)
    times = dict.fromkeys(("created_at", "sent_at", "next_step_at"), FUTURE)
    lost = {"report_id": None} if status == "sent" else {}
    change_requests(world.engine, status=status, **times, **lost)
    repair(world)
    for _ in range(4):
        world.advance(minutes=5)
        world.refresh(world.account())
    assert world.request(request_id).status == "loaded"


def test_a_clock_that_was_set_back_is_noticed(world: World) -> None:
    """For two minutes all that is stored is repaired: other processes count on from a wrong reading for a while."""
    settings = world.context.settings
    assert not call(world.engine, repair_clock, settings)
    change_accounts(world.engine, entities_synced_at=FUTURE)
    assert not call(world.engine, repair_clock, settings)
    for minutes, is_behind in ((60 * 24, True), (0, True), (-2, False)):
        with world.engine.begin() as connection:
            moved = text(
                "UPDATE installation SET latest_at = latest_at + make_interval(mins => :minutes)"
            )
            connection.execute(moved, {"minutes": minutes})
        assert call(world.engine, repair_clock, settings) is is_behind
    assert {None} == {account.entities_synced_at for account in world.accounts()}
