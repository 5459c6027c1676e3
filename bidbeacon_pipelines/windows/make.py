"""Keeps the windows of a dataset as they should be today: creates and ends them."""

from datetime import timedelta

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import WindowsExpired, WindowsPlanned
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.histories import reopen_unserved
from bidbeacon_pipelines.windows.queries import (
    create_windows,
    expire_windows,
    find_windows_through,
    set_windows_through,
)
from bidbeacon_pipelines.windows.rules import (
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

    Windows of days to come, which a wrong clock made, stay: they are due when their day is over.
    Tomorrow is accepted, since the clocks of two hosts may differ around midnight.
    """
    now = context.now()
    today = local_date(now, account.time_zone)
    with context.engine.begin() as connection:
        through = find_windows_through(connection, account, dataset.name)
        is_made = through is not None and today <= through <= today + timedelta(days=1)
        if is_made and not again:
            return
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
