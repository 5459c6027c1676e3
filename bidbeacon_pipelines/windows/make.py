"""Creates the windows of a dataset up to today, and expires windows no longer served."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import WindowsExpired, WindowsPlanned, WindowsReopened
from bidbeacon_pipelines.contract.queries import read_contract
from bidbeacon_pipelines.contract.rules import Contract
from bidbeacon_pipelines.datasets.fields import products_of
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset, DatasetReport
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.windows.grouping_queries import (
    delete_other_windows,
    lock_other_windows,
    replace_windows,
)
from bidbeacon_pipelines.windows.history_queries import judge_account
from bidbeacon_pipelines.windows.queries import (
    WindowTimes,
    create_windows,
    expire_windows,
    list_reports_through,
    list_windows,
    list_windows_through,
    set_window_times,
    set_windows_through,
)
from bidbeacon_pipelines.windows.rules import expires_at, local_date, next_refresh_at, window_dates
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import SessionRecorder


def make_windows(
    context: JobContext, session: SessionRecorder, accounts: Sequence[Account]
) -> None:
    """Create the windows of an ads account's countries up to today, if any do not exist yet."""
    with context.engine.begin() as connection:
        through = list_windows_through(connection, accounts[0].account_id)
    for account in accounts:
        today = local_date(context.now(), account.time_zone)
        made = today, today + timedelta(days=1)
        for dataset in DATASETS.values():
            if through.get((account.country_code, dataset.name)) not in made:
                make_dataset_windows(context, session, account, dataset)


def make_dataset_windows(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    *,
    again: bool = False,
) -> None:
    """Create a dataset's windows up to today, and expire windows that Amazon no longer serves.

    This is done once per local day, and whenever `again` is true. Nothing is done if the windows
    exist up to tomorrow: around midnight, another host whose clock is ahead may have created them.
    If the contract has new reports, their windows take over the state of the former reports'
    windows, which are deleted.
    """
    now = context.now()
    today = local_date(now, account.time_zone)
    with context.engine.begin() as connection:
        contract = read_contract(connection, account.account_id)
        reports = contract.reports(dataset)
        through = list_reports_through(connection, account, dataset.name)
        moved, busy = Counter[str](), set[date]()
        if through.keys() != {report.name for report in reports}:
            moved, busy = _regroup(connection, account, contract, dataset, now)
        made = today, today + timedelta(days=1)
        is_all = again or bool(moved)
        stale = [one for one in reports if is_all or through.get(one.name) not in made]
        if not stale:
            return
        days = [day for day in window_dates(reports, today) if day not in busy]
        created = sum(_make(connection, account, one, days, today, moved) for one in stale)
        reopened = _renew(connection, account, dataset, stale, now)
        expired = expire_windows(connection, account, dataset.name, now=now)
        facts = {"account": account.account_key, "dataset": dataset.name}
        if created:
            session.add_in(connection, WindowsPlanned(**facts, created=created, through=today))
        if reopened:
            session.add_in(connection, WindowsReopened(**facts, windows=reopened))
        if expired:
            session.add_in(connection, WindowsExpired(**facts, windows=expired))


def _regroup(
    connection: Connection, account: Account, contract: Contract, dataset: Dataset, now: datetime
) -> tuple[Counter[str], set[date]]:
    """Replace the windows of former reports, except on busy days.

    Return the number of new windows by report, and the busy days. The windows of busy days are
    replaced later; see `grouping_queries`.
    """
    reports, moved = contract.reports(dataset), Counter[str]()
    kept = [report.name for report in reports]
    old, busy = lock_other_windows(connection, account, dataset.name, kept)
    for report in reports:
        own = set(report.ad_products)
        replaced = [name for name in old if own & set(products_of(name))]
        if days := {day for name in replaced for day in old[name]} - busy:
            moved[report.name] = replace_windows(
                connection,
                account,
                dataset.name,
                report.name,
                replaced,
                _times_of_new(report, days, account.time_zone),
                ad_products=report.ad_products,
                needed=contract.needed_products(report),
                now=now,
            )
    today = local_date(now, account.time_zone)
    delete_other_windows(connection, account, dataset.name, kept=kept, busy=busy, today=today)
    if moved:
        judge_account(connection, account, dataset.name)
    return +moved, busy


def _make(
    connection: Connection,
    account: Account,
    report: DatasetReport,
    days: Iterable[date],
    today: date,
    moved: Mapping[str, int],
) -> int:
    """Create a report's windows and store their last day; return how many were created.

    `moved` is the number of windows that `_regroup` has already created, by report.
    """
    name, times = report.dataset.name, _times_of_new(report, days, account.time_zone)
    created = create_windows(connection, account, name, report.name, times)
    count = created + moved.get(report.name, 0)
    set_windows_through(connection, account, name, report.name, today, count)
    return created


def _times_of_new(
    report: DatasetReport, days: Iterable[date], zone: str
) -> dict[date, WindowTimes]:
    """Return the due and expiry times of windows without data, by day."""
    dataset, history = report.dataset, report.history_days
    return {
        day: WindowTimes(
            next_refresh_at(dataset, day, zone, None), expires_at(dataset, day, zone, history)
        )
        for day in days
    }


def _renew(
    connection: Connection,
    account: Account,
    dataset: Dataset,
    reports: Sequence[DatasetReport],
    now: datetime,
) -> list[date]:
    """Update due and expiry times of windows; return expired days that are served again."""
    # The times change with the history in the contract. Windows that ended too early, because the
    # database's clock was ahead, become due again.
    windows, reopened = list_windows(connection, account, dataset.name), set[date]()
    for report in reports:
        times = {
            window.window_date: times
            for window in windows
            if window.report == report.name
            and (times := _times(report, window, account, now)) is not None
        }
        if times:
            reopened |= set(
                set_window_times(connection, account, dataset.name, report.name, times, now=now)
            )
    return sorted(reopened)


def _times(
    report: DatasetReport, window: ReportWindow, account: Account, now: datetime
) -> WindowTimes | None:
    """Return new due and expiry times of a window, or None if they are unchanged."""
    dataset, day, zone = report.dataset, window.window_date, account.time_zone
    expires, due = expires_at(dataset, day, zone, report.history_days), window.next_refresh_at
    is_final = window.cause is not None or window.decision is not None
    has_ended = window.status == "expired" or (window.status == "loaded" and not is_final)
    if due is None and expires > now and has_ended:
        due = next_refresh_at(dataset, day, zone, window.data_as_of)
    changed = (due, expires) != (window.next_refresh_at, window.expires_at)
    return WindowTimes(due, expires) if changed else None
