"""Readers of the field `hour.value`: an account-local hour, and its start in UTC.

Amazon writes an hour as a number (17), as a string of digits ("9"), or as the local time of its
start ("2025-12-29T18:00:00"). On the day when the clock goes forward, one hour does not exist. On
the day when it goes back, one hour is repeated. In all time zones where Amazon sells, the clock
changes by whole hours, but an offset from UTC may include half an hour (Asia/Kolkata).
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bidbeacon_pipelines.values.field_types import FieldError, find_date

HOURS_A_DAY = 24
_CACHED = 1 << 12  # more than the hours of the 14 days of a report, in each of their forms

_BARE = re.compile(r"[0-9]{1,2}\Z")
_TIMESTAMP = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[T ](?P<hour>[0-9]{2}):00(?::00(?:\.0+)?)?"
    r"(?P<offset>Z|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2}))?\Z"
)


class WrittenHour(NamedTuple):
    """An account-local hour as written in a row.

    Attributes:
        hour: 0 to 23.
        day: The day, if the hour is written as a timestamp.
        offset: The offset from UTC, if it is written. Only the offset shows whether a repeated hour
            is the first or the second one.
    """

    hour: int
    day: date | None = None
    offset: timedelta | None = None


class ImpossibleHourError(ValueError):
    """The day does not have this hour; `expected` describes the possible hours."""

    def __init__(self, expected: str) -> None:
        super().__init__(f"expected {expected}")
        self.expected = expected


def as_hour(value: object) -> WrittenHour:
    """Accept an hour as a number, as a string of digits, or as the local time of its start."""
    written = _parse(value) if isinstance(value, str) else _of_number(value)
    if written is None or written.hour >= HOURS_A_DAY:
        raise FieldError("an hour from 0 to 23, or the local time of its start", value)
    return written


def as_instant(value: object, day: date, time_zone: str) -> datetime:
    """Accept an hour of an account-local day; return the start of the hour in UTC."""
    try:
        return start_of_hour(day, as_hour(value), time_zone)
    except ImpossibleHourError as error:
        raise FieldError(error.expected, value) from None


@lru_cache(maxsize=_CACHED)
def start_of_hour(day: date, written: WrittenHour, time_zone: str) -> datetime:
    """Return the start of an hour of an account-local day, in UTC.

    Of a repeated hour, return the first start, unless the hour is written with the second offset.

    Raises:
        ImpossibleHourError: The hour belongs to another day, is skipped by the clock, or has an
            offset that the time zone does not have in this hour.
    """
    if written.day not in (None, day):
        raise ImpossibleHourError(f"an hour of the row's day, {day}")
    starts = _starts(day, written.hour, ZoneInfo(time_zone))
    if not starts:
        raise ImpossibleHourError(f"an hour that the clocks in {time_zone} do not skip on {day}")
    if written.offset is None:
        return next(iter(starts.values()))
    if written.offset not in starts:
        raise ImpossibleHourError(f"a local time with the correct UTC offset of {time_zone}")
    return starts[written.offset]


def _starts(day: date, hour: int, zone: ZoneInfo) -> dict[timedelta, datetime]:
    """Return the instants at which an hour starts, keyed by UTC offset, the earliest first.

    A skipped hour has none, and a repeated hour has two.
    """
    wall = datetime.combine(day, time(hour))
    starts: dict[timedelta, datetime] = {}
    for fold in (0, 1):
        local = wall.replace(tzinfo=zone, fold=fold)
        instant = local.astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None) == wall:
            starts.setdefault(local.utcoffset() or timedelta(0), instant)
    return starts


def _of_number(value: object) -> WrittenHour | None:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return WrittenHour(value)
    if (
        isinstance(value, Decimal)
        and value.is_finite()
        and 0 <= value < HOURS_A_DAY
        and value == int(value)
    ):
        return WrittenHour(int(value))
    return None


@lru_cache(maxsize=_CACHED)
def _parse(text: str) -> WrittenHour | None:
    if _BARE.match(text):
        return WrittenHour(int(text))
    found = _TIMESTAMP.match(text)
    day = find_date(found["day"]) if found else None
    return WrittenHour(int(found["hour"]), day, _offset(found)) if found and day else None


def _offset(found: re.Match[str]) -> timedelta | None:
    if found["offset"] is None:
        return None
    if found["offset"] == "Z":
        return timedelta(0)
    size = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
    return -size if found["sign"] == "-" else size
