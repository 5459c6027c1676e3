"""How many partitions an asset may have in Dagster: accounts times days. Pure.

Source: Dagster's documentation recommends at most 100,000 partitions an asset, and its UI gets slow
    beyond (1,000 accounts with 456 days each: 80 seconds for the first look at the partitions, 1.4
    GB of memory). This does not limit how many windows Postgres keeps.
"""

from datetime import date, timedelta

from bidbeacon_pipelines.reports.datasets import DATASETS
from bidbeacon_pipelines.reports.windows import oldest_served

MOST_PARTITIONS = 100_000
DAYS_AHEAD = 2
"""Partitions are counted in UTC; an account's own day may have begun before."""
_DAYS_CUT_TO_MONTHS = 3 * 31
_DAYS_CUT_TO_WEEKS = 3 * 7


class TooManyPartitionsError(RuntimeError):
    """More accounts times days than Dagster's UI can show; the message says which setting makes room.

    Attributes:
        accounts: How many accounts there would be.
        days: How many days each of them has as partitions.
        first_day: The earliest first day with which all of them have room; None where there are
            more accounts than partitions.
    """

    def __init__(
        self, accounts: int, days: int, first_day: date | None, left_out: tuple[str, ...] = ()
    ) -> None:
        self.accounts, self.days, self.first_day = accounts, days, first_day
        remedy = (
            f"Set BIDBEACON_FIRST_WINDOW_DATE={first_day} (or later) and restart Dagster"
            if first_day
            else "Disable accounts, or spread them over several installations"
        )
        out = f" Without partitions for now: {_some(left_out)}." if left_out else ""
        super().__init__(
            f"{accounts:,} accounts × {days:,} days are {accounts * days:,} partitions of each asset, and Dagster's UI is made for "
            f"{MOST_PARTITIONS:,} at most. {remedy}; windows before that day are still kept and refreshed in Postgres.{out}"
        )


def first_partition_day(wanted: date | None, today: date, accounts: int) -> date:
    """Return the first day that is a partition.

    Args:
        wanted: The setting. Absent, as many days are partitions as there is room for, at most those
            of which Amazon serves any dataset,
            cut to whole months or, where there is room for few, to whole weeks.
        today: The date in UTC.
        accounts: How many accounts there are.
    """
    if wanted is not None:
        return wanted
    oldest = min(oldest_served(dataset, today) for dataset in DATASETS.values()).replace(day=1)
    earliest = _earliest_with_room(accounts, today) or today
    return max(oldest, _cut_to_period(earliest, today))


def _cut_to_period(earliest: date, today: date) -> date:
    """Return the first day of a month or week (Monday) from `earliest` on, so that the first partition seldom changes.

    A period is as long as three of them fit: the cut takes less than a third of the days.
    """
    days = partition_days(earliest, today)
    if days >= _DAYS_CUT_TO_MONTHS:
        return (
            earliest
            if earliest.day == 1
            else (earliest.replace(day=1) + timedelta(days=32)).replace(day=1)
        )
    if days >= _DAYS_CUT_TO_WEEKS:
        return earliest + timedelta(days=-earliest.weekday() % 7)
    return earliest


def _earliest_with_room(accounts: int, today: date) -> date | None:
    """Return the earliest first day with which so many accounts have room; None where there are more accounts than partitions."""
    days_each = MOST_PARTITIONS // max(accounts, 1)
    return today - timedelta(days=days_each - DAYS_AHEAD) if days_each >= DAYS_AHEAD else None


def partition_days(first_day: date, today: date) -> int:
    """Return how many days are partitions, from the first to those that have begun somewhere."""
    return max((today - first_day).days + DAYS_AHEAD, 1)


def room_for_accounts(first_day: date, today: date) -> int:
    """Return how many accounts may have partitions."""
    return MOST_PARTITIONS // partition_days(first_day, today)


def check_partitions(
    accounts: int, *, first_day: date, today: date, left_out: tuple[str, ...] = ()
) -> None:
    """Refuse more accounts than there is room for.

    Args:
        accounts: How many there would be.
        first_day: The first day that is a partition.
        today: The date in UTC.
        left_out: Keys of those without partitions, for the message.

    Raises:
        TooManyPartitionsError: There is no room for all of them.
    """
    if accounts <= room_for_accounts(first_day, today):
        return
    earliest = _earliest_with_room(accounts, today)
    raise TooManyPartitionsError(accounts, partition_days(first_day, today), earliest, left_out)


def _some(keys: tuple[str, ...]) -> str:
    shown = ", ".join(keys[:5])
    return shown if len(keys) <= 5 else f"{shown} and {len(keys) - 5:,} more"  # noqa: PLR2004 - five are enough
