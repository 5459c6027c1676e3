"""The registry of datasets.

A dataset's entry defines its requests, decoder, table, view, Dagster asset and data dictionary.
docs/how-to/add-a-dataset.md lists the other steps to add a dataset.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property, partial
from types import MappingProxyType
from typing import Literal

from bidbeacon_pipelines.datasets.dimensions import (
    AD,
    AD_GROUP,
    CAMPAIGN,
    CAMPAIGN_NAME,
    COST_TYPE,
    MARKETPLACE,
    MATCH_TYPE,
    PLACEMENT,
    PRODUCT,
    PURCHASED_MARKETPLACE,
    PURCHASED_PRODUCT,
    SEARCH_TERM,
    SKU,
    TARGET_VALUE,
)
from bidbeacon_pipelines.datasets.fields import (
    AD_PRODUCT_FIELD,
    COUNTRY_FIELD,
    CURRENCY_FIELD,
    DATE_FIELD,
    HOUR_FIELD,
    OTHER_COUNTRY_NAMES,
    SPONSORED_BRANDS,
    SPONSORED_DISPLAY,
    SPONSORED_PRODUCTS,
    Dimension,
    Metric,
    products_of,
    report_name,
)
from bidbeacon_pipelines.datasets.metrics import (
    BASE,
    CONVERSIONS,
    FROM_CLICKS,
    HALO,
    HALO_ORDERS,
    PROMOTED,
    new_to_brand,
    viewable,
)
from bidbeacon_sessions.errors import UsageError
from bidbeacon_sessions.sentences import did_you_mean

Grain = Literal["day", "hour"]
Reconciles = Literal["equal", "close", "not above"]


class UnknownDatasetError(UsageError):
    """No dataset has this name; the message lists the existing names."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        expected = f"expected a dataset ({', '.join(known)}), got: {name!r}."
        super().__init__(f"{expected}{did_you_mean(name, known)}")
        self.name = name
        self.known = known


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One kind of report: a grain, dimensions, metrics and ad products.

    Attributes:
        name: The name of the dataset, its table and its Dagster asset, for example `daily_targets`;
            the view is `reports.<name>`.
        title: The displayed title.
        grain: The period that one row covers, an account-local day or an hour of such a day.
        entity: The entity that the metrics describe, in words.
        dimensions: The columns that identify and name rows. All datasets also have day, country,
            currency and ad product.
        metrics: The metrics of a row.
        groups: The ad products of each report. Ad products of one report have the same dimensions.
        longest_period_days: The most days in one report, including the first and the last.
        refresh_offsets: A refresh falls due this many days after the window's day, at local
            midnight; ascending.
        usual_latency: The time Amazon usually needs for a report. The first poll follows after it.
        reconciles_with: The dataset whose daily totals are compared with the totals of this one;
            None if Amazon guarantees no relation to any dataset.
        reconciles: The expected relation: `equal`, `close` (Amazon computes the totals separately),
            or `not above` (Amazon reports only some of the rows).
        history_months: The number of past calendar months that Amazon serves. Either this or
            `history_days` is set.
        history_days: The number of past days that Amazon serves.
    """

    name: str
    title: str
    grain: Grain
    entity: str
    dimensions: tuple[Dimension, ...]
    metrics: tuple[Metric, ...]
    groups: tuple[tuple[str, ...], ...]
    longest_period_days: int
    refresh_offsets: tuple[int, ...]
    usual_latency: timedelta
    reconciles_with: str | None = None
    reconciles: Reconciles = "equal"
    history_months: int | None = None
    history_days: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError if attributes are invalid, such as unsorted `refresh_offsets`."""
        for is_possible, expected in (
            (
                (self.history_months is None) != (self.history_days is None),
                "exactly one of history_months and history_days",
            ),
            (self.longest_period_days >= 1, "longest_period_days of 1 or more"),
            (
                bool(self.refresh_offsets) and self.refresh_offsets[0] >= 1,
                "refresh offsets of 1 or more days",
            ),
            (
                list(self.refresh_offsets) == sorted(set(self.refresh_offsets)),
                f"ascending refresh offsets, got: {self.refresh_offsets}",
            ),
            (
                len(set(self.columns)) == len(self.columns),
                f"columns of different names, got: {self.columns}",
            ),
            (any(dimension.is_key for dimension in self.dimensions), "a dimension that is a key"),
            (bool(self.metrics), "a metric"),
            (
                len(set(self.ad_products)) == len(self.ad_products) > 0,
                "each ad product in one group",
            ),
        ):
            if not is_possible:
                raise ValueError(f"{self.name}: expected {expected}")

    @property
    def is_hourly(self) -> bool:
        """Whether one row covers an hour instead of a day."""
        return self.grain == "hour"

    @property
    def dimensions_and_metrics(self) -> list[Dimension | Metric]:
        """The dimensions, followed by the metrics."""
        return [*self.dimensions, *self.metrics]

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names of the dimensions and metrics."""
        return tuple(declared.column for declared in self.dimensions_and_metrics)

    @property
    def keys(self) -> tuple[Dimension, ...]:
        """The dimensions that identify a row."""
        return tuple(dimension for dimension in self.dimensions if dimension.is_key)

    @property
    def names_targets(self) -> bool:
        """Whether the dataset's rows identify the target by a text instead of its id."""
        return TARGET_VALUE.column in self.columns

    @property
    def ad_products(self) -> tuple[str, ...]:
        """The ad products of all reports."""
        return tuple(product for group in self.groups for product in group)

    @property
    def other_names(self) -> dict[str, str]:
        """The alternative names of fields that Amazon has renamed, by the field's main name."""
        renamed = {
            dimension.field: dimension.other_names[0]
            for dimension in self.dimensions
            if dimension.other_names
        }
        return {COUNTRY_FIELD: OTHER_COUNTRY_NAMES[0]} | renamed

    @cached_property
    def reports(self) -> tuple["DatasetReport", ...]:
        """The reports of the dataset if nothing is overridden, one per group of ad products."""
        return tuple(DatasetReport(self, group) for group in self.groups)

    @property
    def fields(self) -> tuple[str, ...]:
        """The requested fields of the first of the dataset's `reports`."""
        return self.reports[0].fields

    def fields_for(self, ad_products: Iterable[str]) -> tuple[str, ...]:
        """Return the fields to request in a report: every field that one of the ad products has."""
        requested = set(ad_products)
        time = (DATE_FIELD, HOUR_FIELD) if self.is_hourly else (DATE_FIELD,)
        described = [
            declared.field
            for declared in self.dimensions_and_metrics
            if requested & set(declared.ad_products)
        ]
        return (
            *time,
            CURRENCY_FIELD,
            AD_PRODUCT_FIELD,
            COUNTRY_FIELD,
            *described,
        )


@dataclass(frozen=True)
class DatasetReport:
    """A report of a dataset: a group of ad products that are requested together.

    Attributes:
        dataset: The dataset.
        ad_products: The ad products in the order of the registry.
        history_days: The number of past days that Amazon serves, if an override sets it; else None.
        shorter_period: The most days in one report, if an override reduces it; else None.
    """

    dataset: Dataset
    ad_products: tuple[str, ...]
    history_days: int | None = None
    shorter_period: int | None = None

    @property
    def name(self) -> str:
        """The report's name, unique within the dataset, such as `SP+SD`."""
        return report_name(self.ad_products)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields to request, in order."""
        return self.dataset.fields_for(self.ad_products)

    @property
    def longest_period_days(self) -> int:
        """The most days in one report, including the first and the last day."""
        longest = self.dataset.longest_period_days
        return min(longest, self.shorter_period or longest)


def parse_grouping(dataset: Dataset, grouping: str) -> tuple[tuple[str, ...], ...]:
    """Return the ad products of each report of a grouping such as `SP,SB+SD`.

    Raises:
        ValueError: The grouping does not contain each ad product of the dataset exactly once.
    """
    groups = tuple(products_of(name) for name in grouping.split(","))
    every = [product for group in groups for product in group]
    if sorted(every) != sorted(dataset.ad_products):
        expected = report_name(dataset.ad_products).replace("+", ", ")
        raise ValueError(f"expected each of {expected} once, got: {grouping!r}")
    return groups


def spelled(fields: Iterable[str], spellings: Mapping[str, str]) -> tuple[str, ...]:
    """Return Amazon's names of fields; `spellings` maps our names to Amazon's if they differ."""
    return tuple(spellings.get(field, field) for field in fields)


def other_spellings(dataset: Dataset, fields: Iterable[str], refusal: str) -> dict[str, str]:
    """Return alternative names, by main name, of those `fields` that a refusal mentions."""
    renamed = {field: other for field, other in dataset.other_names.items() if field in set(fields)}
    return {ours: other for ours, other in renamed.items() if ours in refusal or other in refusal}


_SP, _SB, _SD = SPONSORED_PRODUCTS, SPONSORED_BRANDS, SPONSORED_DISPLAY

_daily = partial(
    Dataset,
    grain="day",
    history_months=15,
    longest_period_days=120,
    refresh_offsets=(1, 3, 5, 7, 14, 30, 60),
    usual_latency=timedelta(minutes=3),
)
"""Declare a daily dataset with the attributes that all daily datasets share."""
_hourly = partial(
    Dataset,
    grain="hour",
    history_days=14,
    longest_period_days=14,
    refresh_offsets=(1, 3, 13),
    usual_latency=timedelta(minutes=5),
)
"""Declare an hourly dataset with the attributes that all hourly datasets share."""


def _of(dimension: Dimension, *ad_products: str) -> Dimension:
    return replace(dimension, ad_products=ad_products)


DAILY_CAMPAIGNS = _daily(
    name="daily_campaigns",
    title="Daily performance by campaign",
    entity="campaign",
    dimensions=(CAMPAIGN, CAMPAIGN_NAME, COST_TYPE),
    metrics=(*BASE, *viewable(_SB, _SD), *new_to_brand(_SB, _SD), *PROMOTED, *HALO),
    groups=((_SP, _SB, _SD),),
    reconciles_with="daily_targets",
)
HOURLY_CAMPAIGNS = _hourly(
    name="hourly_campaigns",
    title="Hourly performance by campaign",
    entity="campaign",
    dimensions=(CAMPAIGN,),
    metrics=BASE,
    groups=((_SP,),),
    reconciles_with="daily_campaigns",
    reconciles="close",
)
DAILY_PLACEMENTS = _daily(
    name="daily_placements",
    title="Daily performance by placement",
    entity="placement",
    dimensions=(CAMPAIGN, PLACEMENT),
    metrics=(*BASE, *viewable(_SB)),
    groups=((_SP, _SB),),
    reconciles_with="daily_campaigns",
)
DAILY_TARGETS = _daily(
    name="daily_targets",
    title="Daily performance by target",
    entity="target",
    dimensions=(CAMPAIGN, AD_GROUP, TARGET_VALUE, MATCH_TYPE),
    metrics=(*BASE, *PROMOTED, *HALO),
    groups=((_SP, _SB, _SD),),
    reconciles_with="daily_products",
)
HOURLY_TARGETS = _hourly(
    name="hourly_targets",
    title="Hourly performance by target",
    entity="target",
    dimensions=(CAMPAIGN, AD_GROUP, TARGET_VALUE, MATCH_TYPE),
    metrics=BASE,
    groups=((_SP,),),
    reconciles_with="daily_targets",
    reconciles="close",
)
DAILY_PRODUCTS = _daily(
    name="daily_products",
    title="Daily performance by advertised product",
    entity="product",
    dimensions=(CAMPAIGN, AD_GROUP, AD, PRODUCT, SKU, MARKETPLACE),
    metrics=BASE,
    groups=((_SP, _SD), (_SB,)),
    reconciles_with="daily_targets",
)
HOURLY_PRODUCTS = _hourly(
    name="hourly_products",
    title="Hourly performance by advertised product",
    entity="product",
    dimensions=(CAMPAIGN, AD_GROUP, AD, PRODUCT, MARKETPLACE),
    metrics=BASE,
    groups=((_SP,),),
    reconciles_with="daily_products",
    reconciles="close",
)
DAILY_SEARCH_TERMS = _daily(
    name="daily_search_terms",
    title="Daily performance by search term",
    entity="target and search term",
    dimensions=(CAMPAIGN, AD_GROUP, TARGET_VALUE, MATCH_TYPE, SEARCH_TERM),
    metrics=BASE,
    groups=((_SP, _SB),),
    reconciles_with="daily_targets",
    reconciles="not above",
)
DAILY_PURCHASED_PRODUCTS = _daily(
    name="daily_purchased_products",
    title="Daily conversions by purchased product",
    entity="purchased product",
    dimensions=(
        CAMPAIGN,
        _of(AD_GROUP, _SP, _SD),
        _of(TARGET_VALUE, _SP),
        _of(MATCH_TYPE, _SP),
        _of(PRODUCT, _SP),
        _of(SKU, _SP),
        PURCHASED_PRODUCT,
        PURCHASED_MARKETPLACE,
    ),
    metrics=(*CONVERSIONS, *PROMOTED, *HALO_ORDERS, *HALO, *FROM_CLICKS, *new_to_brand(_SB)),
    groups=((_SP,), (_SB,), (_SD,)),
)

ALL_DATASETS = (
    DAILY_CAMPAIGNS,
    HOURLY_CAMPAIGNS,
    DAILY_PLACEMENTS,
    DAILY_TARGETS,
    HOURLY_TARGETS,
    DAILY_PRODUCTS,
    HOURLY_PRODUCTS,
    DAILY_SEARCH_TERMS,
    DAILY_PURCHASED_PRODUCTS,
)
"""All datasets, in the order in which they are displayed."""
_REGISTRY = {dataset.name: dataset for dataset in ALL_DATASETS}
DATASETS: Mapping[str, Dataset] = MappingProxyType(_REGISTRY)
"""All datasets by name."""


def get_dataset(name: str) -> Dataset:
    """Return the dataset with this name.

    Raises:
        UnknownDatasetError: No dataset has this name.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise UnknownDatasetError(name, tuple(DATASETS)) from None
