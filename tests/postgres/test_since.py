"""Since when something is wrong: since the first failure for its cause, however often it is tried again."""

from datetime import date, datetime, timedelta

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.problems.alerts import check_findings
from tests.postgres.explaining import explained, findings
from tests.support.checking import assert_has
from tests.support.reading import call, column, value
from tests.support.world import World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)


def since(world: World, code: str) -> datetime | None:
    """Look as alerts do; return since when there is a finding of a code, or None."""
    found = findings(world)
    call(world.engine, check_findings, world.context.settings, world.context.now())
    return next((one.since for one in found if one.code == code), None)


def live(world: World, code: str) -> set[datetime | None]:
    """Make all attempts of a report; return since when there was a finding of a code meanwhile."""
    seen = set[datetime | None]()
    for _ in range(12):
        world.advance(minutes=50)
        world.step()
        seen.add(since(world, code))
    return seen - {None}


def since_of_window(world: World, account: Account) -> datetime | None:
    """Return since when the window is as it is, as `explain` and the account's page read it."""
    window = explained(world, account, DAY).window
    assert window is not None
    return None if window["since"] is None else datetime.fromisoformat(window["since"])


def test_since_is_the_end_of_the_first_attempt_that_failed(world: World) -> None:
    """Neither when the report was planned, nor when it was given up or requested once more."""
    account = world.account()
    world.break_with("report_ends", times=10)
    world.ask(account, DAY)
    first = world.advance(minutes=50)
    world.step()
    assert first == since(world, "report-failed")
    assert {first} == live(world, "report-failed")
    assert ("failed", first) == (world.window(account, DAY).status, since_of_window(world, account))
    world.advance(hours=20)
    world.ask(account, DAY)
    assert {first} == live(world, "report-failed")
    assert first == since_of_window(world, account)
    began = "SELECT began_at FROM findings WHERE key LIKE 'report-failed-%'"
    assert [first] == column(world.engine, began)  # no alert says that it began anew


def test_another_cause_begins_anew_and_a_load_ends_it(world: World) -> None:
    """A report that was refused for its rows, then one that failed at Amazon, then a good one."""
    account = world.account()
    world.break_with("rows", change="wrong_type", share=1)
    refused = set[datetime | None]()
    began_at = value(world.engine, "SELECT clock_timestamp()")
    for _ in range(2):
        world.load(account, DAY)
        refused |= {since_of_window(world, account), since(world, "rows-invalid")}
    [first] = refused
    assert first is not None
    assert first > began_at
    world.sandbox.state.rules.clear()
    world.break_with("report_ends", times=5)
    world.ask(account, DAY)
    [failed] = live(world, "report-failed")
    assert failed == since_of_window(world, account) != first
    world.load(account, DAY)
    assert_has(world.window(account, DAY), status="loaded", cause=None, cause_since=None)
