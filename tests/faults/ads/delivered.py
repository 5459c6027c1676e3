"""What the sandbox delivered, read anew: rows of reports and of the truth, by rules of their own, not by the product's code.

Written from Amazon's description: whose a row is, which rows can't be understood, how rows add up, and which target a row belongs to.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any

from bidbeacon_pipelines.reports.datasets import Dataset
from bidbeacon_pipelines.sandbox.entities import Catalog
from bidbeacon_pipelines.store.accounts import Account
from tests.hours_by_walking import hours_by_walking

COUNTS = ("metric.impressions", "metric.clicks", "metric.purchases", "metric.unitsSold")
AMOUNTS = ("metric.sales", "metric.totalCost")
METRICS = (*COUNTS, *AMOUNTS)
IDS = ("campaign.id", "adGroup.id")
COUNTRY_FIELDS = ("campaign.country", "campaignCountry.value")
ENTITY_FIELDS = {
    "target": ("target.value", "target.matchType"),
    "product": ("ad.id", "advertisedProduct.id"),
    "target and search term": ("target.value", "target.matchType", "searchTerm.value"),
}
MARKETPLACE_FIELDS = ("advertisedProduct.marketplace", "advertisedProductMarketplace.value")
UNREADABLE = "?"

Key = tuple[Any, ...]
"""Hour, campaign, ad group, what the dataset tells rows apart by, the target (what the row says of one that nobody knows), currency."""
Metrics = tuple[int | Decimal | None, ...]
DayRows = Mapping[Key, Metrics]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_HOUR = re.compile(r"(?:\d{4}-\d{2}-\d{2}T)?(\d{1,2})(?::00:00)?\Z", re.ASCII)


@dataclass(frozen=True)
class BadRow:
    """A delivered row that can't be understood: its place in the report, its day where that can be read, and all of it."""

    number: int
    day: date | None
    raw: str


@dataclass
class Delivery:
    """What one report has for one country: what each day adds up to, what can't be understood, and how many rows there are of each kind.

    Attributes:
        days: The good rows, those of one key summed.
        bad: Rows that can't be understood.
        rows: All rows of the report's files.
        good: Good rows before they are summed.
    """

    days: dict[date, dict[Key, Metrics]] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)
    rows: int = 0
    good: int = 0


class KnownTargets:
    """The targets that exports made on some days have between them, found by what a row says."""

    def __init__(self, catalog: Catalog, exported_on: Iterable[date]) -> None:
        targets = chain.from_iterable(catalog.exported_targets(day) for day in exported_on)
        self._ids = {
            (target.ad_group.ad_group_id, target.report_match_type, target.report_value): target.target_id
            for target in targets
            if target.ad_group is not None and not target.negative
        }

    def name(self, ad_group_id: str, match_type: str, value: str) -> str:
        """Give a target's id; where it isn't known, what `unknown_name` makes of the same texts."""
        return self._ids.get((ad_group_id, match_type, value)) or unknown_name(ad_group_id, match_type, value)


def unknown_name(ad_group_id: str, match_type: str, value: str) -> str:
    """Give one text for a target that is known by what rows say of it only."""
    return f"? {ad_group_id} {match_type} {value}"


@dataclass(frozen=True)
class ReportReader:
    """Reads the rows of reports of one dataset for one account.

    Attributes:
        account: Whose rows.
        dataset: Of which dataset.
        has_one_country: Whether its ads account has no other country: then a row that names none is the account's.
        targets: What rows belong to.
    """

    account: Account
    dataset: Dataset
    has_one_country: bool
    targets: KnownTargets

    def read(self, texts: Iterable[str], period: tuple[date, date], asked: Collection[date]) -> Delivery:
        """Read the rows of a report as they were delivered; other countries, ad products and days are left out.

        Args:
            texts: each row as JSON, in the report's order.
            period: the first and the last day that were asked for.
            asked: the days that waited for the report.
        """
        delivery = Delivery()
        for number, text in enumerate(texts):
            delivery.rows += 1
            row = json.loads(text, parse_float=Decimal)
            country, day = self._country(row), _day(row.get("date.value"))
            if country == UNREADABLE:
                delivery.bad.append(BadRow(number, None, canonical(row)))
            elif country == self.account.country_code and _is_sponsored_products(row):
                is_elsewhere = day is not None and day not in asked and period[0] <= day <= period[1]
                if not is_elsewhere:
                    self._take(delivery, number, row, day if day in asked else None)
        return delivery

    def _take(self, delivery: Delivery, number: int, row: Mapping[str, Any], day: date | None) -> None:
        key = None if day is None else self._key(row, day)
        if day is None or key is None:
            delivery.bad.append(BadRow(number, day, canonical(row)))
        else:
            delivery.good += 1
            _add(delivery.days.setdefault(day, {}), key, tuple(row[m] for m in METRICS))

    def _country(self, row: Mapping[str, Any]) -> str:
        told = next((row[name] for name in COUNTRY_FIELDS if name in row), None)
        if told is None and self.has_one_country:
            return self.account.country_code
        readable = isinstance(told, str) and re.match(r"[A-Z]{2}\Z", told)
        return {"UK": "GB"}.get(told, told) if readable else UNREADABLE

    def _key(self, row: Mapping[str, Any], day: date) -> Key | None:
        """Give what tells a row from others; None where it can't be understood."""
        hour = self._hour(row, day)
        if not _is_understood(row, ENTITY_FIELDS[self.dataset.entity]) or hour is UNREADABLE:
            return None
        entity = self._entity(row)
        return hour, *(str(row[name]) for name in IDS), *entity, row["budgetCurrency.value"]

    def _hour(self, row: Mapping[str, Any], day: date) -> Any:
        if self.dataset.grain == "day":
            return None
        match = _HOUR.match(str(row.get("hour.value")))
        hours = hours_by_walking(day, self.account.time_zone)
        return hours[int(match[1])][0] if match and int(match[1]) in hours else UNREADABLE

    def _entity(self, row: Mapping[str, Any]) -> tuple[str | None, ...]:
        if self.dataset.entity == "product":
            marketplace = next((row[name] for name in MARKETPLACE_FIELDS if name in row), None)
            return str(row["ad.id"]), row["advertisedProduct.id"], {"UK": "GB"}.get(marketplace, marketplace)
        told = row["target.matchType"], row["target.value"]
        return *told, row.get("searchTerm.value"), self.targets.name(str(row["adGroup.id"]), *told)

    def read_truth(self, rows: Iterable[Mapping[str, Any]], day: date) -> DayRows:
        """Read the true rows of a day (`sandbox.truth.day_truth`) in the form of a delivered day."""
        found: dict[Key, Metrics] = {}
        for row in rows:
            hour = row["hour"]
            hour_at = None if hour is None else hours_by_walking(day, self.account.time_zone)[hour][0]
            amounts = (None if row[m] is None else Decimal(row[m]) for m in ("sales", "totalCost"))
            metrics = (row["impressions"], row["clicks"], row["purchases"], row["unitsSold"], *amounts)
            ids = row["campaignId"], row["adGroupId"]
            key = (hour_at, *ids, *self._true_entity(row), self.account.currency_code)
            _add(found, key, metrics)
        return found

    def _true_entity(self, row: Mapping[str, Any]) -> tuple[str | None, ...]:
        if self.dataset.entity == "product":
            return row["adId"], row["advertisedProductId"], self.account.country_code
        told = (row["adGroupId"], row["targetMatchType"], row["targetValue"])
        name = self.targets.name(*told)
        assert name in {row["targetId"], unknown_name(*told)}
        return *told[1:], row["searchTerm"], name


def canonical(value: Any) -> str:
    """Give one text for equal JSON values, decimals digit by digit."""
    return json.dumps(value, sort_keys=True, default=lambda decimal: {"decimal": str(decimal)})


def _is_sponsored_products(row: Mapping[str, Any]) -> bool:
    return str(row["adProduct.value"]).replace("_", " ").lower() == "sponsored products"


def _day(value: object) -> date | None:
    if not isinstance(value, str) or not _DATE.match(value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _is_understood(row: Mapping[str, Any], entity_fields: Iterable[str]) -> bool:
    return (
        all(name in row for name in (*IDS, *METRICS, *entity_fields))
        and re.match(r"[A-Z]{3}\Z", row.get("budgetCurrency.value", "")) is not None
        and all(_is_id(row[name]) for name in (*IDS, "ad.id") if name in IDS or name in entity_fields)
        and all(row[name] is None or _is_measure(row[name], int) for name in COUNTS)
        and all(row[name] is None or _is_measure(row[name], int, Decimal) for name in AMOUNTS)
    )


def _is_id(value: object) -> bool:
    return type(value) is int or (isinstance(value, str) and value.isdecimal() and value.isascii())


def _is_measure(value: Any, *types: type) -> bool:
    return type(value) in types and value >= 0


def _add(day: dict[Key, Metrics], key: Key, metrics: Metrics) -> None:
    """Add a row to its key: no value and no value is no value, no value and a number is the number."""
    known = day.get(key)
    day[key] = (
        metrics
        if known is None
        else tuple(_sum(one, other) for one, other in zip(known, metrics, strict=True))
    )


def _sum(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other
