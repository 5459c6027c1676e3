"""Drives one report request: decides the next step, takes it and stores the result, until it has to wait or has ended.

Each state is stored before its step is taken, under the request's lock. A process may die at any
point: the next one reads the state and continues.
"""

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.ads_account_queries import (
    forget_plans,
    forget_refusals,
)
from bidbeacon_pipelines.accounts.queries import Account, lock_rows
from bidbeacon_pipelines.accounts.suspension import is_credential_error, note_refusal
from bidbeacon_pipelines.actions import (
    ReportAdopted,
    ReportPending,
    ReportRequested,
    RequestRetried,
    SkipReason,
    WindowSkipped,
    WindowsQueued,
)
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    AuthError,
    NotFound,
    RateLimited,
    Rejected,
    Throttled,
)
from bidbeacon_pipelines.amazon_ads.ledger import Tries
from bidbeacon_pipelines.amazon_ads.reports import Report, ReportStatus
from bidbeacon_pipelines.database.locks import LockTakenError
from bidbeacon_pipelines.datasets.partitions import ensure_partitions
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.loading.load import LoadRules, Waiting, load_report
from bidbeacon_pipelines.loading.load_actions import LoadFacts, actions_of_load
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_pipelines.requests import transitions
from bidbeacon_pipelines.requests.create import (
    count_rest,
    failure_of,
    not_before,
    poll_report,
    request_report,
)
from bidbeacon_pipelines.requests.endings import EndingRequest
from bidbeacon_pipelines.requests.gate import enter_gate
from bidbeacon_pipelines.requests.histories import (
    learn_from_loaded,
)
from bidbeacon_pipelines.requests.lifecycle import (
    Failure,
    FailureKind,
    GiveUp,
    Load,
    LookFor,
    Nothing,
    Poll,
    RequestState,
    RequestStatus,
    RetryLater,
    Send,
    Step,
    Wait,
    decide,
)
from bidbeacon_pipelines.requests.queries import (
    LockLostError,
    Request,
    delete_plans,
    get_locked_request,
    keep_lock,
    lock_request,
    pass_over,
    put_off_request,
    unlock_request,
    update_request,
)
from bidbeacon_pipelines.requests.refusals import doubted
from bidbeacon_pipelines.requests.report_parts import LOAD_ERRORS, failed_load, parts_on_disk
from bidbeacon_pipelines.requests.states import columns_of, reported, state_of, tries_before
from bidbeacon_pipelines.windows.product_states import (
    ProductState,
)
from bidbeacon_pipelines.windows.queries import (
    Window,
    attach_windows,
    is_needed,
    list_windows_of_request,
)
from bidbeacon_pipelines.windows.rules import (
    missed_offsets,
    next_refresh_at,
)
from bidbeacon_sessions import Action, SessionClosedError, SessionRecorder

REST_AFTER_ERROR = timedelta(minutes=5)


def drive_request(
    context: JobContext, session: SessionRecorder, request_id: int, *, loads: bool = True
) -> RequestStatus | None:
    """Lock a request and drive it as `drive_locked` does; return None if it had ended, or another session is working on it."""
    with context.engine.begin() as connection:
        request = lock_request(connection, request_id, session.session_id)
    return None if request is None else drive_locked(context, session, request, loads=loads)


def drive_locked(
    context: JobContext, session: SessionRecorder, request: Request, *, loads: bool = True
) -> RequestStatus:
    """Take every step of a locked request that can be taken now, and unlock it; return its status then.

    Without `loads`, leave a completed report to another run. After an unexpected error, a request
    rests for a while, so that it doesn't fail every poll of the others.

    Raises:
        LockLostError: another session took over meanwhile; nothing half-done stays.
    """
    try:
        return _Driver(context, session, request, loads=loads).run()
    except (LockLostError, SessionClosedError):
        raise
    except Exception:
        with context.engine.begin() as connection:
            put_off_request(
                connection, request.id, session.session_id, context.now() + REST_AFTER_ERROR
            )
        raise
    finally:
        with context.engine.begin() as connection:
            unlock_request(connection, request.id, session.session_id)


class _Driver(EndingRequest):
    """One locked request, with the windows of all countries that wait for it."""

    def run(self) -> RequestStatus:
        """Decide and act until a step says to stop."""
        self._release_disabled()
        while self._take(self._decide()):
            pass
        return self._state.status

    def _decide(self) -> Step:
        """Decide the next step; request nothing for a suspended ads account, or one whose countries are all disabled."""
        if self._state.status in {RequestStatus.LOADED, RequestStatus.FAILED}:
            return decide(self._state, self._context.now(), self._policy)
        if self._windows and self._is_disabled:
            reason = self._countries[next(iter(self._windows))].reason_to_skip or ""
            return GiveUp(reason, needs_person=True, kind=FailureKind.ACCOUNT_DISABLED)
        if self._ads_account.needs_person is None:
            return decide(self._state, self._context.now(), self._policy)
        if self._ads_account.needs_person_for == "credentials" or not self._windows:
            return Nothing(self._ads_account.needs_person)
        return GiveUp(
            self._ads_account.needs_person, needs_person=True, kind=FailureKind.NOT_AUTHORIZED
        )

    @property
    def _is_disabled(self) -> bool:
        """Whether all countries that wait for it are disabled."""
        return all(self._countries[key].is_disabled for key in self._windows)

    def _release_disabled(self) -> None:
        """End the wait of countries that were disabled meanwhile, where others still wait."""
        disabled = [key for key in self._windows if self._countries[key].is_disabled]
        if not disabled or self._is_disabled:
            return
        now = self._context.now()

        def at_once(_key: str, _window: Window, _own: ProductState) -> datetime:
            return now

        with self._context.engine.begin() as connection:
            keep_lock(connection, self._request.id, self._session.session_id)
            for key in disabled:
                account, windows = self._countries[key], self._windows.pop(key)
                days, reason = (
                    [window.window_date for window in windows],
                    account.reason_to_skip or "",
                )
                self._fail_windows(connection, {key: windows}, reason, at_once)
                skipped = {"account": key, "dataset": self._dataset.name, "windows": days}
                self._session.add_in(
                    connection,
                    WindowSkipped(**skipped, reason=SkipReason.ACCOUNT_OFF, detail=reason),
                )
            self._replan_released(connection)

    def _take(self, step: Step) -> bool:
        """Take a step; return False where nothing more can be done now."""
        match step:
            case Wait() | LookFor() | Nothing():
                return False
            case Load() if not self._loads:
                return False
            case Send():
                return self._send()
            case Poll():
                self._poll()
            case Load():
                self._load()
            case RetryLater():
                self._retry(step)
            case GiveUp():
                self._give_up(step)
        return True

    def _send(self) -> bool:
        """Store that a report is being requested, then request it: a process that dies in between has counted the attempt.

        Return False without a request if the gate is closed or the plan has become unnecessary.
        """
        before, tries = self._state.failure, tries_before(self._state)
        if not self._begin_attempt():
            return False
        answer = self._request_report(before, tries)
        match answer:
            case transitions.Reported(report_id=report_id, adopted=True):
                action: Action | None = ReportAdopted(**self._facts, report_id=report_id)
            case transitions.Reported(report_id=report_id):
                action = ReportRequested(
                    **self._facts,
                    report_id=report_id,
                    attempt=self._state.attempts,
                    bridged=self._bridged(),
                )
            case transitions.NoAnswer(reason=reason) | transitions.RateLimited(reason=reason):
                after = self._answered(answer).next_step_at or self._context.now()
                count_rest(self._context, answer, after)
                action = RequestRetried(
                    **self._facts, attempt=self._state.attempts, reason=reason, retry_at=after
                )
            case _:
                action = None  # the following step records the failure
        self._store(self._answered(answer), action, answer)
        return True

    def _begin_attempt(self) -> bool:
        """Enter the gate, attach the windows and count the attempt, in one transaction; return False if the report is not to be created now."""
        now = self._context.now()
        with self._context.engine.begin() as connection:
            request = get_locked_request(connection, self._request.id, self._session.session_id)
            if request is None:
                return False
            self._request = request
            if not self._windows and not is_needed(connection, request.id, now=now):
                delete_plans(connection, [request.id])
                return False
            if not self._windows and (
                self._is_too_long(request) or self._is_too_old(connection, request)
            ):
                delete_plans(connection, [request.id])
                forget_plans(connection, request.account_id)
                return False
            first_limit = self._context.settings.first_reports_in_flight
            if not enter_gate(connection, self._ads_account, now, first_limit=first_limit):
                return False
            if not self._windows:
                self._attach(connection, now)
            self._state = transitions.sending(state_of(request), now, self._policy)
            update_request(
                connection, request.id, self._session.session_id, **columns_of(self._state, now)
            )
            pass_over(connection, request)
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

    def _missed(self, account: Account, window: Window, now: datetime) -> tuple[int, ...]:
        """Return the refreshes of a window that the one to come makes unnecessary; one that was never loaded has missed none."""
        if window.data_as_of is None:
            return ()
        zone = account.time_zone
        return missed_offsets(
            self._dataset, window.window_date, zone, window.data_as_of, now
        ).skipped

    def _request_report(self, before: Failure | None, tries: Tries) -> transitions.Answer:
        """Request the report from Amazon; return the result."""
        try:
            answer = request_report(
                self._context,
                self._ads_account,
                self._request,
                today=self._today,
                before=before,
                tries=tries,
            )
        except AuthError as error:
            failure = doubted(failure_of(self._context, error))
            return self._unauthorized(error, transitions.Refused(failure))
        if isinstance(answer, transitions.Reported):
            self._note_answered()
        return answer

    def _unauthorized(
        self, error: AuthError, unconfirmed: transitions.Answer
    ) -> transitions.Answer:
        """Count a refusal of the ads account, or suspend all accounts if our credentials are refused; return what it means for the request.

        After refused credentials, a request rests until they are renewed.
        """
        self._refused = True
        with self._context.engine.begin() as connection:
            stops = note_refusal(connection, self._session, self._request.account_id, error)
        if is_credential_error(error):
            return transitions.NoToken(self._context.now(), str(error))
        return transitions.Refused(failure_of(self._context, error)) if stops else unconfirmed

    def _note_answered(self) -> None:
        """Reset the count of refusals of the ads account, since Amazon answers for it."""
        if self._refused or self._ads_account.refusals:
            with self._context.engine.begin() as connection:
                forget_refusals(connection, self._request.account_id)

    def _poll(self) -> None:
        try:
            report = self._retrieve()
        except NotFound as error:
            self._store(
                self._answered(
                    transitions.Refused(Failure(FailureKind.NOT_FOUND, str(error), error.code))
                )
            )
        except AuthError as error:
            self._poll_refused(error)
        except Throttled as error:
            word = self._state.amazon_status or "not to be seen"
            self._pend(self._throttled_poll(error), word, error.reason)
        except AdsApiError as error:
            word = "not to be seen" if isinstance(error, Rejected) else "not to be reached"
            self._pend(
                transitions.NoAnswer(not_before(self._context, error), str(error)),
                word,
                error.reason,
            )
        else:
            answer = reported(report)
            if report.is_terminal:
                self._store(self._answered(answer))
            else:
                self._pend(answer, report.raw_status)

    def _throttled_poll(self, error: Throttled) -> transitions.Answer:
        """Return what a throttled poll means: it counts if it was sent."""
        at = not_before(self._context, error)
        if isinstance(error, RateLimited):
            return transitions.RateLimited(at or self._context.now(), str(error))
        return transitions.NoAnswer(at, str(error))

    def _poll_refused(self, error: AuthError) -> None:
        unconfirmed = transitions.NoAnswer(not_before(self._context, error), str(error))
        answer = self._unauthorized(error, unconfirmed)
        if answer is unconfirmed:
            self._pend(answer, "not to be seen", error.reason)
        else:
            self._store(
                self._answered(answer)
            )  # the reason is recorded already, or by the following step

    def _pend(
        self, answer: transitions.Answer, amazon_status: str, reason: str | None = None
    ) -> None:
        state = self._answered(answer)
        now = self._context.now()
        waited = (now - (state.sent_at or state.created_at)).total_seconds()
        self._store(
            state,
            ReportPending(
                **self._facts,
                report_id=state.report_id or "",
                amazon_status=amazon_status,
                waited_seconds=waited,
                looks=state.polls,
                next_poll_at=state.next_step_at or now,
                reason=reason,
            ),
        )

    def _load(self) -> None:
        self._store(transitions.loading(self._state))
        try:
            report = self._report or self._retrieve()
            if report.status is ReportStatus.COMPLETED:
                with self._download(report) as parts:
                    self._load_parts(report, parts)
            else:
                self._store(self._answered(reported(report)))
        except LockTakenError as error:
            self._put_off(error)
        except AuthError as error:
            self._load_failed(self._unauthorized(error, transitions.LoadFailed(str(error))))
        except Throttled as error:
            again = self._context.now() + self._policy.poll_every
            at = not_before(self._context, error) or again
            self._load_failed(transitions.RateLimited(at, error.reason))
        except LOAD_ERRORS as error:
            again_at = not_before(self._context, error) if isinstance(error, AdsApiError) else None
            self._load_failed(failed_load(error, again_at))

    def _load_failed(self, answer: transitions.Answer) -> None:
        self._report = None  # the next attempt retrieves it again, at least for fresh urls
        state, action = self._answered(answer), None
        if isinstance(answer, transitions.LoadFailed | transitions.RateLimited):
            action = RequestRetried(
                **self._facts,
                attempt=self._state.loads,
                reason=answer.reason,
                retry_at=state.next_step_at or self._context.now(),
            )
        self._store(state, action)

    def _put_off(self, error: LockTakenError) -> None:
        """Put off the load, since another job is working on the account's rows; that is not a failed attempt."""
        facts = {key: self._facts[key] for key in ("account", "dataset", "windows")}
        action = WindowSkipped(**facts, reason=SkipReason.WORKED_ON_ELSEWHERE, detail=str(error))
        later = self._context.now() + self._policy.poll_every
        self._store(self._answered(transitions.RowsLocked(later)), action)

    def _download(self, report: Report) -> AbstractContextManager[list[Path]]:
        return parts_on_disk(
            self._context,
            report,
            name=f"request-{self._request.id}",
            region=self._ads_account.region,
            account_id=self._request.account_id,
            retrieve=self._retrieve,
        )

    def _load_parts(self, report: Report, parts: list[Path]) -> None:
        """Load the windows of all countries, and record what was loaded, in one transaction that only the session with the lock can commit."""
        started = self._context.now()
        if not self._windows:  # nothing waits for it any more
            self._store(self._answered(transitions.Loaded()))
            return
        ensure_partitions(
            self._context.engine, self._dataset, self._request.start_date, self._request.end_date
        )
        state = self._answered(transitions.Loaded())
        with self._context.engine.begin() as connection:
            keep_lock(connection, self._request.id, self._session.session_id)
            for key in sorted(self._windows):  # in one order, to avoid deadlocks between reports
                lock_rows(connection, self._countries[key])
            results = load_report(connection, self._scope, self._waiting, parts)
            size = sum(part.stat().st_size for part in parts)
            facts = LoadFacts(
                account=self._ads_account.ads_account_key,
                dataset=self._dataset.name,
                request_id=self._request.id,
                report_id=report.report_id,
                currencies={key: self._countries[key].currency_code for key in results},
                part_count=len(parts),
                size_bytes=size,
                seconds=(self._context.now() - started).total_seconds(),
                columns=self._dataset.columns,
            )
            for action in actions_of_load(results, facts):
                self._session.add_in(connection, action)
            self._replan_released(connection)
            columns = {"part_count": len(parts), "byte_count": size}
            columns["row_count"] = sum(result.rows for result in results.values())
            session_id = self._session.session_id
            update_request(
                connection, self._request.id, session_id, **columns_of(state, started), **columns
            )
            if learn_from_loaded(connection, self._ads_account.region, self._request, started):
                forget_plans(connection, self._request.account_id)
        self._windows.clear()
        self._state = state

    @property
    def _scope(self) -> ReportScope:
        return ReportScope(
            self._dataset,
            self._request.id,
            self._state.sent_at or self._state.created_at,
            tuple(self._request.ad_products),
            (self._request.start_date, self._request.end_date),
        )

    @property
    def _waiting(self) -> list[Waiting]:
        """The windows that wait for the report, by account."""
        as_of = self._scope.data_as_of
        return [
            Waiting(account, windows, self._rules(account, as_of))
            for key, windows in self._windows.items()
            if (account := self._countries[key])
        ]

    def _rules(self, account: Account, data_as_of: datetime) -> LoadRules:
        zone, now = account.time_zone, self._context.now()
        return LoadRules(
            bad_row_share=self._context.settings.bad_row_share,
            suspicious_again_at=lambda count: now + self._policy.suspicious_pause(count),
            next_refresh_at=lambda day: next_refresh_at(self._dataset, day, zone, data_as_of),
            refused_again_at=self._again_after_failure(account),
            products=self._products,
            now=now,
        )

    def _retry(self, step: RetryLater) -> None:
        action = RequestRetried(
            **self._facts, attempt=self._state.attempts, reason=step.reason, retry_at=step.at
        )
        self._report = None
        self._store(transitions.retried(self._state, step), action)

    def _answered(self, answer: transitions.Answer) -> RequestState:
        return transitions.answered(self._state, answer, self._context.now(), self._policy)

    def _retrieve(self) -> Report:
        assert self._state.report_id is not None, "decided only with a report id"  # noqa: S101 - for the type checker
        self._report = poll_report(self._context, self._ads_account, self._state.report_id)
        self._note_answered()
        return self._report

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
