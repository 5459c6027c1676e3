"""What hours of reports say, and the instants they mean: in every market's zone, on ordinary days and when the clock changes."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.values.countries import COUNTRIES
from bidbeacon_pipelines.values.field_types import FieldError
from bidbeacon_pipelines.values.hours import (
    ImpossibleHourError,
    WrittenHour,
    as_hour,
    start_of_hour,
)
from tests.support.hours_by_walking import hours_by_walking

DAY = date(2025, 12, 29)
US, DE, GB = "America/Los_Angeles", "Europe/Paris", "Europe/London"
JP, IN, AU, BR = "Asia/Tokyo", "Asia/Kolkata", "Australia/Sydney", "America/Sao_Paulo"
DAYS = [
    *((US, day) for day in ("2025-03-09", "2025-11-02", "2026-03-08", "2024-02-29", "2025-12-29")),
    *((DE, day) for day in ("2025-03-30", "2025-10-26", "2025-12-31")),
    *((GB, day) for day in ("2025-03-30", "2025-10-26", "2026-01-01")),
    *((AU, day) for day in ("2025-04-06", "2025-10-05", "2025-12-29")),
    *((BR, day) for day in ("2018-11-04", "2019-02-16", "2025-12-29")),
    (JP, "2025-12-29"),
    (IN, "2025-12-29"),
    *(("Africa/Cairo", day) for day in ("2025-04-25", "2025-10-30")),
]
each_day = pytest.mark.parametrize(
    ("zone", "day"), [(zone, date.fromisoformat(day)) for zone, day in DAYS], ids=str
)


def starts(day: date, zone: str) -> dict[int, datetime]:
    """Return when each hour of a day begins; hours that the day doesn't have are absent."""
    found = {}
    for hour in range(24):
        try:
            found[hour] = start_of_hour(day, WrittenHour(hour), zone)
        except ImpossibleHourError:
            continue
    return found


@each_day
def test_hours_begin_where_the_clock_says(zone: str, day: date) -> None:
    """Each hour begins where a walk through the day finds it first, and an hour that the walk doesn't find is refused."""
    walked = hours_by_walking(day, zone)
    assert {hour: found[0] for hour, found in walked.items()} == starts(day, zone)


@each_day
def test_an_offset_tells_the_halves_of_a_doubled_hour_apart(zone: str, day: date) -> None:
    """With the offset that the clock has then, each half of every hour is found, and together they are the whole day."""
    for hour, found in hours_by_walking(day, zone).items():
        for instant in found:
            written = as_hour(instant.astimezone(ZoneInfo(zone)).isoformat())
            assert (hour, instant) == (written.hour, start_of_hour(day, written, zone))


@given(st.sampled_from(sorted(COUNTRIES)), st.dates(date(2015, 1, 1), date(2035, 12, 31)))
def test_hours_of_any_market_are_those_of_its_clock(country: str, day: date) -> None:
    """In every country where Amazon sells ads, on any day of twenty years."""
    zone = COUNTRIES[country].time_zone
    walked = hours_by_walking(day, zone)
    assert {hour: found[0] for hour, found in walked.items()} == starts(day, zone)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (17, WrittenHour(17)),
        (0, WrittenHour(0)),
        ("9", WrittenHour(9)),
        ("09", WrittenHour(9)),
        (Decimal("23.0"), WrittenHour(23)),
        ("2025-12-29T18:00:00", WrittenHour(18, DAY)),
        ("2025-12-29 18:00:00", WrittenHour(18, DAY)),
        ("2025-12-29T18:00:00.000", WrittenHour(18, DAY)),
        ("2025-12-29T18:00", WrittenHour(18, DAY)),
        ("2025-12-29T18:00:00Z", WrittenHour(18, DAY, timedelta(0))),
        ("2025-12-29T18:00:00-08:00", WrittenHour(18, DAY, timedelta(hours=-8))),
        ("2025-12-29T18:00:00+0530", WrittenHour(18, DAY, timedelta(hours=5, minutes=30))),
    ],
)
def test_hours_are_read_in_all_their_forms(value: object, expected: WrittenHour) -> None:
    """A number, its digits, or the local time of the hour's beginning."""
    assert expected == as_hour(value)


@pytest.mark.parametrize(
    "value",
    [
        *(24, -1, True, None, 9.0, Decimal("9.5"), Decimal("NaN")),
        *("", "24", "-1", "noon", "٩", "9\n", [9]),
        *("2025-12-29T25:00:00", "2025-12-29T18:30:00", "2025-12-29T18:00:01"),
        *("2025-02-30T18:00:00", "T18:00:00"),
    ],
)
def test_what_is_no_hour_is_refused(value: object) -> None:
    """Numbers out of range, times within an hour, impossible dates, other types."""
    with pytest.raises(FieldError, match="expected an hour from 0 to 23"):
        as_hour(value)


@pytest.mark.parametrize(
    ("day", "value", "expected"),
    [
        (8, 2, f"an hour that the clocks in {US} do not skip on 2026-03-08"),
        (9, "2026-03-08T18:00:00", "an hour of the row's day, 2026-03-09"),
        (9, "2026-03-09T18:00:00Z", f"a local time with the correct UTC offset of {US}"),
    ],
)
def test_an_hour_the_day_does_not_have_says_what_would_be_one(
    day: int, value: object, expected: str
) -> None:
    """The skipped hour, another day's hour, and an offset of elsewhere are told apart."""
    with pytest.raises(ImpossibleHourError) as refused:
        start_of_hour(date(2026, 3, day), as_hour(value), US)
    assert expected == refused.value.expected
