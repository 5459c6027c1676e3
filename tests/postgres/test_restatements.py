"""How a day's numbers changed from load to load, against the sandbox's truth at those ages."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby

import pytest
from sqlalchemy import RowMapping

from bidbeacon_pipelines.datasets.fields import AD_PRODUCTS
from bidbeacon_pipelines.datasets.registry import (
    DAILY_PURCHASED_PRODUCTS,
    HOURLY_TARGETS,
    Dataset,
)
from bidbeacon_pipelines.loading.restatements import list_window_loads
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sessions import SessionStore, with_job_session
from tests.dataset_truth import Question
from tests.postgres.job_world import DATASET, BenchWorld
from tests.postgres.load_world import DAY, LoadWorld, many_rows, report_row

YESTERDAY = date(2026, 1, 14)
OFFSETS = (1, 3, 5, 7, 14)
METRICS = ("impressions", "clicks", "orders", "sales", "spend")
Totals = tuple[Decimal, ...]


def in_all(loads: Sequence[RowMapping]) -> list[Totals]:
    """Return the totals of all ad products after each load; they were asked for together."""
    by_load = groupby(sorted(loads, key=_number), key=_number)
    return [tuple(map(sum, zip(*map(totals, group), strict=True))) for _, group in by_load]


def _number(load: RowMapping) -> int:
    return int(load["load_number"])


def true_totals(world: BenchWorld, day: date, at: datetime) -> Totals:
    """Return what the sandbox's rows of a day add up to as of an instant: impressions, clicks, orders, sales, spend."""
    metrics = [row[5:] for row in world.true_rows(world.account(), day, at)]
    return tuple(
        sum((Decimal(value or 0) for value in column), Decimal(0))
        for column in zip(*metrics, strict=True)
    )


def totals(load: RowMapping) -> Totals:
    """Return the totals after a load."""
    return (load["impressions"], load["clicks"], load["orders"], load["sales"], load["spend"])


def totals_before(load: RowMapping) -> tuple[Decimal | None, ...]:
    """Return the totals before a load."""
    return (
        load["impressions_before"],
        load["clicks_before"],
        load["orders_before"],
        load["sales_before"],
        load["spend_before"],
    )


def loads_of(
    world: BenchWorld | LoadWorld, day: date, dataset: Dataset = DATASET
) -> list[RowMapping]:
    """Return the loads of a day of the one account."""
    account = world.account if isinstance(world, LoadWorld) else world.account()
    with world.engine.begin() as connection:
        return list_window_loads(connection, account, dataset.name, day)


def test_totals_at_each_age_are_the_truth_of_that_age(world: BenchWorld) -> None:
    """A day loaded at T+1, 3, 5, 7 and 14 told at T+14: each load's totals are what Amazon said then, to the last decimal."""
    account = world.account()
    world.sync_entities(account)
    asked: dict[int, datetime] = {}
    for offset in OFFSETS:
        asked[offset] = world.context.now()
        world.load(account, YESTERDAY)
        world.sandbox.state.clock.set(asked[1] + timedelta(days=_next(offset) - 1))
    every = loads_of(world, YESTERDAY)
    assert [true_totals(world, YESTERDAY, at) for at in asked.values()] == in_all(every)
    for product in AD_PRODUCTS:
        loads = [load for load in every if load["ad_product"] == product]
        assert list(OFFSETS) == [load["age_days"] for load in loads]
        assert list(asked.values()) == [load["data_as_of"] for load in loads]
        assert [None, *map(totals, loads[:-1])] == [
            None if load["load_number"] == 1 else totals_before(load) for load in loads
        ]
        assert loads[0]["spend"] != loads[-1]["spend"]
        assert sum(load["rows_changed"] for load in loads) > 0


def test_products_of_several_reports_are_told_each_as_of_its_own(world: BenchWorld) -> None:
    """A day whose ad products come one after another at T+1 and at T+7: neither report shows up in the totals or changes of another."""
    account, dataset = world.account(), DAILY_PURCHASED_PRODUCTS
    world.sync_entities(account)
    question = Question(world.engine, world.sandbox.url, account, dataset, YESTERDAY)
    for _ in range(2):
        world.load(account, YESTERDAY, dataset=dataset)
        world.advance(days=6)
    loads = loads_of(world, YESTERDAY, dataset)
    assert [(product, number) for product in sorted(AD_PRODUCTS) for number in (1, 2)] == [
        (load["ad_product"], load["load_number"]) for load in loads
    ]
    assert len(loads) == len({load["data_as_of"] for load in loads})
    for load in loads:
        true = question.true(load["data_as_of"])
        assert load["sales"] == question.total(true, "sales", load["ad_product"])
        assert load["orders"] == question.total(true, "orders", load["ad_product"])
    assert {(0, 0)} == {
        (one["rows_changed"], one["rows_appeared"]) for one in loads if one["load_number"] == 1
    }
    assert any(
        one["rows_changed"] + one["rows_appeared"] for one in loads if one["load_number"] == 2
    )


def test_hours_at_each_age_are_the_truth_of_that_age(world: BenchWorld) -> None:
    """Hours loaded at T+1, 3 and 13 told at T+13: each load's totals are what Amazon said then, and each change names its hour."""
    account, dataset = world.account(), HOURLY_TARGETS
    world.sync_entities(account)
    question = Question(world.engine, world.sandbox.url, account, dataset, YESTERDAY)
    asked, first = dict[int, datetime](), world.context.now()
    for offset in dataset.refresh_offsets:
        asked[offset] = first + timedelta(days=offset - 1)
        world.sandbox.state.clock.set(asked[offset])
        world.load(account, YESTERDAY, dataset=dataset)
    loads = loads_of(world, YESTERDAY, dataset)
    assert [1, 3, 13] == [load["age_days"] for load in loads]
    true = [question.true(at) for at in asked.values()]
    told = [tuple(question.total(rows, metric) for metric in METRICS) for rows in true]
    assert {"SPONSORED_PRODUCTS"} == {load["ad_product"] for load in loads}
    assert told == [totals(load) for load in loads]
    assert [None, *told[:-1]] == [
        None if load["load_number"] == 1 else totals_before(load) for load in loads
    ]
    assert told[0] != told[1] != told[2]
    hours = {row["hour_at"] for row in world.query("SELECT hour_at FROM restatements")}
    assert hours
    assert hours <= {key[0] for rows in true for key in rows}


def _next(offset: int) -> int:
    return next((later for later in OFFSETS if later > offset), offset)


def test_rows_that_changed_appeared_and_vanished_are_counted_by_load(shelf: LoadWorld) -> None:
    """One of each at the second load, none at the first and at the third; the third is known though it changed nothing."""
    later = [report_row(clicks=9), report_row() | {"campaign.id": 73}]
    shelf.load([report_row(), report_row() | {"campaign.id": 71}])
    shelf.load(later, age=2)
    shelf.load(later, age=4)
    loads = loads_of(shelf, DAY)
    assert [(0, 0, 0), (1, 1, 1), (0, 0, 0)] == [
        (load["rows_changed"], load["rows_appeared"], load["rows_vanished"]) for load in loads
    ]
    assert [(None, 10), (10, 14), (14, 14)] == [
        (load["clicks_before"], load["clicks"]) for load in loads
    ]


def test_rows_that_appear_in_a_day_that_was_reported_empty_are_restated(shelf: LoadWorld) -> None:
    """A day's first report is empty and its second is not: the second one restates that its rows appeared."""
    shelf.load([])
    later = shelf.load(many_rows(3), age=2)
    assert 3 == later.merge.restated
    assert [0, 3] == [load["rows_appeared"] for load in loads_of(shelf, DAY)]


def test_a_load_that_changed_nothing_in_between_is_known_from_the_timeline(
    world: BenchWorld,
) -> None:
    """Three loads of one moment of the sandbox: two of them left nothing but their actions."""
    account = world.account()
    for _ in range(3):
        world.load(account, YESTERDAY)
    loads = loads_of(world, YESTERDAY)
    assert [1, 2, 3] * 3 == [load["load_number"] for load in loads]
    assert [0] * 9 == [
        load["rows_changed"] + load["rows_appeared"] + load["rows_vanished"] for load in loads
    ]
    assert len(set(in_all(loads))) == 1


def test_amounts_of_two_currencies_are_never_added(shelf: LoadWorld) -> None:
    """Each currency has its own totals, the account's also where it has no row."""
    euros = {"budgetCurrency.value": "EUR"}
    shelf.load([report_row() | euros])
    shelf.load([report_row(totalCost=Decimal("2.5")) | euros], age=1)
    told = {
        (load["currency_code"], load["load_number"]): (load["spend_before"], load["spend"])
        for load in loads_of(shelf, DAY)
    }
    assert told == {
        ("EUR", 1): (None, Decimal("1.234567")),
        ("EUR", 2): (Decimal("1.234567"), Decimal("2.5")),
        ("USD", 1): (None, 0),
        ("USD", 2): (0, 0),
    }


def test_a_day_that_was_never_loaded_has_no_loads(shelf: LoadWorld) -> None:
    """Nor has one whose only report was refused."""
    shelf.load([*many_rows(2), report_row(clicks=-1)])
    assert loads_of(shelf, DAY) == []


@pytest.mark.parametrize("account", ["country_code = 'US'", "account_key = 'US.one'"])
def test_one_window_is_read_without_reading_the_others(shelf: LoadWorld, account: str) -> None:
    """The conditions on account, dataset and day reach the tables: no plan node reads all restatements."""
    with with_job_session("test", store=SessionStore(shelf.engine)):
        shelf.load(many_rows(3))
    plan = shelf.query(f"""EXPLAIN SELECT * FROM window_restatements
        WHERE {account} AND dataset = 'daily_targets' AND window_date = '{DAY}'""")
    told = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "Seq Scan on restatements" not in told
    assert "ix_restatements_window" in told


def test_the_queries_of_the_document_run_and_its_columns_are_the_views(shelf: LoadWorld) -> None:
    """docs/restatements.md: each query runs as it stands, and every column of the view is described."""
    document = (PROJECT_ROOT / "docs" / "restatements.md").read_text(encoding="utf-8")
    queries = re.findall(r"^```sql\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    assert len(queries) == 2
    shelf.load(many_rows(3))
    for query in queries:
        shelf.query(query)
    rows = re.findall(r"^\| (`.+?`) \|", document, re.MULTILINE)
    described = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    [row] = shelf.query("SELECT * FROM window_restatements")
    assert sorted(row) == sorted(described)
