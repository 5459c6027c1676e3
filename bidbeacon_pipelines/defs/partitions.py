"""Partitions by account and window (an account-local day), and the tags of runs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

import dagster as dg

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.partition_months import DAYS_AHEAD, first_partition_day
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.errors import ExpectedError

ACCOUNT_TAG = "account"
ADS_ACCOUNT_TAG = "ads_account"
"""For each value of this tag, `dagster.yaml` allows only one run at a time."""

FIRST_DAY = first_partition_day(datetime.now(UTC).date(), get_settings().partition_months)
"""The day of the first partition, fixed when this process starts; older days have none."""
PARTITION_TAG = "dagster/partition"
"""Dagster's tag for a run's partition. Our sensors set it even if Dagster lacks the partition."""
ACCOUNTS, ADS_ACCOUNTS = "accounts", "ads_accounts"
ACCOUNT_PARTITIONS = dg.DynamicPartitionsDefinition(name=ACCOUNTS)
ADS_ACCOUNT_PARTITIONS = dg.DynamicPartitionsDefinition(name=ADS_ACCOUNTS)

# Keys are account-local dates, but the definition counts in UTC: including today in UTC covers
# each day that is over in some time zone.
WINDOW_PARTITIONS = dg.DailyPartitionsDefinition(
    start_date=FIRST_DAY.isoformat(), timezone="UTC", end_offset=DAYS_AHEAD
)

ACCOUNT_WINDOWS = dg.MultiPartitionsDefinition(
    {"account": ACCOUNT_PARTITIONS, "window": WINDOW_PARTITIONS}
)


class NoPartitionError(ExpectedError):
    """A partitioned asset was run without a partition."""

    def __init__(self) -> None:
        super().__init__(
            "This run has no partition, so there is nothing to do: choose a partition "
            "(an account, or an account and a window) instead."
        )


def add_partitions(instance: dg.DagsterInstance, accounts: Iterable[Account]) -> None:
    """Add missing partitions for accounts that are not disabled, and for their ads accounts."""
    shown = [account for account in accounts if not account.is_disabled]
    ads_accounts = dict.fromkeys(one.ads_account_key for one in shown)
    instance.add_dynamic_partitions(ADS_ACCOUNTS, list(ads_accounts))
    instance.add_dynamic_partitions(ACCOUNTS, [one.account_key for one in shown])


def partition_key(account_key: str, day: date) -> dg.MultiPartitionKey:
    """Return the partition key of a day of an account."""
    return dg.MultiPartitionKey({"account": account_key, "window": day.isoformat()})


def days_by_account(keys: Iterable[str]) -> Mapping[str, Sequence[date]]:
    """Group the days of partition keys by account; raise `NoPartitionError` if there are none."""
    grouped: dict[str, list[date]] = {}
    for key in keys:
        dimensions = ACCOUNT_WINDOWS.get_partition_key_from_str(str(key)).keys_by_dimension
        grouped.setdefault(dimensions["account"], []).append(
            date.fromisoformat(dimensions["window"])
        )
    if not grouped:
        raise NoPartitionError
    return {account: sorted(days) for account, days in grouped.items()}
