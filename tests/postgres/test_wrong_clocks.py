"""A clock that is wrong, or was wrong once, ends nothing for good."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from bidbeacon_pipelines.accounts.ads_account_queries import list_ads_accounts_with_due_work
from bidbeacon_pipelines.accounts.cadence import settle_cadences
from bidbeacon_pipelines.accounts.cadence_queries import get_cadence
from bidbeacon_pipelines.accounts.queries import list_keys_without_entities
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_pipelines.windows.rules import window_dates
from tests.postgres.job_world import DATASET, BenchWorld

TODAY = date(2026, 1, 15)
FORTY_DAYS, FIVE_YEARS = timedelta(days=40), timedelta(days=5 * 365)


def keep(world: BenchWorld, *, ahead_by: timedelta = timedelta()) -> None:
    """Create and end the US account's windows, with a clock that is ahead."""
    now = world.context.now() + ahead_by
    with world.session() as session:
        keep_windows(replace(world.context, clock=lambda: now), session, world.account(), DATASET)


def windows(world: BenchWorld) -> list[Mapping[str, object]]:
    """Return what decides about each window of the US account."""
    return world.query(
        """SELECT window_date, status, next_refresh_at FROM report_windows
            WHERE country_code = 'US' ORDER BY window_date"""
    )


@pytest.mark.parametrize("ahead_by", [FORTY_DAYS, FIVE_YEARS], ids=["40 days", "5 years"])
def test_look_with_right_clock_undoes_what_wrong_clock_decided(
    world: BenchWorld, ahead_by: timedelta
) -> None:
    """After a look with a clock far ahead, the next look brings back the windows as they were, and records it."""
    keep(world)
    before = windows(world)
    keep(world, ahead_by=ahead_by)
    assert windows(world) != before
    expired = world.query(
        "SELECT window_date FROM report_windows WHERE status = 'expired' ORDER BY 1"
    )
    world.advance(minutes=1)
    keep(world)
    assert windows(world) == before
    assert [row["window_date"] for row in before] == window_dates(DATASET, TODAY)
    [told] = world.actions("windows-reopened")
    assert told["windows"] == [row["window_date"].isoformat() for row in expired]


def test_loaded_windows_are_refreshed_again(world: BenchWorld) -> None:
    """A loaded window whose refreshes a wrong clock has stopped falls due at its next offset, as before."""
    account, day = world.account(), TODAY - timedelta(days=10)
    keep(world)
    world.load(account, day)
    due_at = world.window(account, day).next_refresh_at
    assert due_at == datetime.fromisoformat("2026-01-19T08:00:00Z")
    keep(world, ahead_by=FIVE_YEARS)
    assert world.window(account, day).next_refresh_at is None
    keep(world)
    assert world.window(account, day).next_refresh_at == due_at


def test_failed_window_does_not_wait_for_a_wrong_clock(world: BenchWorld) -> None:
    """A window without data that failed under a wrong clock is asked for again within a day, not in years."""
    day = TODAY - timedelta(days=3)
    keep(world)
    world.execute(
        "UPDATE report_windows SET status = 'failed', next_refresh_at = '2031-01-13' WHERE window_date = :day",
        day=day,
    )
    world.advance(days=1)
    keep(world)
    again = world.window(world.account(), day).next_refresh_at
    assert again is not None
    assert again <= world.context.now() + timedelta(days=1)


def test_data_from_the_future_is_loaded_again(world: BenchWorld) -> None:
    """A window whose report was asked for under a wrong clock is due at once, since its time says nothing."""
    account, day = world.account(), TODAY - timedelta(days=10)
    keep(world)
    world.load(account, day)
    world.execute(
        "UPDATE report_windows SET data_as_of = '2031-01-13', next_refresh_at = NULL WHERE window_date = :day",
        day=day,
    )
    world.advance(days=1)
    keep(world)
    again = world.window(account, day).next_refresh_at
    assert again is not None
    assert again <= world.context.now()


def test_account_whose_windows_reach_into_the_future_is_looked_at(world: BenchWorld) -> None:
    """Windows that exist through 2031 are a reason to start a refresh, not to wait until then."""
    world.execute(
        "UPDATE advertiser_accounts SET entities_synced_at = now(), enabled = country_code = 'US'"
    )
    with world.session() as session:
        keep_windows(world.context, session, world.account(), DATASET)
    world.execute("UPDATE report_windows SET next_refresh_at = NULL")
    assert world.account().ads_account_key not in due_accounts(world)
    world.execute("UPDATE dataset_windows SET through_date = '2031-01-15'")
    assert world.account().ads_account_key in due_accounts(world)


def test_request_of_wrong_clock_goes_on(world: BenchWorld) -> None:
    """A report that was requested under a wrong clock is polled at the next poll, and does not hold its slot for years."""
    account, day = world.account(), TODAY - timedelta(days=3)
    request_id = world.ask(account, day)
    world.execute(
        "UPDATE report_requests SET created_at = '2031-01-15', sent_at = '2031-01-15', next_step_at = '2031-01-15'"
    )
    world.advance(minutes=2)
    assert world.step() == 1
    assert world.request(request_id).status == "loaded"
    as_of = world.window(account, day).data_as_of
    assert as_of is not None
    assert as_of <= world.context.now()


def test_cadence_of_wrong_clock_is_worked_out_anew(world: BenchWorld) -> None:
    """An account whose next look a wrong clock has put into 2031 is looked at by its cadence, and its entities are synced."""
    key, ads_key = world.account().account_key, world.account().ads_account_key
    world.execute(
        """UPDATE ads_accounts SET refresh_every = '6 hours', next_look_at = '2031-01-15 06:00Z',
                  last_look_at = '2031-01-15 00:00Z', planned_at = '2031-01-15', next_look_of = 'every 21600'
            WHERE ads_account_key = :key""",
        key=ads_key,
    )
    world.execute("UPDATE advertiser_accounts SET entities_synced_at = '2031-01-15'")
    now = world.context.now()
    with world.engine.begin() as connection:
        assert settle_cadences(connection, now) == [ads_key]
        assert settle_cadences(connection, now) == []
        assert get_cadence(connection, key).next_look_at == now + timedelta(hours=6)
        tomorrow = now + timedelta(hours=25)
        due = list_keys_without_entities(connection, synced_before=tomorrow, missed_before=tomorrow)
    assert key in due


def test_windows_given_up_rightly_stay_given_up(world: BenchWorld) -> None:
    """What Amazon no longer serves stays expired, and a loaded window with all its refreshes stays as it is."""
    account, day = world.account(), TODAY - timedelta(days=70)
    keep(world)
    world.load(account, day)
    world.advance(days=1)
    oldest = windows(world)[0]["window_date"]
    keep(world)
    world.advance(days=1)
    keep(world)
    by_day = {row["window_date"]: row for row in windows(world)}
    assert by_day[oldest]["status"] == "expired"
    assert by_day[day]["next_refresh_at"] is None
    assert world.actions("windows-reopened") == []


def due_accounts(world: BenchWorld) -> list[str]:
    """Return the accounts that the sensor would start a refresh for."""
    with world.engine.begin() as connection:
        return list_ads_accounts_with_due_work(
            connection, now=world.context.now(), datasets=[DATASET.name]
        )
