"""The reports that planning asks for: the due days of an ads account, covered with as few as possible."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS
from bidbeacon_pipelines.requests.planning_rules import (
    PlannedRequest,
    plan_requests,
    should_wait_for_countries,
)
from bidbeacon_pipelines.windows.rules import window_dates

TODAY = date(2026, 1, 31)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR, SIX_HOURS = timedelta(hours=1), timedelta(hours=6)


def day(age: int) -> date:
    """Return the day so many days before today."""
    return TODAY - timedelta(days=age)


def due(*ages: int) -> set[date]:
    """Return days of these ages as due."""
    return {day(age) for age in ages}


def spans(requests: list[PlannedRequest]) -> list[tuple[int, int]]:
    """Return the ages of the first and last day of each request."""
    return [((TODAY - request.start).days, (TODAY - request.end).days) for request in requests]


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        pytest.param([], [], id="nothing due"),
        pytest.param([5], [(5, 5)], id="one day is asked for alone"),
        pytest.param([1, 4], [(4, 1)], id="exactly the longest period"),
        pytest.param([1, 5], [(1, 1), (5, 5)], id="one day too far"),
        pytest.param([1, 2, 3, 4, 5], [(4, 1), (5, 5)], id="greedy from the newest"),
    ],
)
def test_ranges(ages: list[int], expected: list[tuple[int, int]]) -> None:
    """A range reaches from the newest due day back to the oldest one in reach, over days that aren't due; newest range first."""
    assert expected == spans(plan_requests(due(*ages), longest_days=4))


def test_an_empty_account_is_filled_with_few_requests() -> None:
    """All that Amazon serves of a daily dataset takes one request for each longest period."""
    days = window_dates(DAILY_TARGETS.reports, TODAY)[:-1]
    planned = plan_requests(days, longest_days=DAILY_TARGETS.longest_period_days)
    assert -(-len(days) // DAILY_TARGETS.longest_period_days) == len(planned)


def test_wanted_days_are_covered_alike() -> None:
    """Days that somebody asked for need not be due; their requests are by hand."""
    planned = plan_requests([day(3), day(5), day(20)], longest_days=4, by_hand=True)
    assert [(5, 3), (20, 20)] == spans(planned)
    assert all(request.by_hand for request in planned)


def test_a_day_that_was_refused_alone_is_requested_alone() -> None:
    """No other due day is refused with it."""
    planned = plan_requests(due(2, 4, 5), longest_days=4, alone=[day(4)])
    assert [(5, 2), (4, 4)] == spans(planned)


@pytest.mark.parametrize(
    ("waited", "next_due", "expected"),
    [
        pytest.param(HOUR, HOUR, True, id="another country falls due soon"),
        pytest.param(HOUR, 5 * HOUR, True, id="at the last moment"),
        pytest.param(HOUR, 6 * HOUR, False, id="not within six hours"),
        pytest.param(HOUR, None, False, id="no other country"),
        pytest.param(SIX_HOURS, HOUR, False, id="waited long enough"),
    ],
)
def test_due_windows_wait_for_other_countries(
    waited: timedelta, next_due: timedelta | None, *, expected: bool
) -> None:
    """For up to six hours, and only while another one falls due in that time."""
    following = None if next_due is None else NOON + next_due
    assert expected is should_wait_for_countries(NOON - waited, following, NOON, SIX_HOURS)


def fewest(days: frozenset[int], longest: int) -> int:
    """Find the least number of ranges by trying every range for the first day left."""

    @cache
    def best(left: frozenset[int]) -> int:
        if not left:
            return 0
        first = min(left)
        ends = range(first, first + longest)
        return 1 + min(best(left - set(range(first, end + 1))) for end in ends)

    return best(days)


COUNTRIES = st.lists(st.sets(st.integers(0, 13), max_size=8), min_size=1, max_size=4)


@given(countries=COUNTRIES, longest=st.integers(1, 6))
def test_no_other_cover_of_all_countries_takes_fewer_requests(
    countries: list[set[int]], longest: int
) -> None:
    """A report holds every country, so what is due anywhere is covered with the least number of ranges of its days."""
    ages = set().union(*countries)
    planned = plan_requests(due(*ages), longest_days=longest)
    assert fewest(frozenset(ages), longest) == len(planned)
    for country in countries:
        assert all(sum(one.start <= day(age) <= one.end for one in planned) == 1 for age in country)


@given(st.sets(st.integers(0, 700)), st.integers(1, 120))
def test_every_plan_keeps_the_rules(ages: set[int], longest: int) -> None:
    """Each day is in one request; ranges are legal, don't overlap, end with such a day, and the newest comes first."""
    planned = plan_requests(due(*ages), longest_days=longest)
    assert all(1 == sum(one.has(day(age)) for one in planned) for age in ages)
    assert all(1 <= (request.end - request.start).days + 1 <= longest for request in planned)
    assert all(later.start > earlier.end for later, earlier in pairwise(planned))
    assert all((TODAY - edge).days in ages for r in planned for edge in (r.start, r.end))
