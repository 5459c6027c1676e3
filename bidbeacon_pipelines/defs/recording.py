"""Materializations of loads: each load that Dagster does not know of is recorded by one event of a run."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg
from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import LoadsRecorded
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.defs.checks import evaluate_checks
from bidbeacon_pipelines.defs.partitions import is_partition_day, partition_key
from bidbeacon_pipelines.defs.resources import Context, RunningJob
from bidbeacon_pipelines.problems.window_stories import list_actions_of_loads
from bidbeacon_pipelines.windows.product_states import describe_unserved, from_json
from bidbeacon_pipelines.windows.queries import (
    LoadedWindow,
    list_loaded_windows,
    list_unrecorded_windows,
    record_windows,
)
from bidbeacon_sessions.dagster import list_sentences, session_link

_BATCH = 100

Metadata = dict[str, dg.MetadataValue[Any]]


def record_loads(context: Context, job: RunningJob) -> None:
    """Record a materialization for every load that Dagster does not know of yet.

    This includes loads of killed runs and of the command line. Two concurrent runs share the work:
    each batch's windows are locked and skipped by the other. After each batch the checks of its
    datasets are evaluated, since Dagster shows a check as not evaluated from the next
    materialization on, and recording many loads takes minutes.
    """
    total = 0
    while windows := _record_batch(context, job):
        total += len(windows)
        evaluate_checks(context, job, {window.dataset for window in windows})
    if total:
        job.session.add(LoadsRecorded(loads=total))


def _record_batch(context: Context, job: RunningJob) -> Sequence[LoadedWindow]:
    with job.context.engine.begin() as connection:
        windows = list_unrecorded_windows(connection, now=job.context.now(), limit=_BATCH)
        _record(context, connection, windows)
    return windows


def record_days(
    context: Context,
    job: RunningJob,
    account: Account,
    dataset: Dataset,
    days: Sequence[date],
) -> None:
    """Record materializations of loaded days that a run was started for.

    They are recorded even if another run has done so, since a backfill counts the materializations
    of its own runs only.
    """
    with job.context.engine.begin() as connection:
        windows = list_loaded_windows(connection, account, dataset.name, days)
        _record(context, connection, windows)


def _record(
    context: Context,
    connection: Connection,
    windows: Sequence[LoadedWindow],
) -> None:
    """Log the materializations, then store that Dagster has them: a run that is killed in between records them twice, never not at all."""
    stories = list_actions_of_loads(connection, windows)
    for window, actions in zip(windows, stories, strict=True):
        if not is_partition_day(window.window_date):
            continue
        context.log_event(
            dg.AssetMaterialization(
                dg.AssetKey(get_dataset(window.dataset).asset_name),
                partition=partition_key(window.account_key, window.window_date),
                metadata={**window_metadata(window), "actions": list_sentences(actions)},
            )
        )
    record_windows(connection, windows, context.run.run_id)


def window_metadata(window: LoadedWindow) -> Metadata:
    """Return the figures of one loaded window, as numbers, so that Dagster plots them.

    Amounts are rounded to cents, as in sentences; those that the dataset does not have are left out.
    """
    amounts = {"spend": window.spend, "sales": window.sales}
    columns = get_dataset(window.dataset).columns
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(window.row_count),
        **{
            name: dg.MetadataValue.float(float(round(amount, 2)))
            for name, amount in amounts.items()
            if name in columns
        },
        "currency": dg.MetadataValue.text(window.currency_code),
        "rows_changed": dg.MetadataValue.int(window.restated_count),
        "rows_unresolved": dg.MetadataValue.int(window.unresolved_count),
        "rows_quarantined": dg.MetadataValue.int(window.quarantined_count),
        "load": dg.MetadataValue.int(window.load_count),
        "data_as_of": dg.MetadataValue.timestamp(window.data_as_of),
        "loaded_at": dg.MetadataValue.timestamp(window.last_loaded_at),
        **_report_metadata(window),
        **(session_link(window.session_id) if window.session_id else {}),
    }


def _report_metadata(window: LoadedWindow) -> Metadata:
    """Return its report, the number of requests, the days it covered, and which ad products Amazon does not serve."""
    metadata: Metadata = {
        "report_id": dg.MetadataValue.text(window.report_id or "unknown"),
        "requests_used": dg.MetadataValue.int(window.attempts or 1),
    }
    if window.report_start is not None and window.report_end is not None:
        days = (window.report_end - window.report_start).days + 1
        metadata["report_covers"] = dg.MetadataValue.text(
            f"{days} {'day' if days == 1 else 'days'}: {window.report_start} to {window.report_end}"
        )
    unserved = describe_unserved(from_json(window.product_states))
    return (
        metadata if unserved is None else metadata | {"not_served": dg.MetadataValue.text(unserved)}
    )
