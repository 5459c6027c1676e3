"""Every dataset, loaded through the sandbox over HTTP: what the tables say is what Amazon knows, row by row."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from bidbeacon_pipelines.datasets.fields import AD_PRODUCTS, BASE
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
from tests.dataset_truth import Question
from tests.faults.ads.delivered import AD_PRODUCT
from tests.support.world import World

TODAY = date(2026, 1, 15)
CHANGES_OF_ROWS = ("restate", "appear", "vanish")
each_dataset = pytest.mark.parametrize(
    "dataset", DATASETS.values(), ids=lambda dataset: dataset.name
)
two_datasets = pytest.mark.parametrize(
    "dataset", [DAILY_PURCHASED_PRODUCTS, HOURLY_TARGETS], ids=lambda dataset: dataset.name
)
"""One of three reports, and one of hours."""
with_400_rows = pytest.mark.parametrize("sandbox", [{"rows_per_day": 400}], indirect=True)
"""Rows a day with which all ad products have rows of every dataset."""


def ask_about(world: World, dataset: Dataset, country: str = "US", ago: int = 3) -> Question:
    """Ask about a day of an account whose entities are synced."""
    account = world.account(country)
    world.sync_entities(account)
    return Question(world.engine, world.sandbox.url, account, dataset, TODAY - timedelta(days=ago))


def load(world: World, question: Question) -> datetime:
    """Load the day; return when it was asked for."""
    asked_at = world.context.now()
    world.load(question.account, question.day, dataset=question.dataset)
    return asked_at


@each_dataset
@with_400_rows
def test_loaded_rows_are_amazons_to_the_last_decimal(world: World, dataset: Dataset) -> None:
    """Keys, counts and amounts are the truth."""
    _assert_loaded_rows_are_true(world, dataset, "US")


@with_400_rows
@pytest.mark.parametrize(
    ("dataset", "country"),
    [(DAILY_TARGETS, "DE"), (DAILY_PURCHASED_PRODUCTS, "JP")],
    ids=["DE", "JP"],
)
def test_loaded_rows_of_other_countries_are_amazons(
    world: World, dataset: Dataset, country: str
) -> None:
    """In euros and yen; the rows of the ads account's other countries are not among them."""
    _assert_loaded_rows_are_true(world, dataset, country)


def _assert_loaded_rows_are_true(world: World, dataset: Dataset, country: str) -> None:
    question = ask_about(world, dataset, country)
    true = question.true(load(world, question))
    assert len(true) >= 5
    assert true == question.stored()
    held = world.sums(question.account, question.day, dataset)
    assert (held.row_count, held.spend) == (len(true), question.total(true, "spend"))
    processed = world.actions("report-processed")
    assert [dataset.name] * len(dataset.reports) == [report["dataset"] for report in processed]
    assert len(true) == sum(report["rows"] for report in processed)
    neighbours = world.query(
        "SELECT 1 FROM advertiser_accounts WHERE account_id = :id AND country_code <> :country",
        id=question.account.account_id,
        country=country,
    )
    assert {bool(neighbours)} == {report["foreign"] > 0 for report in processed}


@two_datasets
@with_400_rows
def test_a_later_report_restates_row_by_row(world: World, dataset: Dataset) -> None:
    """The first report's rows with all restatements applied are the second report's rows, and these are the truth then.

    A third report, in which rows also appear and vanish, is told as completely.
    """
    question = ask_about(world, dataset, ago=1)
    assert question.true(load(world, question)) == question.stored()
    world.advance(days=8)
    world.sync_entities(question.account)
    first = question.stored()
    later = question.true(load(world, question))
    assert later == question.stored()
    restated = world.query("SELECT * FROM restatements")
    assert "changed" in {row["change"] for row in restated}
    assert question.without_targets(later) == question.applied(
        question.without_targets(first), restated
    )
    for change in CHANGES_OF_ROWS:
        world.break_with("rows", change=change, share=0.2, times=len(dataset.reports))
    load(world, question)
    restated = world.query("SELECT * FROM restatements ORDER BY id")[len(restated) :]
    assert {"changed", "appeared", "vanished"} == {row["change"] for row in restated}
    odd = question.without_targets(question.stored())
    assert odd == question.applied(question.without_targets(later), restated)


@with_400_rows
def test_rows_of_products_that_were_not_asked_for_are_counted_and_left_out(
    world: World,
) -> None:
    """Where Amazon ignores the filters of a dataset's two reports, each loads its own ad products, and the rows of the others are told."""
    question = ask_about(world, DAILY_PRODUCTS)
    world.break_with("rows", times=len(DAILY_PRODUCTS.reports), change="all_products")
    true = question.true(load(world, question))
    assert true == question.stored()
    rows = Counter(key[AD_PRODUCT] for key in true)
    expected = [
        ", ".join(
            f"{one} ({rows[one]:,})" for one in sorted(set(AD_PRODUCTS) - set(report.ad_products))
        )
        for report in DAILY_PRODUCTS.reports
    ]
    assert expected == [told["ad_products"] for told in world.actions("other-products-reported")]


@with_400_rows
def test_rows_that_vanish_are_removed_and_come_back(world: World) -> None:
    """Reports without a third of the rows leave the other two thirds, the next whole ones the truth; both are told row by row."""
    dataset = DAILY_PURCHASED_PRODUCTS
    question = ask_about(world, dataset)
    true = question.true(load(world, question))
    world.break_with("rows", times=len(dataset.reports), change="vanish", share=0.33)
    load(world, question)
    left = question.stored()
    gone = {key for key in true if key not in left}
    assert gone
    assert {key: true[key] for key in left} == left
    assert true == question.true(load(world, question)) == question.stored()
    told = world.query("SELECT change, count(*) FROM restatements GROUP BY change")
    assert {"vanished": len(gone), "appeared": len(gone)} == {
        row["change"]: row["count"] for row in told
    }


@with_400_rows
@pytest.mark.parametrize("dataset", [DAILY_TARGETS, HOURLY_TARGETS], ids=lambda one: one.name)
def test_rows_of_unknown_targets_have_them_after_the_next_sync(
    world: World, dataset: Dataset
) -> None:
    """Before the first export no row has a target, and all that name one wait for it; after it each has its own, and nothing is lost."""
    question = Question(
        world.engine, world.sandbox.url, world.account(), dataset, TODAY - timedelta(days=3)
    )
    asked_at = load(world, question)
    before = world.sums(question.account, question.day, dataset)
    stored = [dict(zip(question.columns, key, strict=True)) for key in question.stored()]
    assert {None} == {key["target_id"] for key in stored}
    assert before.row_count == len(stored)
    assert before.unresolved_count == sum(
        key["match_type"] not in {None, "", "THEME"} for key in stored
    )
    world.sync_entities(question.account)
    after = world.sums(question.account, question.day, dataset)
    assert question.true(asked_at) == question.stored()
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
    question = Question(world.engine, world.sandbox.url, account, dataset, day)
    true = question.true(load(world, question))
    assert len(true) > 10
    assert true == question.stored()
    assert world.query("SELECT FROM quarantined_rows") == []


@with_400_rows
def test_datasets_of_one_pipeline_add_up_to_the_same(world: World) -> None:
    """Of each ad product, all datasets of whole days have the same sums, and all of hours; the parts that Amazon reports lie below the day."""
    account, day = world.account(), TODAY - timedelta(days=3)
    sums: dict[str, dict[str, list[Decimal]]] = {}
    for dataset in DATASETS.values():
        question = Question(world.engine, world.sandbox.url, account, dataset, day)
        load(world, question)
        rows = question.stored()
        sums[dataset.name] = {
            product: [question.total(rows, one.column, product) for one in BASE]
            for product in dataset.ad_products
        }
    assert all(any(total) for of_dataset in sums.values() for total in of_dataset.values())
    days, hours = sums["daily_campaigns"], sums["hourly_campaigns"]
    assert days == sums["daily_targets"] == sums["daily_products"]
    assert sums["daily_placements"].items() <= days.items()
    assert hours == sums["hourly_targets"] == sums["hourly_products"]
    for lower in ("hourly_targets", "daily_search_terms", "daily_purchased_products"):
        for product, parts in sums[lower].items():
            assert all(part <= whole for part, whole in zip(parts, days[product], strict=True))
