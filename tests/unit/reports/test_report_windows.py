"""Which windows exist and when they fall due, in the account's own calendar."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS, HOURLY_TARGETS, Dataset
from bidbeacon_pipelines.requests.endings import without_report
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows import rules
from bidbeacon_pipelines.windows.tables import ReportWindow

HOURLY = HOURLY_TARGETS
BOTH = pytest.mark.parametrize("dataset", [DAILY_TARGETS, HOURLY], ids=lambda dataset: dataset.name)
US, DE, GB = "America/Los_Angeles", "Europe/Paris", "Europe/London"
JP, IN, AU, BR = "Asia/Tokyo", "Asia/Kolkata", "Australia/Sydney", "America/Sao_Paulo"
EG, CU, WS = "Africa/Cairo", "America/Havana", "Pacific/Apia"
ZONES = [US, DE, GB, JP, IN, AU, BR, EG, CU, WS, "Asia/Riyadh"]
DAYS = st.dates(date(2000, 1, 1), date(2036, 12, 31))
WAITED = st.timedeltas(timedelta(0), timedelta(days=80))
CHANGES = {
    US: (date(2026, 3, 8), date(2026, 11, 1)),
    DE: (date(2026, 3, 29), date(2026, 10, 25)),
    GB: (date(2026, 3, 29), date(2026, 10, 25)),
    AU: (date(2026, 10, 4), date(2026, 4, 5)),
    BR: (date(2018, 11, 4), date(2018, 2, 18)),  # its last year with changes; at midnight
    EG: (date(2025, 4, 25), date(2025, 10, 31)),  # at midnight, too
    JP: (),
    IN: (),
}
"""Days on which clocks change."""
CALENDAR_ENDS = [
    *(date(2025, 12, 31), date(2026, 1, 31), date(2026, 2, 28), date(2026, 4, 30)),
    *(date(2024, 2, 28), date(2024, 2, 29)),
]


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _in_2026(text: str) -> datetime:
    return _utc(f"2026-{text}")


def test_naive_instant_is_refused() -> None:
    """An instant without time zone has no local date."""
    with pytest.raises(ValueError, match="expected an aware datetime"):
        rules.local_date(datetime(2026, 1, 1), US)  # noqa: DTZ001 - the fault under test


STARTS = {
    "US spring change": (US, "2026-03-08", "2026-03-08T08:00"),
    "US after spring change": (US, "2026-03-09", "2026-03-09T07:00"),
    "US autumn change": (US, "2026-11-01", "2026-11-01T07:00"),
    "US after autumn change": (US, "2026-11-02", "2026-11-02T08:00"),
    "DE spring change": (DE, "2026-03-29", "2026-03-28T23:00"),
    "DE after spring change": (DE, "2026-03-30", "2026-03-29T22:00"),
    "DE autumn change": (DE, "2026-10-25", "2026-10-24T22:00"),
    "DE after autumn change": (DE, "2026-10-26", "2026-10-25T23:00"),
    "GB spring change": (GB, "2026-03-29", "2026-03-29T00:00"),
    "GB after spring change": (GB, "2026-03-30", "2026-03-29T23:00"),
    "AU spring change": (AU, "2026-10-04", "2026-10-03T14:00"),
    "AU after spring change": (AU, "2026-10-05", "2026-10-04T13:00"),
    "AU after autumn change": (AU, "2026-04-06", "2026-04-05T14:00"),
    "JP": (JP, "2026-01-01", "2025-12-31T15:00"),
    "IN half hour": (IN, "2026-01-01", "2025-12-31T18:30"),
    "BR today": (BR, "2026-01-01", "2026-01-01T03:00"),
    "BR midnight skipped": (BR, "2018-11-04", "2018-11-04T03:00"),
    "BR 23:00 twice before it": (BR, "2018-02-18", "2018-02-18T03:00"),
    "EG midnight skipped": (EG, "2025-04-25", "2025-04-24T22:00"),
    "EG 23:00 twice before it": (EG, "2025-10-31", "2025-10-30T22:00"),
    "midnight twice: the first": (CU, "2025-11-02", "2025-11-02T04:00"),
    "a day that never was": (WS, "2011-12-30", "2011-12-30T10:00"),
}


@pytest.mark.parametrize(("zone", "day", "expected"), STARTS.values(), ids=STARTS)
def test_start_of_day(zone: str, day: str, expected: str) -> None:
    """A local day starts at its first instant, whatever the clocks do at midnight."""
    assert _utc(expected) == rules.start_of_day(date.fromisoformat(day), zone)


@given(day=DAYS, zone=st.sampled_from(ZONES))
def test_day_begins_at_its_start_and_not_before(day: date, zone: str) -> None:
    """The start of a day is in that day, the moment before it in an earlier one; instants are in UTC."""
    start = rules.start_of_day(day, zone)
    never_was = (day, zone) == (date(2011, 12, 30), WS)

    assert UTC == start.tzinfo
    assert (day + timedelta(days=1) if never_was else day) == rules.local_date(start, zone)
    assert day > rules.local_date(start - timedelta(microseconds=1), zone)


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        pytest.param(date(2026, 1, 15), date(2024, 10, 16), id="mid-month"),
        pytest.param(date(2026, 5, 31), date(2025, 3, 1), id="the last of a month"),
        pytest.param(date(2025, 5, 28), date(2024, 2, 29), id="29 February of a leap year"),
        pytest.param(date(2024, 2, 29), date(2022, 11, 30), id="from a leap day"),
        pytest.param(date(2026, 12, 31), date(2025, 10, 1), id="the last of a year"),
    ],
)
def test_daily_history_is_15_months_less_a_day(today: date, expected: date) -> None:
    """Months are counted back to the same day or the month's last, and a day is left as safety."""
    assert expected == rules.oldest_served(DAILY_TARGETS, today)


def test_hourly_history_is_14_days_with_today() -> None:
    """The 14 hourly windows fit in one report, and the last offset is still served."""
    windows = rules.window_dates(HOURLY.reports, date(2026, 3, 5))
    assert [date(2026, 2, 20), date(2026, 3, 5)] == [windows[0], windows[-1]]
    assert HOURLY.longest_period_days == len(windows)


@BOTH
@given(today=DAYS)
def test_windows_are_exactly_the_served_days(dataset: Dataset, today: date) -> None:
    """A day is a window when it is served, and no other day is."""
    windows = rules.window_dates(dataset.reports, today)
    around = [windows[0] - timedelta(days=1), *windows, today + timedelta(days=1)]

    oldest = rules.oldest_served(dataset, today)
    assert windows == [day for day in around if oldest <= day <= today]
    assert sorted(set(windows)) == windows


@given(today=DAYS)
def test_history_never_loses_ground(today: date) -> None:
    """From one day to the next the oldest window stays or moves forward, and spans 15 months of 28 to 31 days."""
    oldest = rules.oldest_served(DAILY_TARGETS, today)
    moved = rules.oldest_served(DAILY_TARGETS, today + timedelta(days=1)) - oldest
    assert timedelta(0) <= moved <= timedelta(days=4)
    assert 453 <= (today - oldest).days <= 457


@BOTH
@pytest.mark.parametrize("days", [10, 730])
def test_another_history_replaces_that_of_the_registry(dataset: Dataset, days: int) -> None:
    """A shorter one as well as a longer one; a day of it is left as safety, and windows expire by it."""
    today = date(2026, 1, 15)
    reports = [replace(one, history_days=days) for one in dataset.reports]
    windows = rules.window_dates(reports, today)
    assert [today - timedelta(days=days - 1), today] == [windows[0], windows[-1]]
    expired = today - timedelta(days=days)
    assert rules.start_of_day(today, US) == rules.expires_at(dataset, expired, US, days)


@BOTH
@given(today=DAYS)
def test_every_offset_falls_due_while_its_window_is_served(dataset: Dataset, today: date) -> None:
    """On the day its last refresh falls due a window can still be asked for."""
    last = today - timedelta(days=dataset.refresh_offsets[-1])
    assert rules.oldest_served(dataset, today) <= last


def _found_by_looking(day: date, zone: str) -> datetime:
    """Return the first quarter of an hour of a local day, looking at the wall clock of each in turn."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
    while at.astimezone(ZoneInfo(zone)).date() < day:
        at += timedelta(minutes=15)
    return at


@pytest.mark.parametrize("zone", CHANGES)
@BOTH
def test_offsets_fall_due_at_local_midnight(zone: str, dataset: Dataset) -> None:
    """For windows around changes of the clock and ends of months and years, each offset is where looking finds it."""
    around = [day + timedelta(days=n) for day in CHANGES[zone] for n in range(-3, 3)]
    for window in [*around, *CALENDAR_ENDS]:
        for offset in dataset.refresh_offsets:
            expected = _found_by_looking(window + timedelta(days=offset), zone)
            assert expected == rules.due_at(window, offset, zone), (window, offset)


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
    as_of = None if as_of_day is None else rules.due_at(WINDOW, as_of_day, IN)
    expected = None if offset is None else rules.due_at(WINDOW, offset, IN)
    assert expected == rules.next_refresh_at(DAILY_TARGETS, WINDOW, IN, as_of)
    if expected is not None:
        just_before = expected - timedelta(microseconds=1)
        assert expected == rules.next_refresh_at(DAILY_TARGETS, WINDOW, IN, just_before)


FAILURES = {
    "T+1": (DAILY_TARGETS, US, "01-02T09:00", "01-04T08:00", "01-03T09:00"),
    "T+14": (DAILY_TARGETS, US, "01-15T09:00", "01-31T08:00", "01-16T09:00"),
    "an offset within a day": (DAILY_TARGETS, US, "01-04T05:00", "01-04T08:00", "01-04T08:00"),
    "at an offset: the next": (DAILY_TARGETS, US, "01-04T08:00", "01-06T08:00", "01-05T08:00"),
    "at the last offset": (DAILY_TARGETS, US, "03-02T08:00", "03-03T08:00", "03-03T08:00"),
    "long after the last": (DAILY_TARGETS, US, "08-01T12:00", "08-02T12:00", "08-02T12:00"),
    "DE, T+31": (DAILY_TARGETS, DE, "02-01T00:00", "03-01T23:00", "02-02T00:00"),
    "hourly, T+4": (HOURLY, JP, "01-04T15:00", "01-13T15:00", "01-05T15:00"),
    "hourly, at the last offset": (HOURLY, JP, "01-13T15:00", "01-14T15:00", "01-14T15:00"),
}


@pytest.mark.parametrize(
    ("dataset", "zone", "failed_at", "with_data", "without_data"), FAILURES.values(), ids=FAILURES
)
def test_after_a_failure_the_next_offset_comes_or_a_day_later_where_there_is_no_data(
    dataset: Dataset, zone: str, failed_at: str, with_data: str, without_data: str
) -> None:
    """A window with data waits for its next offset exactly, and for a day after the last; one without waits a day at most."""
    again = [
        rules.again_after_failure(dataset, WINDOW, zone, _in_2026(failed_at), has_data=has_data)
        for has_data in (True, False)
    ]
    assert [_in_2026(with_data), _in_2026(without_data)] == again


@pytest.mark.parametrize(("days", "expected"), [(0, 1), (5.5, 6.5), (6, 7), (6.1, None)])
def test_last_refresh_that_fails_is_tried_for_a_week(days: float, expected: float | None) -> None:
    """Once a day, counted from when it failed first; a window without data is tried for ever."""
    first = rules.due_at(WINDOW, 60, DE) + timedelta(days=40)
    now = first + timedelta(days=days)
    again_at = partial(rules.again_after_failure, DAILY_TARGETS, WINDOW, DE, now)
    again = [again_at(has_data=has_data, ended_at=[first]) for has_data in (True, False)]
    kept = None if expected is None else first + timedelta(days=expected)
    assert [kept, now + timedelta(days=1)] == again


@pytest.mark.parametrize(("hours", "is_tried"), [((-1,), True), ((9,), True), ((9, 5), False)])
def test_refresh_fails_since_its_first_report_after_it_was_due(
    hours: Sequence[int], *, is_tried: bool
) -> None:
    """Reports of an earlier refresh say nothing about the last one."""
    last = rules.due_at(WINDOW, 60, DE)
    ended_at = [last + timedelta(hours=number) for number in hours]
    now = last + timedelta(days=6, hours=6)
    facts = DAILY_TARGETS, WINDOW, DE, now
    again = rules.again_after_failure(*facts, has_data=True, ended_at=ended_at)
    assert (now + timedelta(days=1) if is_tried else None) == again


@pytest.mark.parametrize(("first_day", "is_tried"), [(0, False), (1, True)])
def test_only_reports_of_its_day_say_since_when_a_refresh_fails(
    first_day: int, *, is_tried: bool
) -> None:
    """A report of later days that ended a week ago is not counted."""
    last = rules.due_at(WINDOW, 60, DE)
    ended, now = last + timedelta(hours=1), last + timedelta(days=7)
    start, end = WINDOW + timedelta(days=first_day), WINDOW + timedelta(days=9)
    window = ReportWindow(
        window_date=WINDOW, data_as_of=last - timedelta(days=9), next_refresh_at=last
    )
    request = ReportRequest(start_date=start, end_date=end, finished_at=ended)
    failed = without_report(window, cause("other"), DAILY_TARGETS, DE, now, [request])
    assert (now + timedelta(days=1) if is_tried else None) == failed.next_refresh_at


@BOTH
@given(day=DAYS, zone=st.sampled_from(ZONES), waited=WAITED)
def test_a_failure_is_never_due_again_at_once(
    dataset: Dataset, day: date, zone: str, waited: timedelta
) -> None:
    """What is due again lies ahead, and without data within a day; so a report that always fails is not asked for in a circle."""
    failed_at = rules.start_of_day(day, zone) + waited
    with_data = rules.again_after_failure(dataset, day, zone, failed_at, has_data=True)
    without = rules.again_after_failure(dataset, day, zone, failed_at, has_data=False)

    assert with_data is None or failed_at < with_data
    assert without is not None
    assert failed_at < without <= failed_at + timedelta(days=1)


@pytest.mark.parametrize(
    ("as_of_day", "now_day", "serves", "skipped"),
    [
        (None, 0, None, ()),
        (None, 1, 1, ()),
        (None, 8, 7, (1, 3, 5)),
        (None, 400, 60, (1, 3, 5, 7, 14, 30)),
        (1, 2, None, ()),
        (1, 3, 3, ()),
        (1, 20, 14, (3, 5, 7)),
        (60, 90, None, ()),
    ],
)
def test_one_refresh_serves_the_latest_missed_offset(
    as_of_day: int | None, now_day: int, serves: int | None, skipped: tuple[int, ...]
) -> None:
    """Several missed offsets make one refresh: the latest is served, the earlier ones are skipped."""
    as_of = None if as_of_day is None else rules.due_at(WINDOW, as_of_day, GB)
    now = rules.due_at(WINDOW, now_day, GB)
    missed = rules.missed_offsets(DAILY_TARGETS, WINDOW, GB, as_of, now)
    assert rules.MissedOffsets(serves, skipped) == missed


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
    start = rules.start_of_day(WINDOW, zone)
    as_of = None if as_of_hours is None else start + timedelta(hours=as_of_hours)
    now = start + timedelta(hours=now_hours)
    due = rules.next_refresh_at(dataset, WINDOW, zone, as_of)

    serves = rules.missed_offsets(dataset, WINDOW, zone, as_of, now).serves
    assert (due is not None and due <= now) == (serves is not None)


@BOTH
def test_refreshing_whenever_due_serves_each_offset_once(dataset: Dataset) -> None:
    """A window refreshed at each due instant is refreshed as often as it has offsets, and then never again."""
    as_of: datetime | None = None
    served = []
    while (at := rules.next_refresh_at(dataset, WINDOW, US, as_of)) is not None:
        served.append(rules.missed_offsets(dataset, WINDOW, US, as_of, at))
        as_of = at
    assert [rules.MissedOffsets(offset, ()) for offset in dataset.refresh_offsets] == served
