"""Days on the command line: dates, words and ranges, in the calendar of an account."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

from bidbeacon_sessions.clock import DAYS_AGO, parse_duration, read_day, utc_now
from bidbeacon_sessions.errors import UsageError

MOST_DAYS: Final = 10_000
"""The most days that `--window` accepts; Amazon keeps no dataset for so many days."""
PERIODS: Final = ("this-week", "last-week", "this-month", "last-month")
"""The words for several days, which mean the same as in the page's picker of ranges."""
_EXPECTED: Final = (
    f"expected a day (2026-11-23, {', '.join(DAYS_AGO)}) or days (2026-11-01..2026-11-07, 7d, "
    f"{', '.join(PERIODS)})"
)
_ONE_DAY: Final = timedelta(days=1)


def parse_day(value: str, today: date | None = None) -> date:
    """Parse a day like `2026-11-23`; with `today` also `today` and `yesterday`.

    Raises:
        UsageError: `value` is not a day.
    """
    try:
        return read_day(value, today=today)
    except ValueError:
        words = f", {' or '.join(DAYS_AGO)}" if today else ""
        raise UsageError(
            f"window: expected a day like 2026-11-23{words}, got: {value!r}."
        ) from None


def parse_days(value: str, today: date) -> list[date]:
    """Parse a day, a range with both ends, or a period such as `7d` or `last-week`.

    `7d` are the seven days before today. Weeks begin on Monday.

    Raises:
        UsageError: `value` is neither, or the range ends before it begins.
    """
    start, end = _read_ends(value, today)
    if end < start:
        raise UsageError(f"window: expected the earlier day first, got: {value!r}.")
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


def parse_windows(values: Iterable[str], today: date) -> list[date]:
    """Return the days of `--window`, sorted and without duplicates, or raise `UsageError`."""
    days = sorted({day for value in values for day in parse_days(value, today)})
    if len(days) > MOST_DAYS:
        raise UsageError(f"window: expected at most {MOST_DAYS:,} days, got: {len(days):,}.")
    return days


def check_day(value: str | None) -> str | None:
    """Return the value of an option for one day; raise `UsageError` if it is invalid on any day."""
    if value is not None:
        parse_day(value, utc_now().date())
    return value


def check_days(values: Iterable[str]) -> list[str]:
    """Return the values of an option for days; raise `UsageError` if one is invalid on any day."""
    values = list(values)
    for value in values:
        _read_ends(value, utc_now().date())
    return values


def _read_ends(value: str, today: date) -> tuple[date, date]:
    """Return the first and the last day of a value, which may be in the wrong order."""
    first, dots, last = value.partition("..")
    try:
        if not dots:
            return _read_period(value, today) or 2 * (read_day(value, today=today),)
        return read_day(first, today=today), read_day(last, today=today)
    except (ValueError, OverflowError):
        raise UsageError(f"window: {_EXPECTED}, got: {value!r}.") from None


def _read_period(value: str, today: date) -> tuple[date, date] | None:
    monday = today - timedelta(days=today.weekday())
    month = today.replace(day=1)
    last_month = (month - _ONE_DAY).replace(day=1)
    ends = (monday, today), (monday - timedelta(days=7), monday - _ONE_DAY)
    of_months = (month, today), (last_month, month - _ONE_DAY)
    named = dict(zip(PERIODS, ends + of_months, strict=True))
    return named.get("-".join(value.lower().split())) or _read_span(value, today)


def _read_span(value: str, today: date) -> tuple[date, date] | None:
    """Return the days of a span such as `7d` or `2w`, which ends yesterday; None if it is none."""
    try:
        span = parse_duration(value)
    except ValueError:
        return None
    if not span or span % _ONE_DAY:
        raise ValueError("expected a number of days")
    return today - span, today - _ONE_DAY
