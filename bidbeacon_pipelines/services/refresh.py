"""Refreshes report windows: what is due for an account, and what is in flight for all; never waits for Amazon."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from bidbeacon_pipelines.actions import (
    SkipReason,
    WindowSkipped,
    WindowsQueued,
)
from bidbeacon_pipelines.reports.datasets import DATASETS, Dataset
from bidbeacon_pipelines.reports.planning import Plan, PlannableWindow, PlannedRequest, plan_requests
from bidbeacon_pipelines.reports.turns import Queue, share_slots, take_turns
from bidbeacon_pipelines.reports.windows import (
    local_date,
    missed_offsets,
)
from bidbeacon_pipelines.services.cadence import end_round, note_look
from bidbeacon_pipelines.services.requests import drive_request
from bidbeacon_pipelines.services.windows import keep_windows
from bidbeacon_pipelines.services.workbench import Workbench
from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_pipelines.store.learned import list_longest_periods
from bidbeacon_pipelines.store.requests import (
    OPEN_STATUSES,
    ClaimLostError,
    Turn,
    count_open_requests,
    get_request,
    insert_request,
    list_countries_in_turn,
    list_open_requests,
    list_turns,
    lock_planning,
)
from bidbeacon_pipelines.store.windows import (
    WindowToPlan,
    attach_windows,
    list_windows_of_request,
    list_windows_to_plan,
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
    note_look(bench, account)
    for dataset in DATASETS.values():
        keep_windows(bench, session, account, dataset)
    stepped = step_requests(bench, session, account=account)
    asked = request_due(bench, session, account, tell_fresh=not stepped)
    for request_id in asked:
        drive_request(bench, session, request_id)
    end_round(bench, account)


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
            if drive_request(bench, session, request.id) is None:
                _tell_worked_on_elsewhere(bench, session, request.id)
        except (ClaimLostError, SessionClosedError):
            raise
        except Exception as error:  # noqa: BLE001 - one account's trouble must not keep the others waiting
            failures.append(error)
        if on_step is not None:
            on_step()
    if failures:
        raise failures[0] if len(failures) == 1 else ExceptionGroup("Several requests failed", failures)
    return len(requests)


def _tell_worked_on_elsewhere(bench: Workbench, session: SessionRecorder, request_id: int) -> None:
    """Say that a request was left alone because another living session took it meanwhile; nothing where it has ended."""
    with bench.engine.begin() as connection:
        request = get_request(connection, request_id)
        days = [window.window_date for window in list_windows_of_request(connection, request_id)]
    if request.claimed_by is not None and request.status in OPEN_STATUSES:
        session.add(
            WindowSkipped(
                account=request.account_key,
                dataset=request.dataset,
                windows=days,
                reason=SkipReason.WORKED_ON_ELSEWHERE,
                detail=f"session {request.claimed_by}",
            )
        )


@dataclass(frozen=True)
class _Draft:
    """What could be asked for of one dataset of an account, and how long it has waited for its turn."""

    dataset: Dataset
    windows: Sequence[WindowToPlan]
    plan: Plan
    turn: Turn


def request_due(
    bench: Workbench, session: SessionRecorder, account: Account, *, tell_fresh: bool = False
) -> list[int]:
    """Store requests for what is due, or still wanted by hand, of all datasets, in as many slots as are free; give their ids in order.

    Where more is due than there are slots for, countries of one ads account take turns (`share_slots`), and `take_turns` says which
    datasets get them; what somebody asked for by hand waits for no other country. Planning of one ads account is serialised,
    so that no window is asked for twice and no slot given twice. With `tell_fresh`, that nothing is due is told too.
    """
    now = bench.now()
    with bench.engine.begin() as connection:
        lock_planning(connection, account.account_id)
        free_slots = REPORTS_IN_FLIGHT - count_open_requests(connection, account.account_id)
        drafts = _drafts(connection, account, DATASETS, now, free_slots)
        slots = _slots_in_turn(connection, account, drafts, now, free_slots)
        queues = [
            Queue(name, draft.plan.requests, draft.turn.last_asked_at, draft.turn.passed_over)
            for name, draft in drafts.items()
        ]
        turns = take_turns(queues, slots)
        ids = [
            _store_request(connection, session, account, drafts[name].dataset, planned, now)
            for name, planned in turns
        ]
        for draft in drafts.values():
            chosen = [planned for name, planned in turns if name == draft.dataset.name]
            _tell_plan(connection, session, account, draft, chosen, now, others_turn=slots < free_slots)
        if tell_fresh and not any(draft.plan.requests or draft.plan.waiting for draft in drafts.values()):
            for draft in drafts.values():
                session.add_in(connection, skip_windows(account, draft.dataset, [], SkipReason.ALREADY_FRESH))
    return ids


def _slots_in_turn(
    connection: Connection, account: Account, drafts: Mapping[str, _Draft], now: datetime, free_slots: int
) -> int:
    """Give how many of the free slots the account may take now."""
    by_hand = any(planned.by_hand for draft in drafts.values() for planned in draft.plan.requests)
    if by_hand or free_slots < 1:
        return free_slots
    countries = list_countries_in_turn(connection, account, list(drafts), now=now)
    return share_slots(countries, account.country_code, free_slots, REPORTS_IN_FLIGHT)


def request_due_windows(
    bench: Workbench,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    *,
    wanted: Sequence[date] = (),
    tell_waiting: bool = True,
) -> list[int]:
    """Store requests of one dataset for what is due, or only for what is wanted by hand, in as many slots as are free; give their ids.

    What finds no free slot is told, but for `tell_waiting=False`: who asks every few seconds says it once.
    """
    now = bench.now()
    with bench.engine.begin() as connection:
        lock_planning(connection, account.account_id)
        free_slots = REPORTS_IN_FLIGHT - count_open_requests(connection, account.account_id)
        drafts = _drafts(connection, account, {dataset.name: dataset}, now, free_slots, only=wanted)
        [draft] = drafts.values()
        requests = draft.plan.requests
        ids = [_store_request(connection, session, account, dataset, planned, now) for planned in requests]
        _tell_plan(connection, session, account, draft, requests, now, tell_waiting=tell_waiting)
    return ids


def _drafts(
    connection: Connection,
    account: Account,
    datasets: Mapping[str, Dataset],
    now: datetime,
    free_slots: int,
    *,
    only: Sequence[date] = (),
) -> dict[str, _Draft]:
    """Plan each dataset for what is due and what somebody asked for by hand, whose run has found no slot or has died; or `only` for days."""
    windows = list_windows_to_plan(connection, account, list(datasets), now=now)
    longest = list_longest_periods(connection, account.account_id)
    turns = list_turns(connection, account, {name: _due_since(windows[name], now) for name in datasets})
    today = local_date(now, account.time_zone)
    drafts = {}
    for name, dataset in datasets.items():
        known, turn = windows[name], turns[name]
        plan = plan_requests(
            dataset,
            [_plannable(window, now, counts=not only) for window in known],
            today=today,
            free_slots=free_slots,
            wanted=only or [w.window_date for w in known if w.wanted_by is not None and w.request_id is None],
            requests_since_oldest=0 if only else turn.since_oldest,
            longest_period_days=longest.get(name),
        )
        drafts[name] = _Draft(dataset, known, plan, turn)
    return drafts


def _due_since(windows: Sequence[WindowToPlan], now: datetime) -> datetime | None:
    """Give when the window that has been due for the longest time fell due; None where none is due."""
    due = (w.next_refresh_at for w in windows if w.next_refresh_at is not None and w.request_id is None)
    return min((at for at in due if at <= now), default=None)


def _plannable(window: WindowToPlan, now: datetime, *, counts: bool) -> PlannableWindow:
    """Give what planning knows of a window; what is due `counts`, but where only days are asked for by hand."""
    due = counts and window.is_due(now)
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
            account=account.account_key,
            dataset=dataset.name,
            windows=days,
            request_id=request_id,
            by_hand=planned.by_hand,
        ),
    )
    return request_id


def _tell_plan(
    connection: Connection,
    session: SessionRecorder,
    account: Account,
    draft: _Draft,
    requested: Sequence[PlannedRequest],
    now: datetime,
    *,
    tell_waiting: bool = True,
    others_turn: bool = False,
) -> None:
    """Tell which refreshes the requests make unnecessary, and which windows found no slot, or left one to another country."""
    planned_days = {day for planned in requested for day in planned.windows}
    covered = [window for window in draft.windows if window.window_date in planned_days]
    _tell_missed_offsets(connection, session, account, draft.dataset, covered, now)
    left = {day for planned in draft.plan.requests for day in (*planned.wanted, *planned.due)} - planned_days
    waiting = sorted({*draft.plan.waiting, *left})
    if waiting and tell_waiting:
        reason = SkipReason.OTHERS_TURN if others_turn else SkipReason.NO_FREE_SLOT
        session.add_in(connection, skip_windows(account, draft.dataset, waiting, reason))


def _tell_missed_offsets(
    connection: Connection,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    windows: Sequence[WindowToPlan],
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
