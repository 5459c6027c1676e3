"""The number of months in Dagster's partitions, which limits the number of accounts. Pure.

Source: Dagster's documentation recommends at most 100,000 partitions per asset. With more, its UI
    gets slow: for 1,000 accounts and 456 days, loading the partitions takes 80 seconds and 1.4 GB
    of memory. The number of windows in Postgres is not limited.
"""

from datetime import date, timedelta
from typing import Final

MOST_PARTITIONS: Final = 100_000
NEARLY_FULL: Final = MOST_PARTITIONS * 8 // 10
DAYS_AHEAD: Final = 1
"""The last partition is today's UTC date: in each time zone, a day ends after its start in UTC."""


def first_partition_day(today: date, months: int) -> date:
    """Return the first day of the month that is `months` before the month of `today` (UTC)."""
    year, month = divmod(today.year * 12 + today.month - 1 - months, 12)
    return date(year, month + 1, 1)


def count_partition_days(today: date, months: int) -> int:
    """Return how many days have a partition if the last `months` months do; `today` is in UTC."""
    return (today - first_partition_day(today, months) + timedelta(days=DAYS_AHEAD)).days


def find_months_with_room(accounts: int, today: date, months: int) -> int | None:
    """Return how many months, at most `months`, fit Dagster's limit; None if no month fits."""
    fitting = (
        fewer
        for fewer in range(months, 0, -1)
        if accounts * count_partition_days(today, fewer) < NEARLY_FULL
    )
    return next(fitting, None)
