"""Stores requests for runs, which a Dagster sensor starts: windows to load now, and syncs of entities."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import Account
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.requests.load_checks import (
    DaysNotOverError,
    check_active,
    check_served,
    split_at_today,
)
from bidbeacon_pipelines.requests.run_request_queries import (
    RunRequest,
    find_run_request,
    finish_requests,
    request_run,
)
from bidbeacon_pipelines.windows.rules import is_served, local_date
from bidbeacon_sessions.presentation import instant

MOST_TRIES = 3
"""Runs that are started for one request, where they die before they begin their work."""


def request_load(
    connection: Connection,
    account: Account,
    dataset: Dataset,
    windows: Sequence[date],
    *,
    by: str,
    now: datetime,
) -> RunRequest:
    """Request windows to be loaded now, whether or not they are due; an equal open request is reused.

    Days that Amazon does not serve, or that are not over, are left out.

    Raises:
        AccountStoppedError: the account is paused, or needs a person.
        DaysNotServedError: Amazon no longer serves any of the days.
        DaysNotOverError: the days that it serves are not over in the account's time zone.
    """
    check_active(account)
    today = local_date(now, account.time_zone)
    served = [day for day in windows if is_served(dataset, day, today) or day >= today]
    if not served:
        check_served(dataset, windows, today)
    over, not_over = split_at_today(served, today)
    if not over:
        raise DaysNotOverError(account, not_over)
    finish_requests(connection, now=now)
    request_id = request_run(
        connection, account, "load-windows", dataset=dataset.name, windows=over, by=by, now=now
    )
    return _get(connection, request_id)


def request_entity_sync(
    connection: Connection, account: Account, *, by: str, now: datetime
) -> RunRequest:
    """Request a sync of an account's entities now; an equal open request is reused.

    Raises:
        AccountStoppedError: the account is paused, or needs a person.
    """
    check_active(account)
    finish_requests(connection, now=now)
    return _get(connection, request_run(connection, account, "sync-entities", by=by, now=now))


def _get(connection: Connection, request_id: int) -> RunRequest:
    found = find_run_request(connection, request_id)
    if found is None:
        raise LookupError(f"Expected run request {request_id} to be stored.")
    return found


def run_request_json(request: RunRequest) -> dict[str, Any]:
    """Return a request as the page follows it; `state` is `waiting` for its run, `running`, `finished`, or `failed` where no run began."""
    return {
        "id": request.id,
        "kind": request.kind,
        "account": request.account_key,
        "account_label": request.account_label,
        "dataset": request.dataset or None,
        "windows": [str(day) for day in request.windows],
        "by": request.requested_by,
        "requested_at": instant(request.requested_at),
        "state": _state(request),
        "failure": request.failure,
        "session": None if request.session_id is None else str(request.session_id),
    }


def _state(request: RunRequest) -> str:
    if request.failure is not None:
        return "failed"
    if request.finished_at is not None:
        return "finished"
    return "waiting" if request.session_id is None else "running"
