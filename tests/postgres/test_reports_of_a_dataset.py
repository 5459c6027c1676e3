"""Datasets that several reports fill, one for each group of ad products, on a real database and the sandbox over HTTP."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import cause, explain
from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS, DAILY_TARGETS, DATASETS
from bidbeacon_pipelines.defs.materializations import day_metadata
from bidbeacon_pipelines.materializations.queries import lock_unrecorded_days, mark_days_recorded
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError
from bidbeacon_pipelines.states.coverage import WindowCoverage
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.explaining import explained_json
from tests.postgres.load_world import LoadWorld, report_row
from tests.support.ad_products import SB, SD, SP, SPELLED
from tests.support.jobs import load_by_hand, make_windows, set_contract
from tests.support.reading import call, column, tuples, value
from tests.support.rows import (
    as_loaded,
    change_accounts,
    change_ads_accounts,
    change_windows,
    remove_requests,
)
from tests.support.world import World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)
REPORTS = {(name, report.name) for name, one in DATASETS.items() for report in one.reports}
FIRST_REPORTS = {(name, one.reports[0].name) for name, one in DATASETS.items()}


def reports_with_windows(world: World, account: Account) -> set[tuple[str, str]]:
    """Return the datasets and reports that an account has windows of."""
    found = """SELECT DISTINCT dataset, report FROM report_windows
                WHERE country_code = :country_code AND account_id = :account_id"""
    return {
        (dataset, report) for dataset, report in tuples(world.engine, found, **account.identity)
    }


def sync_with_products_only(world: World, account: Account) -> None:
    """Sync entities, all campaigns of which are of Sponsored Products, in all countries."""
    world.sync_entities(account)
    world.execute("UPDATE campaigns SET ad_product = :product", product=SP)
    change_accounts(world.engine, entities_synced_at=func.now())


def test_windows_are_of_the_reports_that_there_are_campaigns_for(world: World) -> None:
    """Of all before campaigns are known; then of one a dataset, without Brands and Display; a campaign of another product brings its report.

    A day whose last open window goes is recorded as complete.
    """
    world.shorten_history(30)
    account = world.account()
    world.plan(account)
    assert REPORTS == reports_with_windows(world, account)
    sync_with_products_only(world, account)
    change_windows(
        world.engine,
        ReportWindow.dataset == "daily_products",
        ReportWindow.report == "SP+SD",
        ReportWindow.window_date == DAY,
        ReportWindow.country_code == account.country_code,
        recorded_load_count=1,
        **as_loaded(func.now()),
    )
    world.execute("DELETE FROM dataset_windows")
    change_ads_accounts(world.engine, planned_at=None)
    world.plan(account)
    assert FIRST_REPORTS == reports_with_windows(world, account)
    [day] = call(world.engine, lock_unrecorded_days)
    assert (DAY, True) == (day.window_date, day.is_complete)
    world.sync_entities(account)
    world.plan(account)
    assert REPORTS == reports_with_windows(world, account)


@pytest.mark.parametrize(
    "is_out", [{"paused": True}, {"amazon_status": "DISABLED"}, {"profile_id": None}]
)
def test_countries_that_are_never_synced_bring_no_windows(
    world: World, is_out: dict[str, Any]
) -> None:
    """The campaigns of the other countries decide alone which reports there are."""
    world.shorten_history(30)
    account = world.account()
    sync_with_products_only(world, account)
    is_other = Account.country_code != account.country_code
    change_accounts(world.engine, is_other, entities_synced_at=None, **is_out)
    world.plan(account)
    assert FIRST_REPORTS == reports_with_windows(world, account)


def test_each_report_has_a_window_and_an_explanation_of_its_own(world: World) -> None:
    """One fails while the other is loaded: a load by hand fails, the map shows the worse, and `explain` either."""
    account = world.account()
    world.sync_entities(account)
    reason = {"code": "400013", "message": "No field Color", "as_207": True}
    world.break_with("refuse", "create_report", times=1, **reason)
    with pytest.raises(WindowNotLoadedError, match="No field Color"):
        load_by_hand(world, account, DAY, dataset=DAILY_PRODUCTS)
    windows = {one.report: one for one in world.windows(account, DAY, dataset=DAILY_PRODUCTS)}
    assert {"loaded", "failed"} == {one.status for one in windows.values()}
    [failed] = [name for name, one in windows.items() if one.status == "failed"]
    [loaded] = windows.keys() - {failed}
    worst = explained_json(world, account, DAY, DAILY_PRODUCTS)
    assert (failed, {failed, loaded}) == (worst["report"], worst["reports"].keys())
    chosen = explained_json(world, account, DAY, DAILY_PRODUCTS, loaded)
    assert ("failed", "fresh") == (worst["verdict"]["state"], chosen["verdict"]["state"])
    coverage = WindowCoverage(world.sessions, clock=world.context.now)
    accounts = coverage.read_coverage(DAILY_PRODUCTS.name, 1, DAY)["accounts"]
    assert ["x"] == [one["cells"] for one in accounts if one["key"] == account.account_key]


def test_day_is_complete_once_all_its_windows_are_loaded_or_expired(world: World) -> None:
    """Until then each load is told as one of an incomplete day; then with the sums of all windows."""
    account, history = world.account(), (DAILY_PRODUCTS, "history:SB")
    world.sync_entities(account)
    load_by_hand(world, account, DAY, dataset=DAILY_PRODUCTS)
    never_loaded = {"load_count": 0, "recorded_load_count": 0, "last_loaded_at": None}
    change_windows(world.engine, ReportWindow.report == "SB", status="missing", **never_loaded)
    [day] = call(world.engine, lock_unrecorded_days)
    assert (False, {"SP+SD": 1}) == (day.is_complete, day.new_loads)
    call(world.engine, mark_days_recorded, [day], str(uuid4()))
    assert [] == call(world.engine, lock_unrecorded_days)
    set_contract(world, *history, "1")
    make_windows(world, account, DAILY_PRODUCTS)
    assert [True] == [one.is_complete for one in call(world.engine, lock_unrecorded_days)]
    set_contract(world, *history, None)
    make_windows(world, account, DAILY_PRODUCTS)
    load_by_hand(world, account, DAY, dataset=DAILY_PRODUCTS)
    [day] = call(world.engine, lock_unrecorded_days)
    assert (True, {"SP+SD", "SB"}) == (day.is_complete, set(day.new_loads))
    rows = f"SELECT count(*) FROM {DAILY_PRODUCTS.name} WHERE account = :id"
    stored = value(world.engine, rows, id=account.id)
    assert stored == day_metadata(day)["dagster/partition_row_count"]


@pytest.mark.parametrize(
    "sandbox", [{"rules": [{"rule": "refuse", "reason": "mixed_products"}]}], indirect=True
)
def test_refused_grouping_names_the_command_that_changes_it(world: World) -> None:
    """The windows are made anew then, one for each report, and all are loaded."""
    account = world.account()
    world.sync_entities(account)
    world.load(account, DAY)
    window = world.window(account, DAY)
    assert "failed" == window.status
    command = "`bidbeacon contract set NA daily_targets grouping SP,SB,SD`"
    assert command in explain(window.cause).advice
    set_contract(world, DAILY_TARGETS, "grouping", "SP,SB,SD")
    world.load(account, DAY)
    loaded = [(one.report, one.status) for one in world.windows(account, DAY)]
    assert [(name, "loaded") for name in ("SB", "SD", "SP")] == loaded
    asked = "SELECT report FROM report_requests WHERE attempts > 0 ORDER BY id"
    assert ["SP+SB+SD", "SP", "SB", "SD"] == column(world.engine, asked)


@pytest.mark.parametrize(
    "sandbox",
    [{"rules": [{"rule": "history", "days": 1, "products": [SD]}]}],
    indirect=True,
    ids=["Display is refused"],
)
def test_no_row_of_a_day_is_complete_while_one_of_its_reports_lacks(world: World) -> None:
    """Rows of the reports that came say so; a join with the days sums each row once."""
    account = world.account()
    world.sync_entities(account)
    set_contract(world, DAILY_TARGETS, "grouping", "SP,SB,SD")
    make_windows(world, account)
    with pytest.raises(WindowNotLoadedError):
        load_by_hand(world, account, DAY)
    assert (3, {SP, SB}, {(False, False)}) == _as_read(world)
    world.sandbox.state.rules.clear()
    load_by_hand(world, account, DAY)
    change_windows(world.engine, next_refresh_at=None)
    assert (3, {SP, SB, SD}, {(True, True)}) == _as_read(world)


def _as_read(world: World) -> tuple[int, set[str], set[tuple[bool, bool]]]:
    """Return how many reports the day has, of which ad products it has rows, and what these say: final, complete.

    The day says the same, and a join with it changes no sum.
    """
    rows = world.query(
        """SELECT t.ad_product, t.is_final, t.is_complete, t.spend,
                  d.is_final AS day_is_final, d.is_complete AS day_is_complete
             FROM reports.daily_targets t JOIN reports.days d USING (account_key, window_date)
            WHERE d.dataset = 'daily_targets'"""
    )
    spend = value(world.engine, "SELECT sum(spend) FROM daily_targets")
    assert spend == sum(row["spend"] for row in rows)
    said = {(row["is_final"], row["is_complete"]) for row in rows}
    assert said == {(row["day_is_final"], row["day_is_complete"]) for row in rows}
    reports = """SELECT count(DISTINCT report) FROM reports.report_days
                  WHERE dataset = 'daily_targets' AND window_date = :day"""
    return value(world.engine, reports, day=DAY), {row["ad_product"] for row in rows}, said


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 80}], indirect=True, ids=["80 rows"])
def test_all_datasets_of_an_account_are_loaded(world: World) -> None:
    """Each day takes all reports of the registry, and all of its windows come."""
    world.shorten_history(30)
    account = world.account()
    world.sync_entities(account)
    world.plan(account)
    remove_requests(world.engine)
    change_ads_accounts(world.engine, planned_at=None)
    change_windows(world.engine, ReportWindow.window_date != DAY, next_refresh_at=None)
    for _ in range(40):
        world.refresh(account)
        world.advance(minutes=3)
        if not world.query("SELECT FROM report_requests WHERE finished_at IS NULL"):
            break
    statuses = """SELECT status, count(*) FROM report_windows
                   WHERE window_date = :day AND account_id = :account_id
                     AND country_code = :country_code GROUP BY 1"""
    expected = [("loaded", len(REPORTS))]
    assert expected == tuples(world.engine, statuses, day=DAY, **account.identity)
    assert expected == tuples(
        world.engine, "SELECT status, count(*) FROM report_requests GROUP BY 1"
    )


def test_product_of_which_nearly_all_rows_are_gone_is_suspicious(shelf: LoadWorld) -> None:
    """Though the report has nearly as many rows as before; a second report that says the same of it is believed."""
    products, day = (SP, SB), date(2026, 1, 10)
    brands = {"adProduct.value": SPELLED[SB]}
    kept = [report_row(f"dog shirt {n}") for n in range(200)]
    gone = [report_row(f"cat shirt {n}", **brands) for n in range(11)]
    shelf.load([*kept, *gone], ad_products=products)
    second = shelf.load(kept, age=2, ad_products=products)
    lost = cause("rows-lost", ad_products=[SPELLED[SB]], detail={"new_rows": 0, "old_rows": 11})
    assert lost == second.suspicious[day].cause
    assert 211 == len(shelf.rows())
    changed = [row | {"metric.clicks": 9} for row in kept]
    assert [day] == shelf.load(changed, age=3, ad_products=products).loaded
    assert 200 == len(shelf.rows())
