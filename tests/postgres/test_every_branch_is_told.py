"""Branches that skip, refuse or give up record their action: those that no other test drives.

`make test` fails if an action is recorded in no test at all: tests/support/emitted_actions.py.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.actions import SkipReason
from bidbeacon_pipelines.amazon_ads.errors import NotAuthorized
from bidbeacon_pipelines.entities.sync import ExportFailedError
from tests.support.rows import change_accounts, change_ads_accounts
from tests.support.world import World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)


def refuse_export(world: World) -> None:
    """Let Amazon refuse to make an export."""
    world.break_with("answer", "create_export", times=1, status=403)
    with suppress(NotAuthorized):
        world.sync_entities(world.account())


def hide_export(world: World) -> None:
    """Let Amazon refuse to show an export."""
    world.break_with("answer", "get_export", times=1, status=403)
    with suppress(NotAuthorized):
        world.sync_entities(world.account())


def find_old_exports(world: World) -> None:
    """Sync a day after a sync that left its exports."""
    hide_export(world)
    world.advance(hours=25)
    world.sync_entities(world.account())


def sync_without_profile(world: World) -> None:
    """Sync the entities of an account that Amazon names no profile of."""
    change_accounts(world.engine, profile_id=None)
    with suppress(ExportFailedError):
        world.sync_entities(world.account())


def miss_offsets(world: World) -> None:
    """Load a window for the first time since several offsets."""
    world.load(world.account(), DAY)
    world.advance(days=5)
    world.load(world.account(), DAY)


def pause(world: World) -> None:
    """Refresh a paused account."""
    change_accounts(world.engine, paused=True)
    world.refresh(world.account())


def refuse_account(world: World) -> None:
    """Refresh an account that Amazon has refused."""
    why = {"code": "account-refused"}
    change_ads_accounts(world.engine, needs_attention=why, needs_attention_for="account")
    world.refresh(world.account())


def test_a_sync_that_finds_all_kinds_stored_leaves_its_action(world: World) -> None:
    """The one before it died before it could say that it has stored them."""
    world.sync_entities(world.account())
    change_accounts(world.engine, entities_synced_at=None)
    world.sync_entities(world.account())
    assert world.actions("exports-skipped")


@pytest.mark.parametrize(
    ("skip", "reason"),
    [
        (miss_offsets, SkipReason.OFFSET_MISSED),
        (pause, SkipReason.ACCOUNT_STOPPED),
        (refuse_account, SkipReason.ACCOUNT_NEEDS_ATTENTION),
    ],
)
def test_a_skipped_window_leaves_its_reason(
    world: World, skip: Callable[[World], None], reason: SkipReason
) -> None:
    """Nothing is left alone without a word."""
    skip(world)
    assert reason.value in {action["reason"] for action in world.actions("window-skipped")}


def test_only_the_first_look_at_a_report_refers_to_its_windows(world: World) -> None:
    """Four looks at a report of sixty days: sixty references and three, not two hundred and forty; each look is told."""
    account = world.account()
    world.break_with("report_ends", status="PENDING")
    world.load(account, *(TODAY - timedelta(days=n) for n in range(3, 63)))
    for _ in range(3):
        world.advance(minutes=20)
        world.step()
    assert [1, 2, 3, 4] == [action["polls"] for action in world.actions("report-pending")]
    counts = "SELECT count(*) AS all, count(window_key) AS windows FROM session_references WHERE effect = 'pending'"
    assert [{"all": 63, "windows": 60}] == world.query(counts)


@pytest.mark.parametrize(
    ("fail", "code"),
    [
        (refuse_export, "account-refused"),
        (find_old_exports, "export-failed"),
        (sync_without_profile, "no-profile"),
    ],
)
def test_an_export_that_is_not_to_be_had_is_told_with_its_cause(
    world: World, fail: Callable[[World], None], code: str
) -> None:
    """Once a sync for each kind that it meets."""
    fail(world)
    told = world.actions("export-failed")
    assert len(told) == len({action["kind"] for action in told}) > 0
    assert {code} == {action["cause"]["code"] for action in told}
