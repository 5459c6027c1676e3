"""Plans the report requests for the due and user-requested days of an ads account."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row

from bidbeacon_pipelines.accounts.queries import change_ads_account, list_countries, set_next_run
from bidbeacon_pipelines.accounts.rules import next_refresh
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.actions import ReportsPlanned, SkipReason, WindowSkipped
from bidbeacon_pipelines.contract.queries import read_contract
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset, DatasetReport
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.planning_rules import (
    PlannedRequest,
    plan_requests,
    should_wait_for_countries,
)
from bidbeacon_pipelines.requests.queries import lock_planning, lock_plans, replace_plans
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.due import list_days_to_plan, list_next_due
from bidbeacon_pipelines.windows.make import make_windows
from bidbeacon_sessions import SessionRecorder


def plan_account(context: JobContext, session: SessionRecorder, ads_account: AdsAccount) -> None:
    """Create the windows of an ads account up to today, and plan reports for due windows.

    The dispatcher creates planned reports at Amazon. Safe to run at any time and concurrently.
    """
    with context.engine.begin() as connection:
        # Stored first, so that an ads account whose planning fails is not always the next.
        change_ads_account(connection, ads_account.account_id, last_run_at=context.now())
        countries = list_countries(connection, ads_account.account_id)
    active = [account for account in countries if account.stop_reason is None]
    if active:
        make_windows(context, session, active)
        plan_due(context, session, ads_account, active)
    elif countries:
        for dataset in DATASETS.values():
            session.add(skip_stopped(ads_account.ads_account_key, dataset, [], countries[0]))


@dataclass(frozen=True)
class _Draft:
    """The plan of one report of an ads account.

    Attributes:
        report: The dataset and ad products to request.
        by_hand: The planned requests for days that users requested.
        due: The due days that no request in `by_hand` covers.
        scheduled: The planned requests for the days in `due`.
        stored: The stored requests for due days, not sent yet.
        stored_by_hand: The stored requests for user-requested days, not sent yet.
        waits_until: The latest time until which due days wait for other countries; None if the due
            days don't wait, for example because there are requests in `stored`.
    """

    report: DatasetReport
    by_hand: Sequence[PlannedRequest]
    due: Sequence[Row[Any]]
    scheduled: Sequence[PlannedRequest]
    stored: Sequence[ReportRequest]
    stored_by_hand: Sequence[ReportRequest]
    waits_until: datetime | None


def plan_wanted(context: JobContext, account_id: str) -> None:
    """Plan and store separate requests for days of an ads account that users requested.

    The dispatcher creates the reports of these requests first. Plans for days that are due but not
    requested by users stay unchanged.
    """
    now = context.now()
    with context.engine.begin() as connection:
        for draft in _lock_drafts(connection, account_id, now, timedelta(0)):
            change = (draft.report, draft.stored_by_hand, draft.by_hand)
            is_changed = replace_plans(connection, account_id, *change, at=now)
            if is_changed and draft.stored_by_hand:  # a due day may be in none of them any more
                change_ads_account(connection, account_id, planned_at=None)


def plan_due(
    context: JobContext,
    session: SessionRecorder,
    ads_account: AdsAccount,
    accounts: Sequence[Account],
) -> None:
    """Plan and store requests for the due and the user-requested days of an ads account.

    User-requested (wanted) days have separate requests. Planning of one ads account is serialized
    and replaces unsent plans. So each day is in at most one plan for wanted days, and in at most
    one plan for due days. Once all due days are planned, the next refresh is scheduled.
    `accounts` are the active accounts; if there are several, due days may wait for other countries.
    """
    now, hours = context.now(), context.settings.wait_for_countries_hours
    patience = timedelta(hours=hours if len(accounts) > 1 else 0)
    account_id, key = ads_account.account_id, ads_account.ads_account_key
    with context.engine.begin() as connection:
        store = partial(replace_plans, connection, account_id, at=now)
        drafts = _lock_drafts(connection, account_id, now, patience)
        for draft in drafts:
            report, planned = draft.report, draft.scheduled
            store(report, draft.stored_by_hand, draft.by_hand)
            if draft.waits_until is not None:
                continue
            if store(report, draft.stored, planned) and planned:
                action = ReportsPlanned(
                    account=key,
                    dataset=report.dataset.name,
                    reports=len(planned),
                    windows=sum(day.windows for day in draft.due),
                    start=min(request.start for request in planned),
                    end=planned[0].end,
                )
                session.add_in(connection, action)
        for skipped in _skips(key, drafts):
            session.add_in(connection, skipped)
        cadence, next_run_at = ads_account.cadence, ads_account.next_run_at
        at = next_refresh(cadence, ads_account.time_zone, next_run_at, now)
        waits = any(draft.waits_until is not None for draft in drafts)
        if not waits and at != next_run_at:
            set_next_run(connection, ads_account, at)
        change_ads_account(connection, account_id, planned_at=now)


def _lock_drafts(
    connection: Connection, account_id: str, now: datetime, patience: timedelta
) -> list[_Draft]:
    # If the contract changes while we wait for the lock, its windows are made and planned again.
    contract = read_contract(connection, account_id)
    lock_planning(connection, account_id)
    plans = lock_plans(connection, account_id)  # first, since sending one includes its windows
    days = list_days_to_plan(connection, account_id, now=now)
    next_due = list_next_due(connection, account_id, after=now, until=now + patience)
    drafts = []
    for report in (one for dataset in DATASETS.values() for one in contract.reports(dataset)):
        names = (report.dataset.name, report.name)
        stored = [plan for plan in plans if (plan.dataset, plan.report) == names]
        when = (next_due.get(names), now, patience)
        drafts.append(_draft(report, days.get(names, []), stored, *when))
    return drafts


def _draft(
    report: DatasetReport,
    days: Sequence[Row[Any]],
    stored: Sequence[ReportRequest],
    next_due: datetime | None,
    now: datetime,
    patience: timedelta,
) -> _Draft:
    """Plan requests for a report's due and user-requested days.

    Days that are in a stored request for a part of a refused report are left out.
    """
    longest_days = report.longest_period_days
    parts = [PlannedRequest(one.start_date, one.end_date) for one in stored if one.narrows]
    plans = [one for one in stored if not one.narrows]
    days = [day for day in days if not any(part.has(day.window_date) for part in parts)]
    wanted = [day.window_date for day in days if day.is_wanted]
    by_hand = plan_requests(wanted, longest_days=longest_days, by_hand=True)
    due = [
        day
        for day in days
        if not day.is_wanted and not any(one.has(day.window_date) for one in by_hand)
    ]
    scheduled = plan_requests(
        [day.window_date for day in due],
        longest_days=longest_days,
        alone=[day.window_date for day in due if day.is_alone],
    )
    stored_by_hand = [one for one in plans if one.by_hand]
    stored_due = [one for one in plans if not one.by_hand]
    first_due, waits_until = min((day.due_since for day in due), default=None), None
    when = (next_due, now, patience)
    if first_due and not stored_due and should_wait_for_countries(first_due, *when):
        waits_until = first_due + patience
    return _Draft(report, by_hand, due, scheduled, stored_due, stored_by_hand, waits_until)


def _skips(key: str, drafts: Sequence[_Draft]) -> Iterator[WindowSkipped]:
    """Yield an action for each dataset whose due days wait for other countries.

    If no day needs a request, yield an action for every dataset, since all data is fresh.
    """
    waiting: dict[str, datetime] = {}
    for draft in drafts:
        if draft.waits_until is not None:
            waiting.setdefault(draft.report.dataset.name, draft.waits_until)
    for dataset, at in waiting.items():
        until = f"until {at.day} {at:%b %H:%M} UTC at the latest"
        why = {"reason": SkipReason.WAITS_FOR_COUNTRIES, "detail": until}
        yield WindowSkipped(account=key, dataset=dataset, windows=[], **why)
    if not any(one.by_hand or one.due or one.stored or one.stored_by_hand for one in drafts):
        for dataset in DATASETS:
            reason = SkipReason.ALREADY_FRESH
            yield WindowSkipped(account=key, dataset=dataset, windows=[], reason=reason)


def skip_stopped(
    key: str, dataset: Dataset, days: Sequence[date], account: Account
) -> WindowSkipped:
    """Return the action that records that windows of a stopped account are not requested."""
    needs_attention = account.stopped == "needs attention"
    return WindowSkipped(
        account=key,
        dataset=dataset.name,
        windows=list(days),
        reason=SkipReason.ACCOUNT_NEEDS_ATTENTION
        if needs_attention
        else SkipReason.ACCOUNT_STOPPED,
        cause=account.stop_cause,
    )
