"""What Dagster shows of loaded windows, and how loads that were made elsewhere become materializations."""

from collections.abc import Mapping, Sequence
from typing import Any

from dagster import AssetKey, AssetMaterialization, MetadataValue, OpExecutionContext
from sqlalchemy import Engine

from bidbeacon_pipelines.actions import LoadsRecorded
from bidbeacon_pipelines.defs.partitions import is_partition_day, partition_key
from bidbeacon_pipelines.reports.datasets import get_dataset
from bidbeacon_pipelines.store.windows import LoadedWindow, list_unrecorded_windows, record_windows
from bidbeacon_sessions import SessionRecorder
from bidbeacon_sessions.presentation import session_url

_BATCH = 100


def window_metadata(window: LoadedWindow) -> dict[str, MetadataValue[Any]]:
    """Give what a materialization tells of one loaded window, amounts exact in the account's currency."""
    metadata: dict[str, MetadataValue[Any]] = {
        "dagster/row_count": MetadataValue.int(window.row_count),
        "spend": MetadataValue.text(f"{window.spend:,.2f} {window.currency_code}"),
        "sales": MetadataValue.text(f"{window.sales:,.2f} {window.currency_code}"),
        "rows_restated": MetadataValue.int(window.restated_count),
        "rows_unresolved": MetadataValue.int(window.unresolved_count),
        "rows_quarantined": MetadataValue.int(window.quarantined_count),
        "load": MetadataValue.int(window.load_count),
        "attempts": MetadataValue.int(window.attempts or 1),
        "report_id": MetadataValue.text(window.report_id or "unknown"),
        "data_as_of": MetadataValue.timestamp(window.data_as_of),
        "loaded_at": MetadataValue.timestamp(window.last_loaded_at),
    }
    if window.session_id is not None:
        metadata["loaded_by"] = MetadataValue.url(session_url(str(window.session_id)))
    return metadata


def record_loaded_windows(context: OpExecutionContext, engine: Engine, session: SessionRecorder) -> None:
    """Record a materialization for every load that Dagster does not know of yet.

    Loads made by a run that was killed before it could say so, and those of the command line, are found here. Two runs that
    record at once share the work: each batch's windows are locked, and passed over by the other.
    """
    total = 0
    while recorded := _record_batch(context, engine):
        total += recorded
    if total:
        session.add(LoadsRecorded(loads=total))


def _record_batch(context: OpExecutionContext, engine: Engine) -> int:
    with engine.begin() as connection:
        windows = list_unrecorded_windows(connection, limit=_BATCH)
        for window in windows:
            if is_partition_day(window.window_date):
                context.log_event(_materialization(window))
        record_windows(connection, windows)
    return len(windows)


def _materialization(window: LoadedWindow) -> AssetMaterialization:
    return AssetMaterialization(
        asset_key=AssetKey(get_dataset(window.dataset).asset_name),
        partition=partition_key(window.account_key, window.window_date),
        metadata=window_metadata(window),
    )


def summary_metadata(windows: Sequence[LoadedWindow]) -> Mapping[str, MetadataValue[Any]]:
    """Give a table of several windows that one run loaded."""
    rows = "\n".join(
        f"| {w.account_key} | {w.window_date} | {w.row_count:,} | {w.spend:,.2f} {w.currency_code} | {w.restated_count:,} |"
        for w in windows
    )
    head = "| account | window | rows | spend | restated |\n|---|---|---:|---:|---:|\n"
    return {"windows": MetadataValue.md(head + rows)}
