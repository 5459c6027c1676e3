"""Plans due windows of an ads account, and takes the next steps of reports at Amazon; never waits for Amazon."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.cadence import note_look, schedule_next_refresh
from bidbeacon_pipelines.accounts.queries import get_ads_account_by_id, list_countries
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.actions import (
    ReportsPlanned,
    SkipReason,
    WindowSkipped,
)
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset, DatasetReport
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.drive import drive_locked
from bidbeacon_pipelines.requests.planning_rules import (
    PlannedRequest,
    plan_requests,
    should_wait_for_countries,
)
from bidbeacon_pipelines.requests.queries import (
    LockLostError,
    change_plan,
    delete_plans,
    insert_request,
    list_plans,
    lock_next_request,
    lock_planning,
    set_planned,
)
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.contracts import read_contract
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_pipelines.windows.queries import (
    DayToPlan,
    list_days_to_plan,
    list_next_due,
    list_windows,
    list_windows_through,
)
from bidbeacon_pipelines.windows.rules import (
    local_date,
)
from bidbeacon_sessions import SessionClosedError, SessionRecorder


def refresh_account(context: JobContext, session: SessionRecorder, ads_account: AdsAccount) -> None:
    """Create the windows of an ads account up to today, and plan the due ones of all of its countries.

    Makes no calls to Amazon: the dispatcher creates planned reports. Safe to run at any time and
    concurrently.
    """
    with context.engine.begin() as connection:
        countries = list_countries(connection, ads_account.account_id)
        through = list_windows_through(connection, ads_account.account_id)
    active = [account for account in countries if account.stop_reason is None]
    if not active:
        for dataset in DATASETS.values():
            session.add(_skip_ads_account(ads_account, countries, dataset))
        return
    note_look(context, ads_account)
    for account in active:
        today = local_date(context.now(), account.time_zone)
        for dataset in DATASETS.values():
            made = through.get((account.country_code, dataset.name))
            if made is None or not today <= made <= today + timedelta(days=1):
                keep_windows(context, session, account, dataset)
    if plan_due(context, session, ads_account, active):
        schedule_next_refresh(context, ads_account)


def step_requests(
    context: JobContext,
    session: SessionRecorder,
    *,
    account_id: str | None = None,
    on_step: Callable[[], object] | None = None,
) -> int:
    """Take the next steps of all reports at Amazon that are due for one; return how many there were.

    Several processes share the work: each takes one request at a time, and passes by the ads
    accounts that others are at work on. A request is stepped once, also where it is due again. None
    is taken once the run's worker is being stopped.

    Args:
        context: the tools.
        session: records the actions.
        account_id: only those of this ads account.
        on_step: called after each.

    Raises:
        LockLostError: another session took over; this one stops.
        Exception: the error of one request, or a group of errors; the other requests were stepped
            before.
    """
    stepped: list[int] = []
    failures: list[Exception] = []
    while not context.is_stopping():
        request = _take_next(context, session, account_id, stepped)
        if request is None:
            break
        stepped.append(request.id)
        try:
            drive_locked(context, session, request)
        except (LockLostError, SessionClosedError):
            raise
        except Exception as error:  # noqa: BLE001 - one account's trouble must not keep the others waiting
            failures.append(error)
        if on_step is not None:
            on_step()
    if failures:
        raise (
            failures[0]
            if len(failures) == 1
            else ExceptionGroup("Several requests failed", failures)
        )
    return len(stepped)


def _take_next(
    context: JobContext, session: SessionRecorder, account_id: str | None, stepped: Sequence[int]
) -> ReportRequest | None:
    with context.engine.begin() as connection:
        return lock_next_request(
            connection,
            session.session_id,
            due_at=context.now(),
            account_id=account_id,
            stepped=stepped,
        )


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

    def plan(self) -> list[PlannedRequest]:
        """Cover what is due and wanted."""
        return plan_requests(
            [day.window_date for day in self.days if day.due_since is not None],
            longest_days=self.report.longest_period_days,
            wanted=self.wanted,
        )

    def waits(self, now: datetime, patience: timedelta) -> bool:
        """Return whether it waits for other countries; a planned report no longer waits."""
        if self.stored or self.wanted or not self.due:
            return False
        return should_wait_for_countries(min(self.due), self.next_due, now, patience)


def plan_due(
    context: JobContext,
    session: SessionRecorder,
    ads_account: AdsAccount,
    active: Sequence[Account],
) -> bool:
    """Cover the due windows of all countries of an ads account with requests, and store them as planned.

    Planning of one ads account is serialized, and unsent plans are replaced, so no day is in two
    plans.

    Args:
        context: the tools.
        session: where it is recorded.
        ads_account: the ads account.
        active: its countries that are refreshed; with several, they wait for each other.

    Returns:
        Whether everything due is planned: False if something waits for other countries.
    """
    now, patience = context.now(), timedelta(hours=context.settings.wait_for_countries_hours)
    with context.engine.begin() as connection:
        lock_planning(connection, ads_account.account_id)
        patience_now = patience if len(active) > 1 else timedelta(0)
        drafts = _drafts(connection, ads_account, now, patience_now)
        waiting = [draft for draft in drafts if draft.waits(now, patience)]
        for draft in drafts:
            if draft not in waiting:
                _store_plan(connection, session, ads_account, draft, now)
        set_planned(connection, ads_account.account_id, now)
        first_due: dict[Dataset, datetime] = {}
        for draft in waiting:
            first_due.setdefault(draft.report.dataset, min(draft.due))
        for dataset, since in first_due.items():
            until = f"until {since + patience:%Y-%m-%d %H:%M} UTC at the latest"
            reason = SkipReason.WAITS_FOR_COUNTRIES
            session.add_in(connection, _skip(ads_account, dataset, reason, until))
        if not any(draft.days or draft.stored for draft in drafts):
            for dataset in DATASETS.values():
                session.add_in(connection, _skip(ads_account, dataset, SkipReason.ALREADY_FRESH))
    return not waiting


def _drafts(
    connection: Connection, ads_account: AdsAccount, now: datetime, patience: timedelta
) -> list[_Draft]:
    account_id = ads_account.account_id
    plans = list_plans(connection, account_id)  # first, since sending one includes its windows
    fixed = [plan for plan in plans if plan.is_fixed]
    days = list_days_to_plan(connection, account_id, now=now)
    next_due = list_next_due(connection, account_id, after=now, until=now + patience)
    contract = read_contract(connection, account_id)
    drafts = []
    for dataset in DATASETS.values():
        for report in contract.reports(dataset):
            key = dataset.name, report.name
            own = [plan for plan in plans if (plan.dataset, plan.report) == key]
            open_days = [
                day for day in days.get(key, []) if not _is_planned(fixed, report, day.window_date)
            ]
            stored = [plan for plan in own if not plan.is_fixed]
            drafts.append(_Draft(report, open_days, stored, next_due.get(key)))
    return drafts


def _is_planned(plans: Sequence[ReportRequest], report: DatasetReport, day: date) -> bool:
    key = report.dataset.name, report.name
    return any(
        (plan.dataset, plan.report) == key and plan.start_date <= day <= plan.end_date
        for plan in plans
    )


def _store_plan(
    connection: Connection,
    session: SessionRecorder,
    ads_account: AdsAccount,
    draft: _Draft,
    now: datetime,
) -> None:
    """Store the cover of a report's due days in place of what was planned before; record it where it is another."""
    planned = draft.plan()
    before = [PlannedRequest(plan.start_date, plan.end_date, plan.by_hand) for plan in draft.stored]
    if planned == before:
        return
    for stored, new in zip(draft.stored, planned, strict=False):
        change_plan(connection, stored.id, new.start, new.end, by_hand=new.by_hand)
    for new in planned[len(before) :]:
        _insert(connection, session, ads_account, draft.report, new, now)
    if needless := draft.stored[len(planned) :]:
        delete_plans(connection, [stored.id for stored in needless])
    if planned:
        session.add_in(
            connection,
            ReportsPlanned(
                account=ads_account.ads_account_key,
                dataset=draft.report.dataset.name,
                reports=len(planned),
                windows=sum(day.windows for day in draft.days),
                start=min(request.start for request in planned),
                end=planned[0].end,
            ),
        )


def plan_backfill(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    days: Sequence[date],
) -> list[int]:
    """Plan requests for wanted days that none covers yet; return those that serve them.

    Due windows of other countries on these days are included.
    """
    with context.engine.begin() as connection:
        lock_planning(connection, account.account_id)
        ads_account = get_ads_account_by_id(connection, account.account_id)
        plans = list_plans(connection, account.account_id)
        fixed = [plan for plan in plans if plan.is_fixed and plan.dataset == dataset.name]
        windows = list_windows(connection, account, dataset.name, days)
        wanted = [w for w in windows if w.wanted_by is not None and w.request_id is None]
        added = []
        for report in read_contract(connection, account.account_id).reports(dataset):
            requests = plan_requests(
                (),
                longest_days=report.longest_period_days,
                wanted=[
                    window.window_date
                    for window in wanted
                    if window.report == report.name
                    and not _is_planned(fixed, report, window.window_date)
                ],
            )
            added += [
                _insert(connection, session, ads_account, report, request, context.now())
                for request in requests
            ]
    serving = [
        plan.id for plan in fixed if any(plan.start_date <= day <= plan.end_date for day in days)
    ]
    return [*serving, *added]


def _insert(
    connection: Connection,
    session: SessionRecorder,
    ads_account: AdsAccount,
    report: DatasetReport,
    planned: PlannedRequest,
    now: datetime,
) -> int:
    return insert_request(
        connection,
        ads_account.account_id,
        report.dataset.name,
        report.name,
        planned.start,
        planned.end,
        by_hand=planned.by_hand,
        session_id=session.session_id,
        created_at=now,
    )


def _skip_ads_account(
    ads_account: AdsAccount, countries: Sequence[Account], dataset: Dataset
) -> WindowSkipped:
    """Return the action with the reason why nothing is planned for an ads account: all countries are paused or disabled, or it needs attention."""
    if ads_account.needs_attention is not None:
        return _skip(
            ads_account, dataset, SkipReason.ACCOUNT_NEEDS_ATTENTION, ads_account.needs_attention
        )
    why = next((account.stop_reason for account in countries), None)
    return _skip(ads_account, dataset, SkipReason.ACCOUNT_STOPPED, why)


def _skip(
    ads_account: AdsAccount, dataset: Dataset, reason: SkipReason, detail: str | None = None
) -> WindowSkipped:
    return WindowSkipped(
        account=ads_account.ads_account_key,
        dataset=dataset.name,
        windows=[],
        reason=reason,
        detail=detail,
    )


def skip_account(account: Account, dataset: Dataset, days: list[date]) -> WindowSkipped:
    """Return the action with the reason why windows of an account are not requested: it is paused, disabled or needs attention."""
    reason = (
        SkipReason.ACCOUNT_NEEDS_ATTENTION
        if account.needs_attention
        else SkipReason.ACCOUNT_STOPPED
    )
    return skip_windows(account, dataset, days, reason, account.stop_reason)


def skip_windows(
    account: Account,
    dataset: Dataset,
    days: list[date],
    reason: SkipReason,
    detail: str | None = None,
) -> WindowSkipped:
    """Return the action with the reason why windows of an account are skipped."""
    return WindowSkipped(
        account=account.account_key,
        dataset=dataset.name,
        windows=days,
        reason=reason,
        detail=detail,
    )
