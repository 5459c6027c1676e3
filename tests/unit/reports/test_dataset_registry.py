"""The registry of datasets: what is asked of Amazon follows the contract, and impossible entries are refused."""

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from bidbeacon_pipelines.datasets import registry
from bidbeacon_pipelines.datasets.fields import Dimension, Metric
from bidbeacon_pipelines.datasets.metrics import BASE

COMPANIONS = {
    "campaign.name": "campaign.id",
    "campaign.costType": "campaign.id",
    "campaign.country": "campaign.id",
    "target.matchType": "target.value",
    "advertisedProduct.sku": "advertisedProduct.id",
    "advertisedProduct.marketplace": "advertisedProduct.id",
    "convertedProduct.id": "convertedProductMarketplace.value",
    "metric.sales": "budgetCurrency.value",
    "metric.totalCost": "budgetCurrency.value",
}
OF_EACH_ROW = {"date.value", "campaign.country", "budgetCurrency.value", "adProduct.value"}
FINER = {
    "daily_campaigns": {"adGroup.id"},
    "daily_targets": {"ad.id", "searchTerm.value"},
    "hourly_targets": {"ad.id"},
    "daily_search_terms": {"ad.id"},
    "daily_products": {"target.value", "searchTerm.value"},
}
each_dataset = pytest.mark.parametrize("dataset", registry.ALL_DATASETS, ids=lambda one: one.name)


@each_dataset
def test_names_are_of_a_grain_and_a_plural(dataset: registry.Dataset) -> None:
    """A dataset, its table, its asset and its view have one name: `daily_targets`."""
    assert re.fullmatch(r"(daily|hourly)_[a-z_]+s", dataset.name)
    assert dataset.name.startswith({"day": "daily", "hour": "hourly"}[dataset.grain])


@each_dataset
def test_history_and_refreshes_are_as_amazon_serves_them(dataset: registry.Dataset) -> None:
    """Days for 15 months, 120 in a report, refreshed for 60 days; hours for 14 days."""
    history = (dataset.history_months, dataset.history_days, dataset.longest_period_days)
    if dataset.is_hourly:
        assert ((None, 14, 14), (1, 3, 13)) == (history, dataset.refresh_offsets)
    else:
        assert ((15, None, 120), (1, 3, 5, 7, 14, 30, 60)) == (history, dataset.refresh_offsets)


@each_dataset
def test_name_begins_with_the_grain(dataset: registry.Dataset) -> None:
    """Only datasets that are called hourly have rows of hours."""
    assert dataset.is_hourly == dataset.name.startswith("hourly_")
    assert dataset.is_hourly != dataset.name.startswith("daily_")


@each_dataset
def test_every_ad_product_is_in_one_report(dataset: registry.Dataset) -> None:
    """Each with its fields, none twice, and none that another product only has."""
    for product in dataset.ad_products:
        fields = dataset.fields_for([product])
        assert len(set(fields)) == len(fields)
        every: list[Dimension | Metric] = [*dataset.dimensions, *dataset.metrics]
        others = {one.field for one in every if product not in one.ad_products}
        assert others.isdisjoint(fields)


@each_dataset
def test_companions_come_along(dataset: registry.Dataset) -> None:
    """Amazon refuses a field without its companion, and rows without country and currency would be mixed up."""
    for group in dataset.groups:
        fields = set(dataset.fields_for(group))
        assert OF_EACH_ROW <= fields
        assert {COMPANIONS[one] for one in fields if one in COMPANIONS} <= fields


@pytest.mark.parametrize("name", FINER)
def test_no_finer_dimension_is_asked_for(name: str) -> None:
    """Each further dimension would multiply the rows of a key."""
    dataset = registry.get_dataset(name)
    assert FINER[name].isdisjoint(dataset.fields_for(dataset.ad_products))


def test_purchased_products_have_no_traffic() -> None:
    """Amazon refuses impressions, clicks and cost beside purchased products; each ad product has its own key."""
    assert {"impressions", "clicks", "spend"}.isdisjoint(registry.DAILY_PURCHASED_PRODUCTS.columns)
    products, brands, display = (
        {one.column for one in registry.DAILY_PURCHASED_PRODUCTS.keys if product in one.ad_products}
        for product in ("SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY")
    )
    assert {"campaign_id", "purchased_product_id", "purchased_marketplace"} == brands
    assert "ad_group_id" in display
    assert {"target_value", "match_type", "product_id"} <= products


def test_brands_ads_have_no_product() -> None:
    """They are asked for in a report of their own, without fields that Amazon refuses for them."""
    assert ("SPONSORED_BRANDS",) in registry.DAILY_PRODUCTS.groups
    assert "advertisedProduct" not in str(registry.DAILY_PRODUCTS.fields_for(["SPONSORED_BRANDS"]))


def test_campaigns_have_what_brands_and_display_measure() -> None:
    """Viewable impressions and orders of new customers; their names are columns of ours."""
    names = {"viewable_impressions", "new_to_brand_orders", "cost_type", "campaign_name"}
    assert names <= set(registry.DAILY_CAMPAIGNS.columns)


def test_only_asked_for_datasets_are_found_by_name() -> None:
    """An unknown one's error names those that exist."""
    assert all(registry.get_dataset(name) is dataset for name, dataset in registry.DATASETS.items())
    expected = r"expected a dataset \(.*daily_targets.*\), got: 'weekly'"
    with pytest.raises(registry.UnknownDatasetError, match=expected):
        registry.get_dataset("weekly")


def test_renamed_fields() -> None:
    """A refusal that names a field leads to its other name; one that names none says nothing."""
    dataset = registry.DAILY_PRODUCTS
    fields = dataset.fields_for(["SPONSORED_PRODUCTS"])
    named = registry.other_spellings(dataset, fields, "400005: unknown field: campaign.country")
    assert {"campaign.country": "campaignCountry.value"} == named
    assert {} == registry.other_spellings(dataset, fields, "400005")
    assert "campaignCountry.value" in registry.spelled(fields, named)


@pytest.mark.parametrize(
    "change",
    [
        {"history_days": 14},
        {"history_months": None},
        {"longest_period_days": 0},
        *({"refresh_offsets": offsets} for offsets in ((), (0, 1), (3, 1), (1, 1))),
        *({"dimensions": ()}, {"metrics": ()}, {"metrics": (*BASE, *BASE)}),
        {"groups": ()},
        {"groups": (("SPONSORED_PRODUCTS",), ("SPONSORED_PRODUCTS",))},
    ],
    ids=lambda change: f"{next(iter(change))} {len(str(change))}",
)
def test_impossible_entry_is_refused(change: Mapping[str, Any]) -> None:
    """An entry the window rules or the load could not work with can't be made."""
    with pytest.raises(ValueError, match="daily_targets: expected"):
        replace(registry.DAILY_TARGETS, **change)


def test_no_offset_is_further_away_than_counts_as_due() -> None:
    """Windows that are rightly far ahead are not taken for those of a wrong clock."""
    for dataset in registry.DATASETS.values():
        offsets = dataset.refresh_offsets
        assert all(later - earlier <= 31 for earlier, later in pairwise(offsets))
