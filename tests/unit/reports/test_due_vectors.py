"""When windows fall due, in seven countries: written out, and found anew by looking at every quarter of an hour."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from benchmarks.simulation import DAILY, HOURLY, ZONES
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.windows.rules import (
    due_at,
    local_date,
    next_refresh_at,
    oldest_served,
    window_dates,
)

SPRING_AND_AUTUMN = {
    "US": (date(2026, 3, 8), date(2026, 11, 1)),
    "DE": (date(2026, 3, 29), date(2026, 10, 25)),
    "GB": (date(2026, 3, 29), date(2026, 10, 25)),
    "AU": (date(2026, 10, 4), date(2026, 4, 5)),
    "BR": (date(2018, 11, 4), date(2018, 2, 18)),  # its last year with changes; at midnight
    "JP": (date(2026, 3, 29), date(2026, 10, 25)),  # no changes: others' days
    "IN": (date(2026, 3, 29), date(2026, 10, 25)),
}
CALENDAR_ENDS = [
    date(2025, 12, 31),
    date(2026, 1, 31),
    date(2026, 2, 28),
    date(2026, 4, 30),
    date(2024, 2, 28),
    date(2024, 2, 29),
]


def found_by_looking(day: date, zone: str) -> datetime:
    """Return the first quarter of an hour of a local day, looking at the wall clock of each in turn."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
    while at.astimezone(ZoneInfo(zone)).date() < day:
        at += timedelta(minutes=15)
    return at


@pytest.mark.parametrize(
    ("country", "window", "expected"),
    [
        # the window's day + 1, + 3, + 7: local midnight, in UTC
        pytest.param(
            "US", date(2026, 3, 7), ["03-08 08:00", "03-10 07:00", "03-14 07:00"], id="US spring"
        ),
        pytest.param(
            "US", date(2026, 10, 31), ["11-01 07:00", "11-03 08:00", "11-07 08:00"], id="US autumn"
        ),
        pytest.param(
            "DE", date(2026, 3, 28), ["03-28 23:00", "03-30 22:00", "04-03 22:00"], id="DE spring"
        ),
        pytest.param(
            "DE", date(2026, 10, 24), ["10-24 22:00", "10-26 23:00", "10-30 23:00"], id="DE autumn"
        ),
        pytest.param(
            "GB", date(2026, 3, 28), ["03-29 00:00", "03-30 23:00", "04-03 23:00"], id="GB spring"
        ),
        pytest.param(
            "GB", date(2026, 10, 24), ["10-24 23:00", "10-27 00:00", "10-31 00:00"], id="GB autumn"
        ),
        pytest.param(
            "AU", date(2026, 10, 3), ["10-03 14:00", "10-05 13:00", "10-09 13:00"], id="AU spring"
        ),
        pytest.param(
            "AU", date(2026, 4, 4), ["04-04 13:00", "04-06 14:00", "04-10 14:00"], id="AU autumn"
        ),
        pytest.param(
            "BR", date(2018, 11, 3), ["11-04 03:00", "11-06 02:00", "11-10 02:00"], id="BR spring"
        ),
        pytest.param(
            "BR", date(2018, 2, 17), ["02-18 03:00", "02-20 03:00", "02-24 03:00"], id="BR autumn"
        ),
        pytest.param(
            "BR", date(2026, 2, 17), ["02-18 03:00", "02-20 03:00", "02-24 03:00"], id="BR today"
        ),
        pytest.param(
            "JP", date(2026, 3, 28), ["03-28 15:00", "03-30 15:00", "04-03 15:00"], id="JP"
        ),
        pytest.param(
            "IN", date(2026, 3, 28), ["03-28 18:30", "03-30 18:30", "04-03 18:30"], id="IN"
        ),
        pytest.param(
            "JP",
            date(2025, 12, 31),
            ["12-31 15:00", "01-02 15:00", "01-06 15:00"],
            id="JP end of year",
        ),
        pytest.param(
            "US",
            date(2025, 12, 31),
            ["01-01 08:00", "01-03 08:00", "01-07 08:00"],
            id="US end of year",
        ),
        pytest.param(
            "IN", date(2024, 2, 28), ["02-28 18:30", "03-01 18:30", "03-05 18:30"], id="IN leap day"
        ),
        pytest.param(
            "GB", date(2024, 2, 29), ["03-01 00:00", "03-03 00:00", "03-07 00:00"], id="GB leap day"
        ),
        pytest.param(
            "DE",
            date(2026, 4, 30),
            ["04-30 22:00", "05-02 22:00", "05-06 22:00"],
            id="DE end of month",
        ),
    ],
)
def test_offsets_fall_due_at_local_midnight(
    country: str, window: date, expected: list[str]
) -> None:
    """So many days later, counted in the account's calendar: 23 or 25 hours of a day don't matter."""
    assert expected == [
        f"{due_at(window, offset, ZONES[country]):%m-%d %H:%M}" for offset in (1, 3, 7)
    ]


@pytest.mark.parametrize("country", ZONES)
@pytest.mark.parametrize("dataset", [DAILY, HOURLY], ids=lambda dataset: dataset.name)
def test_due_instants_are_those_of_the_wall_clock(country: str, dataset: Dataset) -> None:
    """For windows around both changes and around ends of months and years, each offset is where looking finds it."""
    zone = ZONES[country]
    around = [day + timedelta(days=n) for day in SPRING_AND_AUTUMN[country] for n in range(-3, 3)]
    for window in [*around, *CALENDAR_ENDS]:
        for offset in dataset.refresh_offsets:
            expected = found_by_looking(window + timedelta(days=offset), zone)
            assert expected == due_at(window, offset, zone), (window, offset)


@pytest.mark.parametrize("country", ZONES)
@pytest.mark.parametrize("dataset", [DAILY, HOURLY], ids=lambda dataset: dataset.name)
def test_each_refresh_leads_to_the_next(country: str, dataset: Dataset) -> None:
    """Around both changes, data made at the instant of one offset are due at the next one's, and after the last never again."""
    zone = ZONES[country]
    for change in SPRING_AND_AUTUMN[country]:
        for window in (change - timedelta(days=1), change, change + timedelta(days=1)):
            instants = [
                found_by_looking(window + timedelta(days=n), zone) for n in dataset.refresh_offsets
            ]
            held = [None, *instants]
            assert [*instants, None] == [
                next_refresh_at(dataset, window, zone, as_of) for as_of in held
            ]


@pytest.mark.parametrize(
    ("country", "now", "today"),
    [
        ("US", "2026-03-08T07:59", date(2026, 3, 7)),
        ("US", "2026-03-08T08:00", date(2026, 3, 8)),
        ("DE", "2026-10-25T22:59", date(2026, 10, 25)),
        ("DE", "2026-10-25T23:00", date(2026, 10, 26)),
        ("GB", "2026-03-29T22:59", date(2026, 3, 29)),
        ("GB", "2026-03-29T23:00", date(2026, 3, 30)),
        ("AU", "2026-04-05T13:59", date(2026, 4, 5)),
        ("AU", "2026-04-05T14:00", date(2026, 4, 6)),
        ("BR", "2018-11-04T02:59", date(2018, 11, 3)),
        ("BR", "2018-11-04T03:00", date(2018, 11, 4)),
        ("JP", "2024-02-29T14:59", date(2024, 2, 29)),
        ("IN", "2025-12-31T18:30", date(2026, 1, 1)),
    ],
)
def test_windows_end_with_the_accounts_own_day(country: str, now: str, today: date) -> None:
    """A minute before local midnight the old day is the last window, at midnight the new one is; all offsets count from it."""
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)

    assert today == local_date(at, ZONES[country])
    assert (today, oldest_served(DAILY, today)) == (
        window_dates(DAILY.reports, today)[-1],
        window_dates(DAILY.reports, today)[0],
    )
    assert len(window_dates(HOURLY.reports, today)) == 14
