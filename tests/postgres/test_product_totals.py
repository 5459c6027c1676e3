"""Totals of windows by ad product, which every load leaves, and datasets compared by them."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Reconciles
from bidbeacon_pipelines.loading.load import LoadResult
from bidbeacon_pipelines.problems.checks import judge_totals
from bidbeacon_pipelines.problems.findings import Finding
from tests.postgres.load_world import DAY, LoadWorld, Raw
from tests.support.ad_products import SB, SD, SP, SPELLED
from tests.support.reading import call, tuples

DATASETS = {dataset.name: dataset for dataset in ALL_DATASETS}


def row(ad_product: str, spend: str, campaign: int = 1, **fields: Any) -> Raw:
    """Return a row of a campaign as Amazon writes it."""
    zeros = {f"metric.{name}": 0 for name in ("impressions", "clicks", "purchases", "unitsSold")}
    return zeros | {
        "date.value": str(DAY),
        "budgetCurrency.value": "USD",
        "adProduct.value": SPELLED[ad_product],
        "campaign.country": "US",
        "campaign.id": campaign,
        "campaign.name": "Shirts",
        "adGroup.id": 11,
        "metric.totalCost": Decimal(spend),
        "metric.sales": Decimal(0),
        **fields,
    }


def load(
    shelf: LoadWorld, name: str, *rows: Raw, ad_products: tuple[str, ...] = (), age: float = 0
) -> LoadResult:
    """Load a report and return what was done; a field that a row has not is null."""
    dataset = DATASETS[name]
    products = ad_products or dataset.groups[0]
    fields = dict.fromkeys(dataset.fields_for(products))
    result = shelf.load(
        [fields | one for one in rows], dataset=dataset, ad_products=products, age=age
    )
    assert [DAY] == result.loaded
    return result


def placement(ad_product: str, spend: str, where: str = "TOP_OF_SEARCH") -> Raw:
    """Return a row of a placement."""
    return row(ad_product, spend) | {"placementClassification.value": where}


def totals(shelf: LoadWorld, name: str) -> dict[str, tuple[int, Decimal]]:
    """Return rows and spend of each ad product that a window has loaded."""
    stored = """SELECT p.key, CAST(p.value ->> 'rows' AS bigint), CAST(p.value ->> 'spend' AS numeric)
                  FROM report_windows, jsonb_each(product_totals) p WHERE dataset = :name"""
    return {
        product: (rows, spend) for product, rows, spend in tuples(shelf.engine, stored, name=name)
    }


def compare(shelf: LoadWorld, name: str, reconciles: Reconciles = "equal") -> Finding:
    """Compare a dataset with the one that it should agree with."""
    dataset = replace(DATASETS[name], reconciles=reconciles)
    return call(shelf.engine, judge_totals, dataset, closeness=0.05)


def counts(verdict: Finding) -> tuple[float, ...]:
    """Return how many totals were compared, can't be compared yet, and differ."""
    return tuple(verdict.facts[name] for name in ("compared", "not_comparable_yet", "differing"))


def test_a_load_leaves_totals_of_the_ad_products_that_it_was_asked_for(shelf: LoadWorld) -> None:
    """To the last digit; zero where it had no rows. Each of the day's reports tells the spend of its own."""
    smallest, large = (row(SP, spend) for spend in ("0.000001", "99999999.5"))
    first = {SP: (2, Decimal("99999999.500001")), SD: (0, Decimal(0))}
    load(shelf, "daily_products", smallest | {"ad.id": 1}, large | {"ad.id": 2})
    assert first == totals(shelf, "daily_products")
    brands = load(shelf, "daily_products", row(SB, "3") | {"ad.id": 3}, ad_products=(SB,))
    assert first | {SB: (1, Decimal(3))} == totals(shelf, "daily_products")
    assert Decimal(3) == brands.spend
    windows = shelf.windows(dataset=DATASETS["daily_products"])
    spends = {window.report: window.spend for window in windows}
    assert {"SB": 3, "SP+SD": Decimal("99999999.500001")} == spends


def test_datasets_are_compared_by_ad_product(shelf: LoadWorld) -> None:
    """Placements equal their campaigns for each ad product that both have; a difference shows both amounts exactly."""
    assert "No totals can be compared with" in compare(shelf, "daily_placements").sentence
    load(shelf, "daily_campaigns", row(SP, "5"), row(SB, "7", 2), row(SD, "9", 3))
    divided = (placement(SP, "4"), placement(SP, "1", "PRODUCT_PAGE"))
    load(shelf, "daily_placements", *divided, placement(SB, "7"))
    assert (2, 0, 0) == counts(compare(shelf, "daily_placements"))
    load(shelf, "daily_placements", placement(SP, "5"), placement(SB, "6.999999"))
    verdict = compare(shelf, "daily_placements")
    assert (Severity.WARNING, (2, 0, 1)) == (verdict.severity, counts(verdict))
    [case] = verdict.facts["cases"]
    assert ("SB", "6.999999", "7.000000", "0.00%") == tuple(
        case[name] for name in ("ad", "spend", "spend there", "off by")
    )


def test_an_ad_product_that_is_missing_from_one_dataset_is_a_difference(shelf: LoadWorld) -> None:
    """Both were asked for it, and one has rows."""
    load(shelf, "daily_campaigns", row(SP, "5"), row(SB, "7", 2))
    load(shelf, "daily_placements", placement(SP, "5"))
    assert (2, 0, 1) == counts(compare(shelf, "daily_placements"))


def test_an_ad_product_that_is_not_loaded_yet_is_not_compared(shelf: LoadWorld) -> None:
    """The other report of the same day may bring it later."""
    load(shelf, "daily_targets", row(SP, "5"), row(SB, "7", 2))
    load(shelf, "daily_products", row(SP, "5") | {"ad.id": 1})
    assert (1, 0, 0) == counts(compare(shelf, "daily_products"))
    load(shelf, "daily_products", row(SB, "6") | {"ad.id": 2}, ad_products=(SB,), age=1)
    assert (1, 1, 0) == counts(compare(shelf, "daily_products")), "asked for a day apart"
    load(shelf, "daily_targets", row(SP, "5"), row(SB, "7", 2), age=1)
    assert (1, 1, 1) == counts(compare(shelf, "daily_products"))


@pytest.mark.parametrize(
    ("reconciles", "spend", "minutes", "passed"),
    [
        ("equal", "100.000001", 10, False),
        ("equal", "100.000001", 11, True),
        ("equal", "98", 11, True),
        ("equal", "97.99", 11, False),
        ("equal", "0", 300, False),
        ("close", "95", 0, True),
        ("close", "94.99", 0, False),
        ("close", "105.27", 300, False),
        ("not above", "20", 0, True),
        ("not above", "100.000001", 0, False),
        ("not above", "102", 11, True),
        ("not above", "103", 11, False),
    ],
)
def test_only_what_amazon_promises_is_claimed(
    shelf: LoadWorld, reconciles: Reconciles, spend: str, minutes: int, *, passed: bool
) -> None:
    """Equal within ten minutes, within 2 % later; hours within a threshold; search terms as far below as they like."""
    load(shelf, "daily_campaigns", row(SP, "100"))
    load(shelf, "daily_placements", placement(SP, spend), age=minutes / 24 / 60)
    result = compare(shelf, "daily_placements", reconciles)
    assert passed is (result.severity is Severity.FINE)
