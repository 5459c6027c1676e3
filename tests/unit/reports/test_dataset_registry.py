"""The registry of datasets, and what it refuses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bidbeacon_pipelines.ingest.rows import HourlyTargetRow, SearchTermRow
from bidbeacon_pipelines.reports.datasets import (
    DAILY_TARGETS,
    DATASETS,
    HOURLY_TARGETS,
    UnknownDatasetError,
    get_dataset,
)

DAILY = ["daily_targets", "daily_products", "daily_search_terms"]
HOURLY = ["hourly_targets", "hourly_products"]


def test_five_datasets_are_registered() -> None:
    """Targets and products by day and by hour, search terms by day."""
    assert sorted([*DAILY, *HOURLY]) == sorted(DATASETS)


@pytest.mark.parametrize("name", DAILY)
def test_daily_datasets_are_as_amazon_serves_them(name: str) -> None:
    """Daily rows are served for 24 months, 120 days a report, and refreshed up to 60 days."""
    dataset = get_dataset(name)

    assert (24, None, 120) == (dataset.history_months, dataset.history_days, dataset.longest_period_days)
    assert (1, 3, 5, 7, 14, 30, 60) == dataset.refresh_offsets
    assert ("day", "performance_daily") == (dataset.grain, dataset.table)


@pytest.mark.parametrize("name", HOURLY)
def test_hourly_datasets_are_as_amazon_serves_them(name: str) -> None:
    """Hourly rows are served for 14 days, all in one report, and refreshed up to the last of them."""
    dataset = get_dataset(name)

    assert (None, 14, 14) == (dataset.history_months, dataset.history_days, dataset.longest_period_days)
    assert (1, 3, 13) == dataset.refresh_offsets
    assert ("hour", "performance_hourly") == (dataset.grain, dataset.table)


def test_every_dataset_has_an_asset_of_its_own() -> None:
    """No two datasets share an asset."""
    assert len(DATASETS) == len({dataset.asset_name for dataset in DATASETS.values()})


FINER = {
    "daily_targets": {"hour.value", "advertisedProduct.id", "searchTerm.value"},
    "hourly_targets": {"advertisedProduct.id", "searchTerm.value"},
    "daily_products": {"hour.value", "target.value", "searchTerm.value"},
    "hourly_products": {"target.value", "searchTerm.value"},
    "daily_search_terms": {"hour.value", "advertisedProduct.id", "matchedTarget.value"},
}


@pytest.mark.parametrize("name", FINER)
def test_no_finer_dimension_is_asked_for(name: str) -> None:
    """Each further dimension would multiply the rows of one key."""
    assert set() == FINER[name] & set(get_dataset(name).fields)


def test_unknown_name_tells_the_known_ones() -> None:
    """An unknown dataset's error names those that exist."""
    with pytest.raises(UnknownDatasetError, match=r"expected a dataset \(daily_targets.*\), got: 'weekly'"):
        get_dataset("weekly")


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_every_field_of_the_row_model_is_asked_for(dataset: Any) -> None:
    """A dataset asks Amazon for every field its row model reads, and each once."""
    aliases = {field.alias for field in dataset.row_model.model_fields.values()}

    assert set() == aliases - set(dataset.fields)
    assert len(set(dataset.fields)) == len(dataset.fields)


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_companion_fields_come_along(dataset: Any) -> None:
    """Country and currency are asked for, so that neither countries nor currencies are mixed up."""
    assert {"campaign.country", "budgetCurrency.value"} <= set(dataset.fields)


@pytest.mark.parametrize(
    "change",
    [
        {"history_days": 14},
        {"history_months": None},
        {"longest_period_days": 0},
        {"refresh_offsets": ()},
        {"refresh_offsets": (0, 1)},
        {"refresh_offsets": (3, 1)},
        {"refresh_offsets": (1, 1)},
        {"grain": "hour"},
        {"row_model": HourlyTargetRow, "fields": HOURLY_TARGETS.fields},
        {"row_model": SearchTermRow},
    ],
    ids=str,
)
def test_impossible_entry_is_refused(change: Mapping[str, Any]) -> None:
    """An entry the window rules could not work with can't be made."""
    with pytest.raises(ValueError, match="daily_targets: expected"):
        replace(DAILY_TARGETS, **change)
