"""What becomes of a window whose last refresh fails: it is retried for a week, and then final with the data that it has."""

from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.windows.rules import oldest_served
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.explaining import explained, findings
from tests.support.checking import assert_has
from tests.support.jobs import make_windows
from tests.support.rows import change_accounts, change_ads_accounts, change_windows
from tests.support.world import DATASET, World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=59)
"""Its last refresh is due tomorrow."""


@pytest.mark.datasets(DATASET.name)
def test_last_refresh_that_fails_is_retried_for_a_week_and_then_final(world: World) -> None:
    """Once a day; then the window keeps its data, is no problem, and `explain` says so."""
    account = world.account()
    pause_others(world, account)
    world.load(account, DAY)
    rows = world.window(account, DAY).row_count
    world.break_with("rows", change="wrong_type", share=1)
    statuses = [live_a_day(world, account) for _ in range(10)]
    assert ["failed"] * 6 == statuses[:6]
    assert ["loaded"] * 2 == statuses[-2:]
    window = world.window(account, DAY)
    assert (None, rows) == (window.next_refresh_at, window.row_count)
    assert [] == problems(world, "load")
    told = explained(world, account, DAY)
    assert "fresh" == told.state
    assert "and its last refresh failed: " in told.sentence
    assert [] == world.actions("windows-reopened")


def test_failed_window_that_amazon_serves_no_longer_is_final(world: World) -> None:
    """It keeps its data, and is a problem for nobody."""
    account, day = world.account(), oldest_served(DATASET, TODAY)
    world.load(account, day)
    change_windows(world.engine, ReportWindow.window_date == day, status="failed", cause={})
    world.advance(days=2)
    make_windows(world, account)
    assert_has(world.window(account, day), status="loaded", next_refresh_at=None)
    assert "fresh" == explained(world, account, day).state


@pytest.mark.parametrize("how", ["paused", "disabled at Amazon"])
def test_stopped_account_has_no_problems(world: World, how: str) -> None:
    """But that it is stopped: neither failed windows nor that it needs attention."""
    account = world.account()
    world.break_with("report_ends", times=5)
    world.ask(account, TODAY - timedelta(days=3))
    for _ in range(12):
        world.advance(minutes=50)
        world.step()
    assert ["report-failed"] == problems(world, "load")
    if how == "paused":
        world.pause(account)
    else:
        world.disable_at_amazon(account)
    assert [] == problems(world, "load")
    pause_others(world, account)
    is_its_own = AdsAccount.account_id == account.account_id
    attention = {"needs_attention": {}, "needs_attention_for": "account"}
    change_ads_accounts(world.engine, is_its_own, **attention)
    assert [] == problems(world)


def pause_others(world: World, account: Account) -> None:
    """Pause the other countries of an ads account."""
    is_other = Account.country_code != account.country_code
    change_accounts(world.engine, is_other, Account.account_id == account.account_id, paused=True)


def problems(world: World, action: str | None = None) -> list[str]:
    """Return the kinds of all findings, or of those that are done away with by an action."""
    return [one.code for one in findings(world) if action in {None, one.action}]


def live_a_day(world: World, account: Account) -> str:
    """Let a day pass in which only one window is due, with time for all attempts; return its status then."""
    world.advance(days=1)
    for _ in range(40):
        make_windows(world, account)
        is_other = ReportWindow.window_date != DAY, ReportWindow.request_id.is_(None)
        change_windows(world.engine, *is_other, next_refresh_at=None)
        world.refresh(account)
        world.advance(minutes=20)
        window, now = world.window(account, DAY), world.context.now()
        is_due = window.next_refresh_at is not None and window.next_refresh_at <= now
        if window.request_id is None and not is_due:
            break
    return world.window(account, DAY).status
