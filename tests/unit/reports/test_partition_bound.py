"""Accounts times days: how many partitions Dagster's UI is given at most, and what is said when there are too many."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.reports.partition_bound import (
    MOST_PARTITIONS,
    TooManyPartitionsError,
    check_partitions,
    first_partition_day,
    partition_days,
    room_for_accounts,
)

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("first_day", "days", "room"),
    [
        (date(2025, 8, 1), 482, 207),
        (date(2026, 8, 18), 100, 1000),
        (TODAY, 2, 50_000),
        (TODAY + timedelta(days=9), 1, 100_000),
    ],
)
def test_room_is_a_hundred_thousand_over_days(first_day: date, days: int, room: int) -> None:
    """Days are counted from the first one to two days ahead, which have begun somewhere."""
    assert (days, room) == (partition_days(first_day, TODAY), room_for_accounts(first_day, TODAY))


@pytest.mark.parametrize(
    ("accounts", "first_day"),
    [
        (0, date(2024, 11, 1)),
        (5, date(2024, 11, 1)),
        (131, date(2024, 11, 1)),
        (207, date(2025, 8, 1)),
        (208, date(2025, 9, 1)),
        (1_000, date(2026, 9, 1)),
        (1_100, date(2026, 8, 31)),
        (2_000, date(2026, 10, 12)),
        (5_000, date(2026, 11, 6)),
        (60_000, TODAY),
    ],
)
def test_as_many_months_weeks_or_days_are_partitions_as_there_is_room_for(
    accounts: int, first_day: date
) -> None:
    """At most the 24 months of the dataset with the longest history; where three months do not fit, weeks, and where three weeks do not, days."""
    assert first_day == first_partition_day(None, TODAY, accounts)


def test_the_setting_goes_before_room() -> None:
    """Whoever names a day gets it."""
    assert date(2026, 8, 18) == first_partition_day(date(2026, 8, 18), TODAY, 5)


@given(accounts=st.integers(1, 50_000), today=st.dates(date(2025, 1, 1), date(2030, 12, 31)))
def test_accounts_have_room_from_the_first_day_on(accounts: int, today: date) -> None:
    """Always, and at least two thirds of the room is used on any day of any month."""
    first_day = first_partition_day(None, today, accounts)
    days = partition_days(first_day, today)
    assert accounts * days <= MOST_PARTITIONS
    assert first_day <= today
    is_all = first_day == first_partition_day(None, today, 1)
    assert is_all or days >= MOST_PARTITIONS // accounts * 2 / 3


def test_two_thousand_accounts_show_six_weeks_on_any_day() -> None:
    """Also on the first of a month, and the first day changes on Mondays only."""
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    firsts = [first_partition_day(None, today, 2_000) for today in days]
    shown = {partition_days(first, today) for first, today in zip(firsts, days, strict=True)}
    assert (44, 50) == (min(shown), max(shown))
    assert {0} == {first.weekday() for first in firsts}


def test_the_message_says_what_to_set() -> None:
    """How many there would be, the bound, the day that makes room, and who has none."""
    with pytest.raises(TooManyPartitionsError) as caught:
        check_partitions(
            1000,
            first_day=date(2025, 8, 1),
            today=TODAY,
            left_out=tuple(f"US.{n}" for n in range(793)),
        )
    said = (
        "1,000 accounts × 482 days are 482,000 partitions of each asset, and Dagster's UI is made for 100,000 at most. "
        "Set BIDBEACON_FIRST_WINDOW_DATE=2026-08-18 (or later) and restart Dagster; windows before that day are still kept and refreshed in "
        "Postgres. Without partitions for now: US.0, US.1, US.2, US.3, US.4 and 788 more."
    )
    assert said == str(caught.value)


def test_more_accounts_than_partitions_have_no_first_day() -> None:
    """Where no day makes room, the message doesn't name one."""
    with pytest.raises(TooManyPartitionsError, match="Disable accounts"):
        check_partitions(60_000, first_day=TODAY, today=TODAY)


@given(accounts=st.integers(1, 50_000), first_day=st.dates(date(2020, 1, 1), TODAY))
def test_the_day_that_is_named_makes_room(accounts: int, first_day: date) -> None:
    """Where there is no room, there is with the day that the message names, and none with the day before."""
    if accounts <= room_for_accounts(first_day, TODAY):
        assert accounts * partition_days(first_day, TODAY) <= MOST_PARTITIONS
        return
    with pytest.raises(TooManyPartitionsError) as caught:
        check_partitions(accounts, first_day=first_day, today=TODAY)
    named = caught.value.first_day
    assert named is not None
    check_partitions(accounts, first_day=named, today=TODAY)
    assert accounts * partition_days(named - timedelta(days=1), TODAY) > MOST_PARTITIONS
