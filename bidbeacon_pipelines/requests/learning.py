"""Requests parts of refused reports, and learns from the parts that arrive."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import change_ads_account
from bidbeacon_pipelines.actions import WindowsNotServed, WindowsReopened
from bidbeacon_pipelines.causes import Cause, cause
from bidbeacon_pipelines.contract.queries import read_contract
from bidbeacon_pipelines.contract.rules import LEARNED, PERIOD
from bidbeacon_pipelines.datasets.contract import LEARNED, PERIOD
from bidbeacon_pipelines.requests.locked import LockedRequest
from bidbeacon_pipelines.requests.queries import get_request, insert_request
from bidbeacon_pipelines.requests.refusals import Days
from bidbeacon_pipelines.requests.rules import FailureKind
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.contract_changes import change_contract
from bidbeacon_pipelines.windows.not_served_queries import (
    RequestedDays,
    end_refused_windows,
    reopen_windows,
)
from bidbeacon_pipelines.windows.rules import is_unproven
from bidbeacon_sessions import Action


def request_part(
    connection: Connection,
    refused: ReportRequest,
    days: Days,
    now: datetime,
    *,
    by_hand: bool = False,
) -> None:
    """Plan a request for a part of the days of a refused one."""
    start, end = days
    insert_request(
        connection,
        account_id=refused.account_id,
        dataset=refused.dataset,
        report=refused.report,
        start_date=start,
        end_date=end,
        by_hand=by_hand,
        created_at=now,
        narrows=refused.id,
    )


def requested_days(row: ReportRequest) -> RequestedDays:
    """Return the days that a request covers."""
    of = (row.account_id, row.dataset, row.report)
    return RequestedDays(*of, row.start_date, row.end_date, row.id)


def learn_from_part(request: LockedRequest, connection: Connection, now: datetime) -> None:
    """Learn from a report of a part of a refused one, and request the part that waited for it.

    If the refused report was too large, the ads account's longest period is learned.
    """
    given, dataset = request.row, request.dataset
    if given.narrows is None:
        return
    refused = get_request(connection, given.narrows)
    if refused.failure_kind != FailureKind.TOO_OLD:
        half = (refused.days + 1) // 2
        contract = read_contract(connection, given.account_id)
        if half < contract.report(dataset, given.dataset_report.ad_products).longest_period_days:
            ads_account = request.ads_account
            change = ads_account.region, dataset.name, f"{PERIOD}:{given.report}", str(half)
            change_contract(
                connection, request.session, *change, ads_account=ads_account, by=LEARNED, at=now
            )
    while refused.start_date == given.start_date and refused.narrows is not None:
        refused = get_request(connection, refused.narrows)
    rest = refused.start_date, given.start_date - timedelta(days=1)
    if refused.failure_kind == FailureKind.TOO_OLD and refused.start_date < given.start_date:
        request_part(connection, refused, rest, now)


def end_refused(request: LockedRequest, connection: Connection, why: Cause) -> None:
    """End the days that Amazon keeps refusing as too old; older days may then be due."""
    ended_for = cause("not-served", detail=why.get("detail"))
    refused = requested_days(request.row)
    ended = end_refused_windows(connection, refused, ended_for, request.context.now())
    if ended:
        _replan(request, connection, ended, partial(WindowsNotServed, cause=ended_for))


def reopen_ended(request: LockedRequest, connection: Connection, now: datetime) -> None:
    """Make not-served days due again once a day that Amazon refused as too old is loaded."""
    waiting = [window for _, window in request.waiting]
    ended = [one for one in waiting if one.refused_alone_at or one.not_served_since]
    refused = [one for one in ended if not is_unproven(one)]
    if refused:
        reopened = reopen_windows(connection, requested_days(request.row), refused, now)
        _replan(request, connection, reopened, WindowsReopened)


def _replan(
    request: LockedRequest,
    connection: Connection,
    changed: Mapping[str, list[date]],
    action: Callable[..., Action],
) -> None:
    """Record an action for the changed days of each account, and have all planned again."""
    change_ads_account(connection, request.row.account_id, planned_at=None)
    for key, days in changed.items():
        of_days = action(account=key, dataset=request.dataset.name, windows=days)
        request.session.add_in(connection, of_days)
