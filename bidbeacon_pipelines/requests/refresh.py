"""Plans due windows of an ads account, and takes the next steps of reports at Amazon; never waits for Amazon."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.cadence import end_round, note_look
from bidbeacon_pipelines.accounts.queries import get_ads_account_by_id, list_countries
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.actions import (
    ReportsPlanned,
    SkipReason,
    WindowSkipped,
)
from bidbeacon_pipelines.datasets.histories import Histories, oldest_days
from bidbeacon_pipelines.datasets.learned import list_split_reports
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset
from bidbeacon_pipelines.entities.queries import find_ad_products
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.drive import drive_locked
from bidbeacon_pipelines.requests.histories import end_unserved
from bidbeacon_pipelines.requests.planning_rules import (
    DueDay,
    PlannedRequest,
    plan_reports,
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
from bidbeacon_pipelines.requests.splitting import (
    longest_period,
    products_to_request,
    report_groups,
    without_campaigns,
)
from bidbeacon_pipelines.requests.tables import ReportRequest
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
        end_round(context, ads_account)


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
    """What planning knows of one dataset of an ads account.

    Attributes:
        dataset: Its registry entry.
        days: Days that are due or wanted and in no planned backfill.
        groups: The ad products of each report that it is asked for in.
        histories: How far back ad products are served, where that was learned.
        stored: What was planned before and not sent.
        next_due: When its next window falls due in another country, within the time that is worth
            waiting for.
    """

    dataset: Dataset
    days: Sequence[DayToPlan]
    groups: Sequence[tuple[str, ...]]
    histories: Histories
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
    def due_days(self) -> list[DueDay]:
        """The work to plan."""
        return [
            DueDay(
                day.window_date,
                None if day.products is None else frozenset(day.products),
                is_due=day.due_since is not None,
                is_wanted=day.is_wanted,
            )
            for day in self.days
        ]

    def waits(self, now: datetime, patience: timedelta) -> bool:
        """Return whether it waits for other countries; a planned dataset no longer waits."""
        if self.stored or self.wanted or not self.due:
            return False
        return should_wait_for_countries(min(self.due), self.next_due, now, patience)


def plan_due(
    context: JobContext,
    session: SessionRecorder,
    ads_account: AdsAccount,
    active: Sequence[Account],
    *,
    due_by: datetime | None = None,
) -> bool:
    """Cover the due windows of all countries of an ads account with reports, and store them as planned.

    Planning of one ads account is serialized, and unsent plans are replaced, so no day is in two
    plans.

    Args:
        context: the tools.
        session: where it is recorded.
        ads_account: the ads account.
        active: its countries that are refreshed; with several, they wait for each other.
        due_by: ignores windows that fell due later; now by default.

    Returns:
        Whether everything due is planned: False if something waits for other countries.
    """
    now, patience = context.now(), timedelta(hours=context.settings.wait_for_countries_hours)
    due_by = due_by or now
    with context.engine.begin() as connection:
        lock_planning(connection, ads_account.account_id)
        ads_account = get_ads_account_by_id(connection, ads_account.account_id)
        patience_now = patience if len(active) > 1 else timedelta(0)
        drafts = _drafts(context, connection, session, ads_account, due_by, patience_now)
        waiting = [draft for draft in drafts if draft.waits(now, patience)]
        for draft in drafts:
            if draft not in waiting:
                _plan_dataset(connection, session, ads_account, draft, now)
        set_planned(connection, ads_account.account_id, due_by)
        for draft in waiting:
            until = f"until {min(draft.due) + patience:%Y-%m-%d %H:%M} UTC at the latest"
            session.add_in(
                connection, _skip(ads_account, draft.dataset, SkipReason.WAITS_FOR_COUNTRIES, until)
            )
        if not any(draft.days or draft.stored for draft in drafts):
            for draft in drafts:
                session.add_in(
                    connection, _skip(ads_account, draft.dataset, SkipReason.ALREADY_FRESH)
                )
    return not waiting


def _drafts(
    context: JobContext,
    connection: Connection,
    session: SessionRecorder,
    ads_account: AdsAccount,
    due_by: datetime,
    patience: timedelta,
) -> list[_Draft]:
    plans = list_plans(
        connection, ads_account.account_id
    )  # first, since a request that is being sent includes its windows
    has = find_ad_products(connection, ads_account.account_id)
    histories = {
        name: end_unserved(
            context, connection, session, ads_account, dataset, products_to_request(dataset, has)
        )
        for name, dataset in DATASETS.items()
    }
    days = list_days_to_plan(connection, ads_account.account_id, list(DATASETS), now=due_by)
    next_due = list_next_due(
        connection, ads_account.account_id, after=due_by, until=due_by + patience
    )
    by_hand = [plan for plan in plans if plan.by_hand]
    split = list_split_reports(connection, ads_account.region)
    return [
        _Draft(
            dataset,
            [day for day in days[name] if not _is_planned(by_hand, name, day.window_date)],
            _groups(dataset, ads_account, split, has),
            histories[name],
            [plan for plan in plans if plan.dataset == name and not plan.by_hand],
            next_due.get(name),
        )
        for name, dataset in DATASETS.items()
    ]


def _is_planned(plans: Sequence[ReportRequest], dataset: str, day: date) -> bool:
    return any(
        plan.dataset == dataset and plan.start_date <= day <= plan.end_date for plan in plans
    )


def _plan_dataset(
    connection: Connection,
    session: SessionRecorder,
    ads_account: AdsAccount,
    draft: _Draft,
    now: datetime,
) -> None:
    """Store the cover of a dataset's due days in place of what was planned before; record it where it is another."""
    planned = plan_reports(
        draft.due_days,
        draft.groups,
        longest_days=longest_period(draft.dataset, ads_account.longest_periods, now.date()),
        oldest=oldest_days(draft.groups, draft.histories, now.date()),
    )
    before = [
        PlannedRequest(plan.start_date, plan.end_date, plan.by_hand, tuple(plan.ad_products))
        for plan in draft.stored
    ]
    if planned == before:
        return
    for stored, new in zip(draft.stored, planned, strict=False):
        change_plan(
            connection,
            stored.id,
            new.start,
            new.end,
            by_hand=new.by_hand,
            ad_products=new.ad_products,
        )
    for new in planned[len(before) :]:
        _insert(connection, session, ads_account, draft.dataset, new, now)
    if needless := draft.stored[len(planned) :]:
        delete_plans(connection, [stored.id for stored in needless])
    if planned:
        session.add_in(
            connection,
            ReportsPlanned(
                account=ads_account.ads_account_key,
                dataset=draft.dataset.name,
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
    """Plan reports for requested days that no report covers yet; return their requests.

    Due windows of other countries on these days are included.
    """
    with context.engine.begin() as connection:
        lock_planning(connection, account.account_id)
        ads_account = get_ads_account_by_id(connection, account.account_id)
        planned = [
            plan
            for plan in list_plans(connection, account.account_id)
            if plan.by_hand and plan.dataset == dataset.name
        ]
        has = find_ad_products(connection, account.account_id)
        products = products_to_request(dataset, has)
        histories = end_unserved(context, connection, session, ads_account, dataset, products)
        groups = _groups(
            dataset, ads_account, list_split_reports(connection, ads_account.region), has
        )
        open_days = [day for day in days if not _is_planned(planned, dataset.name, day)]
        windows = list_windows(connection, account, dataset.name, open_days)
        requests = plan_reports(
            [
                DueDay(
                    window.window_date,
                    None if window.products_due is None else frozenset(window.products_due),
                    is_due=False,
                    is_wanted=True,
                )
                for window in windows
                if window.wanted_by is not None
            ],
            groups,
            longest_days=longest_period(dataset, ads_account.longest_periods, context.now().date()),
            oldest=oldest_days(groups, histories, context.now().date()),
        )
        added = [
            _insert(connection, session, ads_account, dataset, request, context.now())
            for request in requests
        ]
    serving = [
        plan.id for plan in planned if any(plan.start_date <= day <= plan.end_date for day in days)
    ]
    return [*serving, *added]


def _groups(
    dataset: Dataset, ads_account: AdsAccount, split: Collection[str], has: Collection[str] | None
) -> list[tuple[str, ...]]:
    """Return the ad products of each report that a dataset of an ads account is asked for in; `has` are those that it has campaigns of."""
    by_product = dataset.name in split or dataset.name in ads_account.split_datasets
    return report_groups(dataset, by_product=by_product, without=without_campaigns(dataset, has))


def _insert(
    connection: Connection,
    session: SessionRecorder,
    ads_account: AdsAccount,
    dataset: Dataset,
    planned: PlannedRequest,
    now: datetime,
) -> int:
    return insert_request(
        connection,
        ads_account.account_id,
        dataset.name,
        planned.start,
        planned.end,
        by_hand=planned.by_hand,
        ad_products=planned.ad_products,
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
