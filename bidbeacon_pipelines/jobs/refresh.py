"""Refreshes report windows: what is due for an account, and what is in flight for all; never waits for Amazon."""

from collections.abc import Callable, Sequence
from datetime import date, datetime

from sqlalchemy import Connection

from bidbeacon_pipelines.actions import (
    SkipReason,
    WindowsExpired,
    WindowSkipped,
    WindowsPlanned,
    WindowsQueued,
)
from bidbeacon_pipelines.jobs.requests import drive_request
from bidbeacon_pipelines.jobs.workbench import Workbench
from bidbeacon_pipelines.reports.datasets import DATASETS, Dataset
from bidbeacon_pipelines.reports.planning import PlannableWindow, PlannedRequest, plan_requests
from bidbeacon_pipelines.reports.windows import (
    local_date,
    missed_offsets,
    next_refresh_at,
    oldest_served,
    window_dates,
)
from bidbeacon_pipelines.store.accounts import Account, set_windows_through
from bidbeacon_pipelines.store.requests import (
    ClaimLostError,
    count_open_requests,
    count_requests_since_oldest,
    insert_request,
    list_open_requests,
    lock_planning,
)
from bidbeacon_pipelines.store.windows import (
    Window,
    attach_windows,
    create_windows,
    expire_windows,
    list_windows,
)
from bidbeacon_sessions import SessionClosedError, SessionRecorder

REPORTS_IN_FLIGHT = 2
"""How many reports of one ads account Amazon works on at once; a third is refused for ten minutes and more."""


def refresh_account(bench: Workbench, session: SessionRecorder, account: Account) -> None:
    """Do all that can be done for an account now, and end: create windows, step open requests, ask for what is due.

    Never waits for Amazon to make a report. Safe to run at any time, and beside others.
    """
    if account.reason_to_skip is not None:
        for dataset in DATASETS.values():
            session.add(skip_account(account, dataset, []))
        return
    for dataset in DATASETS.values():
        keep_windows(bench, session, account, dataset)
    step_requests(bench, session, account=account)
    for dataset in DATASETS.values():
        for request_id in request_due_windows(bench, session, account, dataset):
            drive_request(bench, session, request_id)


def step_requests(
    bench: Workbench,
    session: SessionRecorder,
    *,
    account: Account | None = None,
    on_step: Callable[[], object] | None = None,
) -> int:
    """Take the next steps of all open requests that are due for one; give how many there were.

    Args:
        bench: the tools.
        session: where it is told.
        account: only those of this ads account, in all of its countries, since they share its slots.
        on_step: called after each.

    Raises:
        ClaimLostError: another session took over; so nothing more is done here.
        Exception: what went wrong with one request, or a group of them; the others were stepped before.
    """
    with bench.engine.begin() as connection:
        requests = list_open_requests(
            connection, due_at=bench.now(), account_id=account.account_id if account else None
        )
    failures: list[Exception] = []
    for request in requests:
        try:
            drive_request(bench, session, request.id)
        except (ClaimLostError, SessionClosedError):
            raise
        except Exception as error:  # noqa: BLE001 - one account's trouble must not keep the others waiting
            failures.append(error)
        if on_step is not None:
            on_step()
    if failures:
        raise failures[0] if len(failures) == 1 else ExceptionGroup("Several requests failed", failures)
    return len(requests)


def keep_windows(
    bench: Workbench, session: SessionRecorder, account: Account, dataset: Dataset, *, again: bool = False
) -> None:
    """Create the windows that exist by now, and end those that Amazon serves no longer: once a local day, or `again`."""
    today = local_date(bench.now(), account.time_zone)
    if not again and account.windows_through_date is not None and account.windows_through_date >= today:
        return
    due = {
        day: next_refresh_at(dataset, day, account.time_zone, None) for day in window_dates(dataset, today)
    }
    with bench.engine.begin() as connection:
        created = create_windows(connection, account, dataset.name, due)
        expired = expire_windows(connection, account, dataset.name, oldest_served(dataset, today))
        set_windows_through(connection, account, today)
        if created:
            session.add_in(
                connection,
                WindowsPlanned(
                    account=account.account_key, dataset=dataset.name, created=created, through=today
                ),
            )
        if expired:
            session.add_in(
                connection, WindowsExpired(account=account.account_key, dataset=dataset.name, windows=expired)
            )


def request_due_windows(
    bench: Workbench,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    *,
    wanted: Sequence[date] = (),
    tell_waiting: bool = True,
) -> list[int]:
    """Store requests for what is due, or only for what is wanted by hand, in as many slots as are free; give their ids.

    What finds no free slot is told, but for `tell_waiting=False`: who asks every few seconds says it once.

    Planning of one ads account is serialised, so that no window is asked for twice and no slot given twice.
    """
    now = bench.now()
    with bench.engine.begin() as connection:
        lock_planning(connection, account.account_id)
        windows = list_windows(connection, account, dataset.name)
        plan = plan_requests(
            dataset,
            [_plannable(window, now, by_hand=bool(wanted)) for window in windows],
            today=local_date(now, account.time_zone),
            free_slots=REPORTS_IN_FLIGHT - count_open_requests(connection, account.account_id),
            wanted=wanted,
            requests_since_oldest=count_requests_since_oldest(connection, account, dataset.name, now),
        )
        ids = [
            _store_request(connection, session, account, dataset, planned, now) for planned in plan.requests
        ]
        planned_days = {day for planned in plan.requests for day in planned.windows}
        _tell_missed_offsets(
            connection, session, account, dataset, [w for w in windows if w.window_date in planned_days], now
        )
        if plan.waiting and tell_waiting:
            _tell_waiting(connection, session, account, dataset, plan.waiting)
    return ids


def _plannable(window: Window, now: datetime, *, by_hand: bool) -> PlannableWindow:
    due = not by_hand and window.next_refresh_at is not None and window.next_refresh_at <= now
    return PlannableWindow(
        window.window_date,
        due=due,
        in_flight=window.request_id is not None,
        due_since=window.next_refresh_at if due else None,
    )


def _store_request(
    connection: Connection,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    planned: PlannedRequest,
    now: datetime,
) -> int:
    request_id = insert_request(
        connection,
        account,
        dataset.name,
        planned.start,
        planned.end,
        by_hand=planned.by_hand,
        session_id=session.session_id,
        created_at=now,
    )
    attach_windows(connection, account, dataset.name, planned.windows, request_id)
    days = sorted({*planned.due, *planned.wanted})
    session.add_in(
        connection,
        WindowsQueued(
            account=account.account_key, dataset=dataset.name, windows=days, by_hand=planned.by_hand
        ),
    )
    return request_id


def _tell_missed_offsets(
    connection: Connection,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    windows: Sequence[Window],
    now: datetime,
) -> None:
    """Say which refreshes the one to come makes unnecessary; a window that was never loaded has missed none."""
    by_offsets: dict[tuple[int, ...], list[date]] = {}
    for window in windows:
        if window.data_as_of is not None:
            skipped = missed_offsets(
                dataset, window.window_date, account.time_zone, window.data_as_of, now
            ).skipped
            if skipped:
                by_offsets.setdefault(skipped, []).append(window.window_date)
    for offsets, days in by_offsets.items():
        detail = "T+" + ", T+".join(map(str, offsets))
        session.add_in(connection, skip_windows(account, dataset, days, SkipReason.OFFSET_MISSED, detail))


def _tell_waiting(
    connection: Connection,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    waiting: Sequence[date],
) -> None:
    session.add_in(connection, skip_windows(account, dataset, list(waiting), SkipReason.NO_FREE_SLOT))


def skip_account(account: Account, dataset: Dataset, days: list[date]) -> WindowSkipped:
    """Give the action that says why nothing is asked for an account: it is disabled, or needs a person."""
    reason = SkipReason.ACCOUNT_NEEDS_PERSON if account.needs_person else SkipReason.ACCOUNT_DISABLED
    return skip_windows(account, dataset, days, reason, account.reason_to_skip)


def skip_windows(
    account: Account, dataset: Dataset, days: list[date], reason: SkipReason, detail: str | None = None
) -> WindowSkipped:
    """Give the action that says why windows of an account are left alone."""
    return WindowSkipped(
        account=account.account_key, dataset=dataset.name, windows=days, reason=reason, detail=detail
    )
