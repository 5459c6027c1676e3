"""Accounts in Dagster: the asset of the accounts' table, and the job that syncs it."""

from typing import Any

import dagster as dg

from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.accounts.sync import sync_accounts as sync_all_accounts
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.defs.asset_metadata import OWNER, table_metadata
from bidbeacon_pipelines.defs.partitions import add_partitions
from bidbeacon_pipelines.defs.resources import BidBeaconSessions


@dg.asset(
    group_name="accounts",
    kinds={"postgres"},
    tags={"grain": "account"},
    owners=[OWNER],
    deps=["amazon_ads"],
    description=(
        "Ads accounts in each of their countries, as Amazon last listed them: name, currency, "
        "time zone, status. Materializing reads the accounts again and adds partitions for those "
        "that are not disabled. No account and no partition is ever deleted."
    ),
    metadata=table_metadata(Account.__tablename__, Account.__table__.columns),
)
def accounts(
    context: dg.AssetExecutionContext, job_sessions: BidBeaconSessions
) -> dg.MaterializeResult[Any]:
    """Store the accounts that Amazon lists; add partitions for those that aren't disabled.

    Safe to run again, since neither accounts nor partitions are ever deleted.
    """
    with job_sessions.work(context, "sync-accounts") as job:
        listed = set(sync_all_accounts(job.context, job.session))
        with job.context.engine.begin() as connection:
            stored = list_accounts(connection)
        add_partitions(context.instance, stored)
    regions = {account.region for account in stored if account.account_key in listed}
    of_session = job.metadata()
    of_amazon = {
        "regions": dg.MetadataValue.text(", ".join(sorted(regions))),
        "accounts": dg.MetadataValue.int(len(listed)),
        **of_session,
    }
    context.log_event(dg.AssetObservation("amazon_ads", metadata=of_amazon))
    rows = dg.MetadataValue.int(len(stored))
    return dg.MaterializeResult(metadata={"dagster/row_count": rows, **of_session})


sync_accounts = dg.define_asset_job(
    "sync_accounts",
    selection=[accounts],
    description="Read the accounts from Amazon, and create partitions for those that are "
    "not disabled.",
)

sync_accounts_hourly = dg.ScheduleDefinition(
    name="sync_accounts_hourly",
    job=sync_accounts,
    cron_schedule="7 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Updates accounts, countries, names and statuses a few minutes past the hour, "
    "when Amazon is less busy.",
)
