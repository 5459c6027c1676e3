"""The summary of accounts' days in Dagster: an asset downstream of the datasets, kept up to date by few runs.

pandas is imported by what sums up only: it would cost every other run half a second.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetMaterialization,
    BackfillPolicy,
    DagsterInstance,
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
from sqlalchemy import Connection

from bidbeacon_pipelines.defs.asset_metadata import OWNER, column_schema, place_metadata
from bidbeacon_pipelines.defs.materializations import (
    Metadata,
    add_metadata_of_partitions,
    store_materializations,
)
from bidbeacon_pipelines.defs.partitions import ACCOUNT_PARTITIONS, NoPartitionError
from bidbeacon_pipelines.defs.resources import BidBeaconSessions, session_store
from bidbeacon_pipelines.reports.datasets import get_dataset
from bidbeacon_pipelines.reports.plots import Point, plot_svg
from bidbeacon_pipelines.store.summaries import (
    DAILY,
    HOURLY,
    list_accounts_to_sum_up,
    list_summarized_accounts,
)
from bidbeacon_pipelines.store.tables import AccountDailySummary
from bidbeacon_sessions.dagster import (
    bounded_lines,
    escape_markdown,
    list_runs_under_way,
    session_metadata,
)
from bidbeacon_sessions.presentation import session_url

_UPDATE_EVERY_SECONDS = 600
_PLOTTED = {"spend": 2, "sales": 2, "acos": 4, "roas": 4}
"""The sums that Dagster plots, with how many decimals."""
_TABLE_DAYS = 14
_TABLE_BYTES = 1_320
"""Enough for two weeks of amounts below a million; the plot beside it takes twice as much, and an event should stay below 8 KB."""


@asset(
    name="account_daily_summary",
    group_name="summaries",
    kinds={"postgres", "pandas"},
    owners=[OWNER],
    tags={"grain": "day"},
    partitions_def=ACCOUNT_PARTITIONS,
    deps=[get_dataset(DAILY).asset_name, get_dataset(HOURLY).asset_name],
    backfill_policy=BackfillPolicy.single_run(),
    description=(
        "What each account-local day of an account adds up to, by ad product: impressions, clicks, orders, sales, spend, ACOS, ROAS, and its hours "
        "against the day where Amazon serves hours. One partition is one account, since a day costs little and a run two seconds. Kept up to date by itself, within ten minutes of a "
        "load; materializing sums up all days again, from loaded rows, so it makes no calls to Amazon and is safe to run again."
    ),
    metadata={
        **place_metadata("public.account_daily_summaries"),
        "dagster/column_schema": column_schema(AccountDailySummary.__table__.columns),
    },
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
        found = {
            key: update_summary(store.engine, session, key, all_days=True).days for key in keys
        }
    metadata = _metadata_by_account(found, session_url(str(session.session_id)))
    if len(metadata) == 1:
        return MaterializeResult(
            metadata=metadata[keys[0]] | session_metadata(store, session.session_id)
        )
    add_metadata_of_partitions(context, metadata)
    return MaterializeResult()


@op
def update_summaries_op(context: OpExecutionContext, job_sessions: BidBeaconSessions) -> None:
    """Sum up the days, of all accounts, whose windows were loaded since, and record what Dagster has lost. Safe to run at any time, and again."""
    from bidbeacon_pipelines.services.summaries import update_summary

    store = job_sessions.store()
    with store.begin() as connection:
        lost = _lost_accounts(connection, context.instance)
        keys = sorted({*list_accounts_to_sum_up(connection), *lost})
    with job_sessions.session(context, "sum-up-accounts", input={"accounts": keys}) as session:
        found = {key: update_summary(store.engine, session, key) for key in keys}
    updated = {
        key: summary.days for key, summary in found.items() if summary.updated or key in lost
    }
    metadata = _metadata_by_account(updated, session_url(str(session.session_id)))
    store_materializations(
        context,
        [
            AssetMaterialization(account_daily_summary.key, partition=key, metadata=details)
            for key, details in metadata.items()
        ],
    )
    context.add_output_metadata(session_metadata(store, session.session_id))


@job(
    executor_def=in_process_executor,
    description="Sum up the days of all accounts with new loads.",
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
        changed = list_accounts_to_sum_up(connection) or _lost_accounts(
            connection, context.instance
        )
    if not changed:
        return SkipReason("All loads are summed up.")
    if list_runs_under_way(context.instance, update_summaries.name):
        return SkipReason("The last update is in progress.")
    return RunRequest()


def _lost_accounts(connection: Connection, instance: DagsterInstance) -> set[str]:
    """Return the accounts that are summed up and have no materialization: its events were deleted, or Dagster was restored to an earlier state."""
    shown = instance.get_materialized_partitions(account_daily_summary.key)
    return set(list_summarized_accounts(connection)) - shown


def _metadata_by_account(
    found: Mapping[str, Sequence[dict[str, Any]]], url: str
) -> dict[str, Metadata]:
    return {
        key: {**summary_metadata(days), "session": MetadataValue.url(url)}
        for key, days in found.items()
    }


def summary_metadata(rows: Sequence[dict[str, Any]]) -> Metadata:
    """Return what a materialization shows of an account's newest days (by date and ad product, in its own currency): sums, a plot, two tables."""
    from bidbeacon_pipelines.reports.account_days import add_up, add_up_by

    if not rows:
        return {"dagster/row_count": MetadataValue.int(0)}
    currency = rows[0]["currency_code"]
    totals, days = add_up(rows), add_up_by(rows, "summary_date")
    return {
        "dagster/row_count": MetadataValue.int(len(rows)),
        "days": MetadataValue.int(len(days)),
        **{
            name: MetadataValue.float(float(round(totals[name], decimals)))
            for name, decimals in _PLOTTED.items()
            if totals[name] is not None
        },
        "by_ad_product": MetadataValue.md(_products_table(rows)),
        "plot": MetadataValue.md(_image(days, currency)),
        "newest_days": MetadataValue.md(_days_table(days, currency)),
    }


def _image(days: Mapping[date, Mapping[str, Any]], currency: str) -> str:
    points = [Point(day, totals["spend"], totals["sales"]) for day, totals in days.items()]
    data = b64encode(plot_svg(points, currency).encode()).decode()
    return f"![Spend and sales by day](data:image/svg+xml;base64,{data})"


def _products_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the sums of each ad product beside its attribution window: sales of different windows are not one measure."""
    from bidbeacon_pipelines.reports.account_days import add_up_by

    windows = {row["ad_product"]: row["attribution_days"] for row in rows}
    heads = ("ad product", "attribution", "spend", "sales", "ACOS", "ROAS")
    lines = [_row(heads), _row(["---", *["---:"] * (len(heads) - 1)])]
    for product, totals in add_up_by(rows, "ad_product").items():
        days = windows[product]
        attribution = "7 or 14 days" if days is None else f"{days} days"
        lines.append(_row((escape_markdown(product), attribution, *_figures(totals))))
    return "\n".join(lines)


def _days_table(days: Mapping[date, Mapping[str, Any]], currency: str) -> str:
    heads = (
        "day",
        f"spend ({currency})",
        "sales",
        "ACOS",
        "ROAS",
        "orders",
        "hours less day: spend",
        "sales",
    )
    lines = [_row(heads), _row(["---"] + ["---:"] * (len(heads) - 1))]
    newest = list(days.items())[-_TABLE_DAYS:]
    lines += [_row(_cells(day, totals)) for day, totals in reversed(newest)]
    return bounded_lines(lines, "| … and {} more |", most_bytes=_TABLE_BYTES)


def _cells(day: date, totals: Mapping[str, Any]) -> Sequence[str]:
    return (
        str(day),
        *_figures(totals),
        "–" if totals["orders"] is None else f"{totals['orders']:,}",
        _amount(totals["spend_difference"]),
        _amount(totals["sales_difference"]),
    )


def _figures(totals: Mapping[str, Any]) -> Sequence[str]:
    return (
        _amount(totals["spend"]),
        _amount(totals["sales"]),
        _percent(totals["acos"]),
        _ratio(totals["roas"]),
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _amount(amount: Decimal | None) -> str:
    return "–" if amount is None else f"{amount:,.2f}"


def _percent(share: Decimal | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _ratio(ratio: Decimal | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"
