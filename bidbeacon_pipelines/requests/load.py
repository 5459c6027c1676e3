"""Loads the completed report of a request into the windows that wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.pause import note_refusal
from bidbeacon_pipelines.accounts.queries import change_ads_account, lock_rows
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import (
    RequestRetried,
    SkipReason,
    WindowSkipped,
    WindowsReopened,
)
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, Owner
from bidbeacon_pipelines.amazon_ads.downloads import download_report
from bidbeacon_pipelines.amazon_ads.errors import AuthError, CredentialRefused
from bidbeacon_pipelines.amazon_ads.reports import Report, ReportStatus, retrieve_report
from bidbeacon_pipelines.database.locks import LockTakenError
from bidbeacon_pipelines.datasets.partitions import ensure_partitions
from bidbeacon_pipelines.loading.load import LoadRules, Waiting, load_report
from bidbeacon_pipelines.loading.load_actions import LoadFacts, actions_of_load
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_pipelines.requests.endings import EndingRequest
from bidbeacon_pipelines.requests.learning import learn_from_part
from bidbeacon_pipelines.requests.not_served_queries import reopen_windows
from bidbeacon_pipelines.requests.queries import (
    keep_lock,
    update_request,
)
from bidbeacon_pipelines.requests.results import (
    LOAD_ERRORS,
    failure_from,
    of_failed_load,
    of_report,
)
from bidbeacon_pipelines.requests.rules import (
    Load,
    Loaded,
    NoAnswer,
    NotMade,
    Result,
    suspicious_pause,
)
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.rules import is_final, is_unproven, next_refresh_at
from bidbeacon_sessions import Action


class LoadableRequest(EndingRequest):
    """A locked request whose report can be retrieved from Amazon, and loaded once it is complete."""

    _report: Report | None = None
    _refused = False

    @property
    def _client(self) -> AdsApiClient:
        return self._context.client_for(self._ads_account.credential)

    def _load(self) -> None:
        self._store(self._after(Load()))
        later = self._context.now() + self._polling.every
        try:
            report = self._report or self._retrieve()
            if report.status is ReportStatus.COMPLETED:
                with self._downloaded(report) as parts:
                    self._load_parts(report, parts)
                return
            self._store(self._after(of_report(report)))
        except LockTakenError as error:
            self._put_off(error, later)
        except AuthError as error:
            self._load_failed(self._unauthorized(error, NoAnswer(error.failure_cause)))
        except LOAD_ERRORS as error:
            self._load_failed(of_failed_load(error, self._context.now(), later))

    def _load_failed(self, result: Result) -> None:
        self._report = None  # the next attempt retrieves it again, at least for fresh urls
        after = self._after(result)
        is_retried = after.failure_kind is None  # otherwise the following step records the failure
        action = self._retried(result, after, self._request.loads) if is_retried else None
        self._store(after, action)

    def _put_off(self, error: LockTakenError, until: datetime) -> None:
        """Put off the load, since another job is working on the account's rows; that is not a failed attempt."""
        facts = {key: self._facts[key] for key in ("account", "dataset", "windows")}
        action = WindowSkipped(**facts, reason=SkipReason.WORKED_ON_ELSEWHERE, detail=str(error))
        self._store(self._after(NotMade(until)), action)

    @contextmanager
    def _downloaded(self, report: Report) -> Iterator[list[Path]]:
        """Yield all parts of a completed report on disk, in its order; remove them afterwards."""
        owner = Owner(self._ads_account.region, self._request.account_id)
        with self._context.download_folder(f"request-{self._request.id}") as folder:
            yield download_report(self._client, report, folder, owner, retrieve=self._retrieve)

    def _load_parts(self, report: Report, parts: list[Path]) -> None:
        """Load the windows of all countries, and record what was loaded, in one transaction that only the session with the lock can commit."""
        started = self._context.now()
        if not self._windows:  # nothing waits for it any more
            self._store(self._after(Loaded()))
            return
        ensure_partitions(
            self._context.engine, self._dataset, self._request.start_date, self._request.end_date
        )
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
            rows = sum(result.rows for result in results.values())
            after = self._after(Loaded(len(parts), size, rows))
            update_request(connection, self._request, after, self._session.session_id)
            learn_from_part(connection, self._session, self._ads_account, self._request, started)
            self._reopen(connection, started)
        self._windows.clear()
        self._request = after

    def _reopen(self, connection: Connection, now: datetime) -> None:
        """Have days requested that wait for one that Amazon had refused as too old, if that has come."""
        waiting = [window for windows in self._windows.values() for window in windows]
        ended = [one for one in waiting if one.refused_alone_at or one.not_served_since]
        refused = [one for one in ended if not is_unproven(one)]
        if not refused:
            return
        change_ads_account(connection, self._request.account_id, planned_at=None)
        for key, days in reopen_windows(connection, self._request, refused, now).items():
            facts = {"account": key, "dataset": self._dataset.name, "windows": days}
            self._session.add_in(connection, WindowsReopened(**facts))

    @property
    def _scope(self) -> ReportScope:
        return ReportScope(
            self._request.asked,
            self._request.id,
            self._request.sent_at or self._request.created_at,
            (self._request.start_date, self._request.end_date),
            self._session.session_id,
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
            suspicious_again_at=lambda count: now + suspicious_pause(count),
            next_refresh_at=lambda day: next_refresh_at(self._dataset, day, zone, data_as_of),
            is_final=lambda window: is_final(self._dataset, window, zone, now),
            refused=self._fail(account),
        )

    def _retrieve(self) -> Report:
        account, report_id = self._ads_account, self._request.report_id or ""
        self._report = retrieve_report(
            self._client, account.region, report_id, account_id=account.account_id
        )
        self._note_answered()
        return self._report

    def _unauthorized(self, error: AuthError, unconfirmed: Result) -> Result:
        """Count a refusal of the ads account, or stop all of its credential's if that is refused; return what it means for the request.

        After a refused credential, a request rests until it is renewed.
        """
        self._refused = True
        with self._context.engine.begin() as connection:
            stops = note_refusal(connection, self._session, self._ads_account, error)
        if isinstance(error, CredentialRefused):
            return NotMade(self._context.now())
        return failure_from(error, self._context.now()) if stops else unconfirmed

    def _note_answered(self) -> None:
        """Reset the count of refusals of the ads account, since Amazon answers for it."""
        if self._refused or self._ads_account.refusals:
            with self._context.engine.begin() as connection:
                change_ads_account(connection, self._request.account_id, refusals=0)

    def _retried(self, result: Result, after: ReportRequest, attempt: int) -> Action | None:
        """Return the action with the cause why a step is taken again; None where another one says it."""
        if not isinstance(result, NoAnswer | NotMade) or result.cause is None:
            return None
        at = after.next_step_at or self._context.now()
        again = {"attempt": attempt, "cause": result.cause, "retry_at": at}
        return RequestRetried(**self._facts, **again)
