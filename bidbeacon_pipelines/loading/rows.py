"""The check of report rows. A row is valid, is invalid, or belongs to no requested window.

The dataset's registry entry defines the checks. A valid row becomes the line that is copied into
the stage (`loading.staging`). An invalid row is returned with its cause. This module uses neither
files nor the database.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from bidbeacon_pipelines.causes import Cause, invalid_fields
from bidbeacon_pipelines.datasets.digests import digest_of_row, row_key_of
from bidbeacon_pipelines.datasets.fields import (
    AD_PRODUCT_FIELD,
    COUNTRY_FIELD,
    CURRENCY_FIELD,
    DATE_FIELD,
    HOUR_FIELD,
    Dimension,
    Metric,
)
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.values.decode import Row, RowDecoder, Values, WireRow
from bidbeacon_pipelines.values.field_types import (
    AMOUNT_DIGITS,
    AMOUNT_PLACES,
    COUNT_DIGITS,
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
    find_ad_product,
    find_date,
)
from bidbeacon_pipelines.values.hours import as_hour, as_instant

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
USUAL: Final = {
    "count": b"[0-9]{1,%d}+" % COUNT_DIGITS,
    "amount": rb"[0-9]{1,%d}+(?:\.[0-9]{1,%d}+)?+" % (AMOUNT_DIGITS, AMOUNT_PLACES),
}
"""The usual notation of metrics. Rows are JSON, so a number has no leading zeros.

Repetitions are possessive (`+`), since backtracking to fewer digits never helps.
"""
_TAB: Final = b"\t"
_NULL: Final = "\\N"
ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ESCAPED: Final = re.compile(r"[\\\t\n\r]")
_HEX: Final = "\\\\x"
_MOST_REMEMBERED: Final = 1 << 16


@dataclass(frozen=True)
class RequestedAccount:
    """An account with windows that wait for a report; `days` are the days of these windows.

    `id` is the account's id in our tables. Days and hours of rows are in `time_zone`.
    """

    id: int
    country_code: str
    time_zone: str
    days: frozenset[date]


class BadRow(NamedTuple):
    """An invalid row.

    Attributes:
        cause: Each invalid field, with the expected and the actual value.
        account: The id of the row's account; None if the country is unreadable.
        window_date: The day of the row's window; None if unreadable or without a requested window.
    """

    cause: Cause
    account: int | None
    window_date: date | None

    @property
    def fault(self) -> str:
        """The first invalid field and what was expected, without the actual value."""
        expected = self.cause["detail"]["faults"][0].get("expected")
        return f"{self.cause['field']}: {f'expected {expected}' if expected else 'missing'}"


class IgnoredAs(Enum):
    """The reason why a row is only counted and not stored."""

    COUNTRY = "of another country of the ads account"
    DAY = "of a day of the report that no window of the account waits for"
    AD_PRODUCT = "of an ad product that was not requested"


class OtherRow(NamedTuple):
    """A row that is counted but not stored; `account` is None for a row of another country."""

    kind: IgnoredAs
    account: int | None = None
    ad_product: str | None = None


CheckedRow = bytes | BadRow | OtherRow
"""The result of a check; for a valid row, the line that is copied into the stage."""


class _GoodRow(NamedTuple):
    """A valid row: three pieces of the line that is copied into the stage, and the ad product.

    `time` has account, day and hour. `subject` has key, ad product, currency and dimensions.
    """

    time: bytes
    subject: bytes
    metrics: bytes
    ad_product: str

    @property
    def line(self) -> bytes:
        return _TAB.join((self.time, self.subject, self.metrics))


class _Known(NamedTuple):
    """The text of a row's metrics, and the row's `time` (see `_GoodRow`) if it is cached."""

    metrics: bytes
    time: bytes | None


_UNKNOWN: Final = _Known(b"", None)


class _Subject(NamedTuple):
    """A cached `subject` of `_GoodRow`; `has_usual` tests if metrics have the usual notation."""

    piece: bytes
    has_usual: Callable[[bytes], object]


_NEW_SUBJECT: Final = _Subject(b"", bool)


class _Cell(NamedTuple):
    column: str
    field: str
    check: Check


class RowCheck:
    """A check of the rows of one report.

    Many rows have the same time, or the same subject (currency, ad product and dimensions). Each
    time and each subject is checked once. The resulting part of the line is cached; the key of the
    cache is the text of the time or subject in the file. Metrics in the usual notation are copied.
    A row with a new time, a new subject or an unusual metric is decoded and its new parts checked.

    Args:
        dataset: The dataset of the report.
        accounts: The accounts with windows that wait for the report.
        ad_products: The requested ad products.
        period: The first and the last day of the report.
        has_one_country: Whether the ads account has only one country. A row without a country then
            belongs to this country.
        spellings: Amazon's names of overridden fields, by our names.
    """

    def __init__(
        self,
        dataset: Dataset,
        accounts: Sequence[RequestedAccount],
        *,
        ad_products: Iterable[str],
        period: tuple[date, date],
        has_one_country: bool,
        spellings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.decoder = make_decoder(dataset, spellings)
        self._dataset = dataset
        self._period = period
        self._accounts = {as_country(account.country_code): account for account in accounts}
        self._only = accounts[0] if has_one_country else None
        self._row_key = row_key_of(dataset)
        self._key_columns = [dimension.column for dimension in dataset.keys]
        requested = {product: frozenset(dataset.fields_for([product])) for product in ad_products}
        self._cells = {product: _cells(dataset, fields) for product, fields in requested.items()}
        self._has_usual = {
            product: _usual_metrics(dataset, fields) for product, fields in requested.items()
        }
        dimensions = dict.fromkeys(dimension.field for dimension in dataset.dimensions)
        self._time_of = self.decoder.picker([*_time_fields(dataset), COUNTRY_FIELD])
        self._subject_of = self.decoder.picker([CURRENCY_FIELD, AD_PRODUCT_FIELD, *dimensions])
        self._metrics_of = self.decoder.picker([metric.field for metric in dataset.metrics])
        self._times: dict[bytes, bytes] = {}
        self._subjects: dict[bytes, _Subject] = {}

    def __call__(self, row: Row) -> CheckedRow:
        """Check a row; return its line, its faults, or the reason why it is ignored."""
        checked = self._check(self.decoder.values_of(row))
        return checked.line if isinstance(checked, _GoodRow) else checked

    def check_batch(self, rows: Sequence[Row]) -> list[CheckedRow]:
        """Check all rows of a batch, with the same results as a call per row, but much faster."""
        time_of, subject_of, metrics_of = self._time_of, self._subject_of, self._metrics_of
        times, subjects, joined = self._times, self._subjects, _TAB.join
        checked: list[CheckedRow] = []
        for row in rows:
            if isinstance(row, dict):
                checked.append(self(row))
                continue
            time_text, subject_text = joined(time_of(row)), joined(subject_of(row))
            metrics = joined(metrics_of(row))
            time = times.get(time_text)
            subject, has_usual = subjects.get(subject_text, _NEW_SUBJECT)
            if time and subject and has_usual(metrics):
                checked.append(joined((time, subject, _with_nulls(metrics))))
            else:
                checked.append(self._check_new(row, time_text, subject_text, metrics))
        return checked

    def _check_new(
        self, row: WireRow, time_text: bytes, subject_text: bytes, metrics: bytes
    ) -> CheckedRow:
        """Check a row; if it is valid, cache its time and its subject."""
        known = _Known(metrics, self._times.get(time_text))
        checked = self._check(self.decoder.values_of(row), known)
        if not isinstance(checked, _GoodRow):
            return checked
        if len(self._times) < _MOST_REMEMBERED:
            self._times[time_text] = checked.time
        if len(self._subjects) < _MOST_REMEMBERED:
            has_usual = self._has_usual[checked.ad_product]
            self._subjects[subject_text] = _Subject(checked.subject, has_usual)
        return checked.line

    def _check(self, values: Values, known: _Known = _UNKNOWN) -> _GoodRow | BadRow | OtherRow:
        try:
            account = self._find_account(values[COUNTRY_FIELD])
        except FieldError as error:
            return BadRow(invalid_fields([_fault(COUNTRY_FIELD, error)]), None, None)
        if account is None:
            return OtherRow(IgnoredAs.COUNTRY)
        product = find_ad_product(values[AD_PRODUCT_FIELD])
        if product is not None and product not in self._cells:
            return OtherRow(IgnoredAs.AD_PRODUCT, account.id, product)
        day = find_date(values[DATE_FIELD])
        if product is not None and self._is_of_period(day) and day not in account.days:
            return OtherRow(IgnoredAs.DAY, account.id)
        return self._check_fields(values, account, product, day, known)

    def _find_account(self, country: object) -> RequestedAccount | None:
        """Return the account of a row's country, or None if the country has no requested window.

        Raises:
            FieldError: The country is invalid, or is missing and the ads account has several
                countries.
        """
        if self._only is not None and (country is None or country is UNSET or country == ""):
            return self._only
        return self._accounts.get(as_country(None if country is UNSET else country))

    def _is_of_period(self, day: date | None) -> bool:
        first, last = self._period
        return day is not None and first <= day <= last

    def _as_day_of_period(self, value: object) -> str:
        day = as_date(value)
        if not self._is_of_period(day):
            raise FieldError("a day of the requested period", value)
        return str(day)

    def _check_fields(
        self,
        values: Values,
        account: RequestedAccount,
        product: str | None,
        day: date | None,
        known: _Known,
    ) -> _GoodRow | BadRow:
        faults: dict[str, dict[str, str]] = {}

        def checked(field: str, check: Check) -> Any:
            value = values[field]
            try:
                return check(value)
            except FieldError as error:
                faults[field] = {"field": field} if value is UNSET else _fault(field, error)

        time = known.time
        if time is None:
            cells = [account.id, checked(DATE_FIELD, self._as_day_of_period)]
            if self._dataset.is_hourly:
                of_period = day if self._is_of_period(day) else None
                cells.append(checked(HOUR_FIELD, _hour_check(of_period, account.time_zone)))
            time = _joined(cells)
        currency = checked(CURRENCY_FIELD, as_currency)
        if product is None:
            checked(AD_PRODUCT_FIELD, as_ad_product)
        assumed = product or next(iter(self._cells))
        dimension_cells, metric_cells = self._cells[assumed]
        dimensions = {cell.column: checked(cell.field, cell.check) for cell in dimension_cells}
        if self._has_usual[assumed](known.metrics):
            metrics = _with_nulls(known.metrics)
        else:
            metrics = _joined(checked(cell.field, cell.check) for cell in metric_cells)
        if faults or product is None:
            window_date = day if day in account.days else None
            return BadRow(invalid_fields([*faults.values()]), account.id, window_date)
        subject = self._subject(currency, product, dimensions)
        return _GoodRow(time, _joined(subject), metrics, product)

    def _subject(
        self, currency: str, product: str, dimensions: Mapping[str, str | None]
    ) -> list[str]:
        key = self._row_key(
            (currency, product, *[dimensions[column] for column in self._key_columns])
        )
        subject = [f"{_HEX}{key}", product, currency, *map(_escaped, dimensions.values())]
        if "target_value" in dimensions:
            digest = digest_of_row(dimensions["match_type"], dimensions["target_value"])
            subject.append(_NULL if digest is None else f"{_HEX}{digest.hex()}")
        return subject


def _fault(field: str, error: FieldError) -> dict[str, str]:
    return {"field": field, "expected": error.expected, "got": error.got}


def make_decoder(
    dataset: Dataset, spellings: Mapping[str, str] = MappingProxyType({})
) -> RowDecoder:
    """Compile the decoder of a dataset's rows; `spellings` has Amazon's names by our names."""
    described = (declared.field for declared in dataset.dimensions_and_metrics)
    fields = dict.fromkeys(
        (*_time_fields(dataset), CURRENCY_FIELD, AD_PRODUCT_FIELD, COUNTRY_FIELD, *described)
    )
    return RowDecoder(tuple(fields), {**dataset.other_names, **spellings})


def _time_fields(dataset: Dataset) -> tuple[str, ...]:
    return (DATE_FIELD, HOUR_FIELD) if dataset.is_hourly else (DATE_FIELD,)


def _usual_metrics(dataset: Dataset, requested: Collection[str]) -> Callable[[bytes], object]:
    """Return a function that tests if tab-joined metrics are plain numbers (`USUAL`) or null."""
    patterns = [
        rb"(?:%b|null%b)" % (USUAL[metric.kind], b"" if metric.field in requested else rb"|\\N")
        for metric in dataset.metrics
    ]
    return re.compile(_TAB.join(patterns)).fullmatch


def _cells(dataset: Dataset, requested: Collection[str]) -> tuple[list[_Cell], list[_Cell]]:
    """Return the column, field and check of each dimension and metric (see `_Cell`).

    Only fields in `requested` are required in a row.
    """

    def cell(declared: Dimension | Metric, column: str, check: Check) -> _Cell:
        is_required = declared.field in requested and column not in _MAY_BE_MISSING
        return _Cell(column, declared.field, check if is_required else _optional(check))

    dimensions = []
    for dimension in dataset.dimensions:
        dimensions.append(cell(dimension, dimension.column, CHECKS[dimension.kind]))
        if dimension.kind == "placement":
            dimensions.append(
                cell(dimension, f"{dimension.column}_reported", as_text)
            )  # as Amazon wrote it
    return dimensions, [
        cell(metric, metric.column, CHECKS[metric.kind]) for metric in dataset.metrics
    ]


def _optional(check: Check) -> Check:
    return lambda value: None if value is None or value is UNSET else check(value)


def _hour_check(day: date | None, time_zone: str) -> Check:
    """Return the check of an hour field; if `day` is None, it checks only the format."""
    return as_hour if day is None else lambda value: as_instant(value, day, time_zone).isoformat()


def _with_nulls(metrics: bytes) -> bytes:
    """Convert tab-joined JSON values for COPY: replace each `null` by COPY's null marker."""
    return metrics.replace(b"null", b"\\N")


def _joined(cells: Iterable[object]) -> bytes:
    return "\t".join([_NULL if cell is None else str(cell) for cell in cells]).encode()


def _escaped(text: str | None) -> str:
    return _NULL if text is None else text.translate(ESCAPES) if _ESCAPED.search(text) else text
