"""After an account was resumed, Home, `explain` and `doctor` say so, and what is planned; nobody is advised to resume it."""

from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.accounts.changes import AccountChanges
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.explaining import explained, explained_json, findings
from tests.support.one_dataset import only_daily_targets
from tests.support.rows import change_windows
from tests.support.world import World

DAY = date(2026, 1, 15) - timedelta(days=3)
RESUME = "bidbeacon accounts resume"


@pytest.mark.parametrize("how", ["needs attention", "paused"])
def test_resumed_account_says_what_is_planned(world: World, how: str) -> None:
    """Until its windows are loaded; then there is nothing to say."""
    account = world.account()
    stop(world, account, how)
    assert RESUME in told(world, account)
    resume(world)
    said = told(world, account)
    assert RESUME not in said
    assert "due" == explained(world, account, DAY).state
    with only_daily_targets():
        world.plan(account)
        assert " is planned, and " in explained(world, account, DAY).sentence
        world.sandbox.state.rules.clear()
        world.advance(minutes=5)
        for _ in range(8):
            world.refresh(account)
            world.advance(minutes=5)
            if world.window(account, DAY).status == "loaded":
                return
    raise AssertionError(world.window(account, DAY).status)


def stop(world: World, account: Account, how: str) -> None:
    """Stop an account with a window that waits for its report."""
    if how == "needs attention":
        world.break_with("refuse", times=1, reason="no_rights")
        world.ask(account, DAY)
        return
    world.ask(account, DAY)
    world.pause(account)
    world.advance(minutes=2)
    world.step()


def resume(world: World) -> None:
    """Resume it."""
    store = world.sessions
    AccountChanges(store, world.context.settings, by="anna").resume(world.account())
    now = world.context.now()
    world.execute("UPDATE session_actions SET at = :at WHERE type = 'account-resumed'", at=now)
    asked = {"last_requested_at": now - timedelta(minutes=5), "last_loaded_at": None}
    change_windows(world.engine, ReportWindow.last_requested_at.is_not(None), **asked)
    change_windows(world.engine, ReportWindow.window_date != DAY, next_refresh_at=None)


def told(world: World, account: Account) -> str:
    """Return all that Home, `doctor` and `explain` say."""
    said = [
        " ".join([one.sentence, one.advice, *(each.text for each in one.effects)])
        for one in findings(world)
    ]
    advice = explained_json(world, account, DAY)["verdict"]["advice"]
    return "\n".join([*said, advice])
