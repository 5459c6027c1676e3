"""How a day's numbers changed from load to load, against the sandbox's truth at those ages."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import accumulate, groupby

import pytest
from sqlalchemy import RowMapping, func

from bidbeacon_pipelines.datasets.fields import AD_PRODUCTS
from bidbeacon_pipelines.datasets.registry import DAILY_PURCHASED_PRODUCTS, HOURLY_TARGETS, Dataset
from bidbeacon_pipelines.loading.restatements import list_window_loads
from bidbeacon_pipelines.retention import delete_old_records
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings
from bidbeacon_sessions import SessionStore, with_job_session
from tests.postgres.load_world import AS_OF, DAY, LoadWorld, many_rows, report_row
from tests.support.ad_products import SD, SP
from tests.support.reading import call, column, tuples
from tests.support.rows import change_windows
from tests.support.truth import DayRows
from tests.support.world import DATASET, World

YESTERDAY = date(2026, 1, 14)

PAGE = (PROJECT_ROOT / "docs" / "how-to" / "follow-restatements.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
METRICS = ("impressions", "clicks", "orders", "sales", "spend")


def by_product(loads: Sequence[RowMapping]) -> dict[str, list[RowMapping]]:
    """Return the loads of each ad product, which are numbered without holes, and follow each other."""
    found = {of: list(some) for of, some in groupby(loads, key=lambda load: load["ad_product"])}
    for some in found.values():
        assert [*range(1, len(some) + 1)] == [load["load_number"] for load in some]
        after = [(None,) * len(METRICS), *map(totals, some)]
        assert after[:-1] == [totals(load, "_before") for load in some]
    return found


def totals(load: RowMapping, suffix: str = "") -> tuple[Decimal | None, ...]:
    """Return the totals after a load, or with `_before` those before it."""
    return tuple(load[f"{metric}{suffix}"] for metric in METRICS)


def loads_of(world: World | LoadWorld, day: date, dataset: Dataset = DATASET) -> list[RowMapping]:
    """Return the loads of a day of the one account."""
    account = world.account if isinstance(world, LoadWorld) else world.account()
    return call(world.engine, list_window_loads, account, dataset.name, day)


LOADED_WHEN = pytest.mark.parametrize(
    ("dataset", "days_after"),
    [
        pytest.param(DATASET, (0, 2, 2, 2, 7), id="days, at T+1, 3, 5, 7 and 14"),
        pytest.param(HOURLY_TARGETS, (0, 2, 10), id="hours, at T+1, 3 and 13"),
        pytest.param(DAILY_PURCHASED_PRODUCTS, (0, 6), id="products of several reports"),
    ],
)


@LOADED_WHEN
def test_totals_at_each_age_are_the_truth_of_that_age(
    world: World, dataset: Dataset, days_after: Sequence[int]
) -> None:
    """What is told at the end of each age and ad product is what Amazon said then, to the last decimal."""
    account = world.account()
    world.sync_entities(account)
    day_rows = DayRows(world.engine, world.sandbox.state, account, dataset, YESTERDAY)
    true_at = cache(day_rows.true)
    first, ages = world.context.now(), list(accumulate(days_after))
    for days in ages:
        world.sandbox.state.clock.set(first + timedelta(days=days))
        world.load(account, YESTERDAY, dataset=dataset)
    products = by_product(loads_of(world, YESTERDAY, dataset))
    assert products.keys() == {of for report in dataset.reports for of in report.ad_products}
    for product, loads in products.items():
        assert {load["age_days"] for load in loads} <= {days + 1 for days in ages}
        for days in ages:
            at = first + timedelta(days=days, hours=1)
            told = [load for load in loads if load["data_as_of"] <= at <= until(load)]
            assert 1 == len(told)
        for load in loads:
            for at in (load["data_as_of"], load["confirmed_as_of"]):
                true = [day_rows.total(true_at(at), metric, product) for metric in METRICS]
                assert true == [*totals(load)]
    true_hours = {hour for days in ages for hour, *_ in true_at(first + timedelta(days=days))}
    hours = {*column(world.engine, "SELECT hour_at FROM restatements")}
    assert hours
    assert hours <= true_hours
    loads = products[SP]
    assert loads[0]["sales"] != loads[-1]["sales"]
    assert sum(load["rows_changed"] for load in loads) > 0


def until(load: RowMapping) -> datetime:
    """Return up to when a load's totals were confirmed, with the time that its report took."""
    confirmed: datetime = load["confirmed_as_of"]
    return confirmed + timedelta(hours=1)


def test_rows_that_changed_appeared_and_vanished_are_counted_by_load(shelf: LoadWorld) -> None:
    """One of each at the second load, none at the first; the third load changed nothing and is no row."""
    later = [report_row(clicks=9), report_row() | {"campaign.id": 73}]
    shelf.load([report_row(), report_row() | {"campaign.id": 71}])
    shelf.load(later, age=2)
    shelf.load(later, age=4)
    loads = """SELECT rows_changed, rows_appeared, rows_vanished, clicks_before, clicks
                 FROM window_restatements ORDER BY load_number"""
    assert [(0, 0, 0, None, 10), (1, 1, 1, 10, 14)] == tuples(shelf.engine, loads)


def test_rows_that_appear_in_a_day_that_was_reported_empty_are_restated(shelf: LoadWorld) -> None:
    """A day's first report is empty and its second is not: the second one restates that its rows appeared."""
    shelf.load([])
    later = shelf.load(many_rows(3), age=2)
    assert 3 == later.merge.restated
    assert [0, 3] == [load["rows_appeared"] for load in loads_of(shelf, DAY)]


def test_loads_that_changed_nothing_confirm_the_one_before(shelf: LoadWorld) -> None:
    """They have no number; each load says up to when a report stated its totals."""
    for age, clicks in ((0, 5), (2, 5), (4, 9), (6, 9), (13, 5)):
        shelf.load([report_row(clicks=clicks)], age=age)
    loads = """SELECT load_number, age_days, confirmed_age_days, clicks
                 FROM window_restatements ORDER BY load_number"""
    assert [(1, 1, 3, 5), (2, 5, 7, 9), (3, 14, 14, 5)] == tuples(shelf.engine, loads)


@pytest.mark.parametrize("dataset", [DATASET, DAILY_PURCHASED_PRODUCTS])
def test_loads_outlive_their_sessions(world: World, dataset: Dataset) -> None:
    """A day loaded three times, the last time without a change, has the same loads once no session is left."""
    account = world.account()
    world.sync_entities(account)
    for days in (0, 6, 0):
        world.advance(days=days)
        world.load(account, YESTERDAY, dataset=dataset)
    loads = loads_of(world, YESTERDAY, dataset)
    last = by_product(loads)[SP][-1]
    assert 2 == last["load_number"]
    assert last["confirmed_as_of"] > last["data_as_of"]
    with world.session("delete-old-records") as session:
        later = datetime.now(UTC) + timedelta(days=91)
        settings = Settings(restatement_days=3_650)
        assert delete_old_records(world.engine, session, settings, later)["sessions"] > 0
    left = column(world.engine, "SELECT DISTINCT session_id FROM session_actions")
    assert [session.session_id] == left
    assert loads == loads_of(world, YESTERDAY, dataset)


def test_amounts_of_two_currencies_are_never_added(shelf: LoadWorld) -> None:
    """Each currency has its own totals and numbers; the account's has a first load without any row."""
    euros, first, second = {"budgetCurrency.value": "EUR"}, Decimal("1.234567"), Decimal("2.5")
    shelf.load([report_row() | euros])
    shelf.load([report_row(totalCost=second) | euros], age=1)
    shelf.load([report_row(totalCost=second) | euros, report_row()], age=2)
    loads = """SELECT currency_code, load_number, spend_before, spend, confirmed_as_of - :as_of
                 FROM window_restatements ORDER BY currency_code, load_number"""
    assert tuples(shelf.engine, loads, as_of=AS_OF) == [
        ("EUR", 1, None, first, timedelta(0)),
        ("EUR", 2, first, second, timedelta(days=2)),
        ("USD", 1, None, 0, timedelta(days=1)),
        ("USD", 2, 0, first, timedelta(days=2)),
    ]


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
    change_windows(shelf.engine, not_served=[SD])
    assert set(AD_PRODUCTS) - {SD} == {load["ad_product"] for load in loads_of(shelf, DAY)}
    since = {"not_served_since": func.now(), "next_refresh_at": None}
    change_windows(shelf.engine, status="not_served", **since)
    assert loads_of(shelf, DAY) == []


def test_a_day_that_was_never_loaded_has_no_loads(shelf: LoadWorld) -> None:
    """Nor has one whose only report was refused."""
    shelf.load([*many_rows(2), report_row(clicks=-1)])
    assert loads_of(shelf, DAY) == []


@pytest.mark.parametrize("account", ["country_code = 'US'", "account_key = 'US.one'"])
def test_one_window_is_read_without_reading_the_others(shelf: LoadWorld, account: str) -> None:
    """The conditions on account, dataset and day reach the tables: no plan node reads all restatements."""
    shelf.load(many_rows(3))
    asked = f"{account} AND dataset = 'daily_targets' AND window_date = '{DAY}'"
    explain = f"EXPLAIN SELECT * FROM window_restatements WHERE {asked}"
    plan = "\n".join(column(shelf.engine, explain))
    assert "Seq Scan on restatements" not in plan
    assert "session_" not in plan
    assert "ix_restatements_window" in plan


def test_the_queries_of_the_document_run_and_its_columns_are_the_views(shelf: LoadWorld) -> None:
    """docs/how-to/follow-restatements.md: each query runs as it stands, and every column of the view is described."""
    assert len(QUERIES) == 3
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
        shelf.load([report_row(sales=sales), report_row(sales=100 * sales) | euros], age=age)
    query = QUERIES[0].replace("US.acme-merch.1kc1bk21", shelf.account.account_key)
    loads = shelf.query(query.replace("2026-03-03", str(DAY)))
    told = [(load["currency_code"], load["sales"], load["sales_since_first"]) for load in loads]
    assert [("EUR", 1000, 0), ("EUR", 1300, 300), ("USD", 10, 0), ("USD", 13, 3)] == told
