"""The check of report rows: each row is looked at once, and is good, bad, or not waited for.

What is checked follows from the dataset's registry entry. A good row becomes the line that is copied into the stage of its dataset
(`store.staging`); one that can't be understood is handed back with its reason. Knows neither files nor database.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from bidbeacon_pipelines.ingest.decode import RowDecoder, Values
from bidbeacon_pipelines.ingest.field_types import (
    FieldError,
    as_ad_product,
    as_amazon_id,
    as_amount,
    as_count,
    as_country,
    as_currency,
    as_date,
    as_marketplace,
    as_placement,
    as_product,
    as_text,
    parse_date,
)
from bidbeacon_pipelines.ingest.hours import ImpossibleHourError, WrittenHour, as_hour, start_of_hour
from bidbeacon_pipelines.ingest.target_match import digest_of_row
from bidbeacon_pipelines.reports.datasets import Dataset
from bidbeacon_pipelines.reports.fields import (
    AD_PRODUCT_FIELD,
    COUNTRY_FIELD,
    CURRENCY_FIELD,
    DATE_FIELD,
    HOUR_FIELD,
    Dimension,
    Metric,
)
from bidbeacon_pipelines.reports.row_keys import row_key_of

Check = Callable[[Any], Any]
CHECKS: Final[Mapping[str, Check]] = {
    "id": as_amazon_id,
    "text": as_text,
    "product": as_product,
    "marketplace": as_marketplace,
    "placement": as_placement,
    "count": as_count,
    "amount": as_amount,
}
_MAY_BE_MISSING: Final = {"campaign_name"}
_NULL: Final = "\\N"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ESCAPED: Final = re.compile(r"[\\\t\n\r]")
_HEX: Final = "\\\\x"
_CACHED_HOURS: Final = 1 << 12
_MOST_SUBJECTS: Final = 1 << 15


@dataclass(frozen=True)
class WaitingAccount:
    """An account whose windows wait for a report.

    Attributes:
        id: Its number in our tables.
        country_code: Of its rows.
        time_zone: In which days and hours are told.
        days: Its windows.
    """

    id: int
    country_code: str
    time_zone: str
    days: frozenset[date]


class BadRow(NamedTuple):
    """A row that can't be understood.

    Attributes:
        reason: Each field at fault, what was expected and what came.
        account: Whose it is; None where its country can't be read.
        window_date: The window it belongs to, where that can be read.
    """

    reason: str
    account: int | None
    window_date: date | None


class NotWaitedFor(Enum):
    """Why a row is counted and not stored."""

    COUNTRY = "of another country of the ads account"
    DAY = "of a day of the report that no window of the account waits for"
    AD_PRODUCT = "of an ad product that was not asked for"


class OtherRow(NamedTuple):
    """A row that nothing waits for; `account` is None where it is of another country."""

    kind: NotWaitedFor
    account: int | None = None
    ad_product: str | None = None


CheckedRow = str | BadRow | OtherRow
"""A good row is the line that is copied into the stage."""


class _Cell(NamedTuple):
    """A column of the stage: which value of a row it is made from, how, and what the value's field is called."""

    place: int
    check: Check
    field: str


class _Found(NamedTuple):
    """The account, ad product and day of a row, with the functions that pick and check its dimensions and metrics."""

    account: "_FoundAccount"
    ad_product: str
    day: str
    pick_dimensions: Callable[[Values], Values]
    pick_metrics: Callable[[Values], Values]
    checks: tuple[Check, ...]


class _FoundAccount(NamedTuple):
    """An account as rows find it: `days` are its windows as rows write them."""

    id: int
    time_zone: str
    days: frozenset[str]


class RowCheck:
    """Checks the rows of one report.

    Args:
        dataset: What they are.
        accounts: Whose windows wait for it.
        ad_products: The ad products that were asked for.
        period: First and last day of the report.
        has_one_country: Whether the ads account has one country only; then a row that names none is of that.
    """

    def __init__(
        self,
        dataset: Dataset,
        accounts: Sequence[WaitingAccount],
        *,
        ad_products: Iterable[str],
        period: tuple[date, date],
        has_one_country: bool,
    ) -> None:
        self.decoder = make_decoder(dataset)
        places = {name: place for place, name in enumerate(self.decoder.fields)}
        self._country, self._ad_product = places[COUNTRY_FIELD], places[AD_PRODUCT_FIELD]
        self._day, self._currency = places[DATE_FIELD], places[CURRENCY_FIELD]
        self._hour = places[HOUR_FIELD] if dataset.is_hourly else None
        self._cells = {one: _cells(dataset, one, places) for one in ad_products}
        columns = _dimension_columns(dataset)
        self._row_key = row_key_of(dataset)
        names = list(columns)
        self._target = (
            (names.index("match_type"), names.index("target_value")) if dataset.names_targets else None
        )
        # A report repeats what its rows are of: a target has a row each hour of each day. Looked up, a row costs half as much.
        self._subjects: dict[tuple[Any, ...], tuple[str, str, tuple[str, ...]]] = {}
        self._pick_key = _picker([place for place, is_key in enumerate(columns.values()) if is_key])
        self._period = period
        self._accounts = {
            as_country(one.country_code): _FoundAccount(one.id, one.time_zone, frozenset(map(str, one.days)))
            for one in accounts
        }
        self._only = next(iter(self._accounts)) if has_one_country else None
        # Nearly all rows write these three in the usual way, and are found by them at once.
        self._usual = {
            (country, spelling, day): self._found(account, product, day)
            for country, account in self._accounts.items()
            for product in self._cells
            for spelling in (product, product.replace("_", " ").title())
            for day in account.days
        }
        self._pick_usual = itemgetter(self._country, self._ad_product, self._day)

    def _found(self, account: _FoundAccount, product: str, day: str) -> _Found:
        dimensions, metrics = self._cells[product]
        return _Found(
            account,
            product,
            day,
            _picker([one.place for one in dimensions]),
            _picker([one.place for one in metrics]),
            tuple(one.check for one in metrics),
        )

    def __call__(self, values: Values) -> CheckedRow:
        """Return what a row is, given its values in the order of the decoder's fields."""
        try:
            found = self._usual[self._pick_usual(values)]
        except (KeyError, TypeError):  # written in another way, or no text at all
            return self._check_unusual(values)
        return self._check(values, found)

    def _check_unusual(self, values: Values) -> CheckedRow:
        """Return what a row is that writes country, ad product or day in another way, or that nothing waits for."""
        try:
            account = self._find_account(values[self._country])
        except FieldError as error:
            return BadRow(f"{COUNTRY_FIELD}: {error}", None, None)
        if account is None:
            return OtherRow(NotWaitedFor.COUNTRY)
        try:
            product = as_ad_product(values[self._ad_product])
        except FieldError:
            return self._bad(values, account, None)
        if product not in self._cells:
            return OtherRow(NotWaitedFor.AD_PRODUCT, account.id, product)
        return self._check_day(values, account, product)

    def _check_day(self, values: Values, account: _FoundAccount, product: str) -> CheckedRow:
        day = values[self._day]
        if isinstance(day, str) and day in account.days:
            return self._check(values, self._found(account, product, day))
        if self._is_of_period(day):
            return OtherRow(NotWaitedFor.DAY, account.id)
        return self._bad(values, account, product)

    def _find_account(self, told: object) -> _FoundAccount | None:
        """Return the account of the country that a row tells; where it tells none, the only one that the ads account has."""
        if self._only is not None and (told is None or told is UNSET or told == ""):
            return self._accounts[self._only]
        return self._accounts.get(as_country(None if told is UNSET else told))

    def _check(self, values: Values, found: _Found) -> CheckedRow:
        try:
            return self._line(values, found)
        except (FieldError, ImpossibleHourError):
            return self._bad(values, found.account, found.ad_product)

    def _line(self, values: Values, found: _Found) -> str:
        """Return the line of a row of a day that is waited for.

        Raises:
            FieldError, ImpossibleHourError: A value is not what it has to be.
        """
        time = found.day
        if self._hour is not None:
            time = f"{time}\t{_hour_at(time, values[self._hour], found.account.time_zone)}"
        told = (found.ad_product, values[self._currency], *found.pick_dimensions(values))
        try:
            key, dimensions, match = self._subjects[told]
        except (KeyError, TypeError):  # a new one, or a list or an object, which is no key
            key, dimensions, match = self._subject(*told)
        metrics = [
            check(value) for check, value in zip(found.checks, found.pick_metrics(values), strict=True)
        ]
        cells = [_NULL if one is None else str(one) for one in metrics]
        return "\t".join([str(found.account.id), time, key, dimensions, *cells, *match])

    def _subject(self, product: str, currency: object, *told: Any) -> tuple[str, str, tuple[str, ...]]:
        """Return what a row is of, as it is staged: its key, its currency and dimensions, and the digest of what names its target.

        Raises:
            FieldError: A value is not what it has to be.
        """
        known = as_currency(currency)
        dimensions, _ = self._cells[product]
        checked = [cell.check(value) for cell, value in zip(dimensions, told, strict=True)]
        key = self._row_key((known, product, *self._pick_key(checked)))
        texts = [_NULL if one is None else _escaped(one) for one in checked]
        match: tuple[str, ...] = ()
        if self._target is not None:
            match_type, value = self._target
            digest = digest_of_row(checked[match_type], checked[value])
            match = (_NULL if digest is None else f"{_HEX}{digest.hex()}",)
        subject = f"{_HEX}{key}", "\t".join([product, known, *texts]), match
        # True is equal to 1, and is no id.
        if len(self._subjects) < _MOST_SUBJECTS and 1 not in told and 0 not in told:
            self._subjects[product, currency, *told] = subject
        return subject

    def _bad(self, values: Values, account: _FoundAccount, product: str | None) -> BadRow:
        """Return a bad row with all that is wrong with it."""
        faults = [*self._faults(values, account, product)]
        day = values[self._day]
        if not faults:
            faults.append(f"{DATE_FIELD}: expected a day that was asked for, got: {day}")
        is_window = isinstance(day, str) and day in account.days
        return BadRow("; ".join(faults), account.id, date.fromisoformat(day) if is_window else None)

    def _faults(self, values: Values, account: _FoundAccount, product: str | None) -> Iterable[str]:
        cells = [_Cell(self._day, as_date, DATE_FIELD)]
        if self._hour is not None:
            cells.append(_Cell(self._hour, self._hour_check(values[self._day], account), HOUR_FIELD))
        cells.append(_Cell(self._currency, as_currency, CURRENCY_FIELD))
        cells.append(_Cell(self._ad_product, as_ad_product, AD_PRODUCT_FIELD))
        dimensions, metrics = self._cells[product or next(iter(self._cells))]
        cells += [*dimensions, *metrics]
        told: dict[str, str] = {}
        for place, check, name in cells:
            try:
                check(values[place])
            except FieldError as error:
                told[name] = f"{name}: missing" if values[place] is UNSET else f"{name}: {error}"
        return told.values()

    @staticmethod
    def _hour_check(day: object, account: _FoundAccount) -> Check:
        """Return the check of an hour: it is one, and the day has it, where the day is one that was asked for."""
        known = date.fromisoformat(day) if isinstance(day, str) and day in account.days else None

        def check(told: object) -> None:
            written = as_hour(told)
            try:
                if known is not None:
                    start_of_hour(known, written, account.time_zone)
            except ImpossibleHourError as error:
                raise FieldError(error.expected, told) from None

        return check

    def _is_of_period(self, told: object) -> bool:
        """Return whether a day is of the report: it is in flight elsewhere, not over yet, or not due."""
        day = parse_date(told) if isinstance(told, str) else None
        first, last = self._period
        return day is not None and first <= day <= last


def stage_columns(dataset: Dataset) -> list[str]:
    """Return the columns of the lines that good rows become."""
    time = ["window_date", "hour_at"] if dataset.is_hourly else ["window_date"]
    match = ["target_match"] if dataset.names_targets else []
    metrics = [one.column for one in dataset.metrics]
    told = [*_dimension_columns(dataset), *metrics, *match]
    return ["account", *time, "row_key", "ad_product", "currency_code", *told]


def make_decoder(dataset: Dataset) -> RowDecoder:
    """Compile the decoder of a dataset's rows, of all ad products."""
    time = (DATE_FIELD, HOUR_FIELD) if dataset.is_hourly else (DATE_FIELD,)
    told = (one.field for one in dataset.told)
    fields = dict.fromkeys((*time, CURRENCY_FIELD, AD_PRODUCT_FIELD, COUNTRY_FIELD, *told))
    return RowDecoder(tuple(fields), dataset.other_names, [one.field for one in dataset.metrics])


def _dimension_columns(dataset: Dataset) -> dict[str, bool]:
    """Return the columns of the dimensions, and which of them are part of the key."""
    columns: dict[str, bool] = {}
    for one in dataset.dimensions:
        columns[one.column] = one.is_key
        if one.kind == "placement":
            columns[f"{one.column}_reported"] = False
    return columns


def _cells(dataset: Dataset, ad_product: str, places: Mapping[str, int]) -> tuple[list[_Cell], list[_Cell]]:
    """Return how the columns of dimensions and of metrics are made of a row of an ad product; only what it has must be there."""
    asked = set(dataset.fields_for([ad_product]))

    def cell(one: Dimension | Metric, check: Check) -> _Cell:
        must_come = one.field in asked and one.column not in _MAY_BE_MISSING
        return _Cell(places[one.field], check if must_come else _optional(check), one.field)

    dimensions = []
    for one in dataset.dimensions:
        dimensions.append(cell(one, CHECKS[one.kind]))
        if one.kind == "placement":
            dimensions.append(cell(one, as_text))  # as Amazon wrote it
    return dimensions, [cell(one, CHECKS[one.kind]) for one in dataset.metrics]


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], Values]:
    """Return the function that takes the values at these places."""
    return itemgetter(*places) if len(places) > 1 else lambda values: tuple(values[place] for place in places)


def _optional(check: Check) -> Check:
    return lambda value: None if value is None or value is UNSET else check(value)


def _escaped(told: str) -> str:
    return told.translate(_ESCAPES) if _ESCAPED.search(told) else told


def _hour_at(day: str, told: object, time_zone: str) -> str:
    """Return the instant at which an hour of a day begins, as text; a report repeats each some thousand times."""
    if isinstance(told, str | int):
        return _hour_again(day, told, time_zone)
    return _instant(as_date(day), as_hour(told), time_zone)  # may be no key of a cache


@lru_cache(maxsize=_CACHED_HOURS, typed=True)
def _hour_again(day: str, told: object, time_zone: str) -> str:
    return _instant(as_date(day), as_hour(told), time_zone)


def _instant(day: date, hour: WrittenHour, time_zone: str) -> str:
    return start_of_hour(day, hour, time_zone).isoformat()
