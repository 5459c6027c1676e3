"""The order in which planned reports are created."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.requests.planning_rules import (
    WAITS_FOR_AT_MOST,
    Candidate,
    days_old,
    next_to_create,
)

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LAST_NIGHT = NOW - 12 * HOUR
ASKED_FOR = ("report_requested_at", "account_requested_at")
DAILY, HOURLY = "daily_targets", "hourly_targets"


def planned(
    request_id: int, account: str = "a", dataset: str = DAILY, age: int = 1, **more: Any
) -> Candidate:
    """Return a planned report, of yesterday unless said otherwise; its dataset had its last report twelve hours ago."""
    asked: dict[str, Any] = dict.fromkeys(ASKED_FOR, LAST_NIGHT) | more
    end_date = NOW.date() - timedelta(days=age)
    return Candidate(
        request_id=request_id, account_id=account, dataset=dataset, end_date=end_date, **asked
    )


def order(*candidates: Candidate) -> list[int]:
    """Return the ids in the order in which they are created, all at one moment."""
    left, ids = list(candidates), []
    while (chosen := next_to_create(left, DATASETS, now=NOW)) is not None:
        ids.append(chosen.request_id)
        left.remove(chosen)
    return ids


def test_by_hand_then_first_refreshes_then_younger_ones_then_older_ones() -> None:
    """A day that somebody waits for, yesterday, T+3, T+14, last year."""
    assert [1, 2, 3, 4, 5] == order(
        planned(5, age=400),
        planned(4, age=14),
        planned(3, age=4),
        planned(2),
        planned(1, age=300, by_hand=True),
    )


def test_newest_days_by_hand_go_first() -> None:
    """Whatever dataset they are of, so that a day is complete before an older one."""
    assert [2, 3, 1] == order(
        planned(1, age=300, by_hand=True, report_requested_at=None),
        planned(2, age=4, by_hand=True),
        planned(3, dataset=HOURLY, age=4, by_hand=True),
    )


def test_datasets_take_turns() -> None:
    """The dataset of an ads account that had no report for the longest time goes first, one that never had one before all."""
    assert [3, 2, 1] == order(
        planned(1, dataset=DAILY, report_requested_at=NOW - HOUR),
        planned(2, dataset=HOURLY, report_requested_at=NOW - 9 * HOUR),
        planned(3, "b", report_requested_at=None),
    )


def test_ads_accounts_take_turns() -> None:
    """Among datasets that never had a report, that of the ads account without one for the longest time goes first."""
    assert [3, 2, 1] == order(
        planned(1, "a", report_requested_at=None, account_requested_at=NOW - HOUR),
        planned(2, "b", report_requested_at=None, account_requested_at=NOW - 2 * HOUR),
        planned(3, "c", report_requested_at=None, account_requested_at=None),
    )


def test_what_can_still_be_on_time_goes_before_what_is_late() -> None:
    """A report whose first refreshes are late already waits for those that would become late."""
    assert [2, 1] == order(planned(1, "a"), planned(2, "b", on_time=1))


def test_many_first_refreshes_go_before_few() -> None:
    """A report for all countries of an ads account makes more windows on time than one for a single country."""
    assert [2, 1] == order(planned(1, "a", on_time=1), planned(2, "b", on_time=16))


def test_a_day_without_a_report_counts_as_two_first_refreshes() -> None:
    """So a single country does not wait forever for ads accounts of many countries."""
    eight_days = LAST_NIGHT - timedelta(days=8)
    assert [1, 2, 3] == order(
        planned(2, "a", on_time=16),
        planned(1, "b", on_time=1, report_requested_at=eight_days),
        planned(3, "c", on_time=1, report_requested_at=eight_days + timedelta(days=1)),
    )


def test_no_report_waits_for_more_than_ten_of_its_own_dataset() -> None:
    """The turn of its ads account and dataset is then its own."""
    patient = planned(1, age=400, passed_over=WAITS_FOR_AT_MOST)
    assert [1, 2, 3] == order(planned(2), patient, planned(3, "b", report_requested_at=NOW))
    assert [2, 1] == order(planned(2, by_hand=True, age=9), patient)


def test_a_day_that_has_just_ended_east_of_greenwich_is_yesterday() -> None:
    """In Sydney the 15th is over while it is the 15th in UTC."""
    assert [1, 1, 3] == [days_old(date(2026, 1, day), NOW) for day in (15, 14, 12)]


@given(ages=st.lists(st.integers(3, 700), min_size=1, max_size=10), days=st.integers(1, 40))
def test_old_reports_are_created_under_a_flood_of_new_ones(ages: list[int], days: int) -> None:
    """Where each create finds a new yesterday of the same dataset, one in eleven goes to an older report."""
    old = [planned(1_000 + n, age=age) for n, age in enumerate(ages)]
    created = 0
    for n in range(11 * days):
        chosen = next_to_create([planned(n), *old], DATASETS, now=NOW)
        assert chosen is not None
        assert chosen.passed_over <= WAITS_FOR_AT_MOST
        created += chosen.request_id >= 1_000
        waiting = [one for one in old if one != chosen]
        old = [replace(one, passed_over=one.passed_over + 1) for one in waiting]
    assert created >= min(days, len(ages))
