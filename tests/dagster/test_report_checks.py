"""Asset checks of datasets: beside a materialization, and on their own."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetKey,
    AssetMaterialization,
    DagsterEventType,
    ExecuteInProcessResult,
    TableMetadataValue,
    materialize,
    serialize_value,
)
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

from bidbeacon_pipelines.defs import checks, recording
from bidbeacon_pipelines.defs.checks import build_report_checks
from bidbeacon_pipelines.defs.partitions import partition_key
from bidbeacon_pipelines.defs.reports import build_report_asset
from bidbeacon_pipelines.defs.resources import BidBeaconSessions
from bidbeacon_pipelines.reports.checks import QUARANTINE_IS_SMALL, ROWS_RECONCILE, WINDOW_IS_FRESH
from bidbeacon_pipelines.reports.datasets import DATASETS, get_dataset
from bidbeacon_pipelines.store.accounts import Account
from tests.dagster.world import ASSET_KEY, RANGE_END, RANGE_START, World

SPEND = "{SPONSORED_PRODUCTS,spend}"
DAILY, HOURLY = get_dataset("daily_targets"), get_dataset("hourly_targets")


def load(
    world: World, account: Account, day: date, *names: str, **options: Any
) -> ExecuteInProcessResult:
    """Materialize a day of datasets together with their checks, in one run each."""
    for name in names:
        dataset = get_dataset(name)
        result = materialize(
            [build_report_asset(dataset), build_report_checks(dataset)],
            instance=world.instance,
            resources={"job_sessions": BidBeaconSessions()},
            **(options or {"partition_key": partition_key(account.account_key, day)}),
        )
    return result


def check(world: World, dataset: str) -> dict[str, AssetCheckEvaluation]:
    """Run the checks on their own; return those of a dataset."""
    key = AssetKey(get_dataset(dataset).asset_name)
    found = world.run_job("check_datasets").get_asset_check_evaluations()
    assert len(DATASETS) * 3 == len(found)
    return {one.check_name: one for one in found if one.asset_key == key}


def test_checks_run_with_a_materialization(stocked: World) -> None:
    """The run that loads a day says of the dataset that it is fresh, has no bad rows, and nothing to be compared with yet."""
    found = load(
        stocked, stocked.account(), stocked.day(), DAILY.name
    ).get_asset_check_evaluations()
    told = {one.check_name: (one.passed, one.description) for one in found}
    assert told == {
        WINDOW_IS_FRESH: (True, "All accounts are fresh."),
        ROWS_RECONCILE: (True, "Not comparable yet with daily performance by advertised product."),
        QUARANTINE_IS_SMALL: (True, "No row is quarantined."),
    }
    assert {ASSET_KEY} == {one.asset_key for one in found}
    [session] = stocked.sessions_of("load-windows")
    for one in found:
        assert one.metadata["session"].value.endswith(str(session["id"]))


def test_a_failing_check_shows_its_cases(stocked: World) -> None:
    """Hours may miss a little of their day; a tenth more is a warning, with the account, the day and both sums as a table."""
    account, day = stocked.account("DE"), stocked.day(9)
    load(stocked, account, day, DAILY.name, HOURLY.name)
    agreeing = check(stocked, HOURLY.name)[ROWS_RECONCILE]
    assert (agreeing.passed, agreeing.metadata["compared"].value) == (True, 1)
    stocked.execute(
        f"""UPDATE report_windows SET product_totals = jsonb_set(product_totals, '{SPEND}',
                   to_jsonb(CAST(product_totals #>> '{SPEND}' AS numeric) * 1.1)) WHERE dataset = :name AND load_count > 0""",
        name=DAILY.name,
    )
    differing = check(stocked, HOURLY.name)[ROWS_RECONCILE]
    assert (differing.passed, differing.metadata["differing"].value) == (False, 1)
    cases = differing.metadata["cases"]
    assert isinstance(cases, TableMetadataValue)
    [case] = cases.records
    assert account.account_key in case.data.values()
    assert len(serialize_value(differing)) < 8_000


def test_late_accounts_are_found_without_a_load(stocked: World) -> None:
    """On its own the check finds windows due for more than twelve hours, of active accounts that are known for as long."""
    account = stocked.account()
    load(stocked, account, stocked.day(), DAILY.name)
    assert check(stocked, DAILY.name)[WINDOW_IS_FRESH].passed
    stocked.execute("UPDATE advertiser_accounts SET first_seen_at = now() - interval '2 days'")
    late = check(stocked, DAILY.name)[WINDOW_IS_FRESH]
    [due] = stocked.rows(
        "SELECT count(*) FROM report_windows WHERE next_refresh_at < now() - interval '12 hours'"
    )
    assert (late.passed, due["count"]) == (False, late.metadata["windows_late"].value)
    stocked.execute("UPDATE ads_accounts SET next_look_at = now() + interval '1 hour'")
    assert check(stocked, DAILY.name)[WINDOW_IS_FRESH].passed
    stocked.execute("UPDATE ads_accounts SET next_look_at = NULL")
    stocked.execute(
        "UPDATE advertiser_accounts SET enabled = false WHERE account_key = :key",
        key=account.account_key,
    )
    assert check(stocked, DAILY.name)[WINDOW_IS_FRESH].passed


def test_more_than_one_row_in_500_in_quarantine_is_too_many(stocked: World) -> None:
    """One bad row of 500 is small, one of 499 isn't; a warning, with the account that has it."""
    account, day = stocked.account(), stocked.day()
    load(stocked, account, day, DAILY.name)
    for good, passed in ((499, True), (498, False)):
        stocked.execute(
            "UPDATE report_windows SET row_count = :good, quarantined_count = 1 WHERE load_count > 0",
            good=good,
        )
        found = check(stocked, DAILY.name)[QUARANTINE_IS_SMALL]
        assert (passed, "WARN") == (found.passed, found.severity.name)


def test_checks_stay_evaluated_when_loads_are_recorded(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that records loads evaluates the checks of their datasets, anew after ten minutes; a materialization alone leaves them not evaluated."""
    load(stocked, stocked.account(), stocked.day(), DAILY.name)
    first = last_check(stocked, QUARANTINE_IS_SMALL)
    assert are_shown_as_evaluated(stocked)
    stocked.instance.report_runless_asset_event(AssetMaterialization(ASSET_KEY))
    assert not are_shown_as_evaluated(stocked)
    stocked.execute(
        "UPDATE report_windows SET recorded_load_count = 0, row_count = 498, quarantined_count = 1"
    )
    assert stocked.run_job("poll_reports").success
    assert are_shown_as_evaluated(stocked)
    repeated = last_check(stocked, QUARANTINE_IS_SMALL)
    assert repeated.run_id != first.run_id
    assert repeated.evaluation.metadata["checked_at"] == first.evaluation.metadata["checked_at"]

    monkeypatch.setattr(checks, "RECENT", timedelta(0))
    stocked.execute("UPDATE report_windows SET recorded_load_count = 0")
    assert stocked.run_job("poll_reports").success
    assert are_shown_as_evaluated(stocked)
    evaluation = last_check(stocked, QUARANTINE_IS_SMALL).evaluation
    session = stocked.sessions_of("poll-reports")[-1]
    assert not evaluation.passed
    assert evaluation.metadata["session"].value.endswith(str(session["id"]))
    hourly = AssetCheckKey(AssetKey(HOURLY.asset_name), QUARANTINE_IS_SMALL)
    assert stocked.instance.get_latest_asset_check_evaluation_record(hourly) is None


def test_checks_are_evaluated_after_each_batch_of_loads(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A range is checked once; within a run that records two batches, the events of the checks follow those of each, so that a long run does not leave them not evaluated."""
    account = stocked.account()
    first, last = (partition_key(account.account_key, stocked.day(ago)) for ago in (4, 3))
    keys = {RANGE_START: str(first), RANGE_END: str(last)}
    result = load(stocked, account, stocked.day(), DAILY.name, tags=keys)
    assert 3 == len(result.get_asset_check_evaluations())
    assert 2 == len(stocked.recorded_partitions())
    stocked.execute("UPDATE report_windows SET recorded_load_count = 0")
    monkeypatch.setattr(recording, "_BATCH", 1)
    result = stocked.run_job("poll_reports")
    kinds = {
        DagsterEventType.ASSET_MATERIALIZATION: "load",
        DagsterEventType.ASSET_CHECK_EVALUATION: "check",
    }
    told = [kinds[event.event_type] for event in result.all_events if event.event_type in kinds]
    assert told == ["load", "check", "check", "check"] * 2
    [action] = stocked.one_session("poll-reports")["actions"]
    assert ("loads-recorded", 2) == (action["type"], action["loads"])


def are_shown_as_evaluated(world: World) -> bool:
    """Return whether Dagster's pages show all checks of the daily targets as evaluated."""
    context = LoadingContextForTest(world.instance)
    names = (WINDOW_IS_FRESH, ROWS_RECONCILE, QUARANTINE_IS_SMALL)
    return all(
        asyncio.run(last_check(world, name).targets_latest_materialization(context))
        for name in names
    )


def last_check(world: World, name: str) -> AssetCheckExecutionRecord:
    """Return the last evaluation of a check of the daily targets."""
    record = world.instance.get_latest_asset_check_evaluation_record(AssetCheckKey(ASSET_KEY, name))
    assert record is not None
    return record
