"""The keys of report rows: golden ones, since stored rows have them, and what tells rows apart."""

import pytest

from bidbeacon_pipelines.datasets.digests import row_key_of
from bidbeacon_pipelines.datasets.registry import (
    ALL_DATASETS,
    DAILY_TARGETS,
    HOURLY_TARGETS,
    Dataset,
)

FILE = "tests/unit/reports/test_row_keys.py"
VALUES = {
    "campaign_id": "300000000000002",
    "ad_group_id": "400000000000002",
    "target_value": "funny dog shirt",
    "match_type": "PHRASE",
    "ad_id": "9223372036854775807",
    "product_id": "B0EXAMPLE1",
    "marketplace": "GB",
    "search_term": "Hunde Hemd ü",
    "placement": "TOP_OF_SEARCH",
    "purchased_product_id": "B0EXAMPLE2",
    "purchased_marketplace": "US",
}
GOLDEN = {
    "daily_campaigns": "a8e1a64178a789f93a93623069d9ac21",
    "hourly_campaigns": "a8e1a64178a789f93a93623069d9ac21",
    "daily_placements": "08b61edb0852b720a71e02200b75becd",
    "daily_targets": "1e806941b3e91970794595edf1aab6d0",
    "hourly_targets": "1e806941b3e91970794595edf1aab6d0",
    "daily_products": "df56cc689aaa787bb27987ba849dd7d1",
    "hourly_products": "df56cc689aaa787bb27987ba849dd7d1",
    "daily_search_terms": "b4c572a4704a415a81b99454b8aa6d52",
    "daily_purchased_products": "b1d0fc7634881b9cee35983450088f38",
}


def key(dataset: Dataset = DAILY_TARGETS, **changes: str | None) -> str:
    """Return the key of a row of these values."""
    values = {"currency_code": "USD", "ad_product": "SPONSORED_PRODUCTS"} | VALUES | changes
    columns = ("currency_code", "ad_product", *(one.column for one in dataset.keys))
    missing = sorted({*columns} - values.keys())
    assert not missing, f"add a value of {missing} to VALUES in {FILE}"
    return row_key_of(dataset)([values[column] for column in columns])


@pytest.mark.parametrize("dataset", ALL_DATASETS, ids=lambda one: one.name)
def test_golden_keys(dataset: Dataset) -> None:
    """A stored row is found again by the key that it was stored under."""
    found = key(dataset)
    assert dataset.name in GOLDEN, f'add "{dataset.name}": "{found}" to GOLDEN in {FILE}'
    assert GOLDEN[dataset.name] == found, f"stored rows of {dataset.name} have the key in {FILE}"


@pytest.mark.parametrize(
    "change",
    [
        {"currency_code": "CAD"},
        {"ad_product": "SPONSORED_BRANDS"},
        {"target_value": "Funny dog shirt"},
        {"target_value": ""},
        {"target_value": None},
        {"match_type": None},
        {"match_type": ""},
        {"target_value": "funny dog shirt10:match_typet6", "match_type": "PHRASE"},
        {"target_value": None, "match_type": "funny dog shirt"},
    ],
    ids=str,
)
def test_each_value_tells_rows_apart(change: dict[str, str | None]) -> None:
    """Currency, ad product and each dimension; null is neither empty nor another column's value."""
    assert key() != key(**change)
    assert len({key(), key(target_value=None), key(target_value="")}) == 3


def test_hours_are_no_part_of_it() -> None:
    """Day and hour are columns of the table's key themselves."""
    assert key(DAILY_TARGETS) == key(HOURLY_TARGETS)
