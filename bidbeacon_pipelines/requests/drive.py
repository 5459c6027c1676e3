"""Takes the steps of one report request until it has to wait or has ended.

Before each step the request's row is stored, while the session has the request's lock. A process
may die at any point: the next process reads the row and continues.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from bidbeacon_pipelines.accounts.queries import lock_rows
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import ReportPending, RequestRetried, SkipReason, WindowSkipped
from bidbeacon_pipelines.amazon_ads.client import Owner
from bidbeacon_pipelines.amazon_ads.downloads import download_report
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, AuthError
from bidbeacon_pipelines.amazon_ads.reports import Report, ReportStatus
from bidbeacon_pipelines.causes import Cause, cause
from bidbeacon_pipelines.database.locks import LockTakenError
from bidbeacon_pipelines.datasets.partitions import ensure_partitions
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.loading.load import LoadRules, load_report
from bidbeacon_pipelines.loading.load_actions import LoadFacts, actions_of_load
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_pipelines.requests.create import create
from bidbeacon_pipelines.requests.endings import (
    give_up,
    learn_from_part,
    plan_released,
    release_stopped,
    reopen_ended,
    without_report,
)
from bidbeacon_pipelines.requests.locked import LockedRequest
from bidbeacon_pipelines.requests.queries import (
    LockLostError,
    list_ended_requests,
    lock_request,
    lock_request_row,
    unlock_request,
)
from bidbeacon_pipelines.requests.results import (
    LOAD_ERRORS,
    no_answer,
    of_failed_load,
    of_failed_poll,
    of_report,
)
from bidbeacon_pipelines.requests.rules import (
    Create,
    FailureKind,
    GiveUp,
    Load,
    Loaded,
    NoAnswer,
    NotMade,
    Poll,
    RequestFailure,
    RequestStatus,
    Result,
    Retry,
    Step,
    next_step,
)
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import SessionClosedError, SessionRecorder

REST_AFTER_ERROR = timedelta(minutes=5)


def drive_request(
    context: JobContext, session: SessionRecorder, request_id: int, *, loads: bool = True
) -> str | None:
    """Lock a request, take all steps that are possible now, unlock it and return its status.

    Return None if the request has ended or another session works on it. A completed report is left
    to another run if `loads` is false or this host can't write downloads. After an unexpected error
    the request waits for five minutes, so that it does not make every run fail.

    Raises:
        LockLostError: another session took over the request; the transaction is rolled back.
    """
    with context.engine.begin() as connection:
        row = lock_request(connection, request_id, session.session_id)
    if row is None:
        return None
    rests_until: datetime | None = None
    try:
        request = LockedRequest.read(context, session, row)
        _release_disabled(request)
        _take_steps(request, loads=loads)
    except (LockLostError, SessionClosedError):
        raise
    except Exception:
        rests_until = context.now() + REST_AFTER_ERROR
        raise
    else:
        return request.row.status
    finally:
        with context.engine.begin() as connection:
            unlock_request(connection, request_id, session.session_id, not_before=rests_until)


def _take_steps(request: LockedRequest, *, loads: bool) -> None:
    while (step := _next_step(request, loads=loads)) is not None:
        match step:
            case Create():
                if not create(request):
                    return
            case Poll():
                _poll(request)
            case Load():
                _load(request)
            case Retry(at=at, failure=failure):
                request.report, row = None, request.row
                again = {"attempt": row.attempts, "cause": failure.cause, "retry_at": at}
                request.store(request.after(step), RequestRetried(**request.facts, **again))
            case GiveUp(failure=failure):
                give_up(request, failure)


def _next_step(request: LockedRequest, *, loads: bool) -> Step | None:
    """Return the step to take now; `GiveUp` if accounts are stopped, None if no step is due.

    With `loads` false, no `Load` is returned: the report is left to another run.
    """
    row, needs_attention = request.row, request.ads_account.needs_attention
    if row.finished_at is not None:
        return None
    if request.windows and len(_disabled(request)) == len(request.windows):
        stopped = _stop_cause(request, next(iter(request.windows)))
        return GiveUp(RequestFailure(FailureKind.ACCOUNT_DISABLED, stopped))
    if needs_attention is None:
        step = next_step(row, request.context.now())
        is_paused = isinstance(step, Load) and not (loads and request.context.find_pause() is None)
        return None if is_paused else step
    if request.ads_account.needs_attention_for == "credentials" or not request.windows:
        return None
    return GiveUp(RequestFailure(FailureKind.NOT_AUTHORIZED, needs_attention))


def _disabled(request: LockedRequest) -> list[str]:
    return [key for key in request.windows if not request.countries[key].is_active]


def _stop_cause(request: LockedRequest, account_key: str) -> Cause:
    return request.countries[account_key].stop_cause or cause("other")


def _release_disabled(request: LockedRequest) -> None:
    """Detach windows of paused or disabled countries if other windows remain attached."""
    disabled, session = _disabled(request), request.session
    if not disabled or len(disabled) == len(request.windows):
        return
    with request.context.engine.begin() as connection:
        lock_request_row(connection, request.row.id, session.session_id)
        for key in disabled:
            windows = request.windows.pop(key)
            release_stopped(request, connection, windows)
            days = [window.window_date for window in windows]
            facts = {"account": key, "dataset": request.dataset.name, "windows": days}
            why = {"reason": SkipReason.ACCOUNT_STOPPED, "cause": _stop_cause(request, key)}
            session.add_in(connection, WindowSkipped(**facts, **why))
        plan_released(connection, request.row)


def _poll(request: LockedRequest) -> None:
    """Poll the report; if the report has failed, the next step records the cause."""
    now = request.context.now()
    try:
        result: Result = of_report(request.retrieve())
    except AuthError as error:
        result = request.record_refusal(error, no_answer(error, now))
    except AdsApiError as error:
        result = of_failed_poll(error, now)
    after = request.after(result)
    why = result.cause if isinstance(result, NoAnswer | NotMade) else None
    is_silent = isinstance(result, NotMade) and why is None
    if after.status != RequestStatus.IN_FLIGHT or after.failure_kind is not None or is_silent:
        request.store(after)
        return
    pending = ReportPending(
        **request.facts,
        report_id=after.report_id or "",
        amazon_status=after.amazon_status or "no status yet",
        waited_seconds=(now - (after.sent_at or after.created_at)).total_seconds(),
        polls=after.polls,
        next_poll_at=after.next_step_at or now,
        cause=why,
    )
    request.store(after, pending)


def _load(request: LockedRequest) -> None:
    request.store(request.after(Load()))
    context = request.context
    later = context.now() + context.settings.poll_every
    try:
        report = request.report or request.retrieve()
        if report.status is not ReportStatus.COMPLETED:
            request.store(request.after(of_report(report)))
            return
        owner = Owner(request.ads_account.region, request.row.account_id)
        with context.download_folder(f"request-{request.row.id}") as folder:
            again = request.retrieve
            parts = download_report(request.client, report, folder, owner, retrieve=again)
            _load_parts(request, report, parts)
    except LockTakenError as error:  # not a failed attempt: another job has locked the rows
        facts = {key: request.facts[key] for key in ("account", "dataset", "windows")}
        reason = SkipReason.WORKED_ON_ELSEWHERE
        skipped = WindowSkipped(**facts, reason=reason, detail=str(error))
        request.store(request.after(NotMade(later)), skipped)
    except AuthError as error:
        _store_failed(request, request.record_refusal(error, NoAnswer(error.failure_cause)))
    except LOAD_ERRORS as error:
        _store_failed(request, of_failed_load(error, context.now(), later))


def _store_failed(request: LockedRequest, result: Result) -> None:
    request.report = None  # the next attempt retrieves it again: its URLs may have expired
    after = request.after(result)
    is_retried = after.failure_kind is None  # otherwise the next step records the failure
    action = request.retried(result, after, request.row.loads) if is_retried else None
    request.store(after, action)


def _load_parts(request: LockedRequest, report: Report, parts: Sequence[Path]) -> None:
    """Load the report into its windows in one transaction; fail if the lock was lost."""
    if not request.windows:
        request.store(request.after(Loaded()))
        return
    context, session, row, dataset = request.context, request.session, request.row, request.dataset
    started = context.now()
    ensure_partitions(context.engine, dataset, row.start_date, row.end_date)
    with request.storing(request.after(Loaded())) as connection:
        for key in sorted(request.windows):  # in one order, to avoid deadlocks between reports
            lock_rows(connection, request.countries[key])
        ended = list_ended_requests(connection, row, started)

        def refused(account: Account, window: ReportWindow, why: Cause) -> ReportWindow:
            return without_report(window, why, dataset, account.time_zone, started, ended)

        as_of, period = row.sent_at or row.created_at, (row.start_date, row.end_date)
        scope = ReportScope(row.dataset_report, row.id, as_of, period, session.session_id)
        rules = LoadRules(started, context.settings.bad_row_share, refused)
        waiting = [(request.countries[key], own) for key, own in request.windows.items()]
        results = load_report(connection, scope, waiting, parts, rules)
        facts = LoadFacts(
            scope,
            account=request.ads_account.ads_account_key,
            report_id=report.report_id,
            currencies={key: request.countries[key].currency_code for key in results},
            part_count=len(parts),
            size_bytes=sum(part.stat().st_size for part in parts),
            seconds=(context.now() - started).total_seconds(),
        )
        for action in actions_of_load(results, facts):
            session.add_in(connection, action)
        plan_released(connection, row)
        learn_from_part(request, connection, started)
        reopen_ended(request, connection, started)
    request.windows.clear()
