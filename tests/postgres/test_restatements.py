"""How a day's numbers changed from load to load, against the sandbox's truth at those ages."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby

import pytest
from sqlalchemy import RowMapping, func

from bidbeacon_pipelines.datasets.fields import AD_PRODUCTS
from bidbeacon_pipelines.datasets.registry import (
    DAILY_PURCHASED_PRODUCTS,
    HOURLY_TARGETS,
    Dataset,
)
from bidbeacon_pipelines.loading.restatements import list_window_loads
from bidbeacon_pipelines.retention import delete_old_records
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings
from bidbeacon_sessions import SessionStore, with_job_session
from tests.dataset_truth import Question
from tests.postgres.load_world import AS_OF, DAY, LoadWorld, many_rows, report_row
from tests.support.rows import change_windows
from tests.support.world import DATASET, World

YESTERDAY = date(2026, 1, 14)
OFFSETS = (1, 3, 5, 7, 14)
PAGE = (PROJECT_ROOT / "docs" / "restatements.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
METRICS = ("impressions", "clicks", "orders", "sales", "spend")
Totals = tuple[Decimal, ...]


def totals_at(loads: Sequence[RowMapping], at: datetime) -> Totals:
    """Return the totals of all ad products as of an instant: those of the newest load of each."""
    newest = {load["ad_product"]: load for load in loads if load["data_as_of"] <= at}
    return tuple(map(sum, zip(*map(totals, newest.values()), strict=True)))


def by_product(loads: Sequence[RowMapping]) -> dict[str, list[RowMapping]]:
    """Return the loads of each ad product, which are numbered without holes."""
    found = {of: list(some) for of, some in groupby(loads, key=lambda load: load["ad_product"])}
    for some in found.values():
        assert [*range(1, len(some) + 1)] == [load["load_number"] for load in some]
    return found


def true_totals(world: World, day: date, at: datetime) -> Totals:
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


def loads_of(world: World | LoadWorld, day: date, dataset: Dataset = DATASET) -> list[RowMapping]:
    """Return the loads of a day of the one account."""
    account = world.account if isinstance(world, LoadWorld) else world.account()
    with world.engine.begin() as connection:
        return list_window_loads(connection, account, dataset.name, day)


def test_totals_at_each_age_are_the_truth_of_that_age(world: World) -> None:
    """A day loaded at T+1, 3, 5, 7 and 14 told at T+14: its totals at each age are what Amazon said then, to the last decimal."""
    account = world.account()
    world.sync_entities(account)
    asked: dict[int, datetime] = {}
    for offset in OFFSETS:
        asked[offset] = world.context.now()
        world.load(account, YESTERDAY)
        world.sandbox.state.clock.set(asked[1] + timedelta(days=_next(offset) - 1))
    every = loads_of(world, YESTERDAY)
    for at in asked.values():
        assert true_totals(world, YESTERDAY, at) == totals_at(every, at)
    for loads in by_product(every).values():
        assert (None,) * 5 == totals_before(loads[0])
        assert [*map(totals, loads[:-1])] == [*map(totals_before, loads[1:])]
        assert set(OFFSETS) >= {load["age_days"] for load in loads}
        for at in asked.values():
            assert 1 == sum(load["data_as_of"] <= at <= load["confirmed_as_of"] for load in loads)
    loads = by_product(every)["SPONSORED_PRODUCTS"]
    assert loads[0]["spend"] != loads[-1]["spend"]
    assert sum(load["rows_changed"] for load in loads) > 0


def test_products_of_several_reports_are_told_each_as_of_its_own(world: World) -> None:
    """A day whose ad products come one after another at T+1 and at T+7: neither report shows up in the totals or changes of another."""
    account, dataset = world.account(), DAILY_PURCHASED_PRODUCTS
    world.sync_entities(account)
    question = Question(world.engine, world.sandbox.url, account, dataset, YESTERDAY)
    for _ in range(2):
        world.load(account, YESTERDAY, dataset=dataset)
        world.advance(days=6)
    loads = loads_of(world, YESTERDAY, dataset)
    assert sorted(AD_PRODUCTS) == list(by_product(loads))
    assert len(loads) == len({load["data_as_of"] for load in loads})
    for load in loads:
        for as_of in (load["data_as_of"], load["confirmed_as_of"]):
            true = question.true(as_of)
            assert load["sales"] == question.total(true, "sales", load["ad_product"])
            assert load["orders"] == question.total(true, "orders", load["ad_product"])
    for load in loads:
        changed = load["rows_changed"] + load["rows_appeared"] + load["rows_vanished"]
        assert (load["load_number"] == 1) == (changed == 0)
    assert {1, 2} == {load["load_number"] for load in loads}


def test_hours_at_each_age_are_the_truth_of_that_age(world: World) -> None:
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
    """One of each at the second load, none at the first; the third load changed nothing and is no row."""
    later = [report_row(clicks=9), report_row() | {"campaign.id": 73}]
    shelf.load([report_row(), report_row() | {"campaign.id": 71}])
    shelf.load(later, age=2)
    shelf.load(later, age=4)
    loads = loads_of(shelf, DAY)
    assert [(0, 0, 0), (1, 1, 1)] == [
        (load["rows_changed"], load["rows_appeared"], load["rows_vanished"]) for load in loads
    ]
    assert [(None, 10), (10, 14)] == [(load["clicks_before"], load["clicks"]) for load in loads]


def test_rows_that_appear_in_a_day_that_was_reported_empty_are_restated(shelf: LoadWorld) -> None:
    """A day's first report is empty and its second is not: the second one restates that its rows appeared."""
    shelf.load([])
    later = shelf.load(many_rows(3), age=2)
    assert 3 == later.merge.restated
    assert [0, 3] == [load["rows_appeared"] for load in loads_of(shelf, DAY)]


def told(loads: Sequence[RowMapping]) -> list[tuple[int, int, int, int]]:
    """Return number, age, age at the last confirmation, and clicks of each load."""
    names = ("load_number", "age_days", "confirmed_age_days", "clicks")
    return [tuple(load[name] for name in names) for load in loads]


def test_loads_that_changed_nothing_confirm_the_one_before(shelf: LoadWorld) -> None:
    """They have no number; each load says up to when a report stated its totals."""
    shelf.load([report_row()])
    assert told(loads_of(shelf, DAY)) == [(1, 1, 1, 5)]
    shelf.load([report_row()], age=2)
    assert told(loads_of(shelf, DAY)) == [(1, 1, 3, 5)]
    shelf.load([report_row(clicks=9)], age=4)
    assert told(loads_of(shelf, DAY)) == [(1, 1, 3, 5), (2, 5, 5, 9)]
    shelf.load([report_row(clicks=9)], age=6)
    assert told(loads_of(shelf, DAY)) == [(1, 1, 3, 5), (2, 5, 7, 9)]
    shelf.load([report_row(clicks=5)], age=13)
    assert told(loads_of(shelf, DAY)) == [(1, 1, 3, 5), (2, 5, 7, 9), (3, 14, 14, 5)]


@pytest.mark.parametrize("dataset", [DATASET, DAILY_PURCHASED_PRODUCTS])
def test_loads_outlive_their_sessions(world: World, dataset: Dataset) -> None:
    """A day loaded three times, the last time without a change, has the same loads once no session is left."""
    account = world.account()
    world.sync_entities(account)
    for days in (0, 6, 0):
        world.advance(days=days)
        world.load(account, YESTERDAY, dataset=dataset)
    loads = loads_of(world, YESTERDAY, dataset)
    last = by_product(loads)["SPONSORED_PRODUCTS"][-1]
    assert 2 == last["load_number"]
    assert last["confirmed_as_of"] > last["data_as_of"]
    with world.session("delete-old-records") as session:
        later = datetime.now(UTC) + timedelta(days=91)
        settings = Settings(restatement_days=3_650)
        assert delete_old_records(world.engine, session, settings, later)["sessions"] > 0
    [left] = world.query("SELECT DISTINCT session_id FROM session_actions")
    assert left["session_id"] == session.session_id
    assert loads == loads_of(world, YESTERDAY, dataset)


def test_amounts_of_two_currencies_are_never_added(shelf: LoadWorld) -> None:
    """Each currency has its own totals and numbers; the account's has a first load without any row."""
    euros = {"budgetCurrency.value": "EUR"}
    shelf.load([report_row() | euros])
    shelf.load([report_row(totalCost=Decimal("2.5")) | euros], age=1)
    shelf.load([report_row(totalCost=Decimal("2.5")) | euros, report_row()], age=2)
    told = {
        (load["currency_code"], load["load_number"]): (
            load["spend_before"],
            load["spend"],
            load["confirmed_as_of"] - AS_OF,
        )
        for load in loads_of(shelf, DAY)
    }
    assert told == {
        ("EUR", 1): (None, Decimal("1.234567"), timedelta(0)),
        ("EUR", 2): (Decimal("1.234567"), Decimal("2.5"), timedelta(days=2)),
        ("USD", 1): (None, 0, timedelta(days=1)),
        ("USD", 2): (0, Decimal("1.234567"), timedelta(days=2)),
    }


def test_days_whose_restatements_are_deleted_have_no_loads(shelf: LoadWorld) -> None:
    """Their totals before are unknown, and the current ones are not those of a first load; days after them are as before."""
    for clicks in (5, 9):
        for day in (DAY, DAY + timedelta(days=1)):
            rows = [report_row(day=day, clicks=clicks)]
            shelf.load(rows, days=[day], age=clicks)
    kept = loads_of(shelf, DAY + timedelta(days=1))
    assert [1, 2] == [load["load_number"] for load in kept]
    with with_job_session("delete", store=SessionStore(shelf.engine)) as session:
        now = AS_OF + timedelta(days=89)  # the second day is 90 days ago
        counts = delete_old_records(shelf.engine, session, Settings(restatement_days=90), now)
    assert counts["restatements"] == 1
    assert loads_of(shelf, DAY) == []
    assert kept == loads_of(shelf, DAY + timedelta(days=1))


def test_ad_products_that_are_not_served_have_no_loads(shelf: LoadWorld) -> None:
    """Their zeros are not measured: neither a product's of a loaded day, nor those of a day that is not served."""
    shelf.load([report_row()], ad_products=AD_PRODUCTS)
    assert set(AD_PRODUCTS) == {load["ad_product"] for load in loads_of(shelf, DAY)}
    change_windows(shelf.engine, not_served=["SPONSORED_DISPLAY"])
    assert set(AD_PRODUCTS[:2]) == {load["ad_product"] for load in loads_of(shelf, DAY)}
    change_windows(
        shelf.engine, status="not_served", not_served_since=func.now(), next_refresh_at=None
    )
    assert loads_of(shelf, DAY) == []


def test_a_day_that_was_never_loaded_has_no_loads(shelf: LoadWorld) -> None:
    """Nor has one whose only report was refused."""
    shelf.load([*many_rows(2), report_row(clicks=-1)])
    assert loads_of(shelf, DAY) == []


@pytest.mark.parametrize("account", ["country_code = 'US'", "account_key = 'US.one'"])
def test_one_window_is_read_without_reading_the_others(shelf: LoadWorld, account: str) -> None:
    """The conditions on account, dataset and day reach the tables: no plan node reads all restatements."""
    shelf.load(many_rows(3))
    plan = shelf.query(f"""EXPLAIN SELECT * FROM window_restatements
        WHERE {account} AND dataset = 'daily_targets' AND window_date = '{DAY}'""")
    told = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "Seq Scan on restatements" not in told
    assert "session_" not in told
    assert "ix_restatements_window" in told


def test_the_queries_of_the_document_run_and_its_columns_are_the_views(shelf: LoadWorld) -> None:
    """docs/restatements.md: each query runs as it stands, and every column of the view is described."""
    assert len(QUERIES) == 2
    shelf.load(many_rows(3))
    for query in QUERIES:
        shelf.query(query)
    rows = re.findall(r"^\| (`.+?`) \|", PAGE, re.MULTILINE)
    described = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    [row] = shelf.query("SELECT * FROM window_restatements")
    assert sorted(row) == sorted(described)


def test_the_document_compares_loads_of_one_currency(shelf: LoadWorld) -> None:
    """How a day changed since its first load is told for each currency of an ad product."""
    euros = {"budgetCurrency.value": "EUR"}
    for age, sales in ((0, 10), (2, 13)):
        shelf.load(
            [report_row(sales=sales), report_row(sales=100 * sales) | euros],
            age=age,
        )
    query = QUERIES[0].replace("US.acme-merch.1kc1bk21", shelf.account.account_key)
    loads = shelf.query(query.replace("2026-03-03", str(DAY)))
    assert [("EUR", 1000, 0), ("EUR", 1300, 300), ("USD", 10, 0), ("USD", 13, 3)] == [
        (load["currency_code"], load["sales"], load["sales_since_first"]) for load in loads
    ]
