"""Account days in Dagster: an asset downstream of the datasets, with a table and a plot of the last days.

pandas is imported by its run only: it would cost every other run half a second.
"""

from typing import Any

import dagster as dg

from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS, HOURLY_CAMPAIGNS
from bidbeacon_pipelines.defs.asset_metadata import OWNER
from bidbeacon_pipelines.defs.lineage import view_metadata
from bidbeacon_pipelines.defs.resources import session_store
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.views import ACCOUNT_DAYS_VIEW

_TABLE = dg.TableSchema(
    columns=[
        dg.TableColumn("day", "date"),
        dg.TableColumn("currency"),
        dg.TableColumn("accounts", "int", "How many accounts have the day loaded."),
        *(dg.TableColumn(name) for name in ("spend", "sales", "ACOS")),
    ]
)


@dg.asset(
    group_name="summaries",
    kinds={"postgres", "pandas"},
    owners=[OWNER],
    tags={"grain": "day"},
    deps=[DAILY_CAMPAIGNS.asset_name, HOURLY_CAMPAIGNS.asset_name],
    description=(
        "What each account-local day of an account adds up to, by ad product: impressions, clicks, orders, sales, spend, ACOS, ROAS, and its hours "
        "beside the day. A view: it adds up loaded rows when it is read, so it is never older than they are. Materializing draws the table and the "
        "plot of the last days; it changes nothing and makes no calls to Amazon."
    ),
    metadata=view_metadata(ACCOUNT_DAYS_VIEW),
)
def account_daily_summary() -> dg.MaterializeResult[Any]:
    """Show spend and sales of all accounts in the last days, by day and currency."""
    from bidbeacon_pipelines.summaries.overview import list_records, plot_spend, read_recent

    engine = session_store().engine
    with engine.connect() as connection:
        today = read_now(connection, get_settings()).date()
    recent = read_recent(engine, today)
    records = [dg.TableRecord(one) for one in list_records(recent)]
    return dg.MaterializeResult(
        metadata={
            "days": dg.MetadataValue.table(records, _TABLE),
            "spend": dg.MetadataValue.md(plot_spend(recent)),
        }
    )


summarize_accounts = dg.define_asset_job(
    "summarize_accounts",
    selection=[account_daily_summary],
    description="Show what the last days of all accounts add up to.",
)

summarize_accounts_daily = dg.ScheduleDefinition(
    name="summarize_accounts_daily",
    job=summarize_accounts,
    cron_schedule="0 14 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a day, after yesterday was loaded in all time zones.",
)
