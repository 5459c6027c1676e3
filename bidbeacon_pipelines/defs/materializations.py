"""Events of loads: materializations of complete days, and observations of all other days.

A day of a dataset is complete if each of its windows is loaded, expired or not served.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg
from sqlalchemy import Connection, Row
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from bidbeacon_pipelines.accounts.queries import get_accounts
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import LoadsRecorded
from bidbeacon_pipelines.database.locks import (
    LockTakenError,
    lock_until_commit,
    try_lock_until_commit,
)
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.defs.checks import evaluate_checks
from bidbeacon_pipelines.defs.resources import Context, RunningJob, log_day
from bidbeacon_pipelines.materializations.queries import (
    list_loaded_days,
    lock_unrecorded_days,
    mark_days_recorded,
)
from bidbeacon_sessions.dagster import session_link

_BATCH = 100
_LOCK = "record loads"
"""Only the run with this lock logs events, so a day's stored run logged the last one."""
_wait_longer = retry(
    retry=retry_if_exception_type(LockTakenError), stop=stop_after_attempt(10), reraise=True
)
"""Retry if the lock is taken: wait up to ten times `lock_timeout` for it."""


def record_loads(context: Context, job: RunningJob, *, waits: bool = False) -> None:
    """Record an event for every day with loads that are not recorded in Dagster yet.

    This includes loads of killed runs and of the command line. A lock lets only one run record
    loads at a time. If another run holds it, wait if `waits` is true, else return; the sensor then
    starts a run for the rest. Loads are recorded in batches, which may take minutes in all. Since
    Dagster shows a dataset's checks as not evaluated after a new materialization, the checks are
    evaluated after each batch.

    Raises:
        LockTakenError: `waits` is true, and another run has held the lock for too long.
    """
    total = 0
    while days := _record_batch(context, job, waits=waits):
        total += sum(len(day.new_loads) for day in days)
        evaluate_checks(context, job, {day.dataset for day in days})
    if total:
        job.session.add(LoadsRecorded(loads=total))


@_wait_longer
def _record_batch(context: Context, job: RunningJob, *, waits: bool) -> Sequence[Row[Any]]:
    with job.context.engine.begin() as connection:
        if waits:
            lock_until_commit(connection, _LOCK)
        elif not try_lock_until_commit(connection, _LOCK):
            return ()
        days = lock_unrecorded_days(connection, limit=_BATCH)
        _record(context, connection, job, days)
    return days


@_wait_longer
def log_days(
    context: Context,
    job: RunningJob,
    account: Account,
    dataset: Dataset,
    days: Sequence[date],
) -> None:
    """Log an event for each of `days` that is loaded.

    This run was started to load these days. An event is logged even if another run has logged it
    before, since a Dagster backfill counts only materializations by its own runs.

    Raises:
        LockTakenError: Another run has held the lock for too long.
    """
    with job.context.engine.begin() as connection:
        lock_until_commit(connection, _LOCK)
        loaded = list_loaded_days(connection, account, dataset.name, days)
        _record(context, connection, job, loaded)


def _record(
    context: Context, connection: Connection, job: RunningJob, days: Sequence[Row[Any]]
) -> None:
    # Events are logged before they are stored as recorded: a killed run repeats them, loses none.
    accounts = get_accounts(connection, {day.account_key for day in days})
    for day in days:
        event = dg.AssetMaterialization if day.is_complete else dg.AssetObservation
        of = (accounts[day.account_key], day.dataset, day.window_date)
        log_day(context, job.context, connection, event, of, day_metadata(day))
    mark_days_recorded(connection, days, context.run.run_id)


def day_metadata(day: Row[Any]) -> dict[str, Any]:
    """Return the metadata of one loaded day; Dagster plots the numbers in it.

    Amounts are rounded to cents. Spend or sales are omitted if the dataset does not have them.
    """
    amounts = {"spend": day.spend, "sales": day.sales}
    columns = get_dataset(day.dataset).columns
    return {
        "dagster/partition_row_count": day.row_count,
        **{one: float(round(amount, 2)) for one, amount in amounts.items() if one in columns},
        "currency": day.currency_code,
        "rows_changed": day.restated_count,
        "rows_unresolved": day.unresolved_count,
        "rows_quarantined": day.quarantined_count,
        "load": day.load_count,
        "data_as_of": dg.MetadataValue.timestamp(day.data_as_of),
        "loaded_at": dg.MetadataValue.timestamp(day.last_loaded_at),
        **(session_link(day.session_id) if day.session_id else {}),
    }
