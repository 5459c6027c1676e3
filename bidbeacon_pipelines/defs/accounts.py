"""Accounts and their entities in Dagster."""

from dagster import Config, OpExecutionContext, in_process_executor, job, op

from bidbeacon_pipelines.defs.partitions import add_accounts
from bidbeacon_pipelines.defs.resources import BidBeaconSessions, WorkbenchResource
from bidbeacon_pipelines.services.accounts import sync_accounts as sync_all_accounts
from bidbeacon_pipelines.services.entities import sync_entities
from bidbeacon_pipelines.store.accounts import list_accounts
from bidbeacon_sessions.dagster import session_metadata


class AccountConfig(Config):
    """Which account an op works for: its key, e.g. `US.38rle97xonvbq66bhw6gsyl4g`."""

    account: str


class AdsAccountConfig(Config):
    """Which ads account an op works for: its key, e.g. `acme-merch.38rle97x`."""

    ads_account: str


@op
def sync_accounts_op(
    context: OpExecutionContext, workbench: WorkbenchResource, job_sessions: BidBeaconSessions
) -> None:
    """Store the accounts that Amazon lists, and make a partition of each that isn't disabled. Safe to run again: neither is ever deleted."""
    with workbench.open() as bench:
        with job_sessions.work(context, bench, "sync-accounts") as session:
            sync_all_accounts(bench, session)
            with bench.engine.begin() as connection:
                accounts = list_accounts(connection)
            add_accounts(context.instance, [one.account_key for one in accounts if not one.is_disabled])
        context.add_output_metadata(session_metadata(bench.sessions, session.session_id))


@op
def sync_ad_entities_op(
    context: OpExecutionContext,
    config: AccountConfig,
    workbench: WorkbenchResource,
    job_sessions: BidBeaconSessions,
) -> None:
    """Store an account's campaigns, ad groups, ads, targets and portfolios as Amazon sends them. Safe to run again: rows are replaced."""
    with workbench.open() as bench:
        ref = bench.find_account_ref(config.account)
        given = {"account": config.account}
        with job_sessions.work(context, bench, "sync-ad-entities", input=given, account=ref) as session:
            sync_entities(bench, session, bench.account(config.account))
        context.add_output_metadata(session_metadata(bench.sessions, session.session_id))


@job(
    executor_def=in_process_executor,
    description="Ask Amazon which accounts there are, and make a partition of each that is not disabled.",
)
def sync_accounts() -> None:
    """One op: accounts."""
    sync_accounts_op()


@job(
    executor_def=in_process_executor,
    description="Sync an account's campaigns, ad groups, ads, targets and portfolios, of all ad products.",
)
def sync_ad_entities() -> None:
    """One op: the exports and portfolios of one account."""
    sync_ad_entities_op()
