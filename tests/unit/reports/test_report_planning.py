"""Covering due windows with as few reports as possible."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.reports.datasets import DAILY_TARGETS, Dataset
from bidbeacon_pipelines.reports.planning import (
    OLDEST_WAITS_AT_MOST,
    PlannableWindow,
    SkippedWindow,
    plan_requests,
)
from bidbeacon_pipelines.reports.windows import due_at, next_refresh_at, window_dates

TODAY = date(2026, 1, 31)
SHORT = replace(DAILY_TARGETS, longest_period_days=4)
HOURLY = replace(
    DAILY_TARGETS, history_months=None, history_days=14, longest_period_days=14, refresh_offsets=(1, 3, 13)
)


def _day(age: int) -> date:
    return TODAY - timedelta(days=age)


def _windows(due: Iterable[int] = (), in_flight: Collection[int] = ()) -> list[PlannableWindow]:
    ages = {*due, *in_flight}
    return [PlannableWindow(_day(age), age in set(due), age in in_flight) for age in ages]


def _spans(due: Iterable[int], in_flight: Collection[int]) -> list[tuple[int, int]]:
    plan = plan_requests(SHORT, _windows(due, in_flight), today=TODAY, free_slots=99)
    return [((TODAY - request.end).days, (TODAY - request.start).days) for request in plan.requests]


def test_one_request_covers_what_the_longest_period_reaches() -> None:
    """Seven due days within 120 are one report, the days between come along."""
    ages = [1, 3, 5, 7, 14, 30, 60]
    (request,) = plan_requests(DAILY_TARGETS, _windows(ages), today=TODAY, free_slots=2).requests

    assert (_day(60), _day(1)) == (request.start, request.end)
    assert (7, 53, 60) == (len(request.due), len(request.bridged), len(request.windows))
    assert "7 due, 53 bridged" == request.reason


@pytest.mark.parametrize(
    ("due", "in_flight", "expected"),
    [
        pytest.param([], [], [], id="nothing due"),
        pytest.param([5], [], [(5, 5)], id="one day is asked for alone"),
        pytest.param([1, 4], [], [(1, 4)], id="exactly the longest period"),
        pytest.param([1, 5], [], [(1, 1), (5, 5)], id="one day too far"),
        pytest.param([1, 2, 3, 4, 5], [], [(1, 4), (5, 5)], id="greedy from the newest"),
        pytest.param([1, 3], [2], [(1, 1), (3, 3)], id="never over a day in flight"),
        pytest.param([1, 2, 4], [3], [(1, 2), (4, 4)], id="up to a day in flight"),
        pytest.param([2, 3], [1, 4], [(2, 3)], id="between days in flight"),
    ],
)
def test_ranges(due: list[int], in_flight: list[int], expected: list[tuple[int, int]]) -> None:
    """Ranges reach from the newest due day back to the oldest one in reach, newest range first."""
    assert expected == _spans(due, in_flight)


def test_empty_account_is_filled_with_seven_requests() -> None:
    """The 24 months of an account that has nothing take seven reports, not one a day."""
    missing = [
        PlannableWindow(at, due=True, in_flight=False) for at in window_dates(DAILY_TARGETS, TODAY)[:-1]
    ]
    plan = plan_requests(DAILY_TARGETS, missing, today=TODAY, free_slots=99)

    assert 730 <= len(missing)
    assert 7 == len(plan.requests)
    assert sorted(at for request in plan.requests for at in request.due) == [w.window_date for w in missing]


def test_empty_hourly_account_is_filled_with_one_request() -> None:
    """The 14 days of an hourly dataset are one report."""
    missing = [PlannableWindow(at, due=True, in_flight=False) for at in window_dates(HOURLY, TODAY)]

    assert 1 == len(plan_requests(HOURLY, missing, today=TODAY, free_slots=2).requests)


@pytest.mark.parametrize("dataset", [DAILY_TARGETS, HOURLY], ids=["daily", "hourly"])
def test_a_day_in_the_life_of_an_up_to_date_account_takes_one_request(dataset: Dataset) -> None:
    """On an account refreshed yesterday all that fell due at midnight is one report."""
    zone, yesterday = "Europe/Paris", due_at(TODAY, -1, "Europe/Paris")
    now = due_at(TODAY, 0, zone)
    due = [
        PlannableWindow(at, due=refresh is not None and refresh <= now, in_flight=False, due_since=refresh)
        for at in window_dates(dataset, TODAY)
        for refresh in [next_refresh_at(dataset, at, zone, yesterday)]
    ]
    (request,) = plan_requests(dataset, due, today=TODAY, free_slots=2).requests

    assert len(dataset.refresh_offsets) == len(request.due)


def test_due_windows_without_a_slot_wait() -> None:
    """What finds no free slot is told to be waiting, oldest first."""
    plan = plan_requests(SHORT, _windows([1, 10, 20]), today=TODAY, free_slots=1)

    assert [_day(1)] == [request.start for request in plan.requests]
    assert (_day(20), _day(10)) == plan.waiting


@pytest.mark.parametrize("free_slots", [0, -1])
def test_no_slot_no_request(free_slots: int) -> None:
    """Without a free slot nothing is asked for and all that is due waits."""
    plan = plan_requests(SHORT, _windows([1]), today=TODAY, free_slots=free_slots)

    assert ((), (_day(1),)) == (plan.requests, plan.waiting)


def test_by_hand_goes_first() -> None:
    """A day asked for by hand goes before newer due ones, also where it isn't due itself."""
    plan = plan_requests(SHORT, _windows([1, 10]), today=TODAY, free_slots=9, wanted=[_day(20), _day(21)])

    assert [(_day(21), _day(20)), (), ()] == [request.wanted for request in plan.requests]
    assert [True, False, False] == [request.by_hand for request in plan.requests]
    assert [_day(20), _day(1), _day(10)] == [request.end for request in plan.requests]


def test_by_hand_and_due_share_a_request() -> None:
    """A day asked for by hand takes the due days in reach along."""
    (request,) = plan_requests(
        SHORT, _windows([1, 2]), today=TODAY, free_slots=2, wanted=[_day(2), _day(4)]
    ).requests

    assert ((_day(4), _day(2)), (_day(2), _day(1)), (_day(3),)) == (
        request.wanted,
        request.due,
        request.bridged,
    )
    assert "2 asked for by hand, 2 due, 1 bridged" == request.reason


def test_what_cannot_be_asked_for_is_skipped_with_its_reason() -> None:
    """Days in flight and days that aren't served are left out, and said why."""
    tomorrow, ancient = _day(-1), _day(800)
    plan = plan_requests(
        DAILY_TARGETS, _windows([1, 800], in_flight=[1]), today=TODAY, free_slots=2, wanted=[tomorrow]
    )
    served = "Amazon serves daily_targets from 2024-02-01 to 2026-01-31"

    assert ((), ()) == (plan.requests, plan.waiting)
    assert plan.skipped == (
        SkippedWindow(ancient, served),
        SkippedWindow(_day(1), "a request that covers it is in flight"),
        SkippedWindow(tomorrow, served),
    )


@pytest.mark.parametrize(("since", "place"), [(0, 3), (7, 3), (8, 2), (9, 1), (10, 0), (50, 0)])
def test_oldest_due_window_has_its_turn_after_ten_requests(since: int, place: int) -> None:
    """Newest first, but no more than ten requests go before the one with the longest due window."""
    plan = plan_requests(
        SHORT, _windows([1, 10, 20, 30]), today=TODAY, free_slots=9, requests_since_oldest=since
    )

    assert place == [request.holds_oldest for request in plan.requests].index(True)
    assert _day(30) == plan.requests[place].start


def test_oldest_is_the_one_due_for_the_longest_time() -> None:
    """How long a window has been due counts, not its date."""
    long_ago = datetime(2026, 1, 2, tzinfo=UTC)
    due = [
        PlannableWindow(_day(1), due=True, in_flight=False, due_since=long_ago + timedelta(days=9)),
        PlannableWindow(_day(10), due=True, in_flight=False, due_since=long_ago),
        PlannableWindow(_day(20), due=True, in_flight=False),
    ]
    plan = plan_requests(
        SHORT, due, today=TODAY, free_slots=1, wanted=[_day(30)], requests_since_oldest=OLDEST_WAITS_AT_MOST
    )

    assert [_day(10)] == [request.start for request in plan.requests]


SMALL_AGES = st.sets(st.integers(0, 13), max_size=8)
ANY_AGES = st.sets(st.integers(-3, 480), max_size=60)


def fewest(due: frozenset[int], barriers: frozenset[int], longest: int) -> int:
    """Find the least number of ranges by trying every range for the first day left."""

    @cache
    def best(left: frozenset[int]) -> int:
        if not left:
            return 0
        first = min(left)
        ends = [e for e in range(first, first + longest) if not barriers & set(range(first, e + 1))]
        return 1 + min(best(left - set(range(first, end + 1))) for end in ends)

    return best(due - barriers)


@given(due=SMALL_AGES, in_flight=SMALL_AGES, longest=st.integers(1, 6))
def test_number_of_requests_is_minimal(due: set[int], in_flight: set[int], longest: int) -> None:
    """No other way to cover the due days takes fewer requests."""
    dataset = replace(DAILY_TARGETS, longest_period_days=longest)
    plan = plan_requests(dataset, _windows(due, in_flight), today=TODAY, free_slots=99)

    assert fewest(frozenset(due), frozenset(in_flight), longest) == len(plan.requests)


@given(
    due=ANY_AGES,
    in_flight=ANY_AGES,
    wanted=ANY_AGES,
    free_slots=st.integers(0, 5),
    longest=st.sampled_from([1, 3, 14, 120]),
    since=st.integers(0, 12),
)
def test_every_plan_keeps_the_rules(
    due: set[int], in_flight: set[int], wanted: set[int], free_slots: int, longest: int, since: int
) -> None:
    """Each due or wanted day is covered, waits or is skipped, once; ranges are legal and don't overlap."""
    dataset = replace(DAILY_TARGETS, longest_period_days=longest)
    plan = plan_requests(
        dataset,
        _windows(due, in_flight),
        today=TODAY,
        free_slots=free_slots,
        wanted={_day(age) for age in wanted},
        requests_since_oldest=since,
    )
    covered = [at for request in plan.requests for at in request.windows]
    asked = [at for request in plan.requests for at in {*request.due, *request.wanted}]

    assert sorted([*asked, *plan.waiting, *(skip.window_date for skip in plan.skipped)]) == sorted(
        _day(age) for age in due | wanted
    )
    assert len(set(covered)) == len(covered)
    assert set() == set(covered) & {_day(age) for age in in_flight}
    assert set(covered) <= set(window_dates(dataset, TODAY))
    assert all(1 <= len(request.windows) <= longest for request in plan.requests)
    assert len(plan.requests) <= free_slots
    assert not plan.waiting or len(plan.requests) == free_slots


@given(due=ANY_AGES, wanted=ANY_AGES, since=st.integers(0, 12))
def test_order_is_by_hand_then_newest_except_for_the_oldest(
    due: set[int], wanted: set[int], since: int
) -> None:
    """Without the request that has its turn, those by hand come first and each kind is newest first."""
    plan = plan_requests(
        SHORT,
        _windows(due),
        today=TODAY,
        free_slots=999,
        wanted={_day(age) for age in wanted},
        requests_since_oldest=since,
    )
    others = [
        (not request.by_hand, TODAY - request.end) for request in plan.requests if not request.holds_oldest
    ]
    places = [n for n, request in enumerate(plan.requests) if request.holds_oldest]

    assert sorted(others) == others
    assert all(place <= max(0, OLDEST_WAITS_AT_MOST - since) for place in places)
