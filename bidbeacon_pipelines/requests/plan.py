"""Plans the reports of an ads account: makes its windows, and covers what is wanted and what is due with requests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from typing import Any

from sqlalchemy import Connection, Row

from bidbeacon_pipelines.accounts.queries import (
    change_ads_account,
    list_countries,
    set_next_look,
)
from bidbeacon_pipelines.accounts.rules import next_refresh
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.actions import ReportsPlanned, SkipReason, WindowSkipped
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset, DatasetReport
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.planning_rules import (
    PlannedRequest,
    plan_requests,
    should_wait_for_countries,
)
from bidbeacon_pipelines.requests.queries import list_plans, lock_planning, replace_plans
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.contracts import read_contract
from bidbeacon_pipelines.windows.due import list_days_to_plan, list_next_due
from bidbeacon_pipelines.windows.make import make_windows
from bidbeacon_sessions import SessionRecorder


def plan_account(context: JobContext, session: SessionRecorder, ads_account: AdsAccount) -> None:
    """Create the windows of an ads account up to today, and plan the due ones of all of its countries.

    Makes no calls to Amazon: the dispatcher creates planned reports. Safe to run at any time and
    concurrently.
    """
    with context.engine.begin() as connection:
        # Noted first, so that one whose planning fails is not always the next.
        change_ads_account(connection, ads_account.account_id, last_look_at=context.now())
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
    """What planning knows of one report of an ads account.

    Attributes:
        report: What is requested.
        days: Days that are due or wanted and in no request that stays as it is.
        stored: What was planned before and not sent.
        stored_by_hand: The same for days that somebody wanted.
        next_due: When its next window falls due in another country, within the time that is worth
            waiting for.
    """

    report: DatasetReport
    days: Sequence[Row[Any]]
    stored: Sequence[ReportRequest]
    stored_by_hand: Sequence[ReportRequest]
    next_due: datetime | None

    @cached_property
    def by_hand(self) -> list[PlannedRequest]:
        """The requests of the days that somebody wants."""
        wanted = [day.window_date for day in self.days if day.is_wanted]
        longest_days = self.report.longest_period_days
        return plan_requests(wanted, longest_days=longest_days, by_hand=True)

    @cached_property
    def due(self) -> list[Row[Any]]:
        """The days that are due, and in none of these requests."""
        return [
            day
            for day in self.days
            if not day.is_wanted and not any(one.has(day.window_date) for one in self.by_hand)
        ]

    @cached_property
    def scheduled(self) -> list[PlannedRequest]:
        """The requests of the days that are due."""
        return plan_requests(
            [day.window_date for day in self.due],
            longest_days=self.report.longest_period_days,
            alone=[day.window_date for day in self.due if day.is_alone],
        )

    @cached_property
    def first_due(self) -> datetime | None:
        """When the first of the due days fell due."""
        return min((day.due_since for day in self.due if day.due_since), default=None)

    @property
    def facts(self) -> dict[str, Any]:
        """The figures of its scheduled requests for the action `ReportsPlanned`, by field."""
        return {
            "dataset": self.report.dataset.name,
            "reports": len(self.scheduled),
            "windows": sum(day.windows for day in self.due),
            "start": min(request.start for request in self.scheduled),
            "end": self.scheduled[0].end,
        }

    def waits(self, now: datetime, patience: timedelta) -> bool:
        """Return whether its due days wait for other countries; a planned report no longer waits."""
        if self.stored or self.first_due is None:
            return False
        return should_wait_for_countries(self.first_due, self.next_due, now, patience)


def plan_wanted(context: JobContext, account_id: str) -> None:
    """Cover the days of an ads account that somebody wants with requests of their own, and store them as planned.

    The dispatcher creates them first. Plans of days that are only due stay as they are.
    """
    now = context.now()
    with context.engine.begin() as connection:
        for draft in _lock_drafts(connection, account_id, now, now):
            change = (draft.report, draft.stored_by_hand, draft.by_hand)
            if not replace_plans(connection, account_id, *change, at=now):
                continue
            if draft.stored_by_hand:  # a due day may be in none of them any more
                change_ads_account(connection, account_id, planned_at=None)


def plan_due(
    context: JobContext,
    session: SessionRecorder,
    ads_account: AdsAccount,
    accounts: Sequence[Account],
) -> None:
    """Cover what is wanted and due in all countries of an ads account with requests, and store them as planned.

    Wanted days have requests of their own. Planning of one ads account is serialized, and unsent
    plans are replaced, so no day is in two plans of a kind. Once everything due is planned, its
    next refresh is scheduled. `accounts` are its active ones; several wait for each other.
    """
    now, patience = context.now(), timedelta(hours=context.settings.wait_for_countries_hours)
    until = now + patience if len(accounts) > 1 else now
    account_id, key = ads_account.account_id, ads_account.ads_account_key
    with context.engine.begin() as connection:
        replace = partial(replace_plans, connection, account_id, at=now)
        drafts = _lock_drafts(connection, account_id, now, until)
        waiting = [draft for draft in drafts if draft.waits(now, patience)]
        for draft in drafts:
            replace(draft.report, draft.stored_by_hand, draft.by_hand)
            if draft.waits(now, patience):
                continue
            if replace(draft.report, draft.stored, draft.scheduled) and draft.scheduled:
                session.add_in(connection, ReportsPlanned(account=key, **draft.facts))
        for skipped in _skips(key, drafts, waiting, patience):
            session.add_in(connection, skipped)
        cadence, next_look_at = ads_account.cadence, ads_account.next_look_at
        at = next_refresh(cadence, ads_account.time_zone, next_look_at, now)
        if not waiting and at != next_look_at:
            set_next_look(connection, ads_account, at)
        change_ads_account(connection, account_id, planned_at=now)


def _lock_drafts(
    connection: Connection, account_id: str, now: datetime, until: datetime
) -> list[_Draft]:
    """Lock planning for an ads account, and return what is known of each of its reports; other countries are waited for until an instant."""
    # If the contract changes while we wait for the lock, its windows are made and planned again.
    contract = read_contract(connection, account_id)
    lock_planning(connection, account_id)
    plans = list_plans(connection, account_id)  # first, since sending one includes its windows
    days = list_days_to_plan(connection, account_id, now=now)
    next_due = list_next_due(connection, account_id, after=now, until=until)
    drafts = []
    for report in (one for dataset in DATASETS.values() for one in contract.reports(dataset)):
        names = (report.dataset.name, report.name)
        own = [plan for plan in plans if (plan.dataset, plan.report) == names]
        parts = [plan for plan in own if plan.narrows is not None]
        open_days = [
            day
            for day in days.get(names, [])
            if not any(part.start_date <= day.window_date <= part.end_date for part in parts)
        ]
        stored = [plan for plan in own if plan.narrows is None and not plan.by_hand]
        by_hand = [plan for plan in own if plan.narrows is None and plan.by_hand]
        drafts.append(_Draft(report, open_days, stored, by_hand, next_due.get(names)))
    return drafts


def _skips(
    key: str, drafts: Sequence[_Draft], waiting: Sequence[_Draft], patience: timedelta
) -> Iterator[WindowSkipped]:
    """Yield the actions of the datasets of which a planning skips windows: those that wait, or all where nothing is due."""
    first_due: dict[str, datetime] = {}
    for draft in waiting:
        if draft.first_due is not None:
            first_due.setdefault(draft.report.dataset.name, draft.first_due)
    for dataset, since in first_due.items():
        at = since + patience
        until = f"until {at.day} {at:%b %H:%M} UTC at the latest"
        why = {"reason": SkipReason.WAITS_FOR_COUNTRIES, "detail": until}
        yield WindowSkipped(account=key, dataset=dataset, windows=[], **why)
    if not any(draft.days or draft.stored or draft.stored_by_hand for draft in drafts):
        for dataset in DATASETS:
            reason = SkipReason.ALREADY_FRESH
            yield WindowSkipped(account=key, dataset=dataset, windows=[], reason=reason)


def skip_stopped(
    key: str, dataset: Dataset, days: Sequence[date], account: Account
) -> WindowSkipped:
    """Return the action with the reason why windows are not requested: the account is paused, disabled or needs attention."""
    needs_attention = account.needs_attention
    return WindowSkipped(
        account=key,
        dataset=dataset.name,
        windows=list(days),
        reason=SkipReason.ACCOUNT_NEEDS_ATTENTION
        if needs_attention
        else SkipReason.ACCOUNT_STOPPED,
        cause=needs_attention or account.stop_cause,
    )
