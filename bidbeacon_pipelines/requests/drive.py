"""Drives one report request: takes the next step and stores the result, until the request has to wait or has ended.

Each row is stored before its step is taken, under the request's lock. A process may die at any
point: the next one reads the row and continues.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import change_ads_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import (
    ReportAdopted,
    ReportPending,
    ReportRequested,
    RequestRetried,
    SkipReason,
    WindowSkipped,
    WindowsQueued,
)
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, AuthError
from bidbeacon_pipelines.causes import Cause, cause
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.create import request_report
from bidbeacon_pipelines.requests.gate import enter_gate, note_result
from bidbeacon_pipelines.requests.load import LoadableRequest
from bidbeacon_pipelines.requests.queries import (
    LockLostError,
    delete_plans,
    get_locked_request,
    keep_lock,
    lock_request,
    pass_over,
    unlock_request,
    update_request,
)
from bidbeacon_pipelines.requests.refusals import doubted
from bidbeacon_pipelines.requests.results import (
    failure_from,
    no_answer,
    of_failed_poll,
    of_report,
)
from bidbeacon_pipelines.requests.rules import (
    Create,
    Failure,
    FailureKind,
    GiveUp,
    Load,
    NotMade,
    Poll,
    Reported,
    RequestStatus,
    Result,
    Retry,
    Step,
    failure_of,
    next_step,
)
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.requests.window_queries import attach_windows, is_needed
from bidbeacon_pipelines.windows.queries import list_windows_of_request
from bidbeacon_pipelines.windows.rules import missed_offsets
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import Action, SessionClosedError, SessionRecorder

REST_AFTER_ERROR = timedelta(minutes=5)


def drive_request(
    context: JobContext, session: SessionRecorder, request_id: int, *, loads: bool = True
) -> str | None:
    """Lock a request and drive it as `drive_locked` does; return None if it had ended, or another session is working on it."""
    with context.engine.begin() as connection:
        request = lock_request(connection, request_id, session.session_id)
    return None if request is None else drive_locked(context, session, request, loads=loads)


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
        return _Driver(context, session, request).run(loads=loads)
    except (LockLostError, SessionClosedError):
        raise
    except Exception:
        rests_until = context.now() + REST_AFTER_ERROR
        raise
    finally:
        with context.engine.begin() as connection:
            unlock_request(connection, request.id, session.session_id, not_before=rests_until)


class _Driver(LoadableRequest):
    """One locked request, with the windows of all countries that wait for it."""

    def run(self, *, loads: bool) -> str:
        """Take one step after the other until there is none, or it can't be taken now."""
        self._release_disabled()
        while (step := self._next_step()) is not None:
            is_paused = isinstance(step, Load) and not (loads and self._can_load())
            if is_paused or not self._take(step):
                break
        return self._request.status

    def _can_load(self) -> bool:
        """Return whether this host can write downloads; where it can't, another one may load the report."""
        return self._context.find_pause() is None

    def _next_step(self) -> Step | None:
        """Return the next step; request nothing for an ads account that needs attention, or whose countries are all paused or disabled."""
        if self._request.finished_at is not None:
            return None
        if self._windows and self._is_disabled:
            stopped = self._stop_cause(next(iter(self._windows)))
            return GiveUp(Failure(FailureKind.ACCOUNT_DISABLED, stopped))
        if self._ads_account.needs_attention is None:
            return next_step(self._request, self._context.now())
        if self._ads_account.needs_attention_for == "credentials" or not self._windows:
            return None
        return GiveUp(Failure(FailureKind.NOT_AUTHORIZED, self._ads_account.needs_attention))

    @property
    def _is_disabled(self) -> bool:
        """Whether all countries that wait for it are disabled."""
        return all(not self._countries[key].is_active for key in self._windows)

    def _stop_cause(self, account_key: str) -> Cause:
        return self._countries[account_key].stop_cause or cause("other")

    def _release_disabled(self) -> None:
        """End the wait of countries that were disabled meanwhile, where others still wait."""
        disabled = [key for key in self._windows if not self._countries[key].is_active]
        if not disabled or self._is_disabled:
            return
        with self._context.engine.begin() as connection:
            keep_lock(connection, self._request.id, self._session.session_id)
            for key in disabled:
                windows, stopped = self._windows.pop(key), self._stop_cause(key)
                days = [window.window_date for window in windows]
                self._put_back(connection, {key: windows})
                skipped = {"account": key, "dataset": self._dataset.name, "windows": days}
                self._session.add_in(
                    connection,
                    WindowSkipped(**skipped, reason=SkipReason.ACCOUNT_STOPPED, cause=stopped),
                )
            self._replan_released(connection)

    def _take(self, step: Step) -> bool:
        """Take a step; return False where it can't be taken now."""
        match step:
            case Create():
                return self._create()
            case Poll():
                self._poll()
            case Load():
                self._load()
            case Retry():
                self._retry(step)
            case GiveUp():
                self._give_up(step)
        return True

    def _create(self) -> bool:
        """Store that a report is being created, then create it: a process that dies in between has counted the attempt.

        Return False without a create if the gate is closed or the plan has become unnecessary.
        """
        before = failure_of(self._request)
        if not self._begin_attempt():
            return False
        result = self._request_report(before)
        after = self._after(result)
        action = self._action_of_create(result, after)
        with self._context.engine.begin() as connection:
            update_request(connection, self._request, after, self._session.session_id)
            if action is not None:
                self._session.add_in(connection, action)
            note_result(
                connection,
                self._session,
                self._ads_account,
                result,
                self._context.now(),
                late_after=self._context.settings.late_after,
            )
        self._request = after
        return True

    def _action_of_create(self, result: Result, after: ReportRequest) -> Action | None:
        match result:
            case Reported(report_id=report_id, is_adopted=True):
                return ReportAdopted(**self._facts, report_id=report_id)
            case Reported(report_id=report_id):
                made = {"attempt": after.attempts, "bridged": self._bridged()}
                return ReportRequested(**self._facts, report_id=report_id, **made)
            case _:  # the following step records a failure
                return self._retried(result, after, self._request.attempts)

    def _begin_attempt(self) -> bool:
        """Enter the gate, attach the windows and count the attempt, in one transaction; return False if the report is not to be created now."""
        with self._context.engine.begin() as connection:
            request = get_locked_request(connection, self._request.id, self._session.session_id)
            if request is None:
                return False
            self._request, now = request, self._context.now()
            is_plan = request.attempts == 0 and not self._windows
            if is_plan and self._is_needless(connection, now):
                delete_plans(connection, [request.id])
                return False
            first_limit = self._context.settings.first_reports_in_flight
            if not enter_gate(connection, self._ads_account, now, first_limit=first_limit):
                return False
            if not self._windows:
                self._attach(connection, now)
            after = self._after(Create())
            update_request(connection, request, after, self._session.session_id)
            pass_over(connection, request)
        self._request = after
        return True

    def _is_needless(self, connection: Connection, now: datetime) -> bool:
        """Return whether nothing needs a plan any more, or it spans more days than one report may by now. Its account is planned again then."""
        request = self._request
        is_possible = request.days <= self._known(connection).longest_period_days
        if is_possible and is_needed(connection, request.id, now=now):
            return False
        change_ads_account(connection, request.account_id, planned_at=None)
        return True

    def _attach(self, connection: Connection, now: datetime) -> None:
        """Attach windows to the report, and record which refreshes it makes unnecessary."""
        attach_windows(connection, self._request.id, now=now)
        self._windows = list_windows_of_request(connection, self._request.id)
        self._session.add_in(
            connection, WindowsQueued(**self._facts, by_hand=self._request.by_hand)
        )
        for key, windows in self._windows.items():
            missed = {
                window.window_date: skipped
                for window in windows
                if (skipped := self._missed(self._countries[key], window, now))
            }
            if missed:
                offsets = sorted({offset for skipped in missed.values() for offset in skipped})
                skip = {"account": key, "dataset": self._dataset.name, "windows": list(missed)}
                detail = "T+" + ", T+".join(map(str, offsets))
                self._session.add_in(
                    connection,
                    WindowSkipped(**skip, reason=SkipReason.OFFSET_MISSED, detail=detail),
                )

    def _missed(self, account: Account, window: ReportWindow, now: datetime) -> tuple[int, ...]:
        """Return the refreshes of a window that the one to come makes unnecessary; one that was never loaded has missed none."""
        if window.data_as_of is None:
            return ()
        zone = account.time_zone
        return missed_offsets(
            self._dataset, window.window_date, zone, window.data_as_of, now
        ).skipped

    def _request_report(self, before: Failure | None) -> Result:
        """Request the report from Amazon; return the result."""
        try:
            work = (self._context, self._session, self._ads_account, self._request)
            result = request_report(*work, before=before)
        except AuthError as error:
            unconfirmed = doubted(failure_from(error, self._context.now()))
            return self._unauthorized(error, unconfirmed)
        if isinstance(result, Reported):
            self._note_answered()
        return result

    def _poll(self) -> None:
        now, said = self._context.now(), None
        try:
            result: Result = of_report(self._retrieve())
        except AuthError as error:
            result, said = self._unauthorized(error, no_answer(error, now)), error.failure_cause
        except AdsApiError as error:
            result, said = of_failed_poll(error, now), error.failure_cause
        after = self._after(result)
        is_silent = isinstance(result, NotMade) and result.cause is None
        is_pending = after.status == RequestStatus.IN_FLIGHT and after.failure_kind is None
        action = self._pending(after, said) if is_pending and not is_silent else None
        self._store(after, action)  # the following step records what ended it

    def _pending(self, after: ReportRequest, said: Cause | None) -> Action:
        now = self._context.now()
        return ReportPending(
            **self._facts,
            report_id=after.report_id or "",
            amazon_status=after.amazon_status or "no status yet",
            waited_seconds=(now - (after.sent_at or after.created_at)).total_seconds(),
            looks=after.polls,
            next_poll_at=after.next_step_at or now,
            cause=said,
        )

    def _retry(self, step: Retry) -> None:
        again = {"attempt": self._request.attempts, "cause": step.failure.cause}
        self._report = None
        self._store(self._after(step), RequestRetried(**self._facts, **again, retry_at=step.at))

    def _bridged(self) -> int:
        """Return the number of bridged days, which are due in no country."""
        now = self._context.now()
        due = {
            window.window_date
            for windows in self._windows.values()
            for window in windows
            if window.next_refresh_at is not None and window.next_refresh_at <= now
        }
        return 0 if self._request.by_hand else len(self._facts["windows"]) - len(due)
