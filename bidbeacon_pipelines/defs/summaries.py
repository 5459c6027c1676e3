"""The summary of accounts' days in Dagster: an asset downstream of the datasets, kept up to date by few runs.

pandas is imported by what sums up only: it would cost every other run half a second.
"""

from typing import Any

import dagster as dg

from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.defs import lineage
from bidbeacon_pipelines.defs.asset_metadata import OWNER
from bidbeacon_pipelines.defs.resources import BidBeaconSessions, session_store
from bidbeacon_pipelines.summaries.queries import (
    DAILY,
    HOURLY,
    count_summaries,
    list_accounts_to_sum_up,
)
from bidbeacon_pipelines.summaries.tables import AccountDailySummary
from bidbeacon_sessions.dagster import list_runs_under_way

_UPDATE_EVERY_SECONDS = 600


@dg.asset(
    group_name="summaries",
    kinds={"postgres", "pandas"},
    owners=[OWNER],
    tags={"grain": "day"},
    deps=[get_dataset(DAILY).asset_name, get_dataset(HOURLY).asset_name],
    description=(
        "What each account-local day of an account adds up to, by ad product: impressions, clicks, orders, sales, spend, ACOS, ROAS, and its hours "
        "against the day where Amazon serves hours. Kept up to date by itself, within ten minutes of a load. Materializing sums up the days that were "
        "loaded since, from loaded rows, so it makes no calls to Amazon and is safe to run again."
    ),
    metadata=lineage.table_metadata(AccountDailySummary.__table__),
)
def account_daily_summary(
    context: dg.AssetExecutionContext, job_sessions: BidBeaconSessions
) -> dg.MaterializeResult[Any]:
    """Sum up the days, of all accounts, whose windows were loaded since; safe to run again."""
    from bidbeacon_pipelines.summaries.update import update_summary

    with job_sessions.work(context, "sum-up-accounts") as job:
        engine = job.context.engine
        with engine.begin() as connection:
            keys = list_accounts_to_sum_up(connection)
        days = [update_summary(engine, job.session, key) for key in keys]
        with engine.begin() as connection:
            rows = count_summaries(connection)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": dg.MetadataValue.int(rows),
            "accounts": dg.MetadataValue.int(len(keys)),
            "days": dg.MetadataValue.int(sum(days)),
            **job.metadata(),
        }
    )


update_summaries = dg.define_asset_job(
    "update_summaries",
    selection=[account_daily_summary],
    description="Sum up the days of all accounts with new loads.",
)


@dg.sensor(
    job=update_summaries,
    minimum_interval_seconds=_UPDATE_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts one run for all accounts with loads that are not summed up, at most one at a time.",
)
def update_changed_summaries(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Look every ten minutes for loads that are not summed up yet."""
    with session_store().begin() as connection:
        changed = list_accounts_to_sum_up(connection)
    if not changed:
        return dg.SkipReason("All loads are summed up.")
    if list_runs_under_way(context.instance, update_summaries.name):
        return dg.SkipReason("The last update is in progress.")
    return dg.RunRequest()
