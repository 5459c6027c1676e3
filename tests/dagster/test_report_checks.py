"""Asset checks of datasets: beside a materialization, and on their own."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetKey,
    DagsterEventType,
    ExecuteInProcessResult,
    TableMetadataValue,
    serialize_value,
)
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import array

from bidbeacon_pipelines.datasets.registry import DATASETS, get_dataset
from bidbeacon_pipelines.defs import checks, materializations
from bidbeacon_pipelines.defs.resources import Context
from bidbeacon_pipelines.problems.checks import QUARANTINE_IS_SMALL, ROWS_RECONCILE, WINDOW_IS_FRESH
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.dagster.runs import ASSET_KEY, materialize_days, recorded_partitions, run_job
from tests.postgres.explaining import findings
from tests.support.dagster_runs import links_to
from tests.support.reading import value
from tests.support.rows import change_accounts, change_ads_accounts, change_windows
from tests.support.world import World

SPEND = ("SPONSORED_PRODUCTS", "spend")
DAILY, HOURLY = get_dataset("daily_targets"), get_dataset("hourly_targets")


def check(world: World, dataset: str) -> dict[str, AssetCheckEvaluation]:
    """Run the checks on their own; return those of a dataset."""
    key = AssetKey(get_dataset(dataset).name)
    found = run_job(world, "check_datasets").get_asset_check_evaluations()
    assert len(DATASETS) * 3 == len(found)
    return {one.check_name: one for one in found if one.asset_key == key}


def test_checks_run_with_a_materialization(stocked: World) -> None:
    """The run that loads a day evaluates the checks of its dataset; each result links to the session."""
    result = materialize_days(stocked, stocked.account(), stocked.day(), with_checks=True)
    found = result.get_asset_check_evaluations()
    assert {one.check_name: (one.passed, one.description) for one in found} == {
        WINDOW_IS_FRESH: (True, "No account has late windows."),
        ROWS_RECONCILE: (
            True,
            "No totals can be compared with daily performance by advertised product yet.",
        ),
        QUARANTINE_IS_SMALL: (True, "No row is quarantined."),
    }
    assert {ASSET_KEY} == {one.asset_key for one in found}
    session = stocked.one_session("load-windows")
    assert all(links_to(one.metadata, session) for one in found)


def test_a_failing_check_shows_its_cases(stocked: World) -> None:
    """Hours may miss a little of their day; a tenth more is a warning, with the account, the day and both sums as a table.

    An ad product that is not served is compared with nothing.
    """
    account, day = stocked.account("DE"), stocked.day(9)
    for dataset in (DAILY, HOURLY):
        materialize_days(stocked, account, day, dataset=dataset)
    agreeing = check(stocked, HOURLY.name)[ROWS_RECONCILE]
    assert (agreeing.passed, agreeing.metadata["compared"].value) == (True, 1)
    spend = ReportWindow.product_totals[SPEND].as_numeric(38, 6) * Decimal("1.1")
    more = func.jsonb_set(ReportWindow.product_totals, array(SPEND), func.to_jsonb(spend))
    is_daily, is_loaded = ReportWindow.dataset == DAILY.name, ReportWindow.load_count > 0
    change_windows(stocked.engine, is_daily, is_loaded, product_totals=more)
    differing = check(stocked, HOURLY.name)[ROWS_RECONCILE]
    assert (differing.passed, differing.metadata["differing"].value) == (False, 1)
    cases = differing.metadata["cases"]
    assert isinstance(cases, TableMetadataValue)
    [case] = cases.records
    assert account.account_key in case.data.values()
    assert len(serialize_value(differing)) < 8_000
    assert [1] == [one.count for one in findings(stocked, "totals-differ")]
    change_windows(stocked.engine, ~is_daily, is_loaded, not_served=["SPONSORED_PRODUCTS"])
    assert check(stocked, HOURLY.name)[ROWS_RECONCILE].passed
    assert [] == findings(stocked, "totals-differ")


def test_checks_run_on_their_own_find_late_windows_and_quarantined_rows(stocked: World) -> None:
    """Windows due for twelve hours are late, unless their account is new, paused, or has a later round; one bad row in 499 is too many."""
    materialize_days(stocked, stocked.account(), stocked.day())
    change_windows(stocked.engine, ReportWindow.load_count > 0, row_count=499, quarantined_count=1)
    found = check(stocked, DAILY.name)
    assert found[WINDOW_IS_FRESH].passed
    assert found[QUARANTINE_IS_SMALL].passed
    change_windows(stocked.engine, ReportWindow.load_count > 0, row_count=498, quarantined_count=1)
    change_accounts(stocked.engine, first_seen_at=func.now() - timedelta(days=2))
    found = check(stocked, DAILY.name)
    due = "SELECT count(*) FROM report_windows WHERE next_refresh_at < now() - interval '12 hours'"
    late, quarantine = found[WINDOW_IS_FRESH], found[QUARANTINE_IS_SMALL]
    counted = late.metadata["windows_late"].value
    assert (False, value(stocked.engine, due)) == (late.passed, counted)
    assert (quarantine.passed, quarantine.severity.name) == (False, "WARN")
    change_ads_accounts(stocked.engine, next_run_at=func.now() + timedelta(hours=1))
    assert check(stocked, DAILY.name)[WINDOW_IS_FRESH].passed
    change_ads_accounts(stocked.engine, next_run_at=None)
    change_accounts(stocked.engine, paused=True)
    assert check(stocked, DAILY.name)[WINDOW_IS_FRESH].passed


def test_checks_are_evaluated_after_each_batch_of_recorded_loads(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster shows checks as not evaluated after a materialization, so results are repeated, and renewed after ten minutes."""
    first, last = stocked.day(4), stocked.day(3)
    result = materialize_days(stocked, stocked.account(), first, last, with_checks=True)
    [before] = found_in(result, QUARANTINE_IS_SMALL)
    assert 2 == len(recorded_partitions(stocked))

    monkeypatch.setattr(materializations, "_BATCH", 1)
    change_windows(stocked.engine, recorded_load_count=0, row_count=498, quarantined_count=1)
    result = run_job(stocked, "poll_reports")
    load, check = DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_CHECK_EVALUATION
    kinds = [event.event_type for event in result.all_events]
    assert [load, check, check, check] * 2 == [kind for kind in kinds if kind in {load, check}]
    for repeated in found_in(result, QUARANTINE_IS_SMALL):
        assert repeated.metadata["checked_at"] == before.metadata["checked_at"]

    monkeypatch.setattr(checks, "RECENT", timedelta(0))
    change_windows(stocked.engine, recorded_load_count=0)
    renewed = found_in(run_job(stocked, "poll_reports"), QUARANTINE_IS_SMALL)[-1]
    session = stocked.sessions_of("poll-reports")[-1]
    assert not renewed.passed
    assert links_to(renewed.metadata, session)
    assert renewed.asset_key == ASSET_KEY


def test_checks_stay_evaluated_where_two_runs_record_in_turns(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster keeps a run's last result in the place of its first, behind one that another run has stored meanwhile."""
    materialize_days(stocked, stocked.account(), stocked.day(4), stocked.day(3))
    evaluate, runs = checks.evaluate_checks, list[str]()

    def evaluate_and_be_overtaken(context: Context, *given: Any) -> None:
        evaluate(context, *given)
        runs.append(context.run.run_id)
        if len(runs) == 1:
            run_job(stocked, "poll_reports")
            change_windows(stocked.engine, recorded_load_count=0)

    monkeypatch.setattr(materializations, "evaluate_checks", evaluate_and_be_overtaken)
    monkeypatch.setattr(materializations, "_BATCH", 1)
    change_windows(stocked.engine, recorded_load_count=0)
    run_job(stocked, "poll_reports")
    first, other, *_, last = runs
    assert first == last != other
    check = AssetCheckKey(ASSET_KEY, QUARANTINE_IS_SMALL)
    newest = stocked.instance.get_latest_asset_check_evaluation_record(check)
    assert newest is not None
    assert other != newest.run_id


def found_in(result: ExecuteInProcessResult, name: str) -> list[AssetCheckEvaluation]:
    """Return the evaluations of a check in a run."""
    return [one for one in result.get_asset_check_evaluations() if one.check_name == name]
