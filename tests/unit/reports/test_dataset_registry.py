"""The registry of datasets, and what it refuses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bidbeacon_pipelines.reports.datasets import DAILY_TARGETS, DATASETS, UnknownDatasetError, get_dataset


def test_daily_targets_are_as_amazon_serves_them() -> None:
    """Daily rows are served for 15 months, 120 days a report, and refreshed up to 60 days."""
    dataset = get_dataset("daily_targets")

    assert (15, None, 120) == (dataset.history_months, dataset.history_days, dataset.longest_period_days)
    assert (1, 3, 5, 7, 14, 30, 60) == dataset.refresh_offsets
    assert ("daily_target_performance", "performance_daily") == (dataset.asset_name, dataset.table)


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
    ],
    ids=str,
)
def test_impossible_entry_is_refused(change: Mapping[str, Any]) -> None:
    """An entry the window rules could not work with can't be made."""
    with pytest.raises(ValueError, match="daily_targets: expected"):
        replace(DAILY_TARGETS, **change)
