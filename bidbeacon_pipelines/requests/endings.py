"""Ends requests whose reports failed: requests shorter reports, or lets the windows fail.

If a report was refused for its period, the report for a part of the period shows which days or how
many days Amazon serves: see `learn_from_part`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import change_ads_account
from bidbeacon_pipelines.actions import ReportFailed, ReportSplit, WindowsNotServed, WindowsReopened
from bidbeacon_pipelines.causes import Cause, cause, with_detail
from bidbeacon_pipelines.contract.queries import read_contract
from bidbeacon_pipelines.contract.rules import LEARNED, PERIOD
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.requests.locked import LockedRequest
from bidbeacon_pipelines.requests.queries import (
    get_request,
    insert_request,
    list_ended_requests,
    lock_planning,
)
from bidbeacon_pipelines.requests.refusals import Days, halves, is_too_large, should_be_apart
from bidbeacon_pipelines.requests.rules import NEEDS_ATTENTION, FailureKind, GiveUp, RequestFailure
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.contract_changes import change_contract
from bidbeacon_pipelines.windows.due import replan_released
from bidbeacon_pipelines.windows.not_served_queries import (
    RequestedDays,
    end_refused_windows,
    is_younger_day_refused,
    reopen_windows,
)
from bidbeacon_pipelines.windows.queries import mark_windows_outdated, release_windows
from bidbeacon_pipelines.windows.rules import (
    again_after_failure,
    awaits_decision,
    failed,
    is_final,
    is_unproven,
    needs_report,
    put_back,
)
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import Action


def give_up(request: LockedRequest, failure: RequestFailure) -> None:
    """Mark a request and its windows as failed; `without_report` sets the next due times.

    Days that are requested again in shorter reports stay due. Windows of a stopped account don't
    fail: `window_states` shows that the account is stopped.
    """
    failure = _with_advice(request, failure)
    parts = _days_to_narrow_to(request, failure)
    row, session = request.row, request.session
    is_too_old = failure.kind is FailureKind.TOO_OLD
    after = request.after(GiveUp(failure))
    with request.storing(after) as connection:
        for part in parts:
            by_hand = row.by_hand and not is_too_old
            _request_part(connection, row, part, request.context.now(), by_hand=by_hand)
        if failure.kind in NEEDS_ATTENTION:
            release_stopped(request, connection, [window for _, window in request.waiting])
        else:
            since = after.first_failed_at
            _release_failed(request, connection, failure.cause, parts, failing_since=since)
        plan_released(connection, row)
        if is_too_old and not parts:
            _end_refused(request, connection, failure.cause)
        facts = request.facts | {"cause": failure.cause}
        if parts:
            session.add_in(connection, ReportSplit(**facts, reports=len(parts)))
        else:
            session.add_in(connection, ReportFailed(**facts, report_id=row.report_id))


def release_stopped(
    request: LockedRequest, connection: Connection, windows: Iterable[ReportWindow]
) -> None:
    """Detach windows of stopped accounts; they are due again once the accounts are active."""
    now = request.context.now()
    release_windows(connection, request.row.id, [put_back(one, now) for one in windows])


def plan_released(connection: Connection, row: ReportRequest) -> None:
    """Schedule a planning run if due windows were detached from the request `row`.

    If the contract no longer has the request's report, the windows are also created again.
    """
    lock_planning(connection, row.account_id)
    replan_released(connection, row.account_id, row.id)
    dataset = row.dataset_report.dataset
    reports = read_contract(connection, row.account_id).reports(dataset)
    if row.report not in {report.name for report in reports}:
        mark_windows_outdated(connection, account_id=row.account_id, dataset=dataset.name)


def without_report(
    window: ReportWindow,
    why: Cause,
    dataset: Dataset,
    time_zone: str,
    now: datetime,
    ended: Sequence[ReportRequest],
    *,
    is_requested_again: bool = False,
) -> ReportWindow:
    """Return a copy of a window as it is after its report failed or was not loaded.

    The window stays as it was if it needed no report or waits for a person's decision. Final data
    stays final. A loaded window with status `not_served` keeps this status. `ended` are the
    requests of the same report that ended in the last days. If `is_requested_again`, the window
    stays due.
    """
    if awaits_decision(window) or not needs_report(window, now):
        return put_back(window, window.next_refresh_at)
    if is_requested_again:
        return failed(window, why, min(window.next_refresh_at or now, now))
    if is_final(dataset, window, time_zone):
        return failed(window, why, None)
    day, has_data = window.window_date, window.data_as_of is not None
    ended_at = [
        one.finished_at
        for one in ended
        if one.finished_at and one.start_date <= day <= one.end_date
    ]
    at = again_after_failure(dataset, day, time_zone, now, has_data=has_data, ended_at=ended_at)
    return failed(window, why, at)


def _with_advice(request: LockedRequest, failure: RequestFailure) -> RequestFailure:
    """Return the failure, with a command to split the report by ad product if that may help."""
    row, dataset = request.row, request.dataset
    if not should_be_apart(failure, row.dataset_report.ad_products, days=row.days):
        return failure
    names = (report.name for report in request.contract.all_reports(dataset))
    grouping = ",".join(n.replace("+", ",") if n == row.report else n for n in names)
    change = f"{request.ads_account.region} {dataset.name} grouping {grouping}"
    command = f"bidbeacon contract set {change}"
    return replace(failure, cause=with_detail(failure.cause, command=command))


def _days_to_narrow_to(request: LockedRequest, failure: RequestFailure) -> list[Days]:
    """Return shorter periods to request instead of a failed report; [] if that can't help.

    If the report was too large, these are both halves of its period. If its days were too old, only
    the younger half is returned. Each half is narrowed to the days that need a report.
    """
    row, now = request.row, request.context.now()
    ad_products = row.dataset_report.ad_products
    longest = request.contract.report(request.dataset, ad_products).longest_period_days
    with request.context.engine.begin() as connection:
        waits = is_younger_day_refused(connection, _requested_days(row))
    needed = sorted(one.window_date for _, one in request.waiting if needs_report(one, now))
    parts = []
    for first, last in halves(row.start_date, row.end_date):
        if days := [day for day in needed if first <= day <= last]:
            parts.append((days[0], days[-1]))
    if is_too_large(failure, days=row.days, longest_days=longest):
        return parts
    return parts[:1] if failure.kind is FailureKind.TOO_OLD and not waits else []


def _release_failed(
    request: LockedRequest,
    connection: Connection,
    why: Cause,
    parts: Sequence[Days],
    *,
    failing_since: datetime | None,
) -> None:
    """Detach all windows: those in the periods `parts` stay due, the others fail.

    Windows in `parts` that a user requested also stay marked as requested.
    """
    now, dataset = request.context.now(), request.dataset
    reports = list_ended_requests(connection, request.row, now)
    again: list[ReportWindow] = []
    ended: list[ReportWindow] = []
    for account, window in request.waiting:
        is_again = any(first <= window.window_date <= last for first, last in parts)
        facts = why, dataset, account.time_zone, now, reports
        released = without_report(window, *facts, is_requested_again=is_again)
        (again if is_again else ended).append(released)
    release = partial(release_windows, connection, request.row.id, failing_since=failing_since)
    release(again, keep_wanted=True)
    release(ended)


def _request_part(
    connection: Connection,
    refused: ReportRequest,
    days: Days,
    now: datetime,
    *,
    by_hand: bool = False,
) -> None:
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


def _requested_days(row: ReportRequest) -> RequestedDays:
    of = (row.account_id, row.dataset, row.report)
    return RequestedDays(*of, row.start_date, row.end_date, row.id)


def learn_from_part(request: LockedRequest, connection: Connection, now: datetime) -> None:
    """Learn what Amazon serves from a loaded report for part of the days of a refused report.

    If the refused report was too large, store half its number of days as the longest period for the
    ads account. If its days were too old, request the older days, which waited for this report.
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
        _request_part(connection, refused, rest, now)


def _end_refused(request: LockedRequest, connection: Connection, why: Cause) -> None:
    """Mark days that Amazon refuses as too old as `not_served`, and schedule a planning run."""
    ended_for = cause("not-served", detail=why.get("detail"))
    refused = _requested_days(request.row)
    ended = end_refused_windows(connection, refused, ended_for, request.context.now())
    if ended:
        _replan(request, connection, ended, partial(WindowsNotServed, cause=ended_for))


def reopen_ended(request: LockedRequest, connection: Connection, now: datetime) -> None:
    """Make `not_served` days due again if the report loaded a day that Amazon refused before."""
    waiting = [window for _, window in request.waiting]
    ended = [one for one in waiting if one.refused_alone_at or one.not_served_since]
    refused = [one for one in ended if not is_unproven(one)]
    if refused:
        reopened = reopen_windows(connection, _requested_days(request.row), refused, now)
        _replan(request, connection, reopened, WindowsReopened)


def _replan(
    request: LockedRequest,
    connection: Connection,
    changed: Mapping[str, list[date]],
    action: Callable[..., Action],
) -> None:
    change_ads_account(connection, request.row.account_id, planned_at=None)
    for key, days in changed.items():
        of_days = action(account=key, dataset=request.dataset.name, windows=days)
        request.session.add_in(connection, of_days)
