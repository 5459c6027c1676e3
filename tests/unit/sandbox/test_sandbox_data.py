"""The data of a sandbox: a pure function of the seed, whose parts add up, and which the truth knows."""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.catalog import World
from bidbeacon_sandbox.entities import AD_PRODUCTS, Catalog
from bidbeacon_sandbox.fields import METRICS
from bidbeacon_sandbox.rows import metric_values
from bidbeacon_sandbox.traffic import Age, Split, day_lines, local_hours
from bidbeacon_sandbox.truth import day_truth

DAY = date(2026, 1, 10)
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
SETTLED = Age(90, 24)
TARGET = {"campaign.id", "adGroup.id", "ad.id", "target.value", "target.matchType"}
CLICKS, COST = "metric.clicks", "metric.totalCost"
DERIVED = ("metric.addToCart", "metric.longTermSales")


@pytest.fixture(scope="module")
def world() -> World:
    """Return a small world of seed 1."""
    return World(SandboxConfig(rows_per_day=300))


def catalog_of(world: World, product: Any = "SPONSORED_PRODUCTS") -> Catalog:
    """Return what the first account has in the US."""
    account = world.accounts.accounts[0]
    return world.catalog(account, account.countries[0], product)


def sums(catalog: Catalog, day: date, age: Age, **how: Any) -> tuple[int, ...]:
    """Add up a day's metrics, in the order of `METRICS`."""
    lines = day_lines(catalog, day, age, **how)
    return tuple(metric_values(catalog, lines).sum(axis=1).tolist())


def test_same_seed_same_data(world: World) -> None:
    """Two worlds of one seed agree in each row; another seed has other rows and ids."""
    other, third = (World(SandboxConfig(seed=seed, rows_per_day=300)) for seed in (1, 2))
    fields = {*TARGET, *METRICS}
    truth = [day_truth(catalog_of(one), DAY, NOW, fields) for one in (world, other, third)]
    assert truth[0] == truth[1] != truth[2]
    assert world.accounts.accounts == other.accounts.accounts


@pytest.mark.parametrize("product", AD_PRODUCTS)
@pytest.mark.parametrize("split", ["placement", "matched_target", None])
def test_the_parts_of_a_day_add_up(world: World, product: Any, split: Split | None) -> None:
    """Whatever it is split by; purchased products and search terms have less, as not all is known of them."""
    catalog = catalog_of(world, product)
    whole = sums(catalog, DAY, SETTLED)
    assert whole == sums(catalog, DAY, SETTLED, splits=[split] if split else [])
    for less in ("search_term", "purchased_product"):
        parts = sums(catalog, DAY, SETTLED, splits=[less])
        assert all(part <= all_of for part, all_of in zip(parts[4:], whole[4:], strict=True))


def test_hours_miss_a_little(world: World) -> None:
    """Up to 4 % of clicks; a day of 23 hours has no missing hour; today has its past hours only."""
    catalog = catalog_of(world)
    whole, hours = sums(catalog, DAY, SETTLED), sums(catalog, DAY, SETTLED, hourly=True)
    assert 0.95 * whole[1] <= hours[1] <= whole[1]
    assert whole[4] == hours[4]
    assert 23 == len(local_hours(date(2026, 3, 8), catalog.market.zone))
    today = day_lines(catalog, DAY, Age(0, 9), hourly=True)
    assert set(today.values[0].tolist()) <= set(range(9))
    assert 0 < sums(catalog, DAY, Age(0, 9))[0] < whole[0]
    assert 0 == day_lines(catalog, DAY, Age(-1, 24)).slot.size


def test_a_day_grows_until_it_is_settled(world: World) -> None:
    """Clicks stay from day 3 on; purchases grow on days 1, 7, 14, 28 and 60; rows appear and vanish."""
    catalog = catalog_of(world)
    purchases = [sums(catalog, DAY, Age(age, 24))[4] for age in (0, 1, 7, 14, 28, 60)]
    assert purchases == sorted(purchases)
    assert purchases[0] < purchases[-1] * 0.6
    young, later, settled = (day_lines(catalog, DAY, Age(age, 24)) for age in (2, 30, 60))
    assert set(young.slot.tolist()) != set(settled.slot.tolist())
    first, then, last = (
        dict(zip(one.slot.tolist(), one.counts[1].tolist(), strict=True))
        for one in (young, later, settled)
    )
    assert then == last
    assert any(first.get(slot, count) != count for slot, count in last.items())


def test_metrics_are_plausible(world: World) -> None:
    """Fewer clicks than impressions, fewer purchases than clicks; cost follows the bid; some rows have odd decimals."""
    for product in AD_PRODUCTS:
        catalog = catalog_of(world, product)
        impressions, clicks, cost, viewable, orders, *_ = sums(catalog, DAY, SETTLED)
        assert 0 < clicks < viewable < impressions
        assert 0 < orders < clicks
        assert cost > 0
    catalog = catalog_of(world)
    costs = metric_values(catalog, day_lines(catalog, DAY, SETTLED))[2]
    assert {True, False} == set((costs % 10_000 == 0).tolist())


def test_campaigns_may_begin_on_a_day(start: Callable[..., Any]) -> None:
    """Exports say so, and there are no rows before; those of other ads accounts began years ago."""
    caller = start(campaigns_begin={0: date(2026, 1, 11)})
    period = {"start": date(2026, 1, 9), "end": date(2026, 1, 12)}
    others = caller.rows(account=caller.account(1), **period)
    found = [{row["date.value"] for row in rows} for rows in (caller.rows(**period), others)]
    begun = {"2026-01-11", "2026-01-12"}
    assert [begun, {"2026-01-09", "2026-01-10"} | begun] == found
    world = caller.state.world
    for product in AD_PRODUCTS:
        campaigns = catalog_of(world, product=product).entities["campaigns"]
        assert {"2026-01-11"} == {one["startDate"] for one in campaigns}


def test_reports_are_the_truth(caller: Any) -> None:
    """Row by row in ids, targets and metrics."""
    fields = {*TARGET, COST}
    asked = {"account": caller.account().account_id, "country": "US", "date": "2026-01-10"}
    asked["fields"] = ",".join(fields)
    rows = [row for row in caller.rows() if row["campaign.country"] == "US"]
    truth = caller.http.get(f"{caller.url}/sandbox/truth", params=asked).json()["rows"]
    assert {*fields, "target.id"} == set(truth[0])
    found: dict[Any, Any] = defaultdict(Decimal)
    for row in rows:
        key = (str(row["ad.id"]), row["target.value"], row["target.matchType"])
        found[key] += row[COST]
    known: dict[Any, Any] = defaultdict(Decimal)
    for row in truth:
        known[row["ad.id"], row["target.value"], row["target.matchType"]] += Decimal(row[COST])
    assert known == found
    for wrong in ({"account": "x"}, asked | {"fields": "campaign.id,clicks"}):
        answer = caller.http.get(f"{caller.url}/sandbox/truth", params=wrong)
        assert 400 == answer.status_code
    assert ["Unknown fields: clicks"] == answer.json()["errors"]


def test_the_truth_adds_up_at_any_grain(world: World) -> None:
    """To the day, or to less where not all is known; what a row is about has a value in each."""
    catalog = catalog_of(world)

    def clicks(*fields: str) -> int:
        rows = day_truth(catalog, DAY, NOW, (*fields, CLICKS))
        assert all(row[field] is not None for row in rows for field in fields)
        return sum(row[CLICKS] for row in rows)

    whole = clicks("target.value")
    assert {whole} == {
        clicks(field) for field in ("campaign.id", "ad.id", "placementClassification.value")
    }
    assert whole >= clicks("searchTerm.value")
    hours = day_truth(catalog, DAY, NOW, {"hour.value", CLICKS})
    assert {int} == {type(row["hour.value"]) for row in hours}


@pytest.mark.parametrize("metric", DERIVED)
def test_derived_metrics_add_up_at_any_grain(world: World, metric: str) -> None:
    """Rows of campaigns have the sums of their targets' rows; a fifth of clicks is not zero because each target has few."""
    catalog = catalog_of(world, "SPONSORED_BRANDS")
    sums = [
        sum(Decimal(row[metric]) for row in day_truth(catalog, DAY, NOW, {*grain, metric}))
        for grain in ({"campaign.id"}, TARGET)
    ]
    assert sums[0] == sums[1] > 0


def test_exports_filter_entities(start: Callable[..., Any]) -> None:
    """By product, state and, for targets, sign, level and type; all states but archived ones by default."""
    caller = start(rows_per_day=400)
    usual = caller.exported("targets", body={})
    assert {"ENABLED", "PAUSED"} == {one["state"] for one in usual}
    assert 3 == len({one["adProduct"] for one in usual})
    negative = caller.exported("targets", body={"negativeFilter": [True]})
    assert {True} == {one["negative"] for one in negative}
    of_campaigns = caller.exported("targets", body={"targetLevelFilter": ["CAMPAIGN"]})
    assert of_campaigns
    assert all("adGroupId" not in one for one in of_campaigns)
    wrong = caller.export("ads", "POST", "/ads/export", body={"negativeFilter": [True]})
    assert 400 == wrong.status_code
    assert 406 == caller.export("ads", "POST", "/ads/export", headers={"Accept": "*/*"}).status_code


def test_a_large_day_has_many_parts(start: Callable[..., Any]) -> None:
    """Each of as many rows as a part may have."""
    caller = start(rows_per_day=3_000, part_rows=700, countries=[["JP"]], accounts=1)
    report = caller.completed()
    assert "COMPLETED" == report["status"]
    assert 3 < len(report["completedReportParts"])
