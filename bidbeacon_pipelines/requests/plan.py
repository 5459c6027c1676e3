"""Plans the due windows of an ads account: makes its windows, and covers what is due with requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import change_ads_account, set_next_look
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
from bidbeacon_pipelines.requests.queries import (
    DayToPlan,
    insert_plans,
    list_days_to_plan,
    list_next_due,
    list_plans,
    lock_planning,
    replace_plans,
)
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.contracts import read_contract
from bidbeacon_pipelines.windows.make import make_windows
from bidbeacon_pipelines.windows.queries import list_windows
from bidbeacon_sessions import SessionRecorder


def plan_account(
    context: JobContext,
    session: SessionRecorder,
    ads_account: AdsAccount,
    countries: Sequence[Account],
) -> None:
    """Create the windows of an ads account up to today, and plan the due ones of all of its countries.

    Makes no calls to Amazon: the dispatcher creates planned reports. Safe to run at any time and
    concurrently. `countries` are all of the ads account's, stopped ones too.
    """
    active = [account for account in countries if account.stop_reason is None]
    if not active:
        for dataset in DATASETS.values() if countries else ():
            session.add(skip_stopped(ads_account.ads_account_key, dataset, [], countries[0]))
        return
    make_windows(context, session, active)
    plan_due(context, session, ads_account, active)


@dataclass(frozen=True)
class _Draft:
    """What planning knows of one report of an ads account.

    Attributes:
        report: What is requested.
        days: Days that are due or wanted and in no request that stays as it is.
        stored: What was planned before and not sent.
        next_due: When its next window falls due in another country, within the time that is worth
            waiting for.
    """

    report: DatasetReport
    days: Sequence[DayToPlan]
    stored: Sequence[ReportRequest]
    next_due: datetime | None

    @property
    def due(self) -> list[datetime]:
        """When each due day fell due."""
        return [day.due_since for day in self.days if day.due_since is not None]

    @property
    def wanted(self) -> list[date]:
        """Days requested manually whose run has died."""
        return [day.window_date for day in self.days if day.is_wanted]

    @property
    def is_changed(self) -> bool:
        """Whether it is to be planned otherwise than before."""
        before = [PlannedRequest(one.start_date, one.end_date, one.by_hand) for one in self.stored]
        return self.planned != before

    @cached_property
    def planned(self) -> list[PlannedRequest]:
        """The requests that cover what is due and wanted."""
        return plan_requests(
            [day.window_date for day in self.days if day.due_since is not None],
            longest_days=self.report.longest_period_days,
            wanted=self.wanted,
            alone=[day.window_date for day in self.days if day.is_alone],
        )

    @property
    def facts(self) -> dict[str, Any]:
        """Its figures for the action `ReportsPlanned`, by field."""
        return {
            "dataset": self.report.dataset.name,
            "reports": len(self.planned),
            "windows": sum(day.windows for day in self.days),
            "start": min(request.start for request in self.planned),
            "end": self.planned[0].end,
        }

    def waits(self, now: datetime, patience: timedelta) -> bool:
        """Return whether it waits for other countries; a planned report no longer waits."""
        if self.stored or self.wanted or not self.due:
            return False
        return should_wait_for_countries(min(self.due), self.next_due, now, patience)


def plan_due(
    context: JobContext,
    session: SessionRecorder,
    ads_account: AdsAccount,
    accounts: Sequence[Account],
) -> None:
    """Cover the due windows of all countries of an ads account with requests, and store them as planned.

    Planning of one ads account is serialized, and unsent plans are replaced, so no day is in two
    plans. Once everything due is planned, its next refresh is scheduled. `accounts` are its active
    ones; several wait for each other.
    """
    now, patience = context.now(), timedelta(hours=context.settings.wait_for_countries_hours)
    until = now + patience if len(accounts) > 1 else now
    account_id, key = ads_account.account_id, ads_account.ads_account_key
    with context.engine.begin() as connection:
        drafts = _lock_drafts(connection, account_id, now, until)
        waiting = [draft for draft in drafts if draft.waits(now, patience)]
        changed = [draft for draft in drafts if draft not in waiting and draft.is_changed]
        for draft in changed:
            replace_plans(
                connection,
                account_id,
                draft.report,
                draft.stored,
                draft.planned,
                at=now,
            )
            if draft.planned:
                session.add_in(connection, ReportsPlanned(account=key, **draft.facts))
        for dataset, reason, detail in _skips(drafts, waiting, patience):
            skipped = WindowSkipped(
                account=key, dataset=dataset, windows=[], reason=reason, detail=detail
            )
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
    fixed = [plan for plan in plans if plan.is_fixed]
    drafts = []
    for dataset in DATASETS.values():
        for report in contract.reports(dataset):
            names = dataset.name, report.name
            own = [plan for plan in plans if (plan.dataset, plan.report) == names]
            open_days = [
                day
                for day in days.get(names, [])
                if not _is_planned(fixed, report, day.window_date)
            ]
            stored = [plan for plan in own if not plan.is_fixed]
            drafts.append(_Draft(report, open_days, stored, next_due.get(names)))
    return drafts


def _skips(
    drafts: Sequence[_Draft], waiting: Sequence[_Draft], patience: timedelta
) -> list[tuple[str, SkipReason, str | None]]:
    """Return the datasets of which a planning skips windows, each with the reason and its detail: those that wait, or all where nothing is due."""
    first_due: dict[str, datetime] = {}
    for draft in waiting:
        first_due.setdefault(draft.report.dataset.name, min(draft.due))
    skips: list[tuple[str, SkipReason, str | None]] = []
    for dataset, since in first_due.items():
        at = since + patience
        until = f"until {at.day} {at:%b %H:%M} UTC at the latest"
        skips.append((dataset, SkipReason.WAITS_FOR_COUNTRIES, until))
    if not any(draft.days or draft.stored for draft in drafts):
        skips += [(dataset, SkipReason.ALREADY_FRESH, None) for dataset in DATASETS]
    return skips


def _is_planned(plans: Sequence[ReportRequest], report: DatasetReport, day: date) -> bool:
    names = report.dataset.name, report.name
    return any(
        (plan.dataset, plan.report) == names and plan.start_date <= day <= plan.end_date
        for plan in plans
    )


def plan_backfill(
    context: JobContext,
    account: Account,
    dataset: Dataset,
    days: Sequence[date],
) -> list[int]:
    """Plan requests for wanted days that none covers yet; return those that serve them.

    Requests are ordered newest day first across all reports of the dataset, so that each day is
    completed before an older one. Due windows of other countries on these days are included.
    """
    with context.engine.begin() as connection:
        lock_planning(connection, account.account_id)
        plans = list_plans(connection, account.account_id)
        fixed = [plan for plan in plans if plan.is_fixed and plan.dataset == dataset.name]
        windows = list_windows(connection, account, dataset.name, days)
        wanted = [w for w in windows if w.wanted_by is not None and w.request_id is None]
        planned = [
            (report, request)
            for report in read_contract(connection, account.account_id).reports(dataset)
            for request in plan_requests(
                (),
                longest_days=report.longest_period_days,
                wanted=[
                    window.window_date
                    for window in wanted
                    if window.report == report.name
                    and not _is_planned(fixed, report, window.window_date)
                ],
            )
        ]
        planned.sort(key=lambda one: one[1].end, reverse=True)
        added = insert_plans(connection, account.account_id, planned, at=context.now())
    serving = [
        plan.id for plan in fixed if any(plan.start_date <= day <= plan.end_date for day in days)
    ]
    return [*serving, *added]


def skip_stopped(
    key: str, dataset: Dataset, days: Sequence[date], account: Account
) -> WindowSkipped:
    """Return the action with the reason why windows are not requested: the account is paused, disabled or needs attention."""
    needs_attention = account.needs_attention
    reason = SkipReason.ACCOUNT_NEEDS_ATTENTION if needs_attention else SkipReason.ACCOUNT_STOPPED
    return skip_windows(key, dataset, days, reason, cause=needs_attention or account.stop_cause)


def skip_windows(
    key: str, dataset: Dataset, days: Sequence[date], reason: SkipReason, **why: Any
) -> WindowSkipped:
    """Return the action with the reason why windows are skipped; `why` has its detail or cause."""
    facts: dict[str, Any] = {"account": key, "dataset": dataset.name, "windows": list(days)}
    return WindowSkipped(**facts, reason=reason, **why)
