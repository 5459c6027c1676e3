"""Instants that were stored while the database's clock was ahead are repaired, and keep nothing from being requested."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.clock_repair import repair_clock, repair_instants
from bidbeacon_pipelines.job_context import open_job_context
from bidbeacon_pipelines.windows.due import list_days_to_plan
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions.settings import get_session_settings
from tests.support.jobs import due_ads_accounts, due_syncs, make_windows
from tests.support.reading import call, column, tuples
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
    """Repair what is stored, by the world's clock; a second time there is nothing to repair."""
    now = world.context.now()
    assert repair_instants(world.engine, now, now)
    assert not repair_instants(world.engine, now, now)


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
    now, looks = settled.context.now(), {"next_run_at": FUTURE, "last_run_at": FUTURE}
    change_ads_accounts(settled.engine, **cadence, **looks, planned_at=None)
    repair(settled)
    change_windows(settled.engine, ReportWindow.window_date == DAY, next_refresh_at=now)
    assert due_ads_accounts(settled) == [settled.account().ads_account_key]
    settled.plan(settled.account())
    next_run_at = settled.account().ads_account.next_run_at
    assert next_run_at is not None
    assert timedelta(0) < next_run_at - settled.context.now() <= timedelta(days=1)


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


INSTANTS = (
    ("report_requests", "next_step_at", timedelta(days=2)),
    ("report_requests", "created_at", timedelta(0)),
    ("report_windows", "refused_alone_at", timedelta(0)),
    ("report_windows", "cause_since", timedelta(0)),
    ("advertiser_accounts", "first_seen_at", timedelta(0)),
    ("advertiser_accounts", "export_refused_at", timedelta(0)),
    ("ads_accounts", "last_run_at", timedelta(0)),
    ("report_gates", "next_create_at", timedelta(days=1)),
    ("rate_limits", "next_start_at", timedelta(hours=1)),
    ("unwritable_folders", "retry_at", timedelta(hours=1)),
    ("alert_receivers", "next_attempt_at", timedelta(hours=1)),
    ("findings", "began_at", timedelta(0)),
    ("processes", "seen_at", timedelta(0)),
)
"""Columns with the longest that an instant in them is rightly ahead."""
CHANGE: Mapping[str, Callable[..., object]] = {
    "report_requests": change_requests,
    "report_windows": change_windows,
    "advertiser_accounts": change_accounts,
    "ads_accounts": change_ads_accounts,
}
ROWS = """
    INSERT INTO rate_limits VALUES ('client', 'NA', 'create', '', now());
    INSERT INTO unwritable_folders VALUES ('host', '/', 'full', now(), now());
    INSERT INTO alert_receivers (receiver, next_attempt_at) VALUES (1, now());
    INSERT INTO findings (key, finding, began_at) VALUES ('key', '{}', now());
    INSERT INTO processes (kind, host, pid, version, started_at, seen_at)
    VALUES ('worker', 'host', 1, '1', now(), now())"""


@pytest.mark.parametrize(("table", "column_name", "longest"), INSTANTS)
def test_an_instant_beyond_the_longest_pause_is_set_to_now(
    settled: World, table: str, column_name: str, longest: timedelta
) -> None:
    """One that is as far ahead as it may be stays."""
    now = settled.context.now()
    with settled.engine.begin() as connection:
        connection.execute(text(ROWS))
    repair_instants(settled.engine, now, now)
    for ahead, expected in (
        (now + longest, now + longest),
        (now + longest + timedelta(seconds=1), now),
    ):
        if table in CHANGE:
            CHANGE[table](settled.engine, **{column_name: ahead})
        else:
            with settled.engine.begin() as connection:
                change = f"UPDATE {table} SET {column_name} = :ahead"
                connection.execute(text(change), {"ahead": ahead})
        repair_instants(settled.engine, now, now)
        assert {expected} == set(column(settled.engine, f"SELECT {column_name} FROM {table}"))


def test_alerts_of_the_future_are_reminded_of_a_day_from_now(settled: World) -> None:
    """Each receiver's last alert is set to now; a finding that ended in the future has ended now."""
    now = settled.context.now()
    told = {"1": {"event": "began", "at": FUTURE.isoformat()}}
    with settled.engine.begin() as connection:
        insert = """INSERT INTO findings (key, finding, began_at, gone_at, last_alerts)
                    VALUES ('key', '{}', :future, :future, CAST(:told AS jsonb))"""
        connection.execute(text(insert), {"future": FUTURE, "told": json.dumps(told)})
    repair(settled)
    stored = """SELECT began_at, gone_at, last_alerts #>> '{1,event}', CAST(last_alerts #>> '{1,at}' AS timestamptz)
                  FROM findings"""
    assert [(now, now, "began", now)] == tuples(settled.engine, stored)


def test_day_that_is_not_served_stays_over(settled: World) -> None:
    """A window that was loaded and is not served has no next refresh, whatever its data's instant was."""
    over = {"status": "not_served", "not_served_since": settled.context.now()}
    change_windows(settled.engine, ReportWindow.window_date == DAY, data_as_of=FUTURE, **over)
    repair(settled)
    window = settled.window(settled.account(), DAY)
    assert (None, settled.context.now()) == (window.next_refresh_at, window.data_as_of)


def test_session_of_the_future_has_a_lease_from_now(settled: World) -> None:
    """So it lives on if its process does, and is found dead otherwise."""
    now = settled.context.now()
    with settled.session():
        with settled.engine.begin() as connection:
            leases = "UPDATE session_leases SET heartbeat_at = :future, expires_at = :future"
            connection.execute(text(leases), {"future": FUTURE})
        assert repair_instants(settled.engine, now, now)
        [(beat, end)] = tuples(
            settled.engine, "SELECT heartbeat_at, expires_at FROM session_leases"
        )
    assert (now, timedelta(seconds=get_session_settings().lease_seconds)) == (beat, end - now)


def test_a_clock_that_was_set_back_is_noticed(world: World) -> None:
    """For two minutes stored instants are repaired: other processes use a wrong reading for a while."""
    settings = world.context.settings
    assert not repair_clock(world.engine, settings)
    change_accounts(world.engine, entities_synced_at=FUTURE)
    assert not repair_clock(world.engine, settings)
    for minutes, is_behind in ((60 * 24, True), (0, True), (-2, False)):
        move_latest(world, minutes)
        assert repair_clock(world.engine, settings) is is_behind
    assert FUTURE not in {account.entities_synced_at for account in world.accounts()}


def move_latest(world: World, minutes: int) -> None:
    """Have the clock read so much later before."""
    moved = """UPDATE installation SET latest_at =
               coalesce(latest_at, clock_timestamp()) + make_interval(mins => :minutes)"""
    with world.engine.begin() as connection:
        connection.execute(text(moved), {"minutes": minutes})


def test_each_job_notices_the_clock(world: World, database_url: str) -> None:
    """Also where Dagster is off."""
    change_accounts(world.engine, entities_synced_at=FUTURE)
    move_latest(world, 60 * 24)
    with open_job_context(world.context.settings, database_url):
        assert FUTURE not in {account.entities_synced_at for account in world.accounts()}
