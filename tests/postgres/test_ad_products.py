"""A dataset that is asked for in several reports, one for each group of ad products, on a real database and the sandbox over HTTP."""

from collections import Counter
from datetime import date, timedelta
from uuid import uuid4

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import (
    SPONSORED_BRANDS,
    SPONSORED_DISPLAY,
    SPONSORED_PRODUCTS,
)
from bidbeacon_pipelines.datasets.registry import (
    DAILY_PRODUCTS,
    DAILY_PURCHASED_PRODUCTS,
    DAILY_TARGETS,
    Dataset,
)
from bidbeacon_pipelines.defs.recording import window_metadata
from bidbeacon_pipelines.problems.explain import explain_window
from bidbeacon_pipelines.requests.backfill import drive_windows
from bidbeacon_pipelines.windows.queries import (
    LoadedWindow,
    list_unrecorded_windows,
    record_windows,
)
from bidbeacon_sessions import SessionStore
from tests.one_dataset import only_datasets
from tests.postgres.job_world import BenchWorld
from tests.postgres.load_world import LoadWorld, report_row

SP, SB, SD = SPONSORED_PRODUCTS, SPONSORED_BRANDS, SPONSORED_DISPLAY
TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)


def asked(world: BenchWorld, dataset: Dataset) -> list[list[str]]:
    """Return the ad products of each report that was asked for, in order."""
    statement = "SELECT ad_products FROM report_requests WHERE dataset = :dataset AND attempts > 0 ORDER BY id"
    return [row["ad_products"] for row in world.query(statement, dataset=dataset.name)]


def step_until(world: BenchWorld, account: Account, reports: int, dataset: Dataset) -> None:
    """Go on until so many reports of a dataset are loaded."""
    statement = "SELECT FROM report_requests WHERE dataset = :dataset AND status = 'loaded'"
    for _ in range(60):
        if len(world.query(statement, dataset=dataset.name)) >= reports:
            return
        world.plan(account)
        world.step()
        world.advance(minutes=3)
    raise AssertionError(
        f"expected {reports} reports of {dataset.name}, got: {asked(world, dataset)}"
    )


def load_by_hand(world: BenchWorld, account: Account, day: date) -> None:
    """Load a day as somebody does who waits for it."""
    with world.session("load-windows") as session:
        drive_windows(
            world.context,
            session,
            account,
            DAILY_TARGETS,
            [day],
            by="maria",
            on_progress=lambda _: world.advance(minutes=3),
        )


def keep_only(world: BenchWorld, dataset: Dataset, day: date) -> None:
    """Leave one window due."""
    world.execute(
        "UPDATE report_windows SET next_refresh_at = NULL WHERE dataset <> :dataset OR window_date <> :day",
        dataset=dataset.name,
        day=day,
    )


def test_window_is_asked_for_until_all_products_came(world: BenchWorld) -> None:
    """First one group, then the other; in between the window is due, without data as of an instant, and `explain` says what is to come."""
    account = world.account()
    world.sync_entities(account)
    world.plan(account)
    keep_only(world, DAILY_PRODUCTS, DAY)
    step_until(world, account, 1, DAILY_PRODUCTS)
    window = world.window(account, DAY, DAILY_PRODUCTS)
    assert ("missing", [SB], None) == (window.status, window.products_due, window.data_as_of)
    assert "Sponsored Brands is still to come" in explained(world, account, DAY)
    step_until(world, account, 2, DAILY_PRODUCTS)
    window = world.window(account, DAY, DAILY_PRODUCTS)
    assert ("loaded", None) == (window.status, window.products_due and len(window.products_due))
    assert window.data_as_of == min(
        state.data_as_of for state in (window.states or {}).values() if state.data_as_of
    )
    assert [[SP, SD], [SB]] == asked(world, DAILY_PRODUCTS)


def test_window_is_recorded_in_dagster_once_all_products_came(world: BenchWorld) -> None:
    """Not while one of its reports is still to come; then once, with what both reports brought.

    A refresh is the same.
    """
    account = world.account()
    world.sync_entities(account)
    world.plan(account)
    keep_only(world, DAILY_PRODUCTS, DAY)
    step_until(world, account, 1, DAILY_PRODUCTS)
    assert [] == unrecorded(world, DAILY_PRODUCTS)
    step_until(world, account, 2, DAILY_PRODUCTS)
    [recorded] = [
        one for one in unrecorded(world, DAILY_PRODUCTS) if one.account_key == account.account_key
    ]
    rows = world.query(
        "SELECT FROM daily_product_performance WHERE account = :id AND window_date = :day",
        id=account.id,
        day=DAY,
    )
    assert len(rows) == window_metadata(recorded)["dagster/partition_row_count"].value
    with world.engine.begin() as connection:
        record_windows(connection, unrecorded(world, DAILY_PRODUCTS), str(uuid4()))
    world.advance(days=2)
    step_until(world, account, 3, DAILY_PRODUCTS)
    assert [] == unrecorded(world, DAILY_PRODUCTS)
    step_until(world, account, 4, DAILY_PRODUCTS)
    assert {4} == {
        one.load_count for one in unrecorded(world, DAILY_PRODUCTS) if one.window_date == DAY
    }


def unrecorded(world: BenchWorld, dataset: Dataset) -> list[LoadedWindow]:
    """Return the loads of a dataset that Dagster does not know of."""
    with world.engine.begin() as connection:
        found = list_unrecorded_windows(connection, now=world.context.now())
        return [one for one in found if one.dataset == dataset.name]


def test_product_without_campaigns_is_not_asked_for_alone(world: BenchWorld) -> None:
    """Once the entities are synced; the window is loaded without it then, and asks for it when a campaign has come."""
    account = world.account()
    world.sync_entities(account)
    world.execute("UPDATE campaigns SET ad_product = :sp WHERE ad_product = :sb", sp=SP, sb=SB)
    world.execute(
        "UPDATE advertiser_accounts SET entities_synced_at = now()"
    )  # of its other countries
    world.plan(account)
    keep_only(world, DAILY_PRODUCTS, DAY)
    step_until(world, account, 1, DAILY_PRODUCTS)
    assert "loaded" == world.window(account, DAY, DAILY_PRODUCTS).status
    world.execute("UPDATE campaigns SET ad_product = :sb", sb=SB)
    world.execute(
        "UPDATE report_windows SET next_refresh_at = data_as_of WHERE data_as_of IS NOT NULL;"
        "UPDATE ads_accounts SET planned_at = NULL"
    )
    step_until(world, account, 2, DAILY_PRODUCTS)
    assert [[SP, SD], [SB]] == asked(world, DAILY_PRODUCTS)


@pytest.mark.parametrize("sandbox", [{"refuse_mixed_products": True}], indirect=True)
def test_refused_union_costs_one_request(world: BenchWorld) -> None:
    """Each ad product is asked for alone from then on, in all of the region."""
    account = world.account()
    world.sync_entities(account)
    load_by_hand(world, account, DAY)
    assert "loaded" == world.window(account, DAY).status
    load_by_hand(world, account, DAY - timedelta(days=1))
    assert [[SP, SB, SD], *[[SP], [SB], [SD]] * 2] == asked(world, DAILY_TARGETS)
    assert 1 == len(world.actions("report-split-by-product"))


def test_one_day_that_is_too_large_is_split_by_product(world: BenchWorld) -> None:
    """The ads account is asked for by ad product from then on; its longest period stays as it is."""
    account = world.account()
    world.sync_entities(account)
    world.break_with("too_large", days=0, times=1)
    load_by_hand(world, account, DAY)
    assert "loaded" == world.window(account, DAY).status
    load_by_hand(world, account, DAY - timedelta(days=1))
    assert [[SP, SB, SD], *[[SP], [SB], [SD]] * 2] == asked(world, DAILY_TARGETS)
    assert 1 == len(world.actions("report-split-by-product"))
    [split] = world.query(
        "SELECT split_datasets, longest_periods FROM ads_accounts WHERE split_datasets <> '{}'"
    )
    assert ([DAILY_TARGETS.name], {}) == (split["split_datasets"], split["longest_periods"])


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 40}], indirect=True, ids=["40 rows"])
def test_each_group_loads_in_a_simulated_week(world: BenchWorld) -> None:
    """Every day takes one report for each group of ad products; at the end each day of the week has all of them, and none is due."""
    account, datasets = world.account(), (DAILY_PRODUCTS, DAILY_PURCHASED_PRODUCTS)
    groups = [report.ad_products for dataset in datasets for report in dataset.reports]
    with only_datasets(*(dataset.name for dataset in datasets)):
        world.sync_entities(account)
        world.plan(account)
        keep_days(world, TODAY, TODAY)
        for day in range(7):
            live_a_day(world, account, least=len(groups) * (day + 1))
    loaded = [
        tuple(row["ad_products"])
        for row in world.query("SELECT ad_products FROM report_requests WHERE status = 'loaded'")
    ]
    assert Counter(groups * 7) == Counter(loaded)
    for dataset in datasets:
        for day in (TODAY + timedelta(days=n) for n in range(7)):
            window = world.window(account, day, dataset)
            assert ("loaded", True) == (
                window.status,
                (window.next_refresh_at or world.context.now()) > world.context.now(),
            ), day
            assert set(dataset.ad_products) == set(window.states or {})


def keep_days(world: BenchWorld, first: date, last: date) -> None:
    """Forget what is planned, and leave only these days to fall due."""
    world.execute("DELETE FROM report_requests")
    world.execute("UPDATE ads_accounts SET planned_at = NULL")
    statement = "UPDATE report_windows SET next_refresh_at = NULL WHERE NOT window_date BETWEEN :first AND :last"
    world.execute(statement, first=first, last=last)


def live_a_day(world: BenchWorld, account: Account, *, least: int) -> None:
    """Let a day pass, and go on until so many reports are loaded in all and nothing is open."""
    world.advance(days=1)
    for _ in range(40):
        world.plan(account)
        world.step()
        world.advance(minutes=3)
        [count] = world.query(
            "SELECT count(*) FILTER (WHERE status = 'loaded') AS loaded, count(*) FILTER (WHERE finished_at IS NULL) AS open FROM report_requests"
        )
        if count["loaded"] >= least and not count["open"]:
            return
    raise AssertionError(f"expected {least} loaded reports, got: {count}")


def test_product_of_which_nearly_all_rows_are_gone_is_suspicious(shelf: LoadWorld) -> None:
    """Though the report has nearly as many rows as before; a second report that says the same of it is believed."""
    products = (SP, SB)
    kept = [report_row(f"dog shirt {n}") for n in range(200)]
    gone = [
        report_row(f"cat shirt {n}", **{"adProduct.value": "Sponsored Brands"}) for n in range(11)
    ]
    shelf.load([*kept, *gone], ad_products=products)
    second = shelf.load(kept, age=2, ad_products=products)
    assert "0 rows of Sponsored Brands where 11 were" in second.suspicious[date(2026, 1, 10)].reason
    assert 211 == len(shelf.rows())
    changed = [row | {"metric.clicks": 9} for row in kept]
    assert [date(2026, 1, 10)] == shelf.load(changed, age=3, ad_products=products).loaded
    assert 200 == len(shelf.rows())


def explained(world: BenchWorld, account: Account, day: date) -> str:
    """Return what `explain` says of a day."""
    settings, now = world.context.settings, world.context.now()
    with SessionStore(world.engine).snapshot() as connection:
        told = explain_window(
            connection, settings, account.account_key, DAILY_PRODUCTS.name, day, now=now
        )
    return told.verdict.sentence
