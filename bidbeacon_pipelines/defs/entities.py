"""Entities in Dagster: campaigns, ad groups, ads, targets and portfolios, synced together."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from bidbeacon_pipelines.accounts.queries import read_account
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
from bidbeacon_pipelines.defs import lineage
from bidbeacon_pipelines.defs.asset_metadata import OWNER, table_metadata
from bidbeacon_pipelines.defs.partitions import ACCOUNT_PARTITIONS, NoPartitionError
from bidbeacon_pipelines.defs.resources import BidBeaconSessions, RunningJob
from bidbeacon_pipelines.entities.sync import ExportNotReadyError, is_put_off
from bidbeacon_pipelines.entities.sync import sync_entities as sync_all_entities
from bidbeacon_sessions.dagster import list_sentences, session_link
from bidbeacon_sessions.queries import list_excerpts

_MOST_ACTIONS = 50
LONGEST_WAIT_FOR_EXPORTS = timedelta(seconds=5)
"""The longest wait for an export in a run. A longer wait would delay queued accounts."""


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            name,
            group_name="entities",
            kinds={"postgres"},
            tags={"grain": name.removesuffix("s")},
            owners=[OWNER],
            deps=["accounts"],
            partitions_def=ACCOUNT_PARTITIONS,
            skippable=True,
            description=(
                f"{name.replace('_', ' ').capitalize()} of an account, as exported by Amazon in "
                "the last sync. A sync runs once a day, or sooner if report rows contain unknown "
                "targets, and covers campaigns, ad groups, ads, targets and portfolios."
            ),
            metadata=table_metadata(name, table.columns),
        )
        for name, table in lineage.ENTITY_TABLES.items()
    ],
)
def entities(
    context: dg.AssetExecutionContext, job_sessions: BidBeaconSessions
) -> Iterator[dg.MaterializeResult[Any]]:
    """Store an account's campaigns, ad groups, ads, targets and portfolios.

    Safe to run again, since rows are replaced. If Amazon's exports are delayed, the session records
    the delay, the run succeeds, and the sensor `refresh_due_accounts` starts the next sync.
    """
    key = context.partition_key if context.has_partition_key else None
    with job_sessions.work(context, "sync-entities", input={"account": key}, account=key) as job:
        if key is None:
            raise NoPartitionError
        account = read_account(job.context.engine, key)
        try:
            sync_all_entities(
                job.context, job.session, account, longest_wait=LONGEST_WAIT_FOR_EXPORTS
            )
        except (AdsApiError, ExportNotReadyError) as error:
            if not is_put_off(error):
                raise
        finally:
            yield from _results(job)


def _results(job: RunningJob) -> Iterator[dg.MaterializeResult[Any]]:
    session_id = job.session.session_id
    with job.context.engine.begin() as connection:
        actions = list_excerpts(connection, [session_id], last=_MOST_ACTIONS)
    tables = {name.replace("_", ""): name for name in lineage.ENTITY_TABLES}
    for action in actions:
        if action["type"] == "entities-synced":
            yield dg.MaterializeResult(
                asset_key=tables[action["payload"]["kind"].lower()],  # Amazon writes `adGroups`
                metadata={
                    "dagster/partition_row_count": dg.MetadataValue.int(action["payload"]["rows"]),
                    **session_link(session_id),
                    "actions": list_sentences([action]),
                },
            )


sync_entities = dg.define_asset_job(
    "sync_entities",
    selection=[entities],
    description="Sync an account's campaigns, ad groups, ads, targets and portfolios, of all "
    "ad products.",
)
