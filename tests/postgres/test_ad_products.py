"""A dataset that is asked for in several reports, one for each group of ad products, on a real database and the sandbox over HTTP."""

from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.reports.datasets import DAILY_PRODUCTS, DAILY_TARGETS, Dataset
from bidbeacon_pipelines.reports.fields import (
    SPONSORED_BRANDS,
    SPONSORED_DISPLAY,
    SPONSORED_PRODUCTS,
    AskedReport,
)
from bidbeacon_pipelines.services.by_hand import drive_windows
from bidbeacon_pipelines.services.explain import explain_window
from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_sessions import SessionStore
from tests.postgres.bench_world import BenchWorld
from tests.postgres.load_world import LoadWorld, report_row

SP, SB, SD = SPONSORED_PRODUCTS, SPONSORED_BRANDS, SPONSORED_DISPLAY
TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)


def ask_for(monkeypatch: pytest.MonkeyPatch, dataset: Dataset, *groups: tuple[str, ...]) -> None:
    """Ask for a dataset in reports of these ad products."""
    reports = tuple(AskedReport(group, dataset.fields_for(group)) for group in groups)
    monkeypatch.setitem(vars(dataset), "reports", reports)


def asked(world: BenchWorld, dataset: Dataset) -> list[list[str]]:
    """Return the ad products of each report that was asked for, in order."""
    statement = (
        "SELECT ad_products FROM report_requests WHERE dataset = :dataset AND attempts > 0 ORDER BY id"
    )
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
    raise AssertionError(f"expected {reports} reports of {dataset.name}, got: {asked(world, dataset)}")


def load_by_hand(world: BenchWorld, account: Account, day: date) -> None:
    """Load a day as somebody does who waits for it."""
    with world.session("load-windows") as session:
        drive_windows(
            world.bench,
            session,
            account,
            DAILY_TARGETS,
            [day],
            on_progress=lambda _: world.advance(minutes=3),
        )


def keep_only(world: BenchWorld, dataset: Dataset, day: date) -> None:
    """Leave one window due."""
    world.execute(
        "UPDATE report_windows SET next_refresh_at = NULL WHERE dataset <> :dataset OR window_date <> :day",
        dataset=dataset.name,
        day=day,
    )


def test_window_is_asked_for_until_all_products_came(
    world: BenchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First one group, then the other; in between the window is due, without data as of an instant, and `explain` says what is to come."""
    ask_for(monkeypatch, DAILY_PRODUCTS, (SP, SD), (SB,))
    account = world.account()
    world.sync_entities(account)
    world.plan(account)
    keep_only(world, DAILY_PRODUCTS, DAY)
    step_until(world, account, 1, DAILY_PRODUCTS)
    window = world.window(account, DAY, DAILY_PRODUCTS)
    assert ("missing", [SB], None) == (window.status, window.products_due, window.data_as_of)
    settings, now = world.bench.settings, world.bench.now()
    with SessionStore(world.engine).snapshot() as connection:
        told = explain_window(connection, settings, account.account_key, DAILY_PRODUCTS.name, DAY, now=now)
    assert "Sponsored Brands is still to come" in told.verdict.sentence
    step_until(world, account, 2, DAILY_PRODUCTS)
    window = world.window(account, DAY, DAILY_PRODUCTS)
    assert ("loaded", None) == (window.status, window.products_due and len(window.products_due))
    assert window.data_as_of == min(
        state.data_as_of for state in (window.states or {}).values() if state.data_as_of
    )
    assert [[SP, SD], [SB]] == asked(world, DAILY_PRODUCTS)


def test_product_without_campaigns_is_not_asked_for_alone(
    world: BenchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the entities are synced; the window is loaded without it then, and asks for it when a campaign has come."""
    ask_for(monkeypatch, DAILY_PRODUCTS, (SP, SD), (SB,))
    account = world.account()
    world.sync_entities(account)
    world.execute("UPDATE campaigns SET ad_product = :sp WHERE ad_product = :sb", sp=SP, sb=SB)
    world.execute("UPDATE advertiser_accounts SET entities_synced_at = now()")  # of its other countries
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
def test_refused_union_costs_one_request(world: BenchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ad product is asked for alone from then on, in all of the region."""
    ask_for(monkeypatch, DAILY_TARGETS, (SP, SB, SD))
    account = world.account()
    world.sync_entities(account)
    load_by_hand(world, account, DAY)
    assert "loaded" == world.window(account, DAY).status
    load_by_hand(world, account, DAY - timedelta(days=1))
    assert [[SP, SB, SD], *[[SP], [SB], [SD]] * 2] == asked(world, DAILY_TARGETS)
    assert 1 == len(world.actions("report-split-by-product"))


def test_product_of_which_nearly_all_rows_are_gone_is_suspicious(shelf: LoadWorld) -> None:
    """Though the report has nearly as many rows as before; a second report that says the same of it is believed."""
    products = (SP, SB)
    kept = [report_row(f"dog shirt {n}") for n in range(200)]
    gone = [report_row(f"cat shirt {n}", **{"adProduct.value": "Sponsored Brands"}) for n in range(11)]
    shelf.load([*kept, *gone], ad_products=products)
    held = shelf.load(kept, age=2, ad_products=products)
    assert "0 rows of Sponsored Brands where 11 were" in held.held[date(2026, 1, 10)]
    assert 211 == len(shelf.rows())
    changed = [row | {"metric.clicks": 9} for row in kept]
    assert [date(2026, 1, 10)] == shelf.load(changed, age=3, ad_products=products).loaded
    assert 200 == len(shelf.rows())
