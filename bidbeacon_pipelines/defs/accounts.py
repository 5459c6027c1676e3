"""Accounts and their entities in Dagster."""

from collections.abc import Iterable
from datetime import timedelta

from dagster import (
    AssetObservation,
    Config,
    DagsterInstance,
    MetadataValue,
    OpExecutionContext,
    PartitionedConfig,
    PartitionsDefinition,
    in_process_executor,
    job,
    op,
)

from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
from bidbeacon_pipelines.dagster_instance.run_queue import ACCOUNT_TAG
from bidbeacon_pipelines.defs import lineage
from bidbeacon_pipelines.defs.partitions import ACCOUNT_PARTITIONS, add_accounts, add_ads_accounts
from bidbeacon_pipelines.defs.resources import BidBeaconSessions, JobContexts
from bidbeacon_pipelines.services.accounts import sync_accounts as sync_all_accounts
from bidbeacon_pipelines.services.entities import (
    ExportNotReadyError,
    is_put_off,
    sync_entities,
)
from bidbeacon_pipelines.services.job_context import find_ref
from bidbeacon_pipelines.store.accounts import Account, list_accounts
from bidbeacon_sessions.dagster import session_metadata, timeline
from bidbeacon_sessions.queries import list_excerpts

_MOST_ACTIONS = 50
LONGEST_WAIT_FOR_EXPORTS = timedelta(seconds=5)
"""A run that waited longer would keep its place in the queue from other accounts."""


class AccountConfig(Config):
    """Which account an op works for: its key, e.g. `US.acme-merch.1kc1bk21`, or its name, e.g.

    `Acme Merch · US`.
    """

    account: str


class AdsAccountConfig(Config):
    """Which ads account an op works for: its key, e.g. `acme-merch.1kc1bk21`, or its name, e.g.

    `Acme Merch`.
    """

    ads_account: str


def config_of_partition(
    partitions: PartitionsDefinition[str], op_name: str, field: str, tag: str
) -> PartitionedConfig[PartitionsDefinition[str]]:
    """Return the config of a job whose op works for one account: choosing a partition fills it in, and tags the run for the queue's limits.

    Args:
        partitions: the accounts to choose from.
        op_name: the job's only op.
        field: the field of its config that takes the key.
        tag: the tag that takes the key.
    """
    return PartitionedConfig(
        partitions,
        run_config_for_partition_key_fn=lambda key: {"ops": {op_name: {"config": {field: key}}}},
        tags_for_partition_key_fn=lambda key: {tag: key},
    )


def add_partitions(instance: DagsterInstance, accounts: Iterable[Account]) -> None:
    """Make partitions of accounts that are not disabled, and of their ads accounts; those that exist stay.

    Raises:
        TooManyPartitionsError: accounts times days would be more than Dagster's UI can show; those
            with room were added.
    """
    active = [account for account in accounts if not account.is_disabled]
    add_ads_accounts(instance, dict.fromkeys(account.ads_account_key for account in active))
    add_accounts(instance, [account.account_key for account in active])


@op
def sync_accounts_op(
    context: OpExecutionContext, job_contexts: JobContexts, job_sessions: BidBeaconSessions
) -> None:
    """Store the accounts that Amazon lists, and make partitions of those that aren't disabled.

    Safe to run again: neither is ever deleted.
    """
    with job_contexts.open() as job_context:
        with job_sessions.work(context, job_context, "sync-accounts") as session:
            listed = set(sync_all_accounts(job_context, session))
            with job_context.engine.begin() as connection:
                accounts = list_accounts(connection)
            add_partitions(context.instance, accounts)
        metadata = session_metadata(job_context.sessions, session.session_id)
    context.add_output_metadata(metadata)
    observed = {"dagster/row_count": MetadataValue.int(len(accounts)), **metadata}
    context.log_event(AssetObservation(lineage.ACCOUNTS.key, metadata=observed))
    regions = {account.region for account in accounts if account.account_key in listed}
    of_amazon = {
        "regions": MetadataValue.text(", ".join(sorted(regions))),
        "accounts": MetadataValue.int(len(listed)),
        **metadata,
    }
    context.log_event(AssetObservation(lineage.AMAZON_ADS.key, metadata=of_amazon))


@op
def sync_entities_op(
    context: OpExecutionContext,
    config: AccountConfig,
    job_contexts: JobContexts,
    job_sessions: BidBeaconSessions,
) -> None:
    """Store an account's campaigns, ad groups, ads, targets and portfolios as Amazon sends them.

    Safe to run again: rows are replaced.
    """
    with job_contexts.open() as job_context:
        ref = find_ref(job_context.named_account, config.account)
        given = {"account": config.account}
        with job_sessions.work(
            context, job_context, "sync-entities", input=given, account=ref
        ) as session:
            account = job_context.named_account(config.account)
            try:
                sync_entities(job_context, session, account, longest_wait=LONGEST_WAIT_FOR_EXPORTS)
            except (AdsApiError, ExportNotReadyError) as error:
                if not is_put_off(error):
                    raise  # what is put off is recorded, and the sensor starts the next sync
        metadata = session_metadata(job_context.sessions, session.session_id)
        with job_context.engine.begin() as connection:
            actions = list_excerpts(connection, [session.session_id], last=_MOST_ACTIONS)
    context.add_output_metadata(metadata)
    for entity in lineage.ENTITIES:
        # Only its own sentences: five copies of all of them, a day and account, would be kept for
        # good.
        own = [
            action
            for action in actions
            if _kind(action["payload"].get("kind", "")) == _kind(entity.key.path[-1])
        ]
        rows = sum(action["payload"].get("rows", 0) for action in own)
        observed = {
            "dagster/row_count": MetadataValue.int(rows),
            **metadata,
            "timeline": timeline(own),
        }
        context.log_event(
            AssetObservation(entity.key, partition=account.account_key, metadata=observed)
        )


def _kind(name: str) -> str:
    """Return a kind of entity as it is compared: Amazon writes `adGroups`, a table `ad_groups`."""
    return name.replace("_", "").replace(" ", "").lower()


@job(
    executor_def=in_process_executor,
    description="Read the accounts from Amazon, and create partitions for those that are not disabled.",
)
def sync_accounts() -> None:
    """One op: accounts."""
    sync_accounts_op()


@job(
    name="sync_entities",
    executor_def=in_process_executor,
    config=config_of_partition(ACCOUNT_PARTITIONS, "sync_entities_op", "account", ACCOUNT_TAG),
    description="Sync an account's campaigns, ad groups, ads, targets and portfolios, of all ad products.",
)
def sync_entities_job() -> None:
    """One op: the exports and portfolios of one account."""
    sync_entities_op()
