"""How many months of days are Dagster's partitions, and for how many accounts there is room. Pure.

Source: Dagster's documentation recommends at most 100,000 partitions an asset, and its UI gets slow
    beyond (1,000 accounts with 456 days each: 80 seconds for the first look at the partitions, 1.4
    GB of memory). This does not limit how many windows Postgres keeps.
"""

from datetime import date, timedelta
from typing import Final

MOST_PARTITIONS: Final = 100_000
NEARLY_FULL: Final = MOST_PARTITIONS * 8 // 10
DAYS_AHEAD: Final = 1
"""Partitions are counted in UTC, to today: no account's day ends before it has begun in UTC."""


def first_partition_day(today: date, months: int) -> date:
    """Return the first day of the month that many months before `today`, which is in UTC."""
    year, month = divmod(today.year * 12 + today.month - 1 - months, 12)
    return date(year, month + 1, 1)


def count_partition_days(today: date, months: int) -> int:
    """Return how many days are partitions, from the first to today in UTC."""
    return (today - first_partition_day(today, months) + timedelta(days=DAYS_AHEAD)).days


def find_months_with_room(accounts: int, today: date, months: int) -> int | None:
    """Return the largest number of months, at most `months`, with room for so many accounts; None without any."""
    fitting = (
        fewer
        for fewer in range(months, 0, -1)
        if accounts * count_partition_days(today, fewer) < NEARLY_FULL
    )
    return next(fitting, None)
