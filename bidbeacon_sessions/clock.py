"""The current time, in one place so that tests can replace it; parsers of days and times."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

Clock = Callable[[], datetime]
DAYS_AGO = {"today": 0, "yesterday": 1}
"""The words for days, as in the page's filter, each with its number of days before today."""
_YEARS = range(1970, 3000)
"""The valid years; other years are refused as typing errors."""
_DAYS = r"(?:(?P<weeks>\d{1,5})w)?(?:(?P<days>\d{1,5})d)?"
_HOURS = r"(?:(?P<hours>\d{1,5})h)?(?:(?P<minutes>\d{1,5})m)?"
_DURATION = re.compile(_DAYS + _HOURS, re.IGNORECASE)
_ISO_DURATION = re.compile(f"P{_DAYS}(?:T{_HOURS})?", re.IGNORECASE)


def utc_now() -> datetime:
    """Return the current instant, aware, in UTC."""
    return datetime.now(UTC)


def read_day(text: str, *, today: date | None = None) -> date:
    """Parse a day such as `2026-11-23`; with `today` also the words `today` and `yesterday`.

    Raises:
        ValueError: `text` is not a day from 1970 to 2999.
    """
    if today is not None and text in DAYS_AGO:
        return today - timedelta(days=DAYS_AGO[text])
    return read_instant(f"{text}T00:00").date()


def read_instant(text: str) -> datetime:
    """Parse an instant such as `2026-11-23T05:00:00Z`; naive if the text has no time zone.

    Raises:
        ValueError: `text` is not an instant from 1970 to 2999.
    """
    when = datetime.fromisoformat(text)
    if when.year not in _YEARS:
        raise ValueError(f"expected a year from {_YEARS[0]} to {_YEARS[-1]}, got: {when.year}")
    return when


def parse_duration(text: str) -> timedelta:
    """Parse a duration: `6h`, `90m`, `1d12h`, or ISO 8601 (`P1DT12H`).

    Raises:
        ValueError: `text` is not a duration.
    """
    given = text.strip()
    match = _DURATION.fullmatch(given) or _ISO_DURATION.fullmatch(given)
    parts = match.groupdict().items() if match else ()
    found = {unit: int(count) for unit, count in parts if count is not None}
    if not found:
        raise ValueError(f"expected a duration like 6h, 90m, 1d12h or PT6H, got: {text!r}")
    return timedelta(**found)
