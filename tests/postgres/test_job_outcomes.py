"""Which results of jobs are warnings or problems, and which are not."""

from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.accounts.rules import AccountStoppedError
from bidbeacon_pipelines.loading.quarantine import replay_quarantine
from bidbeacon_pipelines.problems.findings import Finding
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError
from tests.postgres.explaining import findings
from tests.support.jobs import load_by_hand
from tests.support.one_dataset import only_daily_targets
from tests.support.reading import column
from tests.support.world import World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)
LATE = timedelta(hours=13)


def outcomes(world: World, action: str) -> list[str]:
    """Return the outcomes of the sessions that recorded an action."""
    found = """SELECT outcome FROM job_sessions s WHERE EXISTS (
                   SELECT FROM session_actions a WHERE a.session_id = s.id AND a.type = :action)"""
    return column(world.engine, found, action=action)


def throttle_once(world: World) -> None:
    """Have Amazon refuse the next report with 429."""
    world.break_with("answer", "create_report", status=429, times=1, retry_after=30)


@pytest.mark.parametrize(("is_broken", "outcome"), [(True, "warnings"), (False, "ok")])
def test_a_load_that_quarantines_rows_is_a_warning(
    world: World, outcome: str, *, is_broken: bool
) -> None:
    """The window is loaded, and `outcome:warnings` finds the session; a replay that leaves rows is one, too."""
    world.context.settings.bad_row_share = 0.5
    if is_broken:
        world.break_with("rows", share=0.2, change="negative_metric")
    world.load(world.account(), DAY)
    [loaded] = world.actions("report-processed")
    assert is_broken == (loaded["quarantined"] > 0)
    assert [outcome] == outcomes(world, "report-processed")
    with world.session("replay-quarantine") as session:
        replay_quarantine(world.engine, session)
    assert [outcome] * is_broken == outcomes(world, "quarantine-replayed")


def test_throttling_is_a_warning_only_where_windows_are_late(world: World) -> None:
    """A refused create whose windows can still be loaded on time is none; one that holds up late windows is, and counts them."""
    account = world.account()
    with only_daily_targets():
        throttle_once(world)
        world.refresh(account)
        assert ["ok"] == outcomes(world, "creates-paused")
        world.execute("TRUNCATE session_headers CASCADE")
        world.advance(seconds=LATE.total_seconds())
        throttle_once(world)
        world.refresh(account)
    [paused] = world.actions("creates-paused")
    assert (["warnings"], True) == (outcomes(world, "creates-paused"), paused["late_windows"] > 0)


def failed_loads(world: World) -> list[Finding]:
    """Return the problems on Home that are failed loads by hand."""
    told = "of load-windows failed"
    return [one for one in findings(world) if told in one.effects[-1].text]


def test_a_load_by_hand_that_was_held_is_no_problem_once_its_days_are_loaded(
    world: World,
) -> None:
    """The scheduled run accepts the second report; a load with another day that is still missing stays a problem."""
    account = world.account()
    load_by_hand(world, world.account(), DAY)
    world.break_with("rows", times=1, change="negative_metric", share=0.5)
    with pytest.raises(WindowNotLoadedError):
        load_by_hand(world, world.account(), DAY - timedelta(days=1))
    world.break_with("rows", times=2, change="vanish", share=1)
    with pytest.raises(WindowNotLoadedError, match="second report is requested"):
        load_by_hand(world, world.account(), DAY)
    world.load(account, DAY)
    assert 2 == world.window(account, DAY).load_count
    [left] = failed_loads(world)
    assert "failed validation" in left.sentence


def test_a_load_by_hand_that_is_refused_is_no_problem(world: World) -> None:
    """A day of a paused account, or one that Amazon no longer serves, is told only to the person who asks for it."""
    with pytest.raises(WindowNotLoadedError, match="no longer serves this day"):
        load_by_hand(world, world.account(), TODAY - timedelta(days=800))
    world.pause(world.account())
    with pytest.raises(AccountStoppedError):
        load_by_hand(world, world.account(), DAY)
    assert [] == failed_loads(world)
