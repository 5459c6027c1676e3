"""The hours of a local day, found without any rule: by walking through all minutes that may be of it and reading the clock."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo


@cache
def hours_by_walking(day: date, time_zone: str) -> Mapping[int, list[datetime]]:
    """Return each hour's beginnings in UTC: one as a rule, two where the hour comes twice; a skipped hour is absent."""
    zone = ZoneInfo(time_zone)
    found: dict[int, list[datetime]] = {}
    instant = datetime.combine(day, time.min, UTC) - timedelta(hours=15)
    before: tuple[date, int, timedelta | None] | None = None
    for _ in range(54 * 60):
        local = instant.astimezone(zone)
        shown = (local.date(), local.hour, local.utcoffset())
        if shown != before and local.date() == day:
            found.setdefault(local.hour, []).append(instant)
        before = shown
        instant += timedelta(minutes=1)
    return found
