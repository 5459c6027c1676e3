"""Drives one report request: takes the next step and stores the result, until the request has to wait or has ended.

Each row is stored before its step is taken, under the request's lock. A process may die at any
point: the next one reads the row and continues.
"""

from datetime import datetime, timedelta

from bidbeacon_pipelines.actions import ReportPending, RequestRetried, SkipReason, WindowSkipped
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, AuthError
from bidbeacon_pipelines.causes import Cause, cause
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.create import create
from bidbeacon_pipelines.requests.endings import give_up, plan_released, release_stopped
from bidbeacon_pipelines.requests.load import load
from bidbeacon_pipelines.requests.locked import LockedRequest, note_refused, retrieve
from bidbeacon_pipelines.requests.queries import (
    LockLostError,
    keep_lock,
    lock_request,
    unlock_request,
)
from bidbeacon_pipelines.requests.results import no_answer, of_failed_poll, of_report
from bidbeacon_pipelines.requests.rules import (
    Create,
    Failure,
    FailureKind,
    GiveUp,
    Load,
    NoAnswer,
    NotMade,
    Poll,
    RequestStatus,
    Result,
    Retry,
    Step,
    next_step,
)
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_sessions import SessionClosedError, SessionRecorder

REST_AFTER_ERROR = timedelta(minutes=5)


def drive_request(context: JobContext, session: SessionRecorder, request_id: int) -> str | None:
    """Lock a request and drive it as `drive_locked` does; return None if it had ended, or another session is working on it."""
    with context.engine.begin() as connection:
        request = lock_request(connection, request_id, session.session_id)
    return None if request is None else drive_locked(context, session, request)


def drive_locked(
    context: JobContext, session: SessionRecorder, request: ReportRequest, *, loads: bool = True
) -> str:
    """Take every step of a locked request that can be taken now, and unlock it; return its status then.

    Without `loads`, and while this host can't write downloads, leave a completed report to another
    run. After an unexpected error, a request rests for a while, so that it doesn't fail every poll
    of the others.

    Raises:
        LockLostError: another session took over meanwhile; nothing half-done stays.
    """
    rests_until: datetime | None = None
    try:
        locked = LockedRequest.read(context, session, request)
        _release_disabled(locked)
        while (step := _next_step(locked, loads=loads)) is not None:
            if not _take(locked, step):
                break
    except (LockLostError, SessionClosedError):
        raise
    except Exception:
        rests_until = context.now() + REST_AFTER_ERROR
        raise
    else:
        return locked.row.status
    finally:
        with context.engine.begin() as connection:
            unlock_request(connection, request.id, session.session_id, not_before=rests_until)


def _next_step(request: LockedRequest, *, loads: bool) -> Step | None:
    """Return the step to take now, if any; request nothing for an ads account that needs attention, or whose countries are all paused or disabled."""
    row, needs_attention = request.row, request.ads_account.needs_attention
    if row.finished_at is not None:
        return None
    if request.windows and len(_disabled(request)) == len(request.windows):
        stopped = _stop_cause(request, next(iter(request.windows)))
        return GiveUp(Failure(FailureKind.ACCOUNT_DISABLED, stopped))
    if needs_attention is None:
        step = next_step(row, request.context.now())
        is_paused = isinstance(step, Load) and not (loads and request.context.find_pause() is None)
        return None if is_paused else step
    if request.ads_account.needs_attention_for == "credentials" or not request.windows:
        return None
    return GiveUp(Failure(FailureKind.NOT_AUTHORIZED, needs_attention))


def _disabled(request: LockedRequest) -> list[str]:
    """Return the keys of the accounts that wait for a request and are paused or disabled."""
    return [key for key in request.windows if not request.countries[key].is_active]


def _stop_cause(request: LockedRequest, account_key: str) -> Cause:
    return request.countries[account_key].stop_cause or cause("other")


def _release_disabled(request: LockedRequest) -> None:
    """End the wait of countries that were disabled meanwhile, where others still wait."""
    disabled, session = _disabled(request), request.session
    if not disabled or len(disabled) == len(request.windows):
        return
    with request.context.engine.begin() as connection:
        keep_lock(connection, request.row.id, session.session_id)
        for key in disabled:
            windows = request.windows.pop(key)
            release_stopped(request, connection, windows)
            days = [window.window_date for window in windows]
            facts = {"account": key, "dataset": request.dataset.name, "windows": days}
            why = {"reason": SkipReason.ACCOUNT_STOPPED, "cause": _stop_cause(request, key)}
            session.add_in(connection, WindowSkipped(**facts, **why))
        plan_released(connection, request.row)


def _take(request: LockedRequest, step: Step) -> bool:
    """Take a step; return False where it can't be taken now."""
    match step:
        case Create():
            return create(request)
        case Poll():
            _poll(request)
        case Load():
            load(request)
        case Retry(at=at, failure=failure):
            request.report, row = None, request.row
            again = {"attempt": row.attempts, "cause": failure.cause, "retry_at": at}
            request.store(request.after(step), RequestRetried(**request.facts, **again))
        case GiveUp(failure=failure):
            give_up(request, failure)
    return True


def _poll(request: LockedRequest) -> None:
    """Poll the report; the following step records what ended it."""
    now = request.context.now()
    try:
        result: Result = of_report(retrieve(request))
    except AuthError as error:
        result = note_refused(request, error, no_answer(error, now))
    except AdsApiError as error:
        result = of_failed_poll(error, now)
    after = request.after(result)
    said = result.cause if isinstance(result, NoAnswer | NotMade) else None
    is_silent = isinstance(result, NotMade) and said is None
    is_pending = after.status == RequestStatus.IN_FLIGHT and after.failure_kind is None
    action = _pending(request, after, said) if is_pending and not is_silent else None
    request.store(after, action)


def _pending(request: LockedRequest, after: ReportRequest, said: Cause | None) -> ReportPending:
    now = request.context.now()
    return ReportPending(
        **request.facts,
        report_id=after.report_id or "",
        amazon_status=after.amazon_status or "no status yet",
        waited_seconds=(now - (after.sent_at or after.created_at)).total_seconds(),
        looks=after.polls,
        next_poll_at=after.next_step_at or now,
        cause=said,
    )
