"""Drives one report request: decides the next step, takes it and stores the result, until it has to wait or has ended.

Each state is stored before its step is taken, under the request's lock. A process may die at any
point: the next one reads the state and continues.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.ads_account_queries import (
    AdsAccount,
    forget_plans,
    forget_refusals,
    get_ads_account_by_id,
    replan_released,
    set_longest_period,
    split_dataset,
)
from bidbeacon_pipelines.accounts.queries import Account, list_countries, lock_rows
from bidbeacon_pipelines.accounts.suspension import is_credential_error, note_refusal
from bidbeacon_pipelines.actions import (
    ProductHistoryLearned,
    ReportAdopted,
    ReportFailed,
    ReportPending,
    ReportRequested,
    ReportSplit,
    ReportSplitByProduct,
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
from bidbeacon_pipelines.datasets.histories import (
    SURELY_SERVED_DAYS,
    History,
    can_be_short,
    soon_after_refusal,
)
from bidbeacon_pipelines.datasets.learned import list_histories, set_history, split_report
from bidbeacon_pipelines.datasets.partitions import ensure_partitions
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.entities.queries import find_ad_products
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
from bidbeacon_pipelines.requests.gate import enter_gate, note_answer
from bidbeacon_pipelines.requests.histories import (
    days_back,
    learn_from_loaded,
    learn_from_refused,
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
from bidbeacon_pipelines.requests.policy import LifecyclePolicy
from bidbeacon_pipelines.requests.queries import (
    LockLostError,
    Request,
    delete_plans,
    get_locked_request,
    keep_lock,
    list_ended_reports,
    lock_planning,
    lock_request,
    pass_over,
    put_off_request,
    unlock_request,
    update_request,
)
from bidbeacon_pipelines.requests.refusals import doubted, is_surely_served
from bidbeacon_pipelines.requests.report_parts import LOAD_ERRORS, failed_load, parts_on_disk
from bidbeacon_pipelines.requests.splitting import (
    is_refused_union,
    longest_period,
    products_to_request,
    shorter_period,
    should_split_by_product,
)
from bidbeacon_pipelines.requests.states import columns_of, reported, state_of, tries_before
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.product_states import (
    ProductState,
    WindowAfter,
    after_report,
    failed,
    product_name,
    states_before,
)
from bidbeacon_pipelines.windows.queries import (
    Window,
    attach_windows,
    is_needed,
    list_windows_of_request,
    release_windows,
)
from bidbeacon_pipelines.windows.rules import (
    RETRIED_FOR,
    again_after_failure,
    failing_since,
    local_date,
    missed_offsets,
    next_refresh_at,
)
from bidbeacon_sessions import Action, SessionClosedError, SessionRecorder

REST_AFTER_ERROR = timedelta(minutes=5)


def lifecycle_policy(settings: Settings, dataset: Dataset) -> LifecyclePolicy:
    """Return the retry policy of a dataset's reports, from the settings."""
    return LifecyclePolicy(
        first_poll_after=settings.first_poll_after(dataset.usual_latency),
        poll_every=settings.poll_every,
    )


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


class _Driver:
    """One locked request, with the windows of all countries that wait for it."""

    def __init__(
        self, context: JobContext, session: SessionRecorder, request: Request, *, loads: bool
    ) -> None:
        self._context = context
        self._loads = loads
        self._session = session
        self._request = request
        self._dataset = get_dataset(request.dataset)
        self._policy = lifecycle_policy(context.settings, self._dataset)
        self._state = state_of(request)
        self._report: Report | None = None
        self._refused = False
        with context.engine.begin() as connection:
            self._ads_account = get_ads_account_by_id(connection, request.account_id)
            countries = list_countries(connection, request.account_id)
            self._windows = list_windows_of_request(connection, request.id)
            has = find_ad_products(connection, request.account_id)
            self._ended = list_ended_reports(
                connection,
                request.account_id,
                request.dataset,
                request.ad_products,
                since=context.now() - RETRIED_FOR - timedelta(days=1),
            )
        self._products = products_to_request(self._dataset, has)
        self._countries = {account.account_key: account for account in countries}

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

    def _is_too_long(self, request: Request) -> bool:
        """Return whether a plan is longer than the limit learned since; it is planned again."""
        return _days(request) > self._longest_period(self._ads_account)

    def _is_too_old(self, connection: Connection, request: Request) -> bool:
        """Return whether a plan begins before its ad product is served, as learned since; it is planned again."""
        now = self._context.now()
        histories = list_histories(connection, self._ads_account.region, request.dataset, now=now)
        own = [histories[product] for product in request.ad_products if product in histories]
        back = days_back(request, now.date())
        return len(own) == len(request.ad_products) and all(
            back >= history.refused and not history.is_on_trial for history in own
        )

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

    def _again_after_failure(self, account: Account) -> Callable[[date, bool], datetime | None]:
        """Return the function that computes when a failed window of a country is due again, by its day and whether it has data."""
        now, zone, dataset = self._context.now(), account.time_zone, self._dataset

        def again(day: date, has_data: bool) -> datetime | None:  # noqa: FBT001 - as `LoadRules` calls it
            first = failing_since(dataset, day, zone, self._ended)
            return again_after_failure(
                dataset, day, zone, now, has_data=has_data, failing_since=first
            )

        return again

    def _retry(self, step: RetryLater) -> None:
        action = RequestRetried(
            **self._facts, attempt=self._state.attempts, reason=step.reason, retry_at=step.at
        )
        self._report = None
        self._store(transitions.retried(self._state, step), action)

    def _give_up(self, step: GiveUp) -> None:
        """End the request: its windows are due again at their next offset, or stay failed with the reason."""
        now = self._context.now()
        state = transitions.given_up(self._state, step)
        if (days := self._shorter_period(state)) is not None:
            self._split(state, step, days)
            return
        if self._may_come_by_product(state):
            self._split_by_product(state, step)
            return
        if (history := self._shorter_history(state)) is not None:
            self._learn_history(state, step, history)
            return
        code = state.failure.code if state.failure else None
        action = ReportFailed(
            **self._facts, report_id=self._state.report_id, code=code, reason=step.reason
        )
        with self._context.engine.begin() as connection:
            update_request(
                connection, self._request.id, self._session.session_id, **columns_of(state, now)
            )
            self._fail_windows(
                connection, self._windows, step.reason, self._due_again(state, step, now)
            )
            self._replan_released(connection)
            self._session.add_in(connection, action)
        self._state = state

    def _shorter_period(self, state: RequestState) -> int | None:
        """Return the new longest period in days, if the report was too large."""
        with self._context.engine.begin() as connection:
            ads_account = get_ads_account_by_id(connection, self._request.account_id)
        longest = self._longest_period(ads_account)
        return shorter_period(state.failure, days=_days(self._request), longest_days=longest)

    def _longest_period(self, ads_account: AdsAccount) -> int:
        return longest_period(
            self._dataset, ads_account.longest_periods, self._context.now().date()
        )

    def _split(self, state: RequestState, step: GiveUp, days: int) -> None:
        """End a request that was too large: its windows, of all countries, are due at once, in shorter periods, and this is remembered."""
        now = self._context.now()
        with self._context.engine.begin() as connection:
            lock_planning(connection, self._request.account_id)
            update_request(
                connection, self._request.id, self._session.session_id, **columns_of(state, now)
            )
            self._learn_longest_period(connection, days)
            self._release_to_split(connection, step.reason, now)
            self._session.add_in(
                connection, ReportSplit(**self._facts, reason=step.reason, days=days)
            )
        self._state = state

    def _may_come_by_product(self, state: RequestState) -> bool:
        """Return whether Amazon may make a report for each ad product, though not one for all."""
        products, days = self._request.ad_products, _days(self._request)
        return (
            is_refused_union(state.failure, products)
            or should_split_by_product(state.failure, days=days, ad_products=products)
            or (len(products) > 1 and self._is_doubtfully_old(state))
        )

    def _is_doubtfully_old(self, state: RequestState) -> bool:
        """Return whether Amazon calls days too old that it serves of Sponsored Products, and may not serve of others."""
        is_too_old = state.failure is not None and state.failure.kind is FailureKind.TOO_OLD
        back = days_back(self._request, self._context.now().date())
        is_served = is_surely_served(self._dataset, self._request.start_date, self._today)
        return is_too_old and is_served and back > SURELY_SERVED_DAYS

    def _shorter_history(self, state: RequestState) -> History | None:
        """Return how far back the report's ad product is served, where the refusal shows that this is less than was known."""
        now = self._context.now()
        can_be = can_be_short(self._request.ad_products, days_back(self._request, now.date()))
        if not can_be or not self._is_doubtfully_old(state):
            return None
        with self._context.engine.begin() as connection:
            return learn_from_refused(connection, self._ads_account.region, self._request, now)

    def _learn_history(self, state: RequestState, step: GiveUp, history: History) -> None:
        """End a request that began before its ad product is served: that is remembered for the region, and the other days are due at once."""
        now, product = self._context.now(), self._request.ad_products[0]
        with self._context.engine.begin() as connection:
            lock_planning(connection, self._request.account_id)
            update_request(
                connection, self._request.id, self._session.session_id, **columns_of(state, now)
            )
            set_history(
                connection,
                self._ads_account.region,
                self._dataset.name,
                product,
                history,
                at=now,
            )
            forget_plans(connection, self._request.account_id)
            self._release_to_split(connection, step.reason, now)
            facts = {
                "reason": step.reason,
                "ad_product": product_name(product),
                "days": history.refused,
            }
            self._session.add_in(connection, ProductHistoryLearned(**self._facts, **facts))
        self._state = state

    def _split_by_product(self, state: RequestState, step: GiveUp) -> None:
        """End a request of several ad products: its windows are due at once, with a report for each product.

        That is remembered: of refused fields for the region, of a size or of days that are called
        too old for the ads account.
        """
        now, dataset = self._context.now(), self._dataset.name
        with self._context.engine.begin() as connection:
            lock_planning(connection, self._request.account_id)
            update_request(
                connection, self._request.id, self._session.session_id, **columns_of(state, now)
            )
            if is_refused_union(state.failure, self._request.ad_products):
                split_report(connection, self._ads_account.region, dataset, step.reason)
            else:
                split_dataset(connection, self._request.account_id, dataset)
            forget_plans(connection, self._request.account_id)
            self._release_to_split(connection, step.reason, now)
            products = ", ".join(map(product_name, self._request.ad_products))
            action = ReportSplitByProduct(**self._facts, reason=step.reason, ad_products=products)
            self._session.add_in(connection, action)
        self._state = state

    def _release_to_split(self, connection: Connection, reason: str, now: datetime) -> None:
        """Release all windows: due and manually requested ones stay so.

        Windows that were only bridged need no report and stay loaded.
        """
        after = {}
        for key, windows in self._windows.items():
            for window in windows:
                due = min(window.next_refresh_at or now, now)
                needed = replace(
                    window.state, status="failed", next_refresh_at=due, failure_reason=reason
                )
                place = self._countries[key].country_code, window.window_date
                after[place] = WindowAfter(
                    state=needed
                    if _needs_report(window, now)
                    else replace(window.state, status="loaded"),
                    products_due=tuple(window.products_due) if window.products_due else None,
                    product_states=window.states,
                    is_still_wanted=window.wanted_by is not None,
                )
        release_windows(connection, self._request.id, after)

    def _fail_windows(
        self,
        connection: Connection,
        released: Mapping[str, Sequence[Window]],
        reason: str,
        due_again: Callable[[str, Window, ProductState], datetime | None],
    ) -> None:
        """End the wait of windows whose report gave no data: its ad products have failed, the others are as before."""
        after, now = {}, self._context.now()
        reported, products = self._request.ad_products, self._products
        for key, windows in released.items():
            for window in windows:
                before = states_before(window.states, window.state, products, reported)
                own = before[reported[0]]
                outcome = failed(own, reason, due_again(key, window, own))
                wanted = () if window.wanted_by is None else window.products_due or products
                place = self._countries[key].country_code, window.window_date
                after[place] = after_report(before, reported, outcome, now, wanted=wanted)
        release_windows(connection, self._request.id, after)

    def _learn_longest_period(self, connection: Connection, days: int) -> None:
        """Store how many days a report may span, unless fewer are known; plan due windows again.

        The caller has locked planning.
        """
        account_id, today = self._request.account_id, self._context.now().date()
        if days < self._longest_period(get_ads_account_by_id(connection, account_id)):
            set_longest_period(connection, account_id, self._dataset.name, days, since=today)
        forget_plans(connection, account_id)

    def _replan_released(self, connection: Connection) -> None:
        """Plan windows that were released in this transaction and fell due while they waited for the report."""
        lock_planning(connection, self._request.account_id)
        replan_released(connection, self._request.account_id, self._request.id)

    def _due_again(
        self, state: RequestState, step: GiveUp, now: datetime
    ) -> Callable[[str, Window, ProductState], datetime | None]:
        """Return the function that computes when a window is due again after its request has ended."""
        is_too_old = state.failure is not None and state.failure.kind is FailureKind.TOO_OLD

        def due_again(key: str, window: Window, own: ProductState) -> datetime | None:
            # Where a person is needed nothing is asked until somebody acted, and then all of it at
            # once.
            if step.needs_person:
                return now
            soon = self._soon_after_refusal(window, now) if is_too_old else None
            again = self._again_after_failure(self._countries[key])
            return soon or again(window.window_date, own.data_as_of is not None)

        return due_again

    def _soon_after_refusal(self, window: Window, now: datetime) -> datetime | None:
        """Return when a window is asked for again, sooner than usual, since its report was refused as too old: a report without its oldest days may be accepted."""
        request = self._request
        is_at_edge = not is_surely_served(self._dataset, request.start_date, self._today)
        can_be = can_be_short(request.ad_products, days_back(request, now.date()))
        if not (is_at_edge or can_be) or not _needs_report(window, now):
            return None
        return soon_after_refusal(
            window.window_date, request.start_date, now, is_at_edge=is_at_edge
        )

    def _store(
        self,
        state: RequestState,
        action: Action | None = None,
        answer: transitions.Answer | None = None,
    ) -> None:
        """Store a state, its action, and the effect of a create on the gate, in one transaction."""
        with self._context.engine.begin() as connection:
            update_request(
                connection,
                self._request.id,
                self._session.session_id,
                **columns_of(state, self._context.now()),
            )
            if action is not None:
                self._session.add_in(connection, action)
            if answer is not None:
                note_answer(
                    connection,
                    self._session,
                    self._ads_account,
                    answer,
                    self._context.now(),
                    late_after=self._context.settings.late_after,
                )
        self._state = state

    def _answered(self, answer: transitions.Answer) -> RequestState:
        return transitions.answered(self._state, answer, self._context.now(), self._policy)

    def _retrieve(self) -> Report:
        assert self._state.report_id is not None, "decided only with a report id"  # noqa: S101 - for the type checker
        self._report = poll_report(self._context, self._ads_account, self._state.report_id)
        self._note_answered()
        return self._report

    @property
    def _today(self) -> date:
        """The latest local date in the countries that wait for it."""
        keys = self._windows or self._countries
        return max(local_date(self._context.now(), self._countries[key].time_zone) for key in keys)

    @property
    def _facts(self) -> dict[str, Any]:
        days = {key: [w.window_date for w in windows] for key, windows in self._windows.items()}
        is_one = len(days) == 1
        return {
            "account": next(iter(days)) if is_one else self._ads_account.ads_account_key,
            "accounts": {} if is_one else days,
            "dataset": self._dataset.name,
            "windows": sorted({day for alike in days.values() for day in alike}),
            "request_id": self._request.id,
        }

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


def _needs_report(window: Window, now: datetime) -> bool:
    """Return whether a window is due, requested manually, or without data; others are only bridged."""
    is_due = window.next_refresh_at is not None and window.next_refresh_at <= now
    return is_due or window.wanted_by is not None or window.data_as_of is None


def _days(request: Request) -> int:
    """Return how many days a request covers."""
    return (request.end_date - request.start_date).days + 1
