"""The registry of datasets: each kind of report with its fields, history, refresh offsets and row model.

A new dataset is one entry here and one row model in `ingest.rows`; nothing else changes. The entry says what is asked of Amazon and
when; the row model says what its rows look like, what they are told by, and whether they have an hour.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from bidbeacon_pipelines.ingest.rows import (
    AD_PRODUCT_FIELD,
    HOUR_FIELD,
    OTHER_SPELLINGS,
    HourlyProductRow,
    HourlyTargetRow,
    ProductRow,
    ReportRow,
    SearchTermRow,
    TargetRow,
)

Grain = Literal["day", "hour"]
Reconciles = Literal["equal", "close", "not above"]


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
        entity: What the metrics are told by, in words.
        fields: What is asked of Amazon, in this order; no finer dimension than the entity's own.
        row_model: What a row must look like; its aliases are among `fields`.
        ad_products: The ad products whose rows are asked for, in Amazon's spelling of filters.
        history_months: How far back Amazon serves it in calendar months; exactly one of months and days.
        history_days: The same in days.
        longest_period_days: Most days that one report may span, both ends counted.
        refresh_offsets: Days after the window's date at whose local midnight a refresh falls due, ascending.
        asset_name: The Dagster asset that holds it.
        usual_latency: How long Amazon usually takes, so when the first poll is worth making.
        reconciles_with: The dataset that its totals of a day are compared with.
        reconciles: How they have to compare, as far as Amazon promises: `equal`, `close` (from another pipeline), or
            `not above` (only a part of the rows is reported).
    """

    name: str
    title: str
    grain: Grain
    entity: str
    fields: tuple[str, ...]
    row_model: type[ReportRow]
    longest_period_days: int
    refresh_offsets: tuple[int, ...]
    asset_name: str
    usual_latency: timedelta
    reconciles_with: str
    reconciles: Reconciles = "equal"
    history_months: int | None = None
    history_days: int | None = None
    ad_products: tuple[str, ...] = ("SPONSORED_PRODUCTS",)

    def __post_init__(self) -> None:
        """Refuse an entry that the window rules or the load could not work with."""
        if (self.history_months is None) == (self.history_days is None):
            raise ValueError(f"{self.name}: expected exactly one of history_months and history_days")
        if self.longest_period_days < 1:
            raise ValueError(f"{self.name}: expected longest_period_days of 1 or more")
        if not self.refresh_offsets or self.refresh_offsets[0] < 1:
            raise ValueError(f"{self.name}: expected refresh offsets of 1 or more days")
        if list(self.refresh_offsets) != sorted(set(self.refresh_offsets)):
            raise ValueError(f"{self.name}: expected ascending refresh offsets, got: {self.refresh_offsets}")
        self._check_row_model()

    def _check_row_model(self) -> None:
        read = {str(field.alias) for field in self.row_model.model_fields.values()}
        if not read <= set(self.fields):
            raise ValueError(
                f"{self.name}: expected fields with {sorted(read - set(self.fields))}, which its rows need"
            )
        if (HOUR_FIELD in read) != (self.grain == "hour"):
            raise ValueError(
                f"{self.name}: expected {HOUR_FIELD} in the rows of hourly datasets, and of no other"
            )

    @property
    def table(self) -> str:
        """The Postgres table that holds it."""
        return "performance_hourly" if self.grain == "hour" else "performance_daily"


def spelled(fields: Iterable[str], spellings: Mapping[str, str]) -> tuple[str, ...]:
    """Return fields as Amazon is to be asked for them, given the spellings that differ from ours."""
    return tuple(spellings.get(field, field) for field in fields)


def find_other_spelling(fields: Iterable[str], refusal: str) -> dict[str, str]:
    """Return our field and its other name, for the fields that a refusal as unknown names.

    Args:
        fields: Our own names of what was asked for.
        refusal: Amazon's words; where they name none of these fields, any of them may be meant.
    """
    renamed = {field: OTHER_SPELLINGS[field] for field in fields if field in OTHER_SPELLINGS}
    named = {ours: other for ours, other in renamed.items() if ours in refusal or other in refusal}
    return named or renamed


_METRIC_FIELDS = (
    "metric.impressions",
    "metric.clicks",
    "metric.purchases",
    "metric.sales",
    "metric.totalCost",
)
_AD_FIELDS = (
    "budgetCurrency.value",
    AD_PRODUCT_FIELD,
    "campaign.id",
    "campaign.name",
    "campaign.country",
    "adGroup.id",
    "adGroup.name",
    "ad.id",
)
_TARGET_FIELDS = ("target.value", "target.matchType")
_PRODUCT_FIELDS = ("advertisedProduct.id", "advertisedProduct.marketplace")


def fields_of_day(*entity_fields: str) -> tuple[str, ...]:
    """Give the fields of a daily report whose rows are told by these beside the ad."""
    return ("date.value", *_AD_FIELDS, *entity_fields, *_METRIC_FIELDS)


def fields_of_hour(*entity_fields: str) -> tuple[str, ...]:
    """Give the fields of an hourly report whose rows are told by these beside the ad."""
    return ("date.value", HOUR_FIELD, *_AD_FIELDS, *entity_fields, *_METRIC_FIELDS)


DAILY_TARGETS = Dataset(
    name="daily_targets",
    title="Daily performance by target",
    grain="day",
    entity="target",
    fields=fields_of_day(*_TARGET_FIELDS),
    row_model=TargetRow,
    history_months=24,
    longest_period_days=120,
    refresh_offsets=(1, 3, 5, 7, 14, 30, 60),
    asset_name="daily_target_performance",
    usual_latency=timedelta(minutes=3),
    reconciles_with="daily_products",
)
HOURLY_TARGETS = Dataset(
    name="hourly_targets",
    title="Hourly performance by target",
    grain="hour",
    entity="target",
    fields=fields_of_hour(*_TARGET_FIELDS),
    row_model=HourlyTargetRow,
    history_days=14,
    longest_period_days=14,
    refresh_offsets=(1, 3, 13),
    asset_name="hourly_target_performance",
    usual_latency=timedelta(minutes=5),
    reconciles_with="daily_targets",
    reconciles="close",
)
DAILY_PRODUCTS = replace(
    DAILY_TARGETS,
    name="daily_products",
    title="Daily performance by advertised product",
    entity="product",
    fields=fields_of_day(*_PRODUCT_FIELDS),
    row_model=ProductRow,
    asset_name="daily_product_performance",
    reconciles_with="daily_targets",
)
HOURLY_PRODUCTS = replace(
    HOURLY_TARGETS,
    name="hourly_products",
    title="Hourly performance by advertised product",
    entity="product",
    fields=fields_of_hour(*_PRODUCT_FIELDS),
    row_model=HourlyProductRow,
    asset_name="hourly_product_performance",
    reconciles_with="daily_products",
)
DAILY_SEARCH_TERMS = replace(
    DAILY_TARGETS,
    name="daily_search_terms",
    title="Daily performance by search term",
    entity="target and search term",
    fields=fields_of_day(*_TARGET_FIELDS, "searchTerm.value"),
    row_model=SearchTermRow,
    asset_name="daily_search_term_performance",
    reconciles_with="daily_targets",
    reconciles="not above",
)

_REGISTRY = {
    dataset.name: dataset
    for dataset in (DAILY_TARGETS, HOURLY_TARGETS, DAILY_PRODUCTS, HOURLY_PRODUCTS, DAILY_SEARCH_TERMS)
}
DATASETS: Mapping[str, Dataset] = MappingProxyType(_REGISTRY)
"""Every dataset by its name, in the order in which people should see them."""


def get_dataset(name: str) -> Dataset:
    """Give the dataset of this name.

    Raises:
        UnknownDatasetError: There is none.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise UnknownDatasetError(name, tuple(DATASETS)) from None
