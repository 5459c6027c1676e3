"""What the sandbox delivered, read anew: rows of reports and of the truth, by rules of their own, not by the product's code.

Written from Amazon's description: which rows can't be understood, how rows add up, and which target a row belongs to.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any

from bidbeacon_pipelines.sandbox.entities import Catalog

COUNTS = ("metric.impressions", "metric.clicks", "metric.purchases")
AMOUNTS = ("metric.sales", "metric.totalCost")
METRICS = (*COUNTS, *AMOUNTS)
IDS = ("campaign.id", "adGroup.id", "ad.id")
TEXTS = ("target.value", "target.matchType")

Key = tuple[str, str, str]
"""Ad, target (its id, or what the row says of it where nobody knows it), currency."""
Metrics = tuple[int | Decimal | None, ...]
DayRows = Mapping[Key, Metrics]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)


@dataclass(frozen=True)
class BadRow:
    """A delivered row that can't be understood: its place in the report, its day where that can be read, and all of it."""

    number: int
    day: date | None
    raw: str


@dataclass
class Delivery:
    """The rows of one report that are one country's: what each day adds up to, and what can't be understood."""

    days: dict[date, dict[Key, Metrics]] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)


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


def read_report(
    texts: Iterable[str], country: str, asked: Collection[date], targets: KnownTargets
) -> Delivery:
    """Read the rows of a report as they were delivered; other countries and ad products are left out.

    Args:
        texts: each row as JSON, in the report's order.
        country: whose rows.
        asked: the days that waited for the report.
        targets: what rows belong to.
    """
    delivery = Delivery()
    for number, text in enumerate(texts):
        row = json.loads(text, parse_float=Decimal)
        product = row.get("adProduct.value", "Sponsored Products")
        if row.get("campaign.country", country) != country or product != "Sponsored Products":
            continue
        day = _day(row.get("date.value"))
        day = day if day in asked else None
        if day is None or not _is_understood(row):
            delivery.bad.append(BadRow(number, day, canonical(row)))
        else:
            _add(delivery.days.setdefault(day, {}), _key(row, targets), tuple(row[m] for m in METRICS))
    return delivery


def read_truth(rows: Iterable[Mapping[str, Any]], currency: str, targets: KnownTargets) -> DayRows:
    """Read the true rows of a day (`sandbox.truth.day_truth`) in the form of a delivered day."""
    day: dict[Key, Metrics] = {}
    for row in rows:
        name = targets.name(row["adGroupId"], row["targetMatchType"], row["targetValue"])
        assert name in {
            row["targetId"],
            unknown_name(row["adGroupId"], row["targetMatchType"], row["targetValue"]),
        }
        amounts = (None if row[m] is None else Decimal(row[m]) for m in ("sales", "totalCost"))
        _add(
            day,
            (row["adId"], name, currency),
            (row["impressions"], row["clicks"], row["purchases"], *amounts),
        )
    return day


def canonical(value: Any) -> str:
    """Give one text for equal JSON values, decimals digit by digit."""
    return json.dumps(value, sort_keys=True, default=lambda decimal: {"decimal": str(decimal)})


def _day(value: object) -> date | None:
    if not isinstance(value, str) or not _DATE.match(value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _is_understood(row: Mapping[str, Any]) -> bool:
    return (
        all(name in row for name in (*IDS, *METRICS, *TEXTS))
        and re.match(r"[A-Z]{3}\Z", row.get("budgetCurrency.value", "")) is not None
        and all(_is_id(row[name]) for name in IDS)
        and all(row[name] is None or _is_measure(row[name], int) for name in COUNTS)
        and all(row[name] is None or _is_measure(row[name], int, Decimal) for name in AMOUNTS)
    )


def _is_id(value: object) -> bool:
    return type(value) is int or (isinstance(value, str) and value.isdecimal() and value.isascii())


def _is_measure(value: Any, *types: type) -> bool:
    return type(value) in types and value >= 0


def _key(row: Mapping[str, Any], targets: KnownTargets) -> Key:
    target = targets.name(str(row["adGroup.id"]), row["target.matchType"], row["target.value"])
    return str(row["ad.id"]), target, row["budgetCurrency.value"]


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
