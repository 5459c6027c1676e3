"""The only module that reads the time, so that tests can set it; parses days and instants."""

from collections.abc import Callable
from datetime import UTC, date, datetime

Clock = Callable[[], datetime]
_YEARS = range(1970, 3000)
"""Other years are typing errors; Python's calendar ends in 9999."""


def utc_now() -> datetime:
    """Return the current instant, aware, in UTC."""
    return datetime.now(UTC)


def read_day(text: str) -> date:
    """Parse a day such as `2026-11-23`.

    Raises:
        ValueError: it is not a day from 1970 to 2999.
    """
    return read_instant(f"{text}T00:00").date()


def read_instant(text: str) -> datetime:
    """Parse an instant such as `2026-11-23T05:00:00Z`; it is naive if it names no zone.

    Raises:
        ValueError: it is not an instant from 1970 to 2999.
    """
    when = datetime.fromisoformat(text)
    if when.year not in _YEARS:
        raise ValueError(f"expected a year from {_YEARS[0]} to {_YEARS[-1]}, got: {when.year}")
    return when
