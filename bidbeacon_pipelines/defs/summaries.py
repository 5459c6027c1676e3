"""The summary of accounts' days in Dagster: an asset downstream of the datasets, kept up to date by few runs.

pandas is imported by what sums up only: it would cost every other run half a second.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetMaterialization,
    BackfillPolicy,
    DefaultSensorStatus,
    MaterializeResult,
    MetadataValue,
    OpExecutionContext,
    RunRequest,
    SensorEvaluationContext,
    SkipReason,
    asset,
    in_process_executor,
    job,
    op,
    sensor,
)

from bidbeacon_pipelines.defs.materializations import (
    Metadata,
    add_metadata_of_partitions,
    store_materializations,
)
from bidbeacon_pipelines.defs.partitions import ACCOUNT_PARTITIONS, NoPartitionError
from bidbeacon_pipelines.defs.resources import BidBeaconSessions, session_store
from bidbeacon_pipelines.reports.datasets import get_dataset
from bidbeacon_pipelines.reports.plots import Point, plot_svg
from bidbeacon_pipelines.store.summaries import DAILY, HOURLY, list_accounts_to_sum_up
from bidbeacon_sessions.dagster import list_runs_under_way, session_metadata
from bidbeacon_sessions.dagster_metadata import bounded_lines
from bidbeacon_sessions.presentation import session_url

_UPDATE_EVERY_SECONDS = 600
_TABLE_DAYS = 14
_TABLE_BYTES = 1_600
"""Enough for two weeks of amounts below a million; the plot beside it takes twice as much, and an event should stay below 8 KB."""


@asset(
    name="account_daily_summary",
    group_name="summaries",
    kinds={"postgres", "pandas"},
    partitions_def=ACCOUNT_PARTITIONS,
    deps=[get_dataset(DAILY).asset_name, get_dataset(HOURLY).asset_name],
    backfill_policy=BackfillPolicy.single_run(),
    description=(
        "What each account-local day of an account adds up to: impressions, clicks, orders, sales, spend, ACOS, ROAS, and its hours against the "
        "day. One partition is one account, since a day costs little and a run two seconds. Kept up to date by itself, within ten minutes of a "
        "load; materializing sums up all days anew, from rows that are loaded already, so it asks nothing of Amazon and is safe to run again."
    ),
    metadata={"dagster/table_name": "public.account_daily_summaries"},
)
def account_daily_summary(
    context: AssetExecutionContext, job_sessions: BidBeaconSessions
) -> MaterializeResult[Any]:
    """Sum up all days of the accounts of this run."""
    from bidbeacon_pipelines.services.summaries import update_summary

    if not (context.has_partition_key or context.has_partition_key_range):
        raise NoPartitionError
    store, keys = job_sessions.store(), [str(key) for key in context.partition_keys]
    with job_sessions.session(context, "sum-up-accounts", input={"accounts": keys}) as session:
        found = {key: update_summary(store.engine, session, key, all_days=True).days for key in keys}
    metadata = _metadata_by_account(found, session_url(str(session.session_id)))
    if len(metadata) == 1:
        return MaterializeResult(metadata=metadata[keys[0]] | session_metadata(store, session.session_id))
    add_metadata_of_partitions(context, metadata)
    return MaterializeResult()


@op
def update_summaries_op(context: OpExecutionContext, job_sessions: BidBeaconSessions) -> None:
    """Sum up the days, of all accounts, whose windows were loaded since. Safe to run at any time, and again."""
    from bidbeacon_pipelines.services.summaries import update_summary

    store = job_sessions.store()
    with store.begin() as connection:
        keys = list_accounts_to_sum_up(connection)
    with job_sessions.session(context, "sum-up-accounts", input={"accounts": keys}) as session:
        found = {key: update_summary(store.engine, session, key) for key in keys}
    updated = {key: summary.days for key, summary in found.items() if summary.updated}
    metadata = _metadata_by_account(updated, session_url(str(session.session_id)))
    store_materializations(
        context,
        [
            AssetMaterialization(account_daily_summary.key, partition=key, metadata=told)
            for key, told in metadata.items()
        ],
    )
    context.add_output_metadata(session_metadata(store, session.session_id))


@job(
    executor_def=in_process_executor,
    description="Sum up the days of all accounts whose windows were loaded since.",
)
def update_summaries() -> None:
    """One op: all accounts."""
    update_summaries_op()


@sensor(
    job=update_summaries,
    minimum_interval_seconds=_UPDATE_EVERY_SECONDS,
    default_status=DefaultSensorStatus.RUNNING,
    description="Starts one run for all accounts with loads that are not summed up, at most one at a time.",
)
def update_changed_summaries(context: SensorEvaluationContext) -> RunRequest | SkipReason:
    """Look every ten minutes for loads that are not summed up yet."""
    with session_store().begin() as connection:
        changed = list_accounts_to_sum_up(connection)
    if not changed:
        return SkipReason("All loads are summed up.")
    if list_runs_under_way(session_store(), context.instance, update_summaries.name):
        return SkipReason("The last update is under way.")
    return RunRequest()


def _metadata_by_account(found: Mapping[str, Sequence[dict[str, Any]]], url: str) -> dict[str, Metadata]:
    return {key: {**summary_metadata(days), "session": MetadataValue.url(url)} for key, days in found.items()}


def summary_metadata(days: Sequence[dict[str, Any]]) -> Metadata:
    """Give what a materialization tells of an account's newest days (by date, in its own currency): sums, a plot, a table."""
    from bidbeacon_pipelines.reports.account_days import recent_totals

    if not days:
        return {"days": MetadataValue.int(0)}
    currency = days[0]["currency_code"]
    totals = recent_totals(days)
    return {
        "days": MetadataValue.int(len(days)),
        "spend": MetadataValue.text(_amount(totals["spend"], currency)),
        "sales": MetadataValue.text(_amount(totals["sales"], currency)),
        "acos": MetadataValue.text(_percent(totals["acos"])),
        "roas": MetadataValue.text(_ratio(totals["roas"])),
        "plot": MetadataValue.md(_image(days, currency)),
        "newest_days": MetadataValue.md(_table(days[-_TABLE_DAYS:])),
    }


def _image(days: Sequence[dict[str, Any]], currency: str) -> str:
    points = [Point(day["summary_date"], day["spend"], day["sales"]) for day in days]
    data = b64encode(plot_svg(points, currency).encode()).decode()
    return f"![Spend and sales by day](data:image/svg+xml;base64,{data})"


def _table(days: Sequence[dict[str, Any]]) -> str:
    heads = ("day", "spend", "sales", "orders", "ACOS", "ROAS", "hours less day: spend", "sales")
    lines = [_row(heads), _row(["---"] + ["---:"] * (len(heads) - 1))]
    lines += [_row(_cells(day)) for day in reversed(days)]
    return bounded_lines(lines, "| … and {} more |", most_bytes=_TABLE_BYTES)


def _cells(day: dict[str, Any]) -> Sequence[str]:
    return (
        str(day["summary_date"]),
        _amount(day["spend"]),
        _amount(day["sales"]),
        "–" if day["orders"] is None else f"{day['orders']:,}",
        _percent(day["acos"]),
        _ratio(day["roas"]),
        _amount(day["spend_difference"]),
        _amount(day["sales_difference"]),
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _amount(amount: Decimal | None, currency: str = "") -> str:
    return "–" if amount is None else f"{amount:,.2f} {currency}".rstrip()


def _percent(share: Decimal | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _ratio(ratio: Decimal | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"
