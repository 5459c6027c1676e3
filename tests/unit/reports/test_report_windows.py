"""Which windows exist and when they fall due, in the account's own calendar."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS, HOURLY_TARGETS, Dataset
from bidbeacon_pipelines.windows.rules import (
    EndedReport,
    MissedOffsets,
    again_after_failure,
    due_at,
    expires_at,
    failing_since,
    local_date,
    missed_offsets,
    next_refresh_at,
    oldest_served,
    start_of_day,
    window_dates,
)

HOURLY = HOURLY_TARGETS
BOTH = pytest.mark.parametrize("dataset", [DAILY_TARGETS, HOURLY], ids=lambda dataset: dataset.name)
US, DE, GB = "America/Los_Angeles", "Europe/Paris", "Europe/London"
JP, IN, AU, BR = "Asia/Tokyo", "Asia/Kolkata", "Australia/Sydney", "America/Sao_Paulo"
ZONES = [
    US,
    DE,
    GB,
    JP,
    IN,
    AU,
    BR,
    "Africa/Cairo",
    "America/Havana",
    "Asia/Riyadh",
    "Pacific/Apia",
]
DAYS = st.dates(date(2000, 1, 1), date(2036, 12, 31))


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        ("2026-01-01T07:59:59", US, date(2025, 12, 31)),
        ("2026-01-01T08:00:00", US, date(2026, 1, 1)),
        ("2025-12-31T23:00:00", DE, date(2026, 1, 1)),
        ("2025-07-01T22:59:59", GB, date(2025, 7, 1)),
        ("2025-07-01T23:00:00", GB, date(2025, 7, 2)),
        ("2025-12-31T15:00:00", JP, date(2026, 1, 1)),
        ("2025-12-31T18:29:59", IN, date(2025, 12, 31)),
        ("2025-12-31T18:30:00", IN, date(2026, 1, 1)),
        ("2025-12-31T13:00:00", AU, date(2026, 1, 1)),
        ("2024-02-29T02:59:59", BR, date(2024, 2, 28)),
    ],
)
def test_local_date(now: str, zone: str, expected: date) -> None:
    """An instant's date is the one on the account's wall calendar."""
    assert expected == local_date(_utc(now), zone)


def test_naive_instant_is_refused() -> None:
    """An instant without time zone has no local date."""
    with pytest.raises(ValueError, match="expected an aware datetime"):
        local_date(datetime(2026, 1, 1), US)  # noqa: DTZ001 - the fault under test


@pytest.mark.parametrize(
    ("day", "zone", "expected"),
    [
        pytest.param(date(2026, 3, 8), US, "2026-03-08T08:00", id="US spring change"),
        pytest.param(date(2026, 3, 9), US, "2026-03-09T07:00", id="US after spring change"),
        pytest.param(date(2026, 11, 1), US, "2026-11-01T07:00", id="US autumn change"),
        pytest.param(date(2026, 11, 2), US, "2026-11-02T08:00", id="US after autumn change"),
        pytest.param(date(2026, 3, 29), DE, "2026-03-28T23:00", id="DE spring change"),
        pytest.param(date(2026, 3, 30), DE, "2026-03-29T22:00", id="DE after spring change"),
        pytest.param(date(2026, 10, 25), DE, "2026-10-24T22:00", id="DE autumn change"),
        pytest.param(date(2026, 10, 26), DE, "2026-10-25T23:00", id="DE after autumn change"),
        pytest.param(date(2026, 3, 29), GB, "2026-03-29T00:00", id="GB spring change"),
        pytest.param(date(2026, 3, 30), GB, "2026-03-29T23:00", id="GB after spring change"),
        pytest.param(date(2026, 10, 4), AU, "2026-10-03T14:00", id="AU spring change"),
        pytest.param(date(2026, 10, 5), AU, "2026-10-04T13:00", id="AU after spring change"),
        pytest.param(date(2026, 4, 6), AU, "2026-04-05T14:00", id="AU after autumn change"),
        pytest.param(date(2026, 1, 1), JP, "2025-12-31T15:00", id="JP"),
        pytest.param(date(2026, 1, 1), IN, "2025-12-31T18:30", id="IN half hour"),
        pytest.param(date(2026, 1, 1), BR, "2026-01-01T03:00", id="BR today"),
        pytest.param(date(2018, 11, 4), BR, "2018-11-04T03:00", id="BR midnight skipped"),
        pytest.param(date(2018, 2, 18), BR, "2018-02-18T03:00", id="BR 23:00 twice before it"),
        pytest.param(
            date(2025, 4, 25), "Africa/Cairo", "2025-04-24T22:00", id="EG midnight skipped"
        ),
        pytest.param(
            date(2025, 10, 31), "Africa/Cairo", "2025-10-30T22:00", id="EG 23:00 twice before it"
        ),
        pytest.param(
            date(2025, 11, 2), "America/Havana", "2025-11-02T04:00", id="midnight twice: the first"
        ),
        pytest.param(
            date(2011, 12, 30), "Pacific/Apia", "2011-12-30T10:00", id="a day that never was"
        ),
    ],
)
def test_start_of_day(day: date, zone: str, expected: str) -> None:
    """A local day starts at its first instant, whatever the clocks do at midnight."""
    assert _utc(expected) == start_of_day(day, zone)


@given(day=DAYS, zone=st.sampled_from(ZONES))
def test_day_begins_at_its_start_and_not_before(day: date, zone: str) -> None:
    """The start of a day is in that day, the moment before it in an earlier one."""
    start = start_of_day(day, zone)
    never_was = (day, zone) == (date(2011, 12, 30), "Pacific/Apia")

    assert (day + timedelta(days=1) if never_was else day) == local_date(start, zone)
    assert day > local_date(start - timedelta(microseconds=1), zone)


@given(day=DAYS, zone=st.sampled_from(ZONES))
def test_start_of_day_is_in_utc(day: date, zone: str) -> None:
    """Instants are handed out in UTC."""
    assert UTC == start_of_day(day, zone).tzinfo


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        pytest.param(date(2026, 1, 15), date(2024, 10, 16), id="mid-month"),
        pytest.param(date(2026, 5, 31), date(2025, 3, 1), id="the last of a month"),
        pytest.param(
            date(2025, 5, 28), date(2024, 2, 29), id="29 February of a leap year, and one more"
        ),
        pytest.param(date(2024, 2, 29), date(2022, 11, 30), id="from a leap day"),
        pytest.param(date(2026, 12, 31), date(2025, 10, 1), id="the last of a year"),
    ],
)
def test_daily_history_is_15_months_less_a_day(today: date, expected: date) -> None:
    """Months are counted back to the same day or the month's last, and a day is left as safety."""
    assert expected == oldest_served(DAILY_TARGETS, today)


def test_hourly_history_is_14_days_with_today() -> None:
    """The 14 hourly windows fit in one report, and the last offset is still served."""
    windows = window_dates(HOURLY.reports, date(2026, 3, 5))

    assert [date(2026, 2, 20), date(2026, 3, 5)] == [windows[0], windows[-1]]
    assert HOURLY.longest_period_days == len(windows)


@BOTH
@given(today=DAYS)
def test_windows_are_exactly_the_served_days(dataset: Dataset, today: date) -> None:
    """A day is a window when it is served, and no other day is."""
    windows = window_dates(dataset.reports, today)
    around = [windows[0] - timedelta(days=1), *windows, today + timedelta(days=1)]

    oldest = oldest_served(dataset, today)
    assert windows == [day for day in around if oldest <= day <= today]
    assert sorted(set(windows)) == windows


@given(today=DAYS)
def test_history_never_loses_ground(today: date) -> None:
    """From one day to the next the oldest window stays or moves forward, and spans 15 months of 28 to 31 days."""
    oldest, next_oldest = (
        oldest_served(DAILY_TARGETS, day) for day in (today, today + timedelta(days=1))
    )

    assert timedelta(0) <= next_oldest - oldest <= timedelta(days=4)
    assert 453 <= (today - oldest).days <= 457


@BOTH
@pytest.mark.parametrize("days", [10, 730])
def test_another_history_replaces_that_of_the_registry(dataset: Dataset, days: int) -> None:
    """A shorter one as well as a longer one; a day of it is left as safety, and windows expire by it."""
    today = date(2026, 1, 15)
    windows = window_dates([replace(one, history_days=days) for one in dataset.reports], today)
    assert [today - timedelta(days=days - 1), today] == [windows[0], windows[-1]]
    assert start_of_day(today, US) == expires_at(dataset, today - timedelta(days=days), US, days)


@BOTH
@given(today=DAYS)
def test_every_offset_falls_due_while_its_window_is_served(dataset: Dataset, today: date) -> None:
    """On the day its last refresh falls due a window can still be asked for."""
    last = today - timedelta(days=dataset.refresh_offsets[-1])
    assert oldest_served(dataset, today) <= last


@pytest.mark.parametrize(
    ("day", "offset", "zone", "expected"),
    [
        (date(2025, 12, 31), 1, US, "2026-01-01T08:00"),
        (date(2026, 3, 7), 1, US, "2026-03-08T08:00"),
        (date(2026, 3, 7), 3, US, "2026-03-10T07:00"),
        (date(2026, 10, 24), 1, DE, "2026-10-24T22:00"),
        (date(2026, 10, 24), 3, DE, "2026-10-26T23:00"),
        (date(2024, 2, 28), 1, JP, "2024-02-28T15:00"),
        (date(2024, 2, 28), 3, JP, "2024-03-01T15:00"),
        (date(2025, 4, 24), 1, "Africa/Cairo", "2025-04-24T22:00"),
    ],
)
def test_due_at_local_midnight(day: date, offset: int, zone: str, expected: str) -> None:
    """Offset N falls due at local midnight of the window's date plus N days."""
    assert _utc(expected) == due_at(day, offset, zone)


WINDOW = date(2026, 1, 1)


@pytest.mark.parametrize(
    ("as_of_day", "offset"),
    [
        (None, 1),
        (0, 1),
        (1, 3),
        (2, 3),
        (3, 5),
        (6, 7),
        (7, 14),
        (29, 30),
        (59, 60),
        (60, None),
        (400, None),
    ],
)
def test_next_refresh_is_the_first_offset_not_in_the_data(
    as_of_day: int | None, offset: int | None
) -> None:
    """Data of the very instant an offset falls due serves it; the next one is the first that it doesn't."""
    as_of = None if as_of_day is None else due_at(WINDOW, as_of_day, IN)
    expected = None if offset is None else due_at(WINDOW, offset, IN)

    assert expected == next_refresh_at(DAILY_TARGETS, WINDOW, IN, as_of)


@pytest.mark.parametrize(
    ("dataset", "zone", "failed_at", "with_data", "without_data"),
    [
        pytest.param(
            DAILY_TARGETS, US, "2026-01-02T09:00", "2026-01-04T08:00", "2026-01-03T09:00", id="T+1"
        ),
        pytest.param(
            DAILY_TARGETS, US, "2026-01-15T09:00", "2026-01-31T08:00", "2026-01-16T09:00", id="T+14"
        ),
        pytest.param(
            DAILY_TARGETS,
            US,
            "2026-01-04T05:00",
            "2026-01-04T08:00",
            "2026-01-04T08:00",
            id="an offset within a day",
        ),
        pytest.param(
            DAILY_TARGETS,
            US,
            "2026-01-04T08:00",
            "2026-01-06T08:00",
            "2026-01-05T08:00",
            id="at an offset: the next",
        ),
        pytest.param(
            DAILY_TARGETS,
            US,
            "2026-03-02T08:00",
            "2026-03-03T08:00",
            "2026-03-03T08:00",
            id="at the last offset",
        ),
        pytest.param(
            DAILY_TARGETS,
            US,
            "2026-08-01T12:00",
            "2026-08-02T12:00",
            "2026-08-02T12:00",
            id="long after the last",
        ),
        pytest.param(
            DAILY_TARGETS,
            DE,
            "2026-02-01T00:00",
            "2026-03-01T23:00",
            "2026-02-02T00:00",
            id="DE, T+31",
        ),
        pytest.param(
            HOURLY, JP, "2026-01-04T15:00", "2026-01-13T15:00", "2026-01-05T15:00", id="hourly, T+4"
        ),
        pytest.param(
            HOURLY,
            JP,
            "2026-01-13T15:00",
            "2026-01-14T15:00",
            "2026-01-14T15:00",
            id="hourly, at the last offset",
        ),
    ],
)
def test_after_a_failure_the_next_offset_comes_or_a_day_later_where_there_is_no_data(
    dataset: Dataset, zone: str, failed_at: str, with_data: str, without_data: str
) -> None:
    """A window with data waits for its next offset exactly, and for a day after the last; one without waits a day at most."""
    [kept, filled] = (
        again_after_failure(dataset, WINDOW, zone, _utc(failed_at), has_data=has_data)
        for has_data in (True, False)
    )

    assert (_utc(with_data), _utc(without_data)) == (kept, filled)


@pytest.mark.parametrize(("days", "expected"), [(0, 1), (5.5, 6.5), (6, 7), (6.1, None)])
def test_last_refresh_that_fails_is_tried_again_for_a_week(
    days: float, expected: float | None
) -> None:
    """Once a day, counted from when it failed first; a window without data is tried for ever."""
    first = due_at(WINDOW, 60, DE) + timedelta(days=40)
    now = first + timedelta(days=days)
    again = [
        again_after_failure(DAILY_TARGETS, WINDOW, DE, now, has_data=has_data, failing_since=first)
        for has_data in (True, False)
    ]
    assert [
        None if expected is None else first + timedelta(days=expected),
        now + timedelta(days=1),
    ] == again


def test_refresh_fails_since_its_first_report_after_it_was_due() -> None:
    """Reports of an earlier refresh, or of other days, say nothing about the last one."""
    last = due_at(WINDOW, 60, DE)
    day, hour = timedelta(days=1), timedelta(hours=1)
    reports = [
        EndedReport(WINDOW, WINDOW, last - hour),
        EndedReport(WINDOW + day, WINDOW + 9 * day, last + hour),
        EndedReport(WINDOW - day, WINDOW, last + 9 * hour),
        EndedReport(WINDOW, WINDOW + day, last + 5 * hour),
    ]
    assert last + 5 * hour == failing_since(DAILY_TARGETS, WINDOW, DE, reports)
    assert failing_since(DAILY_TARGETS, WINDOW, DE, reports[:2]) is None


@BOTH
@given(
    day=DAYS, zone=st.sampled_from(ZONES), waited=st.timedeltas(timedelta(0), timedelta(days=80))
)
def test_a_failure_is_never_due_again_at_once(
    dataset: Dataset, day: date, zone: str, waited: timedelta
) -> None:
    """What is due again lies ahead, and without data within a day; so a report that always fails is not asked for in a circle."""
    failed_at = start_of_day(day, zone) + waited
    with_data = again_after_failure(dataset, day, zone, failed_at, has_data=True)
    without = again_after_failure(dataset, day, zone, failed_at, has_data=False)

    assert with_data is None or failed_at < with_data
    assert without is not None
    assert failed_at < without <= failed_at + timedelta(days=1)


def test_data_of_the_moment_before_does_not_serve_an_offset() -> None:
    """A report made a moment before an offset falls due doesn't serve it."""
    just_before = due_at(WINDOW, 3, AU) - timedelta(microseconds=1)

    assert due_at(WINDOW, 3, AU) == next_refresh_at(DAILY_TARGETS, WINDOW, AU, just_before)


@pytest.mark.parametrize(
    ("as_of_day", "now_day", "expected"),
    [
        (None, 0, MissedOffsets(None, ())),
        (None, 1, MissedOffsets(1, ())),
        (None, 8, MissedOffsets(7, (1, 3, 5))),
        (None, 400, MissedOffsets(60, (1, 3, 5, 7, 14, 30))),
        (1, 2, MissedOffsets(None, ())),
        (1, 3, MissedOffsets(3, ())),
        (1, 20, MissedOffsets(14, (3, 5, 7))),
        (60, 90, MissedOffsets(None, ())),
    ],
)
def test_one_refresh_serves_the_latest_missed_offset(
    as_of_day: int | None, now_day: int, expected: MissedOffsets
) -> None:
    """Several missed offsets make one refresh: the latest is served, the earlier ones are skipped."""
    as_of = None if as_of_day is None else due_at(WINDOW, as_of_day, GB)

    assert expected == missed_offsets(DAILY_TARGETS, WINDOW, GB, as_of, due_at(WINDOW, now_day, GB))


@BOTH
@given(
    zone=st.sampled_from(ZONES),
    as_of_hours=st.none() | st.integers(0, 1600),
    now_hours=st.integers(0, 2000),
)
def test_window_is_due_exactly_when_a_refresh_serves_something(
    dataset: Dataset, zone: str, as_of_hours: int | None, now_hours: int
) -> None:
    """A window's next refresh lies in the past when, and only when, a refresh made now serves an offset."""
    start = start_of_day(WINDOW, zone)
    as_of = None if as_of_hours is None else start + timedelta(hours=as_of_hours)
    now = start + timedelta(hours=now_hours)
    due = next_refresh_at(dataset, WINDOW, zone, as_of)

    assert (due is not None and due <= now) == (
        missed_offsets(dataset, WINDOW, zone, as_of, now).serves is not None
    )


@BOTH
def test_refreshing_whenever_due_serves_each_offset_once(dataset: Dataset) -> None:
    """A window refreshed at each due instant is refreshed as often as it has offsets, and then never again."""
    as_of: datetime | None = None
    served = []
    while (at := next_refresh_at(dataset, WINDOW, US, as_of)) is not None:
        served.append(missed_offsets(dataset, WINDOW, US, as_of, at))
        as_of = at

    assert [MissedOffsets(offset, ()) for offset in dataset.refresh_offsets] == served


def test_zones_of_the_tables_exist() -> None:
    """Every zone these tests name is in the time zone database."""
    assert ZONES == [ZoneInfo(zone).key for zone in ZONES]
