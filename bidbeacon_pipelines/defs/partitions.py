"""Partitions: account × window.

The account's key comes from Amazon's accounts, the window is the account's own calendar day.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

from dagster import (
    DagsterInstance,
    DailyPartitionsDefinition,
    DynamicPartitionsDefinition,
    MultiPartitionKey,
)
from dagster import MultiPartitionsDefinition as MultiPartitions
from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_pipelines.database.address import find_database
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.database.errors import DatabaseUnavailableError
from bidbeacon_pipelines.reports.partition_bound import (
    DAYS_AHEAD,
    check_partitions,
    first_partition_day,
    room_for_accounts,
)
from bidbeacon_pipelines.services.partition_room import count_accounts
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.store.account_partitions import PARTITIONS_NAME


def _first_day() -> date:
    """Return the first day that is a partition; without a database, as where somebody only lists the definitions, there are no accounts either."""
    settings = get_settings()
    try:
        with shared_engine(find_database(settings)).begin() as connection:
            accounts = count_accounts(connection)
    except (DatabaseUnavailableError, SQLAlchemyError):
        accounts = 0
    return first_partition_day(settings.first_window_date, datetime.now(UTC).date(), accounts)


FIRST_DAY = _first_day()
"""The first day that is a partition, for as long as this process runs."""
PARTITION_TAG = "dagster/partition"
"""Dagster's tag of a run's partition; our sensors set it, also for accounts that there is no room for among the partitions."""
ACCOUNT_PARTITIONS = DynamicPartitionsDefinition(name=PARTITIONS_NAME)
ADS_ACCOUNT_PARTITIONS = DynamicPartitionsDefinition(name="ads_accounts")

# The keys are account-local dates, the definition counts in UTC: two days ahead make sure that an
# account's own day always exists.
WINDOW_PARTITIONS = DailyPartitionsDefinition(
    start_date=FIRST_DAY.isoformat(), timezone="UTC", end_offset=DAYS_AHEAD
)

ACCOUNT_WINDOWS = MultiPartitions({"account": ACCOUNT_PARTITIONS, "window": WINDOW_PARTITIONS})


class NoPartitionError(ValueError):
    """A partitioned asset was run without a partition."""

    def __init__(self) -> None:
        super().__init__(
            "This run has no partition, so there is nothing to do: choose a partition (an account, or an account and a window) instead."
        )


def partition_key(account_key: str, day: date) -> MultiPartitionKey:
    """Return the partition of one account's day."""
    return MultiPartitionKey({"account": account_key, "window": day.isoformat()})


def days_by_account(keys: Iterable[str]) -> Mapping[str, Sequence[date]]:
    """Group multi-partition keys by account, with the days of each ascending.

    Raises:
        NoPartitionError: there are none.
    """
    grouped: dict[str, list[date]] = {}
    for key in keys:
        dimensions = ACCOUNT_WINDOWS.get_partition_key_from_str(str(key)).keys_by_dimension
        grouped.setdefault(dimensions["account"], []).append(
            date.fromisoformat(dimensions["window"])
        )
    if not grouped:
        raise NoPartitionError
    return {account: sorted(days) for account, days in grouped.items()}


def add_accounts(instance: DagsterInstance, keys: Sequence[str]) -> None:
    """Make partitions of accounts, of as many as there is room for; those that exist stay.

    Raises:
        TooManyPartitionsError: accounts times days would be more than Dagster's UI can show; those
            with room were added.
    """
    today = datetime.now(UTC).date()
    existing = set(instance.get_dynamic_partitions(str(ACCOUNT_PARTITIONS.name)))
    new = [key for key in dict.fromkeys(keys) if key not in existing]
    accounts = len(existing) + len(new)
    first_day = first_partition_day(get_settings().first_window_date, today, accounts)
    room = max(room_for_accounts(first_day, today) - len(existing), 0)
    instance.add_dynamic_partitions(str(ACCOUNT_PARTITIONS.name), new[:room])
    if left_out := tuple(new[room:]):
        check_partitions(accounts, first_day=first_day, today=today, left_out=left_out)


def add_ads_accounts(instance: DagsterInstance, keys: Iterable[str]) -> None:
    """Make partitions of ads accounts; those that exist stay."""
    instance.add_dynamic_partitions(str(ADS_ACCOUNT_PARTITIONS.name), list(keys))


def is_partition_day(day: date) -> bool:
    """Return whether a day is a Dagster partition; older windows live on in Postgres only."""
    return day >= FIRST_DAY
