"""Every branch that queues, asks, loads, skips, tries again, refuses or gives up leaves its action.

When in doubt, emit it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.accounts.pause import MOST_REFUSALS
from bidbeacon_pipelines.actions import SkipReason
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, NotAuthorized
from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS, DATASETS
from bidbeacon_pipelines.entities.sync import ExportFailedError
from bidbeacon_pipelines.problems.checks import check_dataset
from bidbeacon_pipelines.requests.backfill import (
    AccountSkippedError,
    WindowNotLoadedError,
    drive_windows,
)
from bidbeacon_pipelines.retention import delete_old_records
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_sessions.actions import action_classes
from tests.postgres.job_world import DATASET, BenchWorld

TODAY = date(2026, 1, 15)
DAY, OTHER, THIRD = (TODAY - timedelta(days=n) for n in (3, 200, 400))

TOLD_ELSEWHERE = {
    **dict.fromkeys(
        ("account-paused", "account-resumed", "account-renamed", "cadence-changed"),
        "tests/postgres/test_account_changes.py",
    ),
    "entity-sync-requested": "tests/dagster/test_sensors.py",
    "credentials-accepted": "tests/postgres/test_credentials.py",
    "entities-misread": "tests/postgres/test_jobs_accounts.py",
    "loads-recorded": "tests/dagster/test_refresh_jobs.py",
    "portfolios-not-listed": "tests/postgres/lone_sync_cases.py",
    "registry-overridden": "tests/postgres/test_learned_limits.py",
    "quarantine-replayed": "tests/dagster/test_window_commands.py",
}
"""Actions whose branches need more than this world; their tests ask for them."""


def by_hand(world: BenchWorld, *days: date, minutes: float = 2) -> None:
    """Ask for days by hand; what can't be loaded is told, which is all that matters here."""
    with (
        suppress(WindowNotLoadedError, AccountSkippedError),
        world.session("by-hand") as session,
    ):
        drive_windows(
            world.context,
            session,
            world.account(),
            DATASET,
            days,
            by="maria",
            on_progress=lambda _: world.advance(minutes=minutes),
        )


def load(world: BenchWorld) -> None:
    """Load a window."""
    world.load(world.account(), DAY)


def load_twice(world: BenchWorld, kind: str, **fields: Any) -> None:
    """Load a window, and then again with a rule in force."""
    load(world)
    world.break_with(kind, **fields)
    load(world)


def load_without_filter(world: BenchWorld) -> None:
    """Load two of three ad products, while Amazon sends all of them."""
    world.break_with("rows", change="all_products")
    world.load(world.account(), DAY, dataset=DAILY_PRODUCTS)


def fail_report(world: BenchWorld) -> None:
    """Let a report fail once."""
    world.break_with("report_ends", times=1)
    load(world)


def fail_all_reports(world: BenchWorld) -> None:
    """Let every report fail until the request is given up."""
    world.break_with("report_ends")
    load(world)
    for _ in range(20):
        world.advance(minutes=50)
        world.step()


def throttle(world: BenchWorld) -> None:
    """Let Amazon refuse for an hour."""
    world.break_with("answer", "create_report", times=1, status=429, retry_after=3600)
    world.ask(world.account(), DAY)


def break_file(world: BenchWorld) -> None:
    """Let a file come broken."""
    world.break_with("file", times=2, keep=0.5)
    load(world)


def never_finish(world: BenchWorld) -> None:
    """Look at a report that is not done."""
    world.break_with("report_ends", status="PENDING")
    load(world)


def adopt(world: BenchWorld) -> None:
    """Ask by hand for what is in flight."""
    world.ask(world.account(), DAY)
    by_hand(world, DAY)


def expire(world: BenchWorld) -> None:
    """Let two days pass over windows that were never loaded."""
    account = world.account()
    with world.session() as session:
        keep_windows(world.context, session, account, DATASET)
    world.advance(days=2)
    with world.session() as session:
        keep_windows(world.context, session, account, DATASET)


def reopen(world: BenchWorld) -> None:
    """Let a clock that was far ahead end windows, and look again with the right one."""
    now, ahead = world.context.now, world.context.now() + timedelta(days=40)
    for clock in (now, lambda: ahead, now):
        with world.session() as session:
            context = replace(world.context, clock=clock)
            keep_windows(context, session, world.account(), DATASET, again=True)


def refuse_account(world: BenchWorld) -> None:
    """Let Amazon refuse the account until that is believed."""
    world.break_with("answer", "create_report", status=403)
    world.ask(world.account(), DAY)
    for _ in range(MOST_REFUSALS):
        world.advance(hours=1)
        world.step()


def refuse_credentials(world: BenchWorld) -> None:
    """Let Amazon refuse our credentials."""
    world.context.client._auth._token = None
    world.break_with("token", what="revoked")
    world.ask(world.account(), DAY)


def fail_export(world: BenchWorld) -> None:
    """Let an export fail."""
    world.break_with("export_ends", times=1)
    with suppress(ExportFailedError):
        world.sync_entities(world.account())


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


def list_no_accounts(world: BenchWorld) -> None:
    """Sync accounts while no region answers."""
    world.break_with("answer", "list_accounts", status=403)
    with suppress(AdsApiError):
        world.sync_accounts()


def list_one_region_less(world: BenchWorld) -> None:
    """Sync accounts while the first region refuses."""
    world.break_with("answer", "list_accounts", times=1, status=403)
    world.sync_accounts()


def wait_too_long(world: BenchWorld) -> None:
    """Wait by hand for a report that is never done."""
    world.break_with("report_ends", status="PENDING")
    by_hand(world, DAY, minutes=50)


def sync(world: BenchWorld) -> None:
    """Sync entities."""
    world.sync_entities(world.account())


def nothing_due(world: BenchWorld) -> None:
    """Refresh an account whose windows all are fresh."""
    account = world.account()
    with world.session() as session:
        for dataset in DATASETS.values():
            keep_windows(world.context, session, account, dataset)
    world.execute("UPDATE report_windows SET next_refresh_at = NULL")
    world.execute(
        "UPDATE advertiser_accounts SET paused = account_key <> :key", key=account.account_key
    )
    world.refresh(account)


def check(world: BenchWorld) -> None:
    """Make the checks of a dataset."""
    with world.session() as session:
        check_dataset(world.engine, session, DATASET, world.context.now(), world.context.settings)


def delete(world: BenchWorld) -> None:
    """Delete what is old."""
    with world.session() as session:
        delete_old_records(world.engine, session, world.context.settings, world.context.now())


def ask_for_three_periods(world: BenchWorld) -> None:
    """Ask for three periods at once."""
    by_hand(world, DAY, OTHER, THIRD)


def wait_for_countries(world: BenchWorld) -> None:
    """Refresh an ads account between the midnights of its two countries."""
    world.plan(world.account("DE"))
    world.execute("DELETE FROM report_requests")
    world.execute(
        "UPDATE report_windows SET next_refresh_at = NULL WHERE window_date < :today", today=TODAY
    )
    world.advance(hours=11, minutes=1)
    world.plan(world.account("DE"))


def plan(world: BenchWorld) -> None:
    """Plan what is due for an ads account."""
    world.plan(world.account())


def miss_offsets(world: BenchWorld) -> None:
    """Load a window for the first time since several offsets."""
    load(world)
    world.advance(days=5)
    load(world)


def pause(world: BenchWorld) -> None:
    """Refresh a paused account."""
    world.execute("UPDATE advertiser_accounts SET paused = true")
    world.refresh(world.account())


def load_silently(world: BenchWorld, *, times: int) -> None:
    """Load a window whose reports have no row of the country, so many times."""
    world.sync_entities(world.account())
    world.break_with("rows", times=times, change="no_country")
    for _ in range(times):
        load(world)
        world.advance(minutes=15)


def split(world: BenchWorld) -> None:
    """Ask for more days than Amazon makes one report of."""
    world.break_with("refuse", reason="too_large", days=1)
    world.ask(world.account(), DAY, DAY - timedelta(days=1))


def need_attention(world: BenchWorld) -> None:
    """Refresh an account that Amazon refuses."""
    refuse_account(world)
    world.refresh(world.account())


BRANCHES: Mapping[str, Callable[[BenchWorld], None]] = {
    "dataset-checked": check,
    "old-records-deleted": delete,
    "accounts-synced": lambda _: None,  # making the world does it
    "account-sync-failed": list_no_accounts,
    "region-not-listed": list_one_region_less,
    "account-needs-attention": refuse_account,
    "credentials-refused": refuse_credentials,
    "entities-synced": sync,
    "export-requested": sync,
    "export-failed": fail_export,
    "export-failed: not asked for": refuse_export,
    "export-failed: too old to take over": find_old_exports,
    "export-failed: no profile": sync_without_profile,
    "export-pending": hide_export,
    "exports-skipped": go_on_with_sync,
    "load-requested": lambda world: by_hand(world, DAY),
    "windows-planned": load,
    "reports-planned": plan,
    "creates-paused": throttle,
    "windows-queued": load,
    "windows-expired": expire,
    "windows-reopened": reopen,
    "report-requested": load,
    "report-adopted": adopt,
    "report-pending": never_finish,
    "report-processed": load,
    "other-products-reported": load_without_filter,
    "windows-unconfirmed": lambda world: load_silently(world, times=1),
    "silence-accepted": lambda world: load_silently(world, times=2),
    "report-split": split,
    "report-suspicious": lambda world: load_twice(world, "rows", change="vanish", share=1, times=1),
    "report-failed": fail_all_reports,
    "wait-given-up": wait_too_long,
    "request-retried": fail_report,
    "request-retried: throttled": throttle,
    "request-retried: broken file": break_file,
    "report-failed: refused": lambda world: load_twice(
        world, "rows", change="negative_metric", share=0.3
    ),
}
SKIPS: Mapping[SkipReason, Callable[[BenchWorld], None]] = {
    SkipReason.ALREADY_FRESH: nothing_due,
    SkipReason.WAITS_FOR_AMAZON: ask_for_three_periods,
    SkipReason.WAITS_FOR_COUNTRIES: wait_for_countries,
    SkipReason.OFFSET_MISSED: miss_offsets,
    SkipReason.NOT_SERVED: lambda world: by_hand(world, TODAY - timedelta(days=800)),
    SkipReason.NOT_OVER: lambda world: by_hand(world, TODAY),
    SkipReason.ACCOUNT_STOPPED: pause,
    SkipReason.ACCOUNT_NEEDS_ATTENTION: need_attention,
}


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_branch_leaves_its_action(world: BenchWorld, branch: str) -> None:
    """The branch is driven, and its action is found."""
    BRANCHES[branch](world)
    assert world.actions(branch.partition(":")[0])


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
    driven = {branch.partition(":")[0] for branch in BRANCHES} | {"window-skipped"}
    assert ours == driven | TOLD_ELSEWHERE.keys()
    assert set(SkipReason) - {SkipReason.WORKED_ON_ELSEWHERE} == set(SKIPS)  # test_locks_taken.py


@pytest.mark.parametrize("kind", TOLD_ELSEWHERE)
def test_what_is_told_elsewhere_is_asked_for_there(kind: str) -> None:
    """The file names the action's type or class."""
    text = (PROJECT_ROOT / TOLD_ELSEWHERE[kind]).read_text(encoding="utf-8")
    assert kind in text or action_classes()[kind].__name__ in text


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


def test_who_queues_a_report_shows_which_session_loaded_it(world: BenchWorld) -> None:
    """The promise of the request is fulfilled by the look that loads it."""
    load(world)
    [promise] = world.query(
        "SELECT status, promised_with, fulfilled_with, session_id, fulfilled_by FROM job_promises"
    )
    assert ("fulfilled", "windows-queued", "report-processed") == (
        promise["status"],
        promise["promised_with"],
        promise["fulfilled_with"],
    )
    assert promise["session_id"] != promise["fulfilled_by"]


@pytest.mark.parametrize(
    ("branch", "code"),
    [
        ("export-failed: not asked for", "account-refused"),
        ("export-failed: too old to take over", "export-failed"),
        ("export-failed: no profile", "no-profile"),
    ],
)
def test_an_export_that_is_not_to_be_had_is_told_with_its_cause(
    world: BenchWorld, branch: str, code: str
) -> None:
    """Once a sync for each kind that it meets."""
    BRANCHES[branch](world)
    told = world.actions("export-failed")
    assert len(told) == len({action["kind"] for action in told}) > 0
    assert {code} == {action["cause"]["code"] for action in told}
