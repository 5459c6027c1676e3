"""Dagster's queue of runs, which knows an account's runs, and those of windows that a person asked for, from the moment they wait.

Dagster tags a backfill's run with its range of partitions only. A limit on the tag `account` would
see such a run once it has begun and tagged itself; two ranges of one account would run beside each
other until then. Dagster's own partition tags are no limit either: runs of jobs that a schedule
starts for an account carry them as well.
"""

from collections.abc import Mapping

from dagster import DagsterInstance, DagsterRun, QueuedRunCoordinator, SubmitRunContext

ACCOUNT_TAG = "account"
ADS_ACCOUNT_TAG = "ads_account"
BY_HAND_TAG = "by_hand"
_PARTITION_TAGS = (
    "dagster/partition",
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)


class BidBeaconRunQueue(QueuedRunCoordinator[DagsterInstance]):
    """The queue of `dagster.yaml`: tags a run of windows before it waits."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Tag a run, and put it in the queue."""
        own = own_tags(context.dagster_run.tags)
        if own:
            self._instance.add_run_tags(context.dagster_run.run_id, own)
        return super().submit_run(context)


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that a run of windows (account and day) gets: `by_hand`, and its account's, where it is one and has none yet."""
    accounts = {
        tags[name].partition("|")[0] for name in _PARTITION_TAGS if "|" in tags.get(name, "")
    }
    if not accounts:
        return {}
    own = {BY_HAND_TAG: "true"}
    return own if ACCOUNT_TAG in tags or len(accounts) > 1 else own | {ACCOUNT_TAG: accounts.pop()}
