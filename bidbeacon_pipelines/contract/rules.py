"""The contract of an ads account: the registry with its overrides. Uses no database."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from bidbeacon_pipelines.datasets.fields import products_of
from bidbeacon_pipelines.datasets.registry import Dataset, DatasetReport, parse_grouping

GROUPING, FIELD, HISTORY, PERIOD = "grouping", "field", "history", "period"
_DAYS = re.compile("[1-9][0-9]{0,3}")
_FIELD_NAME = re.compile(r"[A-Za-z0-9]+\.[A-Za-z0-9]+")
LEARNED = "learned"
"""The `set_by` of overrides that BidBeacon derived from Amazon's answers."""


@dataclass(frozen=True)
class Contract:
    """The reports, fields, histories and periods that Amazon serves to an ads account.

    Attributes:
        overrides: Values that differ from the registry, by dataset and subject.
        products: The ad products that the ads account has campaigns of; None if unknown.
    """

    overrides: Mapping[tuple[str, str], str] = field(default_factory=dict)
    products: Collection[str] | None = None

    def reports(self, dataset: Dataset) -> list[DatasetReport]:
        """Return the reports of a dataset that include an ad product with campaigns.

        If no report includes one, return the first. If the ad products are unknown, return all.
        """
        every = self.all_reports(dataset)
        if self.products is None:
            return every
        return [one for one in every if set(one.ad_products) & set(self.products)] or every[:1]

    def all_reports(self, dataset: Dataset) -> list[DatasetReport]:
        """Return all reports of a dataset, whether or not their ad products have campaigns."""
        grouping = self.overrides.get((dataset.name, GROUPING))
        groups = dataset.groups if grouping is None else parse_grouping(dataset, grouping)
        return [self.report(dataset, group) for group in groups]

    def needed_products(self, report: DatasetReport) -> list[str]:
        """Return the ad products of a report that have campaigns, or all if none has campaigns."""
        known = self.products or ()
        return [one for one in report.ad_products if one in known] or list(report.ad_products)

    def report(self, dataset: Dataset, ad_products: tuple[str, ...]) -> DatasetReport:
        """Return the report of these ad products, with its overridden history and period."""
        report = DatasetReport(dataset, ad_products)
        return replace(
            report,
            history_days=self._days(report, HISTORY),
            shorter_period=self._days(report, PERIOD),
        )

    def spellings(self, dataset: Dataset) -> dict[str, str]:
        """Return a map from our names of a dataset's fields to Amazon's, where the two differ."""
        names = {
            subject.removeprefix(f"{FIELD}:"): value
            for (name, subject), value in self.overrides.items()
            if name == dataset.name and subject.startswith(f"{FIELD}:")
        }
        return {ours: name for ours, name in names.items() if ours != name}

    def _days(self, report: DatasetReport, subject: str) -> int | None:
        days = self.overrides.get((report.dataset.name, f"{subject}:{report.name}"))
        return None if days is None else int(days)


def make_contract(
    overrides: Iterable[Mapping[Any, Any]], products: Collection[str] | None
) -> Contract:
    """Return the contract of an ads account; its own overrides replace those of its region."""
    ordered = sorted(overrides, key=lambda row: row["account_id"] is not None)
    return Contract({(row["dataset"], row["subject"]): row["value"] for row in ordered}, products)


def check_override(
    dataset: Dataset,
    subject: str,
    value: str,
    *,
    of_one: bool = False,
    names: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Raise if an override of a dataset is invalid.

    This does not check whether Amazon knows the name of a field.

    Args:
        dataset: The dataset.
        subject: The subject: grouping, field:NAME, history:REPORT or period:REPORT.
        value: The new value.
        of_one: Whether the override is for one ads account only.
        names: Maps our names of fields to Amazon's, for fields that are overridden already.

    Raises:
        ValueError: The override is invalid; the message has the valid forms.
    """
    kind, _, name = subject.partition(":")
    if kind == GROUPING and not name and not of_one:
        parse_grouping(dataset, value)
    elif kind == FIELD and name:
        _check_name(dataset, name, value, names)
    elif kind in {HISTORY, PERIOD} and set(products_of(name)) <= set(dataset.ad_products):
        if not _DAYS.fullmatch(value):
            raise ValueError(f"expected a number of days, 1 to 9999, got: {value!r}")
    else:
        raise ValueError(
            "expected a subject: field:NAME, history:REPORT, period:REPORT, or grouping (which can "
            f"be set only for a region), got: {subject!r}"
        )


def _check_name(dataset: Dataset, ours: str, name: str, names: Mapping[str, str]) -> None:
    fields, others = dataset.fields_for(dataset.ad_products), dataset.other_names
    if ours not in fields:
        raise ValueError(f"expected a field of {dataset.name}, got: {ours!r}")
    is_metric = ours.startswith("metric.")
    if not _FIELD_NAME.fullmatch(name) or name.startswith("metric.") != is_metric:
        raise ValueError(f"expected a field name such as {ours}, got: {name!r}")
    own = {ours, others.get(ours), names.get(ours)}
    if name in {*fields, *others.values(), *names.values()} - own:
        raise ValueError(
            f"expected a name that no other field of {dataset.name} has, got: {name!r}"
        )
