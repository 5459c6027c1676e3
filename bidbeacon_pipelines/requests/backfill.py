"""Loads requested windows, whether or not they are due, and waits for Amazon for a bounded time."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from bidbeacon_pipelines.accounts.queries import Account, get_account
from bidbeacon_pipelines.actions import (
    LoadRequested,
    ReportAdopted,
    SkipReason,
    WaitGivenUp,
)
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.loading.load_actions import days_by_reason
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.requests.queries import (
    LockLostError,
    get_request,
    list_requests_to_step,
)
from bidbeacon_pipelines.requests.refresh import (
    plan_backfill,
    skip_account,
    skip_windows,
)
from bidbeacon_pipelines.requests.rules import RequestStatus
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_pipelines.windows.queries import (
    Window,
    list_windows,
    want_windows,
)
from bidbeacon_pipelines.windows.rules import (
    is_served,
    local_date,
    oldest_served,
)
from bidbeacon_sessions import SessionClosedError, SessionRecorder
from bidbeacon_sessions.sentences import join_sentences, without_stop

logger = logging.getLogger(__name__)

_LONGEST_PAUSE = timedelta(seconds=5)
_MOST_REASONS, _MOST_DAYS = 5, 3
_NOT_YET = "Amazon is not done yet; the scheduled refresh continues with it"
_NO_SLOT_YET = "it was not requested, since other reports took all the time; try again later"


class AccountSkippedError(RuntimeError):
    """No reports are requested for this account."""

    def __init__(self, account: Account, reason: str) -> None:
        self.account_key = account.account_key
        super().__init__(join_sentences(f"{account.label} is skipped: {reason}"))


class WindowNotLoadedError(RuntimeError):
    """A requested window could not be loaded.

    Attributes:
        reasons: The reason for each day that was not loaded. The message gives each once, with its
            first days.
        loaded: The other requested days, which were loaded.
    """

    def __init__(self, dataset: str, reasons: dict[date, str], loaded: Sequence[date] = ()) -> None:
        self.reasons = reasons
        self.loaded = loaded
        by_reason = days_by_reason(dict(sorted(reasons.items())))
        shown = list(by_reason.items())[:_MOST_REASONS]
        left = len(reasons) - sum(len(days) for _, days in shown)
        super().__init__(
            f"{dataset}: {len(reasons)} {'window was' if len(reasons) == 1 else 'windows were'} not loaded. "
            + "; ".join(f"{_list_days(days)}: {without_stop(reason)}" for reason, days in shown)
            + (f" (and {left:,} more)." if left else ".")
        )


def _list_days(days: Sequence[date]) -> str:
    left = len(days) - _MOST_DAYS
    return ", ".join(map(str, days[:_MOST_DAYS])) + (f" and {left:,} more" if left > 0 else "")


_DAY = r"\d{4}-\d\d-\d\d"
_BEFORE_REASON = re.compile(rf"(?:\. |; ){_DAY}(?:, {_DAY})*(?: and [\d,]+ more)?: ")


def split_reasons(message: str) -> list[str]:
    """Return the reasons that the message of a `WindowNotLoadedError` gives; see its constructor."""
    whole, *reasons = _BEFORE_REASON.split(without_stop(message))
    return reasons or [whole]


@dataclass(frozen=True)
class Progress:
    """The progress of a backfill, when it begins to wait again."""

    done: int
    total: int
    waiting_for: str
    waited: timedelta


def drive_windows(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    days: Sequence[date],
    *,
    by: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> list[Window]:
    """Load windows now, whether or not they are due: adopt reports in flight, request the rest, wait, load.

    Days that are not over in the account's time zone are skipped. One day that fails does not keep
    the others from being loaded.

    Args:
        context: the tools.
        session: records the actions.
        account: whose windows.
        dataset: of which dataset.
        days: account-local days.
        by: the user who requested it, which is recorded.
        on_progress: called each time it begins to wait.

    Returns:
        The loaded windows as they are stored then.

    Raises:
        AccountSkippedError: the account is disabled or suspended.
        WindowNotLoadedError: a day isn't served, its report failed or was suspicious, or Amazon
            took longer than the setting allows.
    """
    if by is not None:
        session.add(
            LoadRequested(
                account=account.account_key, dataset=dataset.name, windows=list(days), by=by
            )
        )
    if account.reason_to_skip is not None:
        session.add(skip_account(account, dataset, list(days)))
        raise AccountSkippedError(account, account.reason_to_skip)
    started = context.now()
    keep_windows(context, session, account, dataset, again=True)
    today = local_date(started, account.time_zone)
    left_out = _leave_out(session, account, dataset, days, today)
    days = [day for day in days if day not in left_out]
    with context.engine.begin() as connection:
        before = {w.window_date: w for w in list_windows(connection, account, dataset.name, days)}
        want_windows(connection, account, dataset.name, days, session.session_id)
    _adopt(context, session, account, dataset, list(before.values()))
    deadline = started + timedelta(minutes=context.settings.by_hand_wait_minutes)
    has_recorded_waiting = False
    while True:
        windows, pending = _look(context, account, dataset, before)
        if not pending or context.now() > deadline:
            break
        _advance(
            context, session, account, dataset, pending, records_waiting=not has_recorded_waiting
        )
        has_recorded_waiting = True
        windows, pending = _look(context, account, dataset, before)
        if pending:
            if on_progress is not None:
                done, waited = len(windows) - len(pending), context.now() - started
                on_progress(Progress(done, len(windows), _waiting_for(pending), waited))
            context.sleep(min(_LONGEST_PAUSE, context.settings.poll_every).total_seconds() / 2)
    _record_given_up(session, account, dataset, pending)
    oldest = (
        f"{SkipReason.NOT_SERVED}; the oldest that it serves is {oldest_served(dataset, today)}"
    )
    failed = {day: oldest for day, reason in left_out.items() if reason is SkipReason.NOT_SERVED}
    failed |= dict(_reasons(windows, before))
    if failed:
        loaded = [window.window_date for window in windows if window.window_date not in failed]
        raise WindowNotLoadedError(dataset.name, failed, loaded)
    return windows


def _leave_out(
    session: SessionRecorder, account: Account, dataset: Dataset, days: Sequence[date], today: date
) -> dict[date, SkipReason]:
    """Record which of the days are not over, or not served any more; return the reason of each."""
    left_out = {day: reason for day in days if (reason := _why_left_out(dataset, day, today))}
    for reason, alike in days_by_reason(left_out).items():
        detail = account.time_zone if reason is SkipReason.NOT_OVER else None
        session.add(skip_windows(account, dataset, alike, reason, detail))
    return left_out


def _why_left_out(dataset: Dataset, day: date, today: date) -> SkipReason | None:
    if day >= today:
        return SkipReason.NOT_OVER
    return None if is_served(dataset, day, today) else SkipReason.NOT_SERVED


def _adopt(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    windows: Sequence[Window],
) -> None:
    """Record which of the windows a report in flight already covers."""
    by_request: dict[int, list[date]] = {}
    for window in windows:
        if window.request_id is not None:
            by_request.setdefault(window.request_id, []).append(window.window_date)
    for request_id, days in by_request.items():
        with context.engine.begin() as connection:
            request = get_request(connection, request_id)
            session.add_in(
                connection,
                ReportAdopted(
                    account=account.account_key,
                    dataset=dataset.name,
                    windows=days,
                    request_id=request_id,
                    report_id=request.report_id or f"request {request_id}",
                    since=request.sent_at,
                ),
            )


def _windows(
    context: JobContext, account: Account, dataset: Dataset, days: Sequence[date]
) -> list[Window]:
    with context.engine.begin() as connection:
        return list_windows(connection, account, dataset.name, days)


def _look(
    context: JobContext, account: Account, dataset: Dataset, before: Mapping[date, Window]
) -> tuple[list[Window], list[Window]]:
    """Return the windows as stored now, and those still to be loaded."""
    windows = _windows(context, account, dataset, list(before))
    return windows, [
        window for window in windows if _is_pending(window, before[window.window_date])
    ]


def _is_pending(now: Window, before: Window) -> bool:
    """Return whether a window has neither been loaded with all of its ad products, nor failed, nor got a suspicious report since."""
    if now.wanted_by is not None:
        return True
    return now.request_id is not None and now.load_count == before.load_count


def _advance(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    pending: Sequence[Window],
    *,
    records_waiting: bool,
) -> None:
    """Plan reports for windows that none serves, and take the next steps of the requests that serve them."""
    days = [window.window_date for window in pending]
    uncovered = [w.window_date for w in pending if w.request_id is None]
    _stop_if_skipped(context, session, account, dataset, days)
    planned = plan_backfill(context, session, account, dataset, uncovered) if uncovered else []
    for request_id in sorted(
        {w.request_id for w in pending if w.request_id is not None} | set(planned)
    ):
        drive_request(context, session, request_id)
    windows = _windows(context, account, dataset, days)
    waiting = [w.window_date for w in windows if w.request_id is None and w.wanted_by is not None]
    if waiting:
        if records_waiting:
            session.add(skip_windows(account, dataset, waiting, SkipReason.WAITS_FOR_AMAZON))
        _make_room(context, session, account.region)


def _make_room(context: JobContext, session: SessionRecorder, region: str) -> None:
    """Poll the region's reports for a few seconds, until one is done, which frees a slot at the gate.

    Leave the loading of that report to the shared run, since it may be large.
    """
    started = context.now()
    with context.engine.begin() as connection:
        requests = list_requests_to_step(connection, due_at=started, region=region)
    for request in requests:
        if request.status == RequestStatus.COMPLETED:
            continue
        try:
            status = drive_request(context, session, request.id, loads=False)
        except (LockLostError, SessionClosedError):
            raise
        except Exception:
            logger.exception("Request %s failed while another one waited for a slot", request.id)
            continue
        is_done = status in {RequestStatus.COMPLETED, RequestStatus.FAILED}
        if is_done or context.now() - started > _LONGEST_PAUSE:
            return


def _stop_if_skipped(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    days: list[date],
) -> None:
    """Stop if the account was disabled or suspended meanwhile."""
    with context.engine.begin() as connection:
        now = get_account(connection, account.account_key)
    if now.reason_to_skip is not None:
        session.add(skip_account(now, dataset, days))
        raise AccountSkippedError(account, now.reason_to_skip)


def _waiting_for(pending: Sequence[Window]) -> str:
    return (
        "Amazon"
        if any(w.request_id is not None for w in pending)
        else "the limit on reports in flight"
    )


def _record_given_up(
    session: SessionRecorder, account: Account, dataset: Dataset, pending: Sequence[Window]
) -> None:
    """Record that the time is over and the remaining windows are no longer waited for."""
    reasons = {window.window_date: _why_pending(window) for window in pending}
    for reason, days in days_by_reason(reasons).items():
        facts = {"account": account.account_key, "dataset": dataset.name}
        session.add(WaitGivenUp(**facts, windows=days, reason=reason))


def _why_pending(window: Window) -> str:
    return _NOT_YET if window.request_id is not None else _NO_SLOT_YET


def _reasons(windows: Sequence[Window], before: dict[date, Window]) -> Iterator[tuple[date, str]]:
    for window in windows:
        was_loaded = window.load_count > before[window.window_date].load_count
        if was_loaded and (window.failure_reason is None or window.product_states is None):
            continue
        if _is_pending(window, before[window.window_date]):
            yield window.window_date, _why_pending(window)
        else:
            yield window.window_date, window.failure_reason or "its report had no data"
