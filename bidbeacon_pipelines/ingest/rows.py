"""The check of report rows: each row is looked at once, and is good, bad, or not waited for.

What is checked follows from the dataset's registry entry. A good row becomes the line that is copied into the stage of its dataset
(`store.staging`); one that can't be understood is handed back with its reason. Knows neither files nor database.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from operator import itemgetter
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from bidbeacon_pipelines.ingest.decode import RowDecoder, Values, WireRow
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
from bidbeacon_pipelines.ingest.hours import ImpossibleHourError, as_hour, start_of_hour
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
_USUAL: Final = {"count": rb"[0-9]{1,18}", "amount": rb"[0-9]{1,14}(?:\.[0-9]{1,6})?"}
"""How metrics are written nearly always."""
_TAB: Final = b"\t"
_NULL: Final = "\\N"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ESCAPED: Final = re.compile(r"[\\\t\n\r]")
_HEX: Final = "\\\\x"
_MOST_REMEMBERED: Final = 1 << 16


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


CheckedRow = bytes | BadRow | OtherRow
"""A good row is the line that is copied into the stage."""


class _GoodRow(NamedTuple):
    """The line of a good row in three pieces: account and time; key, ad product, currency and dimensions; metrics."""

    time: str
    subject: str
    metrics: str
    ad_product: str


class _Cell(NamedTuple):
    """A column of the stage: which value of a row it is made from, how, and what the value's field is called."""

    place: int
    check: Check
    field: str


class _FoundAccount(NamedTuple):
    """An account as rows find it: `days` are its windows as rows write them."""

    id: int
    time_zone: str
    days: frozenset[str]


class RowCheck:
    """Checks the rows of one report.

    A report repeats itself: a target has a row in each hour of each day. The time and the subject of a row (currency, ad product and dimensions) are checked once,
    and the pieces of the line that they become are looked up by the bytes that came. Metrics that are written in the usual way are copied. A row with a new time or
    subject, or with an unusual metric, is decoded and checked value by value.

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
        self._pick_key = _picker([place for place, is_key in enumerate(columns.values()) if is_key])
        self._period = period
        self._accounts = {
            as_country(one.country_code): _FoundAccount(one.id, one.time_zone, frozenset(map(str, one.days)))
            for one in accounts
        }
        self._only = next(iter(self._accounts)) if has_one_country else None
        time = _time_fields(dataset)
        self._pick_time = self.decoder.picker([*time, COUNTRY_FIELD])
        self._pick_subject = self.decoder.picker(
            [CURRENCY_FIELD, AD_PRODUCT_FIELD, *dict.fromkeys(one.field for one in dataset.dimensions)]
        )
        self._pick_metrics = self.decoder.picker([one.field for one in dataset.metrics])
        self._are_usual = {one: _usual_metrics(dataset, one) for one in ad_products}
        self._times: dict[bytes, bytes] = {}
        self._subjects: dict[bytes, tuple[bytes, Callable[[bytes], object]]] = {}

    def __call__(self, row: WireRow | Values) -> CheckedRow:
        """Return what a row is."""
        if isinstance(row, tuple):
            return self.check_values(row)
        try:
            time = self._times[_TAB.join(self._pick_time(row))]
            subject, are_usual = self._subjects[_TAB.join(self._pick_subject(row))]
        except KeyError:
            return self._check_new(row)
        metrics = _TAB.join(self._pick_metrics(row))
        if not are_usual(metrics):
            return self._check_new(row)
        return _TAB.join((time, subject, metrics.replace(b"null", b"\\N")))

    def _check_new(self, row: WireRow) -> CheckedRow:
        """Check a row value by value, and remember its time and subject if it is good."""
        checked = self._check_all(self.decoder.values_of(row))
        if not isinstance(checked, _GoodRow):
            return checked
        pieces = time, subject, _ = _encoded(checked)
        if len(self._times) < _MOST_REMEMBERED:
            self._times[_TAB.join(self._pick_time(row))] = time
        if len(self._subjects) < _MOST_REMEMBERED:
            known = subject, self._are_usual[checked.ad_product]
            self._subjects[_TAB.join(self._pick_subject(row))] = known
        return _TAB.join(pieces)

    def check_values(self, values: Values) -> CheckedRow:
        """Return what a row is, given its values in the order of the decoder's fields."""
        checked = self._check_all(values)
        return _TAB.join(_encoded(checked)) if isinstance(checked, _GoodRow) else checked

    def _check_all(self, values: Values) -> _GoodRow | BadRow | OtherRow:
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

    def _check_day(
        self, values: Values, account: _FoundAccount, product: str
    ) -> _GoodRow | BadRow | OtherRow:
        day = values[self._day]
        if isinstance(day, str) and day in account.days:
            try:
                return self._good(values, account, product, day)
            except (FieldError, ImpossibleHourError):
                return self._bad(values, account, product)
        if self._is_of_period(day):
            return OtherRow(NotWaitedFor.DAY, account.id)
        return self._bad(values, account, product)

    def _find_account(self, told: object) -> _FoundAccount | None:
        """Return the account of the country that a row tells; where it tells none, the only one that the ads account has."""
        if self._only is not None and (told is None or told is UNSET or told == ""):
            return self._accounts[self._only]
        return self._accounts.get(as_country(None if told is UNSET else told))

    def _good(self, values: Values, account: _FoundAccount, product: str, day: str) -> _GoodRow:
        """Return a row of a day that is waited for.

        Raises:
            FieldError, ImpossibleHourError: A value is not what it has to be.
        """
        time = f"{account.id}\t{day}"
        if self._hour is not None:
            hour = start_of_hour(as_date(day), as_hour(values[self._hour]), account.time_zone)
            time += f"\t{hour.isoformat()}"
        dimensions, metrics = (
            [cell.check(values[cell.place]) for cell in some] for some in self._cells[product]
        )
        currency = as_currency(values[self._currency])
        key = self._row_key((currency, product, *self._pick_key(dimensions)))
        cells = [
            f"{_HEX}{key}",
            product,
            currency,
            *(_NULL if one is None else _escaped(one) for one in dimensions),
        ]
        if self._target is not None:
            digest = digest_of_row(*(dimensions[place] for place in self._target))
            cells.append(_NULL if digest is None else f"{_HEX}{digest.hex()}")
        told = [_NULL if one is None else str(one) for one in metrics]
        return _GoodRow(time, "\t".join(cells), "\t".join(told), product)

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
    told = [*_dimension_columns(dataset), *match, *metrics]
    return ["account", *time, "row_key", "ad_product", "currency_code", *told]


def make_decoder(dataset: Dataset) -> RowDecoder:
    """Compile the decoder of a dataset's rows, of all ad products."""
    told = (one.field for one in dataset.told)
    fields = dict.fromkeys((*_time_fields(dataset), CURRENCY_FIELD, AD_PRODUCT_FIELD, COUNTRY_FIELD, *told))
    return RowDecoder(tuple(fields), dataset.other_names, [one.field for one in dataset.metrics])


def _time_fields(dataset: Dataset) -> tuple[str, ...]:
    return (DATE_FIELD, HOUR_FIELD) if dataset.is_hourly else (DATE_FIELD,)


def _usual_metrics(dataset: Dataset, ad_product: str) -> Callable[[bytes], object]:
    """Return what matches the metrics of a row of an ad product, tabs between them, that are written in the usual way."""
    asked = set(dataset.fields_for([ad_product]))
    told = [
        rb"(?:%b|null%b)" % (_USUAL[one.kind], b"" if one.field in asked else rb"|\\N")
        for one in dataset.metrics
    ]
    return re.compile(_TAB.join(told)).fullmatch


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


def _encoded(row: _GoodRow) -> tuple[bytes, bytes, bytes]:
    return row.time.encode(), row.subject.encode(), row.metrics.encode()
