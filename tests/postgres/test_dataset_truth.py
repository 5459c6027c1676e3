"""Every dataset, loaded through the sandbox over HTTP: what the tables say is what Amazon knows, row by row."""

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from bidbeacon_pipelines.datasets.fields import AD_PRODUCTS
from bidbeacon_pipelines.datasets.registry import (
    DAILY_PRODUCTS,
    DAILY_PURCHASED_PRODUCTS,
    DAILY_TARGETS,
    DATASETS,
    HOURLY_CAMPAIGNS,
    HOURLY_PRODUCTS,
    HOURLY_TARGETS,
    Dataset,
)
from bidbeacon_sandbox.truth import UNRESOLVABLE
from tests.support.report_rows import store_rows
from tests.support.truth import AD_PRODUCT, DayRows, columns_of
from tests.support.world import World

TODAY = date(2026, 1, 15)
ONE_ROW = """WHERE ctid = (SELECT ctid FROM daily_targets
                           WHERE ad_product = 'SPONSORED_BRANDS' ORDER BY row_key LIMIT 1)"""
CHANGES_BY_HAND = {
    f"UPDATE daily_targets SET spend = spend + 0.000001 {ONE_ROW}": (
        r"campaign_id \d+, .*: spend expected [\d.]+, got [\d.]+$"
    ),
    f"DELETE FROM daily_targets {ONE_ROW.replace('BRANDS', 'DISPLAY')}": (r": the row is missing$"),
}
"""A statement on the table, and the end of the message about it."""
CHANGES_OF_ROWS = ("restate", "appear", "vanish")
two_datasets = pytest.mark.parametrize(
    "dataset", [DAILY_PURCHASED_PRODUCTS, HOURLY_TARGETS], ids=lambda dataset: dataset.name
)
"""One of three reports, and one of hours."""
with_400_rows = pytest.mark.parametrize("sandbox", [{"rows_per_day": 400}], indirect=True)
"""Rows a day with which all ad products have rows of every dataset."""


def rows_of(world: World, dataset: Dataset, country: str = "US", ago: int = 3) -> DayRows:
    """Ask about a day of an account whose entities are synced."""
    account = world.account(country)
    world.sync_entities(account)
    return DayRows(world.engine, world.sandbox.state, account, dataset, TODAY - timedelta(days=ago))


def load(world: World, day_rows: DayRows) -> datetime:
    """Load the day; return when it was asked for."""
    asked_at = world.context.now()
    world.load(day_rows.account, day_rows.day, dataset=day_rows.dataset)
    return asked_at


@with_400_rows
@pytest.mark.parametrize(
    ("dataset", "country"),
    [
        *(pytest.param(dataset, "US", id=name) for name, dataset in DATASETS.items()),
        pytest.param(DAILY_TARGETS, "DE", id="euros"),
        pytest.param(DAILY_PURCHASED_PRODUCTS, "JP", id="yen"),
    ],
)
def test_loaded_rows_are_amazons_to_the_last_decimal(
    world: World, dataset: Dataset, country: str
) -> None:
    """Keys, counts and amounts are the truth, without the rows of the ads account's other countries."""
    day_rows = rows_of(world, dataset, country)
    true = day_rows.true(load(world, day_rows))
    assert len(true) >= 5
    assert {key[AD_PRODUCT] for key in true} == {*dataset.ad_products}
    assert true == day_rows.stored()
    held = world.sums(day_rows.account, day_rows.day, dataset)
    assert (held.row_count, held.spend) == (len(true), day_rows.total(true, "spend"))
    processed = world.actions("report-processed")
    assert [dataset.name] * len(dataset.reports) == [report["dataset"] for report in processed]
    assert len(true) == sum(report["rows"] for report in processed)
    neighbors = world.query(
        "SELECT 1 FROM advertiser_accounts WHERE account_id = :id AND country_code <> :country",
        id=day_rows.account.account_id,
        country=country,
    )
    assert {bool(neighbors)} == {report["foreign"] > 0 for report in processed}


@two_datasets
@with_400_rows
def test_a_later_report_restates_row_by_row(world: World, dataset: Dataset) -> None:
    """The first report's rows with all restatements applied are the second report's rows, and these are the truth then.

    A third report, in which rows also appear and vanish, is told as completely, and the next whole
    one makes the rows true again.
    """
    day_rows = rows_of(world, dataset, ago=1)
    assert day_rows.differences(load(world, day_rows)) == []
    world.advance(days=8)
    world.sync_entities(day_rows.account)
    first = day_rows.stored()
    later = day_rows.true(load(world, day_rows))
    assert later == day_rows.stored()
    restated = world.query("SELECT * FROM restatements")
    assert "changed" in {row["change"] for row in restated}
    assert day_rows.without_targets(later) == day_rows.applied(
        day_rows.without_targets(first), restated
    )
    for change in CHANGES_OF_ROWS:
        world.break_with("rows", change=change, share=0.2, times=len(dataset.reports))
    load(world, day_rows)
    restated = world.query("SELECT * FROM restatements ORDER BY id")[len(restated) :]
    assert {"changed", "appeared", "vanished"} == {row["change"] for row in restated}
    odd = day_rows.without_targets(day_rows.stored())
    assert odd == day_rows.applied(day_rows.without_targets(later), restated)
    assert day_rows.differences(load(world, day_rows)) == []


@with_400_rows
def test_rows_of_products_that_were_not_asked_for_are_counted_and_left_out(
    world: World,
) -> None:
    """Where Amazon ignores the filters of a dataset's two reports, each loads its own ad products, and the rows of the others are told."""
    day_rows = rows_of(world, DAILY_PRODUCTS)
    world.break_with("rows", times=len(DAILY_PRODUCTS.reports), change="all_products")
    true = day_rows.true(load(world, day_rows))
    assert true == day_rows.stored()
    rows = Counter(key[AD_PRODUCT] for key in true)
    expected = [
        ", ".join(
            f"{one} ({rows[one]:,})" for one in sorted(set(AD_PRODUCTS) - set(report.ad_products))
        )
        for report in DAILY_PRODUCTS.reports
    ]
    assert expected == [told["ad_products"] for told in world.actions("other-products-reported")]


@with_400_rows
@pytest.mark.parametrize("dataset", [DAILY_TARGETS, HOURLY_TARGETS], ids=lambda one: one.name)
def test_rows_of_unknown_targets_have_them_after_the_next_sync(
    world: World, dataset: Dataset
) -> None:
    """Before the first export no row has a target, and all that name one wait for it; after it each has its own, and nothing is lost."""
    day = TODAY - timedelta(days=3)
    day_rows = DayRows(world.engine, world.sandbox.state, world.account(), dataset, day)
    asked_at = load(world, day_rows)
    before = world.sums(day_rows.account, day_rows.day, dataset)
    stored = [dict(zip(columns_of(dataset), key, strict=True)) for key in day_rows.stored()]
    assert {None} == {key["target_id"] for key in stored}
    assert before.row_count == len(stored)
    assert before.unresolved_count == sum(key["match_type"] not in UNRESOLVABLE for key in stored)
    world.sync_entities(day_rows.account)
    after = world.sums(day_rows.account, day_rows.day, dataset)
    assert day_rows.differences(asked_at) == []
    assert (before.row_count, before.spend) == (after.row_count, after.spend)


@pytest.mark.parametrize(
    ("dataset", "country", "day"),
    [
        (HOURLY_TARGETS, "US", date(2026, 3, 8)),
        (HOURLY_TARGETS, "US", date(2025, 11, 2)),
        (HOURLY_PRODUCTS, "DE", date(2026, 3, 29)),
        (HOURLY_CAMPAIGNS, "GB", date(2025, 10, 26)),
    ],
    ids=["23 hours US", "25 hours US", "23 hours DE", "25 hours GB"],
)
def test_hours_are_right_on_the_days_the_clock_changes(
    world: World, dataset: Dataset, country: str, day: date
) -> None:
    """On days of 23 and 25 hours each row is at the instant that a walk through the day finds, and none is set aside."""
    world.sandbox.state.clock.set(
        datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(days=4)
    )
    account = world.account(country)
    world.sync_entities(account)
    day_rows = DayRows(world.engine, world.sandbox.state, account, dataset, day)
    true = day_rows.true(load(world, day_rows))
    assert len(true) > 10
    assert true == day_rows.stored()
    assert world.query("SELECT FROM quarantined_rows") == []


@with_400_rows
def test_whatever_is_changed_by_hand_is_told(world: World) -> None:
    """A wrong amount, a lost row, a row too many and a wrong target, each in a sentence; the truth comes over HTTP here."""
    account, day = world.account(), TODAY - timedelta(days=3)
    world.sync_entities(account)
    day_rows = DayRows(world.engine, world.sandbox.url, account, DAILY_TARGETS, day)
    asked_at = load(world, day_rows)
    assert day_rows.differences(asked_at) == []

    said: list[str] = []
    for change, ending in CHANGES_BY_HAND.items():
        world.execute(change)
        [new] = [one for one in day_rows.differences(asked_at) if one not in said]
        assert re.search(ending, new)
        said.append(new)
    with world.engine.begin() as connection:
        row = {"window_date": day, "campaign_id": "1", "ad_group_id": "2"}
        store_rows(connection, DAILY_TARGETS.name, account.account_key, row)
    [new] = [one for one in day_rows.differences(asked_at) if one not in said]
    assert new.endswith("campaign_id 1, ad_group_id 2: the row is too many")
    world.execute("UPDATE target_names SET target_id = target_id || '1'")
    assert len(day_rows.differences(asked_at)) > 100
