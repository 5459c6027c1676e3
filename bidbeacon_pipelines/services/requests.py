"""Drives one report request: decides the next step, takes it, stores what came of it, until it has to wait or has ended.

Each state is stored before its step is taken, under the request's claim. A process may die at any point: the next one finds the
state, decides again, and goes on.
"""

from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path
from typing import Any

from bidbeacon_pipelines.actions import (
    ReportAdopted,
    ReportFailed,
    ReportPending,
    ReportRequested,
    ReportSplit,
    RequestRetried,
    SkipReason,
    WindowSkipped,
)
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, AuthError, NotFound, Rejected
from bidbeacon_pipelines.amazon_ads.ledger import Tries
from bidbeacon_pipelines.amazon_ads.reports import Report, ReportStatus
from bidbeacon_pipelines.ingest.load import LoadRules, load_report
from bidbeacon_pipelines.ingest.targets import TargetIndex
from bidbeacon_pipelines.reports import transitions
from bidbeacon_pipelines.reports.datasets import Dataset, get_dataset
from bidbeacon_pipelines.reports.lifecycle import (
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
from bidbeacon_pipelines.reports.policy import LifecyclePolicy
from bidbeacon_pipelines.reports.refusals import doubted
from bidbeacon_pipelines.reports.splitting import shorter_period
from bidbeacon_pipelines.reports.windows import again_after_failure, next_refresh_at
from bidbeacon_pipelines.services.asking import (
    ask_for_report,
    count_rest,
    failure_of,
    look_at_report,
    not_before,
)
from bidbeacon_pipelines.services.load_actions import LoadFacts, told_of_load
from bidbeacon_pipelines.services.people import is_credential_error, note_refusal
from bidbeacon_pipelines.services.report_parts import LOAD_ERRORS, failed_load, parts_on_disk
from bidbeacon_pipelines.services.request_states import columns_of, reported, state_of, tries_before
from bidbeacon_pipelines.services.workbench import Workbench
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.store.accounts import Account, forget_refusals, get_account
from bidbeacon_pipelines.store.entities import list_targets
from bidbeacon_pipelines.store.learned import list_longest_periods, set_longest_period
from bidbeacon_pipelines.store.locks import LockTakenError
from bidbeacon_pipelines.store.performance import Scope, lock_rows
from bidbeacon_pipelines.store.requests import (
    Request,
    claim_request,
    hold_claim,
    release_claim,
    update_request,
)
from bidbeacon_pipelines.store.windows import fail_windows, list_windows_of_request
from bidbeacon_sessions import Action, SessionRecorder


def lifecycle_policy(settings: Settings, dataset: Dataset) -> LifecyclePolicy:
    """Give how patient to be with a dataset's reports, as the settings say."""
    return LifecyclePolicy(
        first_poll_after=settings.first_poll_after(dataset.usual_latency), poll_every=settings.poll_every
    )


def drive_request(bench: Workbench, session: SessionRecorder, request_id: int) -> RequestStatus | None:
    """Take every step of a request that can be taken now.

    Returns:
        Where the request is then; None where it had ended, or another living session works on it.

    Raises:
        ClaimLostError: the claim was lost meanwhile; nothing half-done stays.
    """
    with bench.engine.begin() as connection:
        request = claim_request(connection, request_id, session.session_id)
        if request is None:
            return None
        account = get_account(connection, request.account_key)
    driver = _Driver(bench, session, account, request)
    try:
        return driver.run()
    finally:
        with bench.engine.begin() as connection:
            release_claim(connection, request_id, session.session_id)


class _Driver:
    """One request while its claim is held."""

    def __init__(
        self, bench: Workbench, session: SessionRecorder, account: Account, request: Request
    ) -> None:
        self._bench = bench
        self._session = session
        self._account = account
        self._request = request
        self._dataset = get_dataset(request.dataset)
        self._policy = lifecycle_policy(bench.settings, self._dataset)
        self._state = state_of(request)
        self._report: Report | None = None
        self._refused = False
        with bench.engine.begin() as connection:
            self._windows = list_windows_of_request(connection, request.id)

    def run(self) -> RequestStatus:
        """Decide and act until a step says to stop."""
        while self._take(self._decide()):
            pass
        return self._state.status

    def _decide(self) -> Step:
        """Decide what to do; nothing is asked for an account that is stopped, and its request leaves its slot to the other countries."""
        account, reason = self._account, self._account.reason_to_skip
        if reason is None or self._state.status in {RequestStatus.LOADED, RequestStatus.FAILED}:
            return decide(self._state, self._bench.now(), self._policy)
        if account.is_disabled:
            return GiveUp(reason, needs_person=True, kind=FailureKind.ACCOUNT_DISABLED)
        if account.needs_person_for == "credentials":
            return Nothing(reason)
        return GiveUp(reason, needs_person=True, kind=FailureKind.NOT_AUTHORIZED)

    def _take(self, step: Step) -> bool:
        """Take a step; give False where nothing more can be done now."""
        match step:
            case Wait() | LookFor() | Nothing():
                return False
            case Send():
                self._send()
            case Poll():
                self._poll()
            case Load():
                self._load()
            case RetryLater():
                self._retry(step)
            case GiveUp():
                self._give_up(step)
        return True

    def _send(self) -> None:
        """Store that a report is being asked for, then ask: a process that dies in between has counted the attempt."""
        before, tries = self._state.failure, tries_before(self._state)
        self._store(transitions.sending(self._state, self._bench.now(), self._policy))
        answer = self._ask(before, tries)
        match answer:
            case transitions.Reported(report_id=report_id, adopted=True):
                action: Action | None = ReportAdopted(**self._facts, report_id=report_id)
            case transitions.Reported(report_id=report_id):
                action = ReportRequested(
                    **self._facts, report_id=report_id, attempt=self._state.attempts, bridged=self._bridged()
                )
            case transitions.NoAnswer(reason=reason) | transitions.HeldBack(reason=reason):
                after = self._answered(answer).next_step_at or self._bench.now()
                count_rest(self._bench, answer, after)
                action = RequestRetried(
                    **self._facts, attempt=self._state.attempts, reason=reason, retry_at=after
                )
            case _:
                action = None  # the failure is told by the step that follows from it
        self._store(self._answered(answer), action)

    def _ask(self, before: Failure | None, tries: Tries) -> transitions.Answer:
        """Ask Amazon for the report; give what came of it."""
        try:
            answer = ask_for_report(self._bench, self._account, self._request, before=before, tries=tries)
        except AuthError as error:
            failure = doubted(failure_of(self._bench, error))
            return self._unauthorized(error, transitions.Refused(failure))
        if isinstance(answer, transitions.Reported):
            self._note_answered()
        return answer

    def _unauthorized(self, error: AuthError, unconfirmed: transitions.Answer) -> transitions.Answer:
        """Count a refusal of the account, or stop asking for all of them where our credentials are refused; give what it means.

        Refused credentials say nothing about a report: it rests as it is until a person has renewed them.
        """
        self._refused = True
        with self._bench.engine.begin() as connection:
            stops = note_refusal(connection, self._session, self._account, error)
        if is_credential_error(error):
            return transitions.NoToken(self._bench.now(), str(error))
        return transitions.Refused(failure_of(self._bench, error)) if stops else unconfirmed

    def _note_answered(self) -> None:
        """Forget earlier refusals of the account: Amazon answers for it."""
        if self._refused or self._account.refusals:
            with self._bench.engine.begin() as connection:
                forget_refusals(connection, self._account)

    def _poll(self) -> None:
        try:
            report = self._retrieve()
        except NotFound as error:
            self._store(
                self._answered(transitions.Refused(Failure(FailureKind.NOT_FOUND, str(error), error.code)))
            )
        except AuthError as error:
            self._poll_refused(error)
        except AdsApiError as error:
            word = "not to be seen" if isinstance(error, Rejected) else "not to be reached"
            self._pend(transitions.NoAnswer(not_before(self._bench, error), str(error)), word, error.reason)
        else:
            answer = reported(report)
            if report.is_terminal:
                self._store(self._answered(answer))
            else:
                self._pend(answer, report.raw_status)

    def _poll_refused(self, error: AuthError) -> None:
        unconfirmed = transitions.NoAnswer(not_before(self._bench, error), str(error))
        answer = self._unauthorized(error, unconfirmed)
        if answer is unconfirmed:
            self._pend(answer, "not to be seen", error.reason)
        else:
            self._store(self._answered(answer))  # why is told already, or by the step that follows

    def _pend(self, answer: transitions.Answer, amazon_status: str, reason: str | None = None) -> None:
        state = self._answered(answer)
        now = self._bench.now()
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
        except LOAD_ERRORS as error:
            self._load_failed(failed_load(error))

    def _load_failed(self, answer: transitions.Answer) -> None:
        self._report = None  # the next try looks at it again, if only for fresh urls
        state, action = self._answered(answer), None
        if isinstance(answer, transitions.LoadFailed):
            action = RequestRetried(
                **self._facts,
                attempt=self._state.loads,
                reason=answer.reason,
                retry_at=state.next_step_at or self._bench.now(),
            )
        self._store(state, action)

    def _put_off(self, error: LockTakenError) -> None:
        """Leave the load to a later look, as another job works on the account's rows; that is no failed try."""
        facts = {key: value for key, value in self._facts.items() if key != "request_id"}
        action = WindowSkipped(**facts, reason=SkipReason.WORKED_ON_ELSEWHERE, detail=str(error))
        later = self._bench.now() + self._policy.poll_every
        self._store(self._answered(transitions.RowsLocked(later)), action)

    def _download(self, report: Report) -> AbstractContextManager[list[Path]]:
        return parts_on_disk(
            self._bench,
            report,
            name=f"request-{self._request.id}",
            region=self._account.region,
            account_id=self._request.account_id,
            retrieve=self._retrieve,
        )

    def _load_parts(self, report: Report, parts: list[Path]) -> None:
        """Load, and record what was loaded, in one transaction that only the holder of the claim can commit."""
        started = self._bench.now()
        scope = Scope(
            self._account, self._dataset.name, self._request.id, self._state.sent_at or self._state.created_at
        )
        state = self._answered(transitions.Loaded())
        with self._bench.engine.begin() as connection:
            hold_claim(connection, self._request.id, self._session.session_id)
            lock_rows(
                connection, self._account
            )  # before targets are read: a sync resolves before or after us
            index = TargetIndex(list_targets(connection, self._account))
            result = load_report(
                connection,
                scope,
                self._dataset,
                self._windows,
                parts,
                targets=index,
                rules=self._rules(scope.data_as_of),
            )
            size = sum(part.stat().st_size for part in parts)
            seconds = (self._bench.now() - started).total_seconds()
            currency = self._account.currency_code
            facts = LoadFacts(self._facts, report.report_id, currency, len(parts), size, seconds)
            for action in told_of_load(result, facts):
                self._session.add_in(connection, action)
            columns = {"part_count": len(parts), "byte_count": size, "row_count": result.rows}
            update_request(
                connection,
                self._request.id,
                self._session.session_id,
                **columns_of(state, started),
                **columns,
            )
        self._state = state

    def _rules(self, data_as_of: datetime) -> LoadRules:
        zone, now = self._account.time_zone, self._bench.now()
        return LoadRules(
            bad_row_share=self._bench.settings.bad_row_share,
            held_again_at=lambda held: now + self._policy.held_pause(held),
            next_refresh_at=lambda day: next_refresh_at(self._dataset, day, zone, data_as_of),
            refused_again_at=self._again_after_failure,
        )

    def _again_after_failure(self, day: date) -> datetime | None:
        window = next(window for window in self._windows if window.window_date == day)
        has_data = window.last_loaded_at is not None
        zone = self._account.time_zone
        return again_after_failure(self._dataset, day, zone, self._bench.now(), has_data=has_data)

    def _retry(self, step: RetryLater) -> None:
        action = RequestRetried(
            **self._facts, attempt=self._state.attempts, reason=step.reason, retry_at=step.at
        )
        self._report = None
        self._store(transitions.retried(self._state, step), action)

    def _give_up(self, step: GiveUp) -> None:
        """End the request: its windows are due again at their next offset, or stay failed with the reason."""
        now = self._bench.now()
        state = transitions.given_up(self._state, step)
        if (days := self._shorter_period(state)) is not None:
            self._split(state, step, days)
            return
        code = state.failure.code if state.failure else None
        action = ReportFailed(**self._facts, report_id=self._state.report_id, code=code, reason=step.reason)
        with self._bench.engine.begin() as connection:
            update_request(connection, self._request.id, self._session.session_id, **columns_of(state, now))
            again = self._due_again(state, step, now)
            fail_windows(connection, self._request.id, reason=step.reason, next_refresh_at=again)
            self._session.add_in(connection, action)
        self._state = state

    def _shorter_period(self, state: RequestState) -> int | None:
        """Return the most days to ask for at a time from now on, where the report was too large."""
        with self._bench.engine.begin() as connection:
            learned = list_longest_periods(connection, self._request.account_id)
        days = (self._request.end_date - self._request.start_date).days + 1
        longest = learned.get(self._dataset.name, self._dataset.longest_period_days)
        return shorter_period(state.failure, days=days, longest_days=longest)

    def _split(self, state: RequestState, step: GiveUp, days: int) -> None:
        """End a request that was too large: its windows are due at once, in shorter periods, and this is remembered."""
        now = self._bench.now()
        with self._bench.engine.begin() as connection:
            update_request(connection, self._request.id, self._session.session_id, **columns_of(state, now))
            set_longest_period(connection, self._request.account_id, self._dataset.name, days)
            again: dict[date, datetime | None] = dict.fromkeys(self._facts["windows"], now)
            fail_windows(
                connection, self._request.id, reason=step.reason, next_refresh_at=again, stays_wanted=True
            )
            self._session.add_in(connection, ReportSplit(**self._facts, reason=step.reason, days=days))
        self._state = state

    def _due_again(self, state: RequestState, step: GiveUp, now: datetime) -> dict[date, datetime | None]:
        """Say when the windows of a request that ended are due again."""
        days = self._facts["windows"]
        if step.needs_person:  # nothing is asked until somebody acted, and then all of it at once
            return dict.fromkeys(days, now)
        again = {day: self._again_after_failure(day) for day in days}
        if state.failure is not None and state.failure.kind is FailureKind.TOO_OLD:
            again[self._request.start_date] = (
                None  # the oldest day is surely one that Amazon no longer serves
            )
        return again

    def _store(self, state: RequestState, action: Action | None = None) -> None:
        """Store a state, and the action that tells of it, in one transaction."""
        with self._bench.engine.begin() as connection:
            update_request(
                connection,
                self._request.id,
                self._session.session_id,
                **columns_of(state, self._bench.now()),
            )
            if action is not None:
                self._session.add_in(connection, action)
        self._state = state

    def _answered(self, answer: transitions.Answer) -> RequestState:
        return transitions.answered(self._state, answer, self._bench.now(), self._policy)

    def _retrieve(self) -> Report:
        assert self._state.report_id is not None, "decided only with a report id"  # noqa: S101 - for the type checker
        self._report = look_at_report(self._bench, self._account, self._state.report_id)
        self._note_answered()
        return self._report

    @property
    def _facts(self) -> dict[str, Any]:
        return {
            "account": self._account.account_key,
            "dataset": self._dataset.name,
            "windows": [window.window_date for window in self._windows],
            "request_id": self._request.id,
        }

    def _bridged(self) -> int:
        now = self._bench.now()
        due = [w for w in self._windows if w.next_refresh_at is not None and w.next_refresh_at <= now]
        return 0 if self._request.by_hand else len(self._windows) - len(due)
