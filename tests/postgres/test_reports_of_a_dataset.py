"""Datasets that several reports fill, one for each group of ad products, on a real database and the sandbox over HTTP."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import cause, explain
from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS, DAILY_TARGETS, DATASETS, Dataset
from bidbeacon_pipelines.defs.recording import day_metadata
from bidbeacon_pipelines.requests.backfill import WindowNotLoadedError, drive_windows
from bidbeacon_pipelines.windows.contracts import change_contract
from bidbeacon_pipelines.windows.coverage import WindowCoverage
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_pipelines.windows.queries import LoadedDay, list_unrecorded_days, record_days
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.explaining import explained_json
from tests.postgres.load_world import LoadWorld, report_row
from tests.support.rows import change_accounts, change_ads_accounts, change_windows, remove_requests
from tests.support.world import World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)
REPORTS = {(name, report.name) for name, one in DATASETS.items() for report in one.reports}
FIRST_REPORTS = {(name, one.reports[0].name) for name, one in DATASETS.items()}


def requested(world: World, dataset: str) -> list[str]:
    """Return the reports of a dataset that Amazon was asked for, in order."""
    rows = world.query(
        "SELECT report FROM report_requests WHERE dataset = :dataset AND attempts > 0 ORDER BY id",
        dataset=dataset,
    )
    return [row["report"] for row in rows]


def reports_with_windows(world: World, account: Account) -> set[tuple[str, str]]:
    """Return the datasets and reports that an account has windows of."""
    rows = world.query(
        "SELECT DISTINCT dataset, report FROM report_windows WHERE country_code = :country AND account_id = :id",
        country=account.country_code,
        id=account.account_id,
    )
    return {(row["dataset"], row["report"]) for row in rows}


def set_products(world: World, account: Account, product: str) -> None:
    """Let all campaigns be of one ad product, and all countries of the ads account be synced."""
    world.execute("UPDATE campaigns SET ad_product = :product", product=product)
    change_accounts(world.engine, entities_synced_at=func.now())


def set_history(world: World, account: Account, days: str | None) -> None:
    """Let Amazon serve products of Sponsored Brands for so many days, None for all, and make the windows again."""
    with world.session() as session:
        with world.engine.begin() as connection:
            values = ("NA", DAILY_PRODUCTS.name, "history:SB", days)
            change_contract(connection, session, *values, by="a person", at=world.context.now())
        keep_windows(world.context, session, account, DAILY_PRODUCTS)


def load_by_hand(
    world: World, account: Account, day: date, dataset: Dataset = DAILY_PRODUCTS
) -> None:
    """Load a day of products as a person does who waits for it."""
    with world.session("load-windows") as session:
        drive_windows(
            world.context,
            session,
            account,
            dataset,
            [day],
            by="maria",
            on_progress=lambda _: world.advance(minutes=3),
        )


def unrecorded(world: World) -> list[LoadedDay]:
    """Return the days with loads that Dagster does not have."""
    with world.engine.begin() as connection:
        return list_unrecorded_days(connection)


def test_windows_are_of_the_reports_that_there_are_campaigns_for(world: World) -> None:
    """Of all before campaigns are known; then of one a dataset, without Brands and Display; a campaign of another product brings its report.

    A day whose last open window goes is recorded as complete.
    """
    world.shorten_history(30)
    account = world.account()
    world.plan(account)
    assert REPORTS == reports_with_windows(world, account)
    world.sync_entities(account)
    set_products(world, account, "SPONSORED_PRODUCTS")
    change_windows(
        world.engine,
        ReportWindow.dataset == "daily_products",
        ReportWindow.report == "SP+SD",
        ReportWindow.window_date == DAY,
        ReportWindow.country_code == account.country_code,
        status="loaded",
        load_count=1,
        recorded_load_count=1,
        last_loaded_at=func.now(),
    )
    world.execute("DELETE FROM dataset_windows")
    change_ads_accounts(world.engine, planned_at=None)
    world.plan(account)
    assert FIRST_REPORTS == reports_with_windows(world, account)
    assert [(DAY, True)] == [(one.window_date, one.is_complete) for one in unrecorded(world)]
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
    world.sync_entities(account)
    set_products(world, account, "SPONSORED_PRODUCTS")
    is_other = Account.country_code != account.country_code
    change_accounts(world.engine, is_other, entities_synced_at=None, **is_out)
    world.plan(account)
    assert FIRST_REPORTS == reports_with_windows(world, account)


def test_each_report_has_a_window_and_an_explanation_of_its_own(world: World) -> None:
    """One fails while the other is loaded: a load by hand fails, the map shows the worse, and `explain` either."""
    account = world.account()
    world.sync_entities(account)
    reason = {"code": "400013", "message": "No field Colour", "as_207": True}
    world.break_with("refuse", "create_report", times=1, **reason)
    with pytest.raises(WindowNotLoadedError, match="No field Colour"):
        load_by_hand(world, account, DAY)
    windows = {one.report: one for one in world.windows(account, DAY, dataset=DAILY_PRODUCTS)}
    assert {"loaded", "failed"} == {one.status for one in windows.values()}
    [failed] = [name for name, one in windows.items() if one.status == "failed"]
    [loaded] = windows.keys() - {failed}
    worst = explained_json(world, account, DAY, DAILY_PRODUCTS)
    assert (failed, {failed, loaded}) == (worst["report"], worst["reports"].keys())
    chosen = explained_json(world, account, DAY, DAILY_PRODUCTS, loaded)
    assert ("failed", "fresh") == (worst["verdict"]["state"], chosen["verdict"]["state"])
    told = WindowCoverage(world.sessions, clock=world.context.now).read_coverage(
        DAILY_PRODUCTS.name, 1, DAY
    )
    assert ["x"] == [a["cells"] for a in told["accounts"] if a["key"] == account.account_key]


def test_day_is_complete_once_all_its_windows_are_loaded_or_expired(world: World) -> None:
    """Until then each load is told as one of an incomplete day; then with the sums of all windows."""
    account = world.account()
    world.sync_entities(account)
    load_by_hand(world, account, DAY)
    change_windows(
        world.engine,
        ReportWindow.report == "SB",
        status="missing",
        load_count=0,
        recorded_load_count=0,
        last_loaded_at=None,
    )
    [day] = unrecorded(world)
    assert (False, {"SP+SD": 1}) == (day.is_complete, day.new_loads)
    with world.engine.begin() as connection:
        record_days(connection, [day], str(uuid4()))
    assert [] == unrecorded(world)
    set_history(world, account, "1")
    assert [True] == [one.is_complete for one in unrecorded(world)]
    set_history(world, account, None)
    load_by_hand(world, account, DAY)
    [day] = unrecorded(world)
    [rows] = world.query(
        "SELECT count(*) AS n FROM daily_product_performance WHERE account = :id AND window_date = :day",
        id=account.id,
        day=DAY,
    )
    assert (True, {"SP+SD", "SB"}) == (day.is_complete, set(day.new_loads))
    assert rows["n"] == day_metadata(day)["dagster/partition_row_count"]


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
    with world.session() as session, world.engine.begin() as connection:
        values = ("NA", DAILY_TARGETS.name, "grouping", "SP,SB,SD")
        change_contract(connection, session, *values, by="a person", at=world.context.now())
    world.load(account, DAY)
    windows = world.windows(account, DAY)
    assert ["SB", "SD", "SP"] == [one.report for one in windows]
    assert {"loaded"} == {one.status for one in windows}
    assert ["SP+SB+SD", "SP", "SB", "SD"] == requested(world, DAILY_TARGETS.name)


@pytest.mark.parametrize(
    "sandbox",
    [{"rules": [{"rule": "history", "days": 1, "products": ["SPONSORED_DISPLAY"]}]}],
    indirect=True,
    ids=["Display is refused"],
)
def test_no_row_of_a_day_is_complete_while_one_of_its_reports_lacks(world: World) -> None:
    """Rows of the reports that came say so; a join with the days sums each row once."""
    account = world.account()
    world.sync_entities(account)
    with world.session() as session:
        with world.engine.begin() as connection:
            values = ("NA", DAILY_TARGETS.name, "grouping", "SP,SB,SD")
            change_contract(connection, session, *values, by="a person", at=world.context.now())
        keep_windows(world.context, session, account, DAILY_TARGETS)
    with pytest.raises(WindowNotLoadedError):
        load_by_hand(world, account, DAY, DAILY_TARGETS)
    assert (3, {"SPONSORED_PRODUCTS", "SPONSORED_BRANDS"}, {(False, False)}) == _as_read(world)
    world.sandbox.state.rules.clear()
    load_by_hand(world, account, DAY, DAILY_TARGETS)
    change_windows(world.engine, next_refresh_at=None)
    every = {"SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"}
    assert (3, every, {(True, True)}) == _as_read(world)


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
    [stored] = world.query("SELECT sum(spend) AS spend FROM daily_target_performance")
    assert stored["spend"] == sum(row["spend"] for row in rows)
    said = {(row["is_final"], row["is_complete"]) for row in rows}
    assert said == {(row["day_is_final"], row["day_is_complete"]) for row in rows}
    reports = world.query(
        """SELECT DISTINCT report FROM reports.report_days
            WHERE dataset = 'daily_targets' AND window_date = CAST(:day AS date)""",
        day=DAY,
    )
    return len(reports), {row["ad_product"] for row in rows}, said


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
        world.plan(account)
        world.step()
        world.advance(minutes=3)
        if not world.query("SELECT FROM report_requests WHERE finished_at IS NULL"):
            break
    statuses = world.query(
        "SELECT DISTINCT status, count(*) FROM report_windows WHERE window_date = :day AND account_id = :id AND country_code = :country GROUP BY 1",
        day=DAY,
        id=account.account_id,
        country=account.country_code,
    )
    assert [("loaded", len(REPORTS))] == [tuple(row.values()) for row in statuses]
    loaded = world.query("SELECT FROM report_requests WHERE status = 'loaded'")
    assert len(REPORTS) == len(loaded)


def test_product_of_which_nearly_all_rows_are_gone_is_suspicious(shelf: LoadWorld) -> None:
    """Though the report has nearly as many rows as before; a second report that says the same of it is believed."""
    products = ("SPONSORED_PRODUCTS", "SPONSORED_BRANDS")
    kept = [report_row(f"dog shirt {n}") for n in range(200)]
    gone = [
        report_row(f"cat shirt {n}", **{"adProduct.value": "Sponsored Brands"}) for n in range(11)
    ]
    shelf.load([*kept, *gone], ad_products=products)
    second = shelf.load(kept, age=2, ad_products=products)
    lost = cause(
        "rows-lost", ad_products=["Sponsored Brands"], detail={"new_rows": 0, "old_rows": 11}
    )
    assert lost == second.suspicious[date(2026, 1, 10)].cause
    assert 211 == len(shelf.rows())
    changed = [row | {"metric.clicks": 9} for row in kept]
    assert [date(2026, 1, 10)] == shelf.load(changed, age=3, ad_products=products).loaded
    assert 200 == len(shelf.rows())
