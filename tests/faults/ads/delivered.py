"""Reads anew what the sandbox delivered: rows of reports, not by the product's code.

Written from Amazon's description: whose a row is, which rows can't be understood, and which target
a row belongs to. The registry says no more than which columns a dataset has, and of which field
each is. Spellings (newer names, fields of the country, placements, match types without a target)
are the sandbox's own: an error in these is on both sides, and the oracle does not find it.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import Dimension, Metric
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_sandbox.entities import Catalog, report_target
from bidbeacon_sandbox.fields import NEW_NAMES
from bidbeacon_sandbox.report_request import COUNTRY_FIELDS, ReportRequest
from bidbeacon_sandbox.traffic import OTHER_PLACEMENTS
from bidbeacon_sandbox.truth import UNRESOLVABLE
from tests.support.hours_by_walking import hours_by_walking
from tests.support.truth import Key, Metrics, add_row

UNREADABLE = "?"

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_HOUR = re.compile(r"(?:\d{4}-\d{2}-\d{2}T)?(\d{1,2})(?::00:00)?\Z", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_PRODUCT_ID = re.compile(r"[A-Za-z0-9._-]*\Z")


@dataclass(frozen=True)
class BadRow:
    """A delivered row that can't be understood: its place in the report, its day where that can be read, and all of it."""

    number: int
    day: date | None
    raw: str


@dataclass
class Delivery:
    """What one report has for one country.

    Attributes:
        days: The good rows, those of one key summed.
        bad: Rows that can't be understood.
        rows: The number of all rows of the report's files.
        good: The number of good rows before they are summed.
    """

    days: dict[date, dict[Key, Metrics]] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)
    rows: int = 0
    good: int = 0


Targets = Mapping[tuple[Any, Any, Any], str]
"""The ids of targets, by what rows say of them: ad group, match type and value."""


def targets_of(catalogs: Iterable[Catalog]) -> Targets:
    """Return the targets of catalogs that were exported, but for those that rows don't name well enough."""
    targets = chain.from_iterable(catalog.entities["targets"] for catalog in catalogs)
    return {
        (target["adGroupId"], match_type, value): target["targetId"]
        for target in targets
        for value, match_type in (report_target(target),)
        if "adGroupId" in target and not target["negative"] and match_type not in UNRESOLVABLE
    }


class _NotUnderstoodError(ValueError):
    """A row can't be understood."""


@dataclass(frozen=True)
class ReportReader:
    """Reads the rows of reports of one dataset for one account.

    Attributes:
        account: Whose rows.
        dataset: Of which dataset.
        has_one_country: Whether its ads account has no other country: then a row that names none is
            the account's.
        targets: What rows belong to.
    """

    account: Account
    dataset: Dataset
    has_one_country: bool
    targets: Targets

    def read(
        self, texts: Iterable[str], request: ReportRequest, days: Collection[date]
    ) -> Delivery:
        """Read the rows of a report as they were delivered; other countries, ad products and days are left out.

        Args:
            texts: each row as JSON, in the report's order.
            request: what was asked for.
            days: the days of its period that waited for it.
        """
        delivery = Delivery()
        for number, text in enumerate(texts):
            delivery.rows += 1
            row = json.loads(text, parse_float=Decimal)
            country, day = self._country(row), _day(row.get("date.value"))
            if country == UNREADABLE:
                delivery.bad.append(BadRow(number, None, canonical(row)))
            elif country == self.account.country_code and _ad_product(row) in request.products:
                if day is None or not request.start <= day <= request.end:
                    delivery.bad.append(BadRow(number, None, canonical(row)))
                elif day in days:
                    self._take(delivery, number, row, request.fields, day)
        return delivery

    def _take(
        self,
        delivery: Delivery,
        number: int,
        row: Mapping[str, Any],
        fields: Collection[str],
        day: date,
    ) -> None:
        """Add a row of a day that waited for it to its key, or to the bad rows if it can't be understood."""
        try:
            key, metrics = self._read(row, fields, day)
        except _NotUnderstoodError:
            delivery.bad.append(BadRow(number, day, canonical(row)))
        else:
            delivery.good += 1
            add_row(delivery.days.setdefault(day, {}), key, metrics)

    def _country(self, row: Mapping[str, Any]) -> str:
        told = next((row[name] for name in COUNTRY_FIELDS if name in row), None)
        if told is None and self.has_one_country:
            return self.account.country_code
        if not isinstance(told, str) or not _COUNTRY.match(told):
            return UNREADABLE
        return "GB" if told == "UK" else told

    def _read(
        self, row: Mapping[str, Any], fields: Collection[str], day: date
    ) -> tuple[Key, Metrics]:
        product, currency = _ad_product(row), row.get("budgetCurrency.value")
        if not isinstance(currency, str) or not _CURRENCY.match(currency):
            raise _NotUnderstoodError
        told = {one.column: _value(row, one, product, fields) for one in self.dataset.dimensions}
        metrics = tuple(_value(row, one, product, fields) for one in self.dataset.metrics)
        hour = self._hour_at(day, row.get("hour.value"))
        return self._key(hour, product, currency, told), metrics

    def _key(
        self, hour: datetime | None, product: str, currency: str, told: Mapping[str, Any]
    ) -> Key:
        key = (hour, product, currency, *(told[one.column] for one in self.dataset.keys))
        if not self.dataset.names_targets:
            return key
        named = (told["ad_group_id"], told["match_type"], told["target_value"])
        return *key, self.targets.get(named)

    def _hour_at(self, day: date, told: object) -> datetime | None:
        if not self.dataset.is_hourly:
            return None
        match = _HOUR.match(str(told))
        hours = hours_by_walking(day, self.account.time_zone)
        if match is None or int(match[1]) not in hours:
            raise _NotUnderstoodError
        return hours[int(match[1])][0]


def canonical(value: Any) -> str:
    """Return one text for equal JSON values, decimals digit by digit."""
    return json.dumps(value, sort_keys=True, default=lambda decimal: {"decimal": str(decimal)})


def _ad_product(row: Mapping[str, Any]) -> str:
    return str(row["adProduct.value"]).replace(" ", "_").upper()


def _day(value: object) -> date | None:
    if not isinstance(value, str) or not _DATE.match(value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _value(
    row: Mapping[str, Any], one: Dimension | Metric, product: str, fields: Collection[str]
) -> Any:
    """Return the value of a column; one that was asked for, and that the ad product has, has to be there."""
    names = (one.field, NEW_NAMES.get(one.field, one.field))
    told = [row[name] for name in names if name in row]
    must_come = product in one.ad_products and not set(names).isdisjoint(fields)
    if not must_come and told in ([], [None]):
        return None
    if not told and one.column == "campaign_name":
        return None
    if not told or not _IS_READABLE[one.kind](told[0]):
        raise _NotUnderstoodError
    return _as_stored(one.kind, told[0])


def _is_id(value: object) -> bool:
    return type(value) is int or (isinstance(value, str) and value.isdecimal() and value.isascii())


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_product(value: object) -> bool:
    return value is None or (isinstance(value, str) and _PRODUCT_ID.match(value) is not None)


def _is_number(*types: type) -> Callable[[Any], bool]:
    return lambda value: value is None or (type(value) in types and value >= 0)


_IS_READABLE: Mapping[str, Callable[[Any], bool]] = {
    "id": _is_id,
    "text": _is_text,
    "product": _is_product,
    "marketplace": _is_text,
    "placement": _is_text,
    "count": _is_number(int),
    "amount": _is_number(int, Decimal),
}


def _as_stored(kind: str, value: Any) -> Any:
    match kind:
        case "id":
            return str(value)
        case "marketplace":
            return "GB" if value == "UK" else value
        case "placement":
            return OTHER_PLACEMENTS.get(value, value)
        case _:
            return value
