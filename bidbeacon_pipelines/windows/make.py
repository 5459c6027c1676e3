"""Keeps the windows of a dataset as they should be today: creates, ends and reopens them."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import Account
from bidbeacon_pipelines.actions import WindowsExpired, WindowsPlanned, WindowsReopened
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.histories import reopen_unserved
from bidbeacon_pipelines.requests.queries import correct_requests
from bidbeacon_pipelines.windows.queries import (
    MisdatedWindow,
    create_windows,
    delete_windows_after,
    expire_windows,
    find_windows_through,
    list_misdated_windows,
    reopen_windows,
    set_windows_through,
)
from bidbeacon_pipelines.windows.rules import (
    again_after_failure,
    local_date,
    next_refresh_at,
    oldest_served,
    window_dates,
)
from bidbeacon_sessions import SessionRecorder


def keep_windows(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    *,
    again: bool = False,
) -> None:
    """Create the windows up to today, and end those that Amazon no longer serves: once per local day, or `again`.

    Windows after tomorrow were created by a wrong clock. Tomorrow is accepted, since the clocks of
    two hosts may differ around midnight.
    """
    now = context.now()
    today = local_date(now, account.time_zone)
    with context.engine.begin() as connection:
        through = find_windows_through(connection, account, dataset.name)
        is_misdated = through is not None and through > today + timedelta(days=1)
        if not again and through is not None and through >= today and not is_misdated:
            return
        if is_misdated:
            delete_windows_after(connection, account, dataset.name, today)
            correct_requests(connection, account.account_id, now)
        _reopen_windows(connection, session, account, dataset, now)
        reopen_unserved(connection, session, account, dataset, now)
        zone = account.time_zone
        due = {
            day: next_refresh_at(dataset, day, zone, None) for day in window_dates(dataset, today)
        }
        created = create_windows(connection, account, dataset.name, due)
        expired = expire_windows(connection, account, dataset.name, oldest_served(dataset, today))
        set_windows_through(connection, account, dataset.name, today)
        if created:
            session.add_in(
                connection,
                WindowsPlanned(
                    account=account.account_key,
                    dataset=dataset.name,
                    created=created,
                    through=today,
                ),
            )
        if expired:
            session.add_in(
                connection,
                WindowsExpired(account=account.account_key, dataset=dataset.name, windows=expired),
            )


def _reopen_windows(
    connection: Connection,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    now: datetime,
) -> None:
    """Make windows due again that Amazon serves, and whose refresh a wrong clock had ended or postponed."""
    today, zone = local_date(now, account.time_zone), account.time_zone
    misdated = list_misdated_windows(
        connection,
        account,
        dataset.name,
        oldest=oldest_served(dataset, today),
        today=today,
        last_offset=max(dataset.refresh_offsets),
        now=now,
    )
    if not misdated:
        return
    due = {window.window_date: _due_again(dataset, window, zone, now) for window in misdated}
    reopen_windows(connection, account, dataset.name, due)
    session.add_in(
        connection,
        WindowsReopened(account=account.account_key, dataset=dataset.name, windows=list(due)),
    )


def _due_again(
    dataset: Dataset, window: MisdatedWindow, zone: str, now: datetime
) -> datetime | None:
    day, data_as_of = window.window_date, window.data_as_of
    if window.status == "failed":
        return again_after_failure(dataset, day, zone, now, has_data=data_as_of is not None)
    return next_refresh_at(dataset, day, zone, data_as_of)
