"""Dagster's queue of runs, which knows an account's runs from the moment they wait.

Dagster tags a backfill's run with its range of partitions only. A limit on the tag `account` would see such a run once it has begun
and tagged itself; two ranges of one account would run beside each other until then.
"""

from collections.abc import Mapping

from dagster import DagsterInstance, DagsterRun, QueuedRunCoordinator, SubmitRunContext

ACCOUNT_TAG = "account"
ADS_ACCOUNT_TAG = "ads_account"
_PARTITION_TAGS = (
    "dagster/partition",
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)


class BidBeaconRunQueue(QueuedRunCoordinator[DagsterInstance]):
    """The queue of `dagster.yaml`: gives a run of one account's partitions the account's tag before it waits."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Tag a run, and put it in the queue."""
        account = find_account_of_tags(context.dagster_run.tags)
        if account is not None:
            self._instance.add_run_tags(context.dagster_run.run_id, {ACCOUNT_TAG: account})
        return super().submit_run(context)


def find_account_of_tags(tags: Mapping[str, str]) -> str | None:
    """Return the one account whose partitions a run's tags name; None where it has its tag, or has no partitions, or several accounts'."""
    if ACCOUNT_TAG in tags:
        return None
    accounts = {tags[name].partition("|")[0] for name in _PARTITION_TAGS if "|" in tags.get(name, "")}
    return accounts.pop() if len(accounts) == 1 else None
