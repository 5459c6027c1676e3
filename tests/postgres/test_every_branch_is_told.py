"""Every branch that queues, asks, loads, skips, tries again, refuses or gives up leaves its action.

When in doubt, emit it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.actions import SkipReason
from bidbeacon_pipelines.amazon_ads.errors import NotAuthorized
from bidbeacon_pipelines.entities.sync import ExportFailedError
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_sessions.actions import action_classes
from tests.postgres.job_world import DATASET, BenchWorld

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)

LONE_FAULTS, LONE_SYNCS = "tests/postgres/lone_fault_cases.py", "tests/postgres/lone_sync_cases.py"
CONSEQUENCES = "tests/postgres/lone_fault_consequences.py"
TOLD_ELSEWHERE = {
    **dict.fromkeys(
        ("account-paused", "account-resumed", "account-renamed", "cadence-changed"),
        "tests/postgres/test_account_changes.py",
    ),
    **dict.fromkeys(
        (
            "account-sync-failed",
            "accounts-synced",
            "entities-synced",
            "export-failed",
            "export-pending",
            "export-requested",
            "portfolios-not-listed",
            "region-not-listed",
        ),
        LONE_SYNCS,
    ),
    **dict.fromkeys(
        (
            "credentials-refused",
            "report-adopted",
            "report-pending",
            "report-suspicious",
            "silence-accepted",
            "windows-unconfirmed",
        ),
        LONE_FAULTS,
    ),
    **dict.fromkeys(
        (
            "account-needs-attention",
            "creates-paused",
            "report-failed",
            "report-processed",
            "report-requested",
            "request-retried",
            "windows-queued",
        ),
        CONSEQUENCES,
    ),
    **dict.fromkeys(
        ("loads-recorded", "reports-planned", "windows-planned"),
        "tests/dagster/test_refresh_jobs.py",
    ),
    **dict.fromkeys(
        ("dataset-checked", "old-records-deleted"), "tests/dagster/test_wrong_host_clock.py"
    ),
    "account-assigned": "tests/postgres/test_several_credentials.py",
    "credentials-accepted": "tests/postgres/test_credentials.py",
    "entities-misread": "tests/postgres/test_jobs_accounts.py",
    "entity-sync-requested": "tests/dagster/test_sensors.py",
    "load-requested": "tests/dagster/test_report_assets.py",
    "other-products-reported": "tests/postgres/test_dataset_truth.py",
    "quarantine-replayed": "tests/dagster/test_window_commands.py",
    "registry-overridden": "tests/postgres/test_learned_limits.py",
    **dict.fromkeys(("report-accepted", "rows-kept"), "tests/postgres/test_final_days.py"),
    "report-split": "tests/postgres/test_too_large_reports.py",
    "wait-given-up": "tests/postgres/test_jobs_by_hand.py",
    "windows-expired": "tests/postgres/test_explain.py",
    "windows-not-served": "tests/postgres/test_days_not_served.py",
}
"""Actions that other tests ask for."""
SKIPPED_ELSEWHERE = {
    SkipReason.ALREADY_FRESH: "tests/postgres/test_ads_account_requests.py",
    SkipReason.WAITS_FOR_COUNTRIES: "tests/postgres/test_ads_account_requests.py",
    SkipReason.WAITS_FOR_AMAZON: "tests/postgres/test_jobs_by_hand.py",
    SkipReason.NOT_SERVED: "tests/postgres/test_jobs_by_hand.py",
    SkipReason.NOT_OVER: "tests/postgres/test_jobs_by_hand.py",
    SkipReason.ACCOUNT_NEEDS_ATTENTION: "tests/postgres/test_jobs_faults.py",
    SkipReason.WORKED_ON_ELSEWHERE: "tests/postgres/test_locks_taken.py",
}
"""Reasons to skip a window that other tests ask for."""


def load(world: BenchWorld) -> None:
    """Load a window."""
    world.load(world.account(), DAY)


def reopen(world: BenchWorld) -> None:
    """Let a clock that was far ahead end windows, and look again with the right one."""
    now, ahead = world.context.now, world.context.now() + timedelta(days=40)
    for clock in (now, lambda: ahead, now):
        with world.session() as session:
            context = replace(world.context, clock=clock)
            keep_windows(context, session, world.account(), DATASET, again=True)


def refuse_export(world: BenchWorld) -> None:
    """Let Amazon refuse to make an export."""
    world.break_with("answer", "create_export", times=1, status=403)
    with suppress(NotAuthorized):
        world.sync_entities(world.account())


def hide_export(world: BenchWorld) -> None:
    """Let Amazon refuse to show an export."""
    world.break_with("answer", "get_export", times=1, status=403)
    with suppress(NotAuthorized):
        world.sync_entities(world.account())


def find_old_exports(world: BenchWorld) -> None:
    """Sync a day after a sync that left its exports."""
    hide_export(world)
    world.advance(hours=25)
    world.sync_entities(world.account())


def sync_without_profile(world: BenchWorld) -> None:
    """Sync the entities of an account that Amazon names no profile of."""
    world.execute("UPDATE advertiser_accounts SET profile_id = NULL")
    with suppress(ExportFailedError):
        world.sync_entities(world.account())


def go_on_with_sync(world: BenchWorld) -> None:
    """Sync after a sync that has stored all kinds, and died before it could say so."""
    world.sync_entities(world.account())
    world.execute("UPDATE advertiser_accounts SET entities_synced_at = NULL")
    world.sync_entities(world.account())


def miss_offsets(world: BenchWorld) -> None:
    """Load a window for the first time since several offsets."""
    load(world)
    world.advance(days=5)
    load(world)


def pause(world: BenchWorld) -> None:
    """Refresh a paused account."""
    world.execute("UPDATE advertiser_accounts SET paused = true")
    world.refresh(world.account())


BRANCHES: Mapping[str, Callable[[BenchWorld], None]] = {
    "exports-skipped": go_on_with_sync,
    "windows-reopened": reopen,
}
SKIPS: Mapping[SkipReason, Callable[[BenchWorld], None]] = {
    SkipReason.OFFSET_MISSED: miss_offsets,
    SkipReason.ACCOUNT_STOPPED: pause,
}


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_branch_leaves_its_action(world: BenchWorld, branch: str) -> None:
    """The branch is driven, and its action is found."""
    BRANCHES[branch](world)
    assert world.actions(branch)


@pytest.mark.parametrize("reason", SKIPS)
def test_a_skipped_window_leaves_its_reason(world: BenchWorld, reason: SkipReason) -> None:
    """Nothing is left alone without a word."""
    SKIPS[reason](world)
    assert reason.value in {action["reason"] for action in world.actions("window-skipped")}


def test_every_action_and_every_reason_has_its_branch() -> None:
    """A new one must find its place here, or name the test that asks for it."""
    ours = {
        name
        for name, kind in action_classes().items()
        if kind.__module__.startswith("bidbeacon_pipelines")
    }
    assert ours == BRANCHES.keys() | {"window-skipped"} | TOLD_ELSEWHERE.keys()
    assert set(SkipReason) == SKIPS.keys() | SKIPPED_ELSEWHERE.keys()


@pytest.mark.parametrize("kind", TOLD_ELSEWHERE)
def test_what_is_told_elsewhere_is_asked_for_there(kind: str) -> None:
    """The file names the action's type or class."""
    text = (PROJECT_ROOT / TOLD_ELSEWHERE[kind]).read_text(encoding="utf-8")
    assert kind in text or action_classes()[kind].__name__ in text


@pytest.mark.parametrize("reason", SKIPPED_ELSEWHERE)
def test_what_is_skipped_elsewhere_is_asked_for_there(reason: SkipReason) -> None:
    """The file names the reason or its member."""
    text = (PROJECT_ROOT / SKIPPED_ELSEWHERE[reason]).read_text(encoding="utf-8")
    assert f'"{reason}"' in text or f"SkipReason.{reason.name}" in text


def test_only_the_first_look_at_a_report_refers_to_its_windows(world: BenchWorld) -> None:
    """Four looks at a report of sixty days: sixty references and three, not two hundred and forty; each look is told."""
    account = world.account()
    world.break_with("report_ends", status="PENDING")
    world.load(account, *(TODAY - timedelta(days=n) for n in range(3, 63)))
    for _ in range(3):
        world.advance(minutes=20)
        world.step()
    assert [1, 2, 3, 4] == [action["looks"] for action in world.actions("report-pending")]
    [references] = world.query(
        "SELECT count(*) AS all, count(window_key) AS windows FROM session_references WHERE effect = 'pending'"
    )
    assert {"all": 63, "windows": 60} == references


@pytest.mark.parametrize(
    ("fail", "code"),
    [
        (refuse_export, "account-refused"),
        (find_old_exports, "export-failed"),
        (sync_without_profile, "no-profile"),
    ],
)
def test_an_export_that_is_not_to_be_had_is_told_with_its_cause(
    world: BenchWorld, fail: Callable[[BenchWorld], None], code: str
) -> None:
    """Once a sync for each kind that it meets."""
    fail(world)
    told = world.actions("export-failed")
    assert len(told) == len({action["kind"] for action in told}) > 0
    assert {code} == {action["cause"]["code"] for action in told}
