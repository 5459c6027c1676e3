"""The one place that reads the time, so that tests can set it, and days and instants that people write."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TypeVar

Clock = Callable[[], datetime]
When = TypeVar("When", date, datetime)
_YEARS = range(1970, 3000)
"""Those that can be meant; the calendar of Python, which days are added to, ends in 9999."""


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


def read_day(text: str) -> date:
    """Return the day of `2026-11-23`.

    Raises:
        ValueError: it is none, or its year is not from 1970 to 2999.
    """
    return _that_can_be_meant(date.fromisoformat(text))


def read_instant(text: str) -> datetime:
    """Return the instant of `2026-11-23T05:00:00Z`, naive where it names no zone.

    Raises:
        ValueError: it is none, or its year is not from 1970 to 2999.
    """
    return _that_can_be_meant(datetime.fromisoformat(text))


def _that_can_be_meant(when: When) -> When:
    if when.year not in _YEARS:
        raise ValueError(f"expected a year from {_YEARS[0]} to {_YEARS[-1]}, got: {when.year}")
    return when
