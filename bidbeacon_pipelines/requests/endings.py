"""What the end of a request without its report means for its windows: which days are requested again, and when the others are due."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import change_ads_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import ReportFailed, ReportSplit, WindowsNotServed
from bidbeacon_pipelines.causes import Cause, cause, with_detail
from bidbeacon_pipelines.requests.learning import request_part
from bidbeacon_pipelines.requests.locked import LockedRequest
from bidbeacon_pipelines.requests.not_served_queries import (
    end_refused_windows,
    is_younger_day_refused,
)
from bidbeacon_pipelines.requests.queries import lock_planning, update_request
from bidbeacon_pipelines.requests.refusals import (
    Days,
    halves,
    is_too_large,
    should_be_apart,
)
from bidbeacon_pipelines.requests.rules import FailureKind, GiveUp
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.contracts import read_contract
from bidbeacon_pipelines.windows.due import replan_released
from bidbeacon_pipelines.windows.queries import forget_windows_through, release_windows
from bidbeacon_pipelines.windows.rules import (
    again_after_failure,
    awaits_decision,
    failed,
    failing_since,
    is_final,
    is_unproven,
    needs_report,
    put_back,
)
from bidbeacon_pipelines.windows.tables import ReportWindow


class EndingRequest(LockedRequest):
    """A locked request that ends without its report."""

    def _give_up(self, step: GiveUp) -> None:
        """End the request: its windows have failed with the cause, and are due again at their next offset.

        Those of a stopped account have not failed: `window_states` says that it is stopped.
        """
        step = self._with_advice(step)
        after = self._after(step)
        if parts := self._parts(step):
            self._split(after, step, parts)
            return
        action = ReportFailed(**self._facts, report_id=after.report_id, cause=step.cause)
        with self._context.engine.begin() as connection:
            update_request(connection, self._request, after, self._session.session_id)
            if step.needs_attention:
                self._put_back(connection, self._windows)
            else:
                self._fail_windows(connection, after, step.cause)
            self._replan_released(connection)
            if step.failure.kind is FailureKind.TOO_OLD:
                self._end_refused(connection, step.cause)
            self._session.add_in(connection, action)
        self._request = after

    def _with_advice(self, step: GiveUp) -> GiveUp:
        """Return the step with the command that requests the ad products apart, where that may help."""
        request, failure = self._request, step.failure
        if not should_be_apart(failure, request.asked.ad_products, days=request.days):
            return step
        with self._context.engine.begin() as connection:
            reports = read_contract(connection, request.account_id).all_reports(self._dataset)
        names = (report.name for report in reports)
        grouping = ",".join(n.replace("+", ",") if n == request.report else n for n in names)
        change = f"{self._ads_account.region} {self._dataset.name} grouping {grouping}"
        command = f"bidbeacon contract set {change}"
        return GiveUp(replace(failure, cause=with_detail(step.cause, command=command)))

    def _parts(self, step: GiveUp) -> list[Days]:
        """Return the days to request again in shorter reports.

        Of those that Amazon calls too old these are the younger half: the older one waits for it.
        """
        request = self._request
        with self._context.engine.begin() as connection:
            longest = self._known(connection).longest_period_days
            waits = is_younger_day_refused(connection, request)
        shorter = halves(request.start_date, request.end_date)
        parts = [part for half in shorter if (part := self._needed(half)) is not None]
        if is_too_large(step.failure, days=request.days, longest_days=longest):
            return parts
        return parts[:1] if step.failure.kind is FailureKind.TOO_OLD and not waits else []

    def _needed(self, part: Days) -> Days | None:
        """Return the first and last day of a part that need a report; None where none does."""
        now, (first, last) = self._context.now(), part
        days = [
            window.window_date
            for windows in self._windows.values()
            for window in windows
            if first <= window.window_date <= last and needs_report(window, now)
        ]
        return (min(days), max(days)) if days else None

    def _split(self, after: ReportRequest, step: GiveUp, parts: Sequence[Days]) -> None:
        """End a request of which fewer days are requested again: the windows of those days, of all countries, are due at once."""
        now, request = self._context.now(), self._request
        by_hand = request.by_hand and step.failure.kind is not FailureKind.TOO_OLD
        with self._context.engine.begin() as connection:
            lock_planning(connection, request.account_id)
            update_request(connection, request, after, self._session.session_id)
            for part in parts:
                request_part(connection, self._session, request, part, now, by_hand=by_hand)
            self._release_to_split(connection, after, step.cause, parts, now)
            split = ReportSplit(**self._facts, cause=step.cause, reports=len(parts))
            self._session.add_in(connection, split)
            self._replan_released(connection)
        self._request = after

    def _release_to_split(
        self,
        connection: Connection,
        after: ReportRequest,
        cause: Cause,
        parts: Sequence[Days],
        now: datetime,
    ) -> None:
        """Release all windows: those of days that are requested again stay due and wanted, the others have failed."""
        again: list[ReportWindow] = []
        given_up: list[ReportWindow] = []
        for key, windows in self._windows.items():
            fail = self._fail(self._countries[key])
            for window in windows:
                if awaits_decision(window) or not needs_report(window, now):
                    again.append(fail(window, cause))
                elif any(first <= window.window_date <= last for first, last in parts):
                    due = min(window.next_refresh_at or now, now)
                    again.append(failed(window, cause, due))
                else:
                    given_up.append(fail(window, cause))
        since = after.first_failed_at
        release_windows(connection, after.id, again, failing_since=since, keep_wanted=True)
        release_windows(connection, after.id, given_up, failing_since=since)

    def _fail_windows(self, connection: Connection, after: ReportRequest, cause: Cause) -> None:
        """End the wait of all windows, whose report gave no data."""
        ended = []
        for key, windows in self._windows.items():
            fail = self._fail(self._countries[key])
            ended += [fail(window, cause) for window in windows]
        release_windows(connection, after.id, ended, failing_since=after.first_failed_at)

    def _end_refused(self, connection: Connection, why: Cause) -> None:
        """End the days that Amazon has refused as too old for long enough; older ones may be due then."""
        ended_for = cause("not-served", detail=why.get("detail"))
        ended = end_refused_windows(connection, self._request, ended_for, self._context.now())
        for key, days in ended.items():
            facts = {"account": key, "dataset": self._dataset.name, "windows": days}
            self._session.add_in(connection, WindowsNotServed(**facts, cause=ended_for))
        if ended:
            change_ads_account(connection, self._request.account_id, planned_at=None)

    def _put_back(
        self, connection: Connection, released: Mapping[str, Sequence[ReportWindow]]
    ) -> None:
        """End the wait of windows of stopped accounts: they are due when these go on, all at once."""
        now = self._context.now()
        ended = [put_back(window, now) for windows in released.values() for window in windows]
        release_windows(connection, self._request.id, ended)

    def _replan_released(self, connection: Connection) -> None:
        """Plan windows that were released in this transaction and fell due while they waited for the report.

        Those of a report that is not requested any more are made again in the new grouping.
        """
        account_id, dataset = self._request.account_id, self._dataset
        lock_planning(connection, account_id)
        replan_released(connection, account_id, self._request.id)
        reports = read_contract(connection, account_id).reports(dataset)
        if self._request.report not in {report.name for report in reports}:
            forget_windows_through(connection, account_id=account_id, dataset=dataset.name)

    def _fail(self, account: Account) -> Callable[[ReportWindow, Cause], ReportWindow]:
        """Return the function that returns windows of a country as they are after a report that failed or was refused.

        Windows that were only bridged need no report, and stay loaded; so do those that a person
        has to decide about. Final data stays final, and what was loaded and is not served stays so.
        """
        now, zone, dataset = self._context.now(), account.time_zone, self._dataset

        def fail(window: ReportWindow, cause: Cause) -> ReportWindow:
            if is_unproven(window):
                return put_back(window, None)
            if awaits_decision(window):
                return window.with_changes(status="loaded")
            if not needs_report(window, now):
                return window.with_changes(status="loaded", cause=None)
            if is_final(dataset, window, zone, now):
                return failed(window, cause, None)
            day, has_data = window.window_date, window.data_as_of is not None
            first = failing_since(dataset, day, zone, self._ended)
            at = again_after_failure(
                dataset, day, zone, now, has_data=has_data, failing_since=first
            )
            return failed(window, cause, at)

        return fail
