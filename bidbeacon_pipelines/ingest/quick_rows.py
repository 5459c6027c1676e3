"""The quick way of a report's rows to the lines they are staged as: many at a time, column by column.

What a column says repeats itself (a day has a thousand rows, a target 24 hours), so each different value is put before the row
model's own check once, and its text remembered. A row that any check refuses, or that is too odd to be worth remembering,
is handed back: the one by one check then says what it is, and why. So nothing is understood here that isn't understood there.
"""

import re
from collections.abc import Callable, Hashable, Sequence
from datetime import date, datetime
from decimal import Decimal
from sys import intern
from typing import Any, Final, Generic, TypeVar

from msgspec.structs import astuple
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from bidbeacon_pipelines.ingest.field_types import as_amount
from bidbeacon_pipelines.ingest.hours import ImpossibleHourError, start_of_hour
from bidbeacon_pipelines.ingest.rows import ReportRow, RowCheck
from bidbeacon_pipelines.ingest.wire import AMOUNTS, WireFormat
from bidbeacon_pipelines.store.performance_tables import METRICS
from bidbeacon_pipelines.store.staging import NULL

MOST_REMEMBERED: Final = 1 << 16
MOST_REMEMBERED_FIELDS: Final = 1 << 14
LONGEST_REMEMBERED: Final = 2_000
"""Characters of what a row is of, or digits; a name of a megabyte is not worth it."""
FOREIGN: Final = b""
"""What stands for a subject where a row is another country's."""

_PLAIN_AMOUNT = re.compile(rb"(?:0|[1-9][0-9]{0,13})\.[0-9]{1,6}\Z")
_AMOUNT_TYPES = frozenset({bytes, int, type(None)})
_REFUSED: Final = object()

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(dict[K, V], Generic[K, V]):
    """Remembers what a function made of each value, unless that is nothing; when that gets too much, it forgets the newest eighth.

    So a report that goes through more values than fit in the same order again and again still finds most of them.
    """

    def __init__(self, make: Callable[[K], V], most: int = MOST_REMEMBERED_FIELDS) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, value: K) -> V:
        """Make it."""
        made = self._make(value)
        if made is not None:
            self._make_room()
            self[self._to_keep(value)] = made
        return made

    def _to_keep(self, value: K) -> K:
        return value

    def _make_room(self) -> None:
        if len(self) >= self._most:
            for _ in range(1 + self._most // 8):
                self.popitem()


class _SubjectMemo(Memo[tuple[Any, ...], bytes | None]):
    """Remembers what is said of subjects; names and ids, which many of them have in common, it holds once."""

    def _to_keep(self, value: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(intern(told) if type(told) is str else told for told in value)


def _checked(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make the function that gives what a check makes of a value, or `_REFUSED`."""

    def give(value: Any) -> Any:
        try:
            return check(value)
        except ValidationError:
            return _REFUSED

    return give


def _amount_text(value: bytes | int | None) -> bytes | None:
    """Give an amount as it is staged; None for what is none."""
    if value is None:
        return NULL
    if isinstance(value, bytes) and len(value) > LONGEST_REMEMBERED:
        return None
    try:
        amount = as_amount(Decimal(value.decode()) if isinstance(value, bytes) else value)
    except (ArithmeticError, PydanticCustomError):
        return None
    return f"{amount:f}".encode()


def _count_text(value: int | None) -> bytes:
    return NULL if value is None else b"%d" % value


class QuickRows:
    """Makes lines of decoded rows of one report.

    Args:
        wire: How they were decoded.
        check: The one by one check, whose account and windows count here too.
        subject_text: Gives the text by which lines name what a row is of.
        time_text: Gives the text by which they tell a day and the instant of an hour.
    """

    def __init__(
        self,
        wire: WireFormat,
        check: RowCheck[Any],
        subject_text: Callable[[ReportRow], bytes],
        time_text: Callable[[date, datetime | None], bytes],
    ) -> None:
        self.foreign = 0
        self._wire = wire
        self._check = check
        self._subject_text = subject_text
        self._time_text = time_text
        self._fields = {name: Memo[Any, Any](_checked(one)) for name, one in wire.checks.items()}
        self._subjects = _SubjectMemo(self._subject, MOST_REMEMBERED)
        self._times = Memo(self._time)
        self._counts = Memo(_count_text)
        self._amounts = Memo(_amount_text)

    def lines(self, rows: Sequence[Any]) -> tuple[list[bytes], list[int]]:
        """Give the lines of decoded rows, and the places among them of those that have to be looked at one by one."""
        columns = self._columns(list(zip(*map(astuple, rows), strict=True)))
        if FOREIGN in columns[1] or any(None in column for column in columns):
            return self._sift(columns)
        return list(map(b"\t".join, zip(*columns, strict=True))), []

    def _columns(self, wire: list[tuple[Any, ...]]) -> list[list[Any]]:
        """Give the columns of lines: time, subject, counts, amounts; None where a value is odd."""
        subject, counts, amounts = len(self._wire.subject), -len(METRICS), -len(AMOUNTS)
        return [
            list(map(self._times.__getitem__, zip(*wire[subject:counts], strict=True))),
            list(map(self._subjects.__getitem__, zip(*wire[:subject], strict=True))),
            *[list(map(self._counts.__getitem__, column)) for column in wire[counts:amounts]],
            *[self._amount_column(column) for column in wire[amounts:]],
        ]

    def _amount_column(self, column: tuple[Any, ...]) -> list[bytes | None]:
        """Give amounts as they are staged; digits that are plain are taken as they came, they hardly ever come twice."""
        if not _AMOUNT_TYPES.issuperset(map(type, column)):  # `True` would be found as 1
            column = tuple(value if type(value) in _AMOUNT_TYPES else b"" for value in column)
        plain, others = _PLAIN_AMOUNT.match, self._amounts
        return [value if type(value) is bytes and plain(value) else others[value] for value in column]

    def _sift(self, columns: list[list[Any]]) -> tuple[list[bytes], list[int]]:
        """Give the same where some rows are odd or foreign; a foreign one may be as odd as it likes."""
        lines, odd = [], []
        for place, parts in enumerate(zip(*columns, strict=True)):
            if parts[1] == FOREIGN:
                self.foreign += 1
            elif None in parts:
                odd.append(place)
            else:
                lines.append(b"\t".join(parts))
        return lines, odd

    def _subject(self, told: tuple[Any, ...]) -> bytes | None:
        """Give what lines say of their subject; `FOREIGN` where that is another country's, None where it is odd."""
        if _length(told) > LONGEST_REMEMBERED:
            return None
        wire = dict(zip(self._wire.subject, told, strict=True))
        values = {name: self._fields[name][value] for name, value in wire.items() if name != "country_code"}
        values["country_code"] = self._country(wire["country_code"])
        if values["country_code"] not in {self._check.country_code, _REFUSED}:
            return FOREIGN
        if _REFUSED in values.values() or values["ad_product"] not in self._check.ad_products:
            return None
        try:
            return self._subject_text(_row(self._wire.model, values))
        except AttributeError:  # the model's entity is told by more than that
            return None

    def _country(self, told: object) -> object:
        try:
            return self._check.country_of(told)
        except PydanticCustomError:
            return _REFUSED

    def _time(self, told: tuple[Any, ...]) -> bytes | None:
        """Give the day and the instant of an hour, as they are staged."""
        if _length(told) > LONGEST_REMEMBERED:
            return None
        values = {name: self._fields[name][value] for name, value in zip(self._wire.times, told, strict=True)}
        day = values["window_date"]
        if _REFUSED in values.values() or day not in self._check.window_dates:
            return None
        written = _row(self._wire.model, values).written_hour
        try:
            hour_at = None if written is None else start_of_hour(day, written, self._check.time_zone)
        except ImpossibleHourError:
            return None
        return self._time_text(day, hour_at)


def _row(model: type[ReportRow], values: dict[str, Any]) -> ReportRow:
    """Give a row of which only these fields are known, each checked; `model_construct` would take ten times as long."""
    row = model.__new__(model)
    object.__setattr__(row, "__dict__", values)
    return row


def _length(told: tuple[Any, ...]) -> int:
    return sum([len(value) for value in told if type(value) is str])
