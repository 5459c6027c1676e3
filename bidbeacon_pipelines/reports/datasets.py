"""The registry of datasets: each kind of report with its fields, history, refresh offsets and row model.

A new dataset is one entry here and one row model in `ingest.rows`; nothing else changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from bidbeacon_pipelines.ingest.rows import DailyTargetRow, ReportRow

Grain = Literal["day", "hour"]
Entity = Literal["target", "product", "search_term"]


class UnknownDatasetError(LookupError):
    """No dataset has this name; the message lists those that exist."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"expected a dataset ({', '.join(known)}), got: {name!r}")
        self.name = name
        self.known = known


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One kind of report: grain times entity.

    Attributes:
        name: Its key everywhere, for example `daily_targets`.
        title: What a person reads.
        grain: What one row's time is: an account-local day, or an hour of one.
        entity: What the metrics are told by.
        fields: What is asked of Amazon, in this order; no finer dimension than the entity's own.
        row_model: What a row must look like; its aliases are among `fields`.
        history_months: How far back Amazon serves it in calendar months; exactly one of months and days.
        history_days: The same in days.
        longest_period_days: Most days that one report may span, both ends counted.
        refresh_offsets: Days after the window's date at whose local midnight a refresh falls due, ascending.
        asset_name: The Dagster asset that holds it.
        table: The Postgres table that holds it.
        usual_latency: How long Amazon usually takes, so when the first poll is worth making.
    """

    name: str
    title: str
    grain: Grain
    entity: Entity
    fields: tuple[str, ...]
    row_model: type[ReportRow]
    longest_period_days: int
    refresh_offsets: tuple[int, ...]
    asset_name: str
    table: str
    usual_latency: timedelta
    history_months: int | None = None
    history_days: int | None = None

    def __post_init__(self) -> None:
        """Refuse an entry that the window rules could not work with."""
        if (self.history_months is None) == (self.history_days is None):
            raise ValueError(f"{self.name}: expected exactly one of history_months and history_days")
        if self.longest_period_days < 1:
            raise ValueError(f"{self.name}: expected longest_period_days of 1 or more")
        if not self.refresh_offsets or self.refresh_offsets[0] < 1:
            raise ValueError(f"{self.name}: expected refresh offsets of 1 or more days")
        if list(self.refresh_offsets) != sorted(set(self.refresh_offsets)):
            raise ValueError(f"{self.name}: expected ascending refresh offsets, got: {self.refresh_offsets}")


_METRIC_FIELDS = (
    "metric.impressions",
    "metric.clicks",
    "metric.purchases",
    "metric.sales",
    "metric.totalCost",
)
_TARGET_FIELDS = (
    "date.value",
    "budgetCurrency.value",
    "campaign.id",
    "campaign.name",
    "campaign.country",
    "adGroup.id",
    "adGroup.name",
    "ad.id",
    "target.value",
    "target.matchType",
    *_METRIC_FIELDS,
)

DAILY_TARGETS = Dataset(
    name="daily_targets",
    title="Daily performance by target",
    grain="day",
    entity="target",
    fields=_TARGET_FIELDS,
    row_model=DailyTargetRow,
    history_months=15,
    longest_period_days=120,
    refresh_offsets=(1, 3, 5, 7, 14, 30, 60),
    asset_name="daily_target_performance",
    table="performance_daily",
    usual_latency=timedelta(minutes=3),
)

DATASETS: Mapping[str, Dataset] = MappingProxyType({dataset.name: dataset for dataset in (DAILY_TARGETS,)})


def get_dataset(name: str) -> Dataset:
    """Give the dataset of this name.

    Raises:
        UnknownDatasetError: There is none.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise UnknownDatasetError(name, tuple(DATASETS)) from None
