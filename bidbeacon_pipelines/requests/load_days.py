"""Loads days by hand, whether or not they are due, within a time limit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.accounts.rules import AccountStoppedError
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import LoadRequested, SkipReason, WaitGivenUp, WindowSkipped
from bidbeacon_pipelines.causes import Cause, cause, explain, group_by_cause, without_detail
from bidbeacon_pipelines.contract.queries import read_contract
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.dispatch import LONGEST_WAIT_IN_A_RUN, step_requests
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.requests.gate import find_gate
from bidbeacon_pipelines.requests.outlook import limit_of
from bidbeacon_pipelines.requests.plan import plan_wanted, skip_stopped
from bidbeacon_pipelines.requests.queries import get_request, insert_load_by_hand
from bidbeacon_pipelines.windows.make import make_dataset_windows
from bidbeacon_pipelines.windows.queries import list_windows
from bidbeacon_pipelines.windows.rules import is_unproven, local_date, oldest_of
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_pipelines.windows.wanted_queries import claim_windows, give_up_claims, want_windows
from bidbeacon_sessions import SessionRecorder
from bidbeacon_sessions.errors import ExpectedError
from bidbeacon_sessions.sentences import format_duration, without_stop

_MOST_REASONS, _MOST_DAYS = 5, 3


class WindowNotLoadedError(ExpectedError):
    """Some of the requested days could not be loaded.

    Attributes:
        causes: The cause for each day that was not loaded. The message has each distinct cause
            once, with the first days of that cause.
        loaded: The requested days that were loaded.
    """

    def __init__(
        self, dataset: str, causes: Mapping[date, Cause], loaded: Sequence[date] = ()
    ) -> None:
        self.causes = causes
        self.loaded = loaded
        groups = group_by_cause((why, day) for day, why in sorted(causes.items()))
        self.failure_cause = cause(
            "windows-not-loaded",
            causes=[without_detail(why) for why, _ in groups],
            detail={"dataset": dataset, "windows": len(causes), "all": [why for why, _ in groups]},
        )
        left = sum(len(days) for _, days in groups[_MOST_REASONS:])
        super().__init__(
            f"{dataset}: {len(causes)} "
            f"{'window was' if len(causes) == 1 else 'windows were'} not loaded. "
            + "; ".join(
                f"{_list_days(days)}: {without_stop(explain(why).text)}"
                for why, days in groups[:_MOST_REASONS]
            )
            + (f" (and {left:,} more)." if left else ".")
        )


def _list_days(days: Sequence[date]) -> str:
    left = len(days) - _MOST_DAYS
    return ", ".join(map(str, days[:_MOST_DAYS])) + (f" and {left:,} more" if left > 0 else "")


def load_days(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    days: Sequence[date],
    *,
    by: str,
    on_progress: Callable[[str], object] = lambda _: None,
) -> list[ReportWindow]:
    """Load days now, whether or not they are due: mark them as requested by a user, and wait.

    If a day fails, or is not over in the account's time zone, the other days are still loaded. The
    session claims, requests and loads each day that no other running session has claimed, and waits
    for the days that other sessions have claimed. Days that the session gives up lose the mark,
    unless another load waits for them. If the process is killed, another session claims the days.

    `days` are account-local, and `by` is the user to record. `on_progress` is called before each
    wait. Return the loaded windows as they are stored now.

    Raises:
        AccountStoppedError: the account is paused, disabled or needs attention.
        WindowNotLoadedError: a day isn't served or isn't over, its report failed or was suspicious,
            or Amazon took longer than `by_hand_wait_minutes` in the settings.
    """
    load = _LoadOfDays(context, session, account, dataset, by, context.now())
    deadline = load.started + timedelta(minutes=context.settings.by_hand_wait_minutes)
    pause = min(LONGEST_WAIT_IN_A_RUN, context.settings.poll_every) / 2
    try:
        before = load.windows(days)
        failed = load.begin(days, before)
        days = [day for day in days if day not in failed]
        pending, is_first = load.claim(days), True
        while pending and context.now() <= deadline:
            load.step(pending, records_waiting=is_first)
            is_first = False
            if pending := load.claim(days):
                on_progress(load.progress(days, pending))
                context.sleep(pause.total_seconds())
                pending = load.claim(days)
        load.give_up(pending)
        windows = load.windows(days)
        failed |= load.causes(days, before, windows)
    finally:
        with context.engine.begin() as connection:
            give_up_claims(connection, account, dataset.name, session.session_id)
    if failed:
        loaded = _days(one for one in windows if one.window_date not in failed)
        raise WindowNotLoadedError(dataset.name, failed, loaded)
    return windows


@dataclass(frozen=True)
class _LoadOfDays:
    context: JobContext
    session: SessionRecorder
    account: Account
    dataset: Dataset
    by: str
    started: datetime

    @property
    def facts(self) -> dict[str, Any]:
        return {"account": self.account.account_key, "dataset": self.dataset.name}

    def windows(self, days: Sequence[date]) -> list[ReportWindow]:
        with self.context.engine.begin() as connection:
            windows = list_windows(connection, self.account, self.dataset.name, days)
        return [window for window in windows if window.expires_at > self.started]

    def begin(self, days: Sequence[date], before: Sequence[ReportWindow]) -> dict[date, Cause]:
        """Record the load, mark the days that can be loaded as requested by `by`, and claim them.

        Return the cause of each day that can't be loaded. `before` has the windows before the load.
        Days that are already marked are claimed before all checks, so that they also lose the mark
        if a check fails.
        """
        mine = (one.wanted_at for one in before if one.wanted_by == self.by and one.wanted_at)
        at = min(mine, default=None)
        requested = LoadRequested(**self.facts, windows=list(days), by=self.by, wanted_at=at)
        with self.context.engine.begin() as connection:
            of = (self.account, self.dataset.name, days)
            insert_load_by_hand(connection, self.session.session_id, *of)
            self.session.add_in(connection, requested)
            claim_windows(connection, *of, self.session.session_id, by=self.by)
        self._check_active(days)
        make_dataset_windows(self.context, self.session, self.account, self.dataset, again=True)
        left_out = self._leave_out(days)
        with self.context.engine.begin() as connection:
            of = (self.account, self.dataset.name, [day for day in days if day not in left_out])
            want_windows(connection, *of, self.by, now=self.started)
            claim_windows(connection, *of, self.session.session_id, by=self.by)
        return left_out

    def _check_active(self, days: Sequence[date]) -> None:
        with self.context.engine.begin() as connection:
            account = get_account(connection, self.account.account_key)
        if account.stop_reason is not None:
            self.session.add(skip_stopped(account.account_key, self.dataset, days, account))
            raise AccountStoppedError(account)

    def _leave_out(self, days: Sequence[date]) -> dict[date, Cause]:
        """Record the days that are not over or no longer served; return a cause for each."""
        zone, today = self.account.time_zone, local_date(self.started, self.account.time_zone)
        with self.context.engine.begin() as connection:
            reports = read_contract(connection, self.account.account_id).reports(self.dataset)
        oldest = oldest_of(reports, today)
        too_old = [day for day in days if day < oldest]
        not_over = [day for day in days if day >= today]
        if too_old:
            self._skip(too_old, SkipReason.NOT_SERVED)
        if not_over:
            self._skip(not_over, SkipReason.NOT_OVER, detail=zone)
        not_served = cause("day-not-served", detail={"oldest": str(oldest)})
        causes: dict[date, Cause] = dict.fromkeys(too_old, not_served)
        return causes | dict.fromkeys(not_over, cause("day-not-over", detail={"zone": zone}))

    def _skip(self, days: Sequence[date], reason: SkipReason, detail: str | None = None) -> None:
        skipped = WindowSkipped(**self.facts, windows=list(days), reason=reason, detail=detail)
        self.session.add(skipped)

    def claim(self, days: Sequence[date]) -> list[ReportWindow]:
        """Claim requested windows that no running session claims; return all requested windows."""
        of = (self.account, self.dataset.name, days)
        with self.context.engine.begin() as connection:
            claim_windows(connection, *of, self.session.session_id, by=self.by)
        return [window for window in self.windows(days) if window.wanted_by is not None]

    def progress(self, days: Sequence[date], pending: Sequence[ReportWindow]) -> str:
        total, waited = len(self.windows(days)), self.context.now() - self.started
        waits_for, fault = "Amazon", self.context.find_pause()
        if all(window.request_id is None for window in pending):
            waits_for = f"a report slot ({self._why_none_created()})"
        elif fault is not None:
            waits_for = f"{fault.folder}, which {fault.host} can't write to"
        duration = format_duration(waited.total_seconds())
        return (
            f"{total - len(pending)} of {total} windows loaded; "
            f"waited {duration} for {waits_for} so far"
        )

    def _why_none_created(self) -> str:
        """Return why no report is created for the account now, as a sentence without its period."""
        owner, now = self.account.ads_account, self.context.now()
        with self.context.engine.begin() as connection:
            gate = find_gate(connection, owner.client_id, owner.region, now=now)
        limit = gate and limit_of(gate, now)
        return (limit or "Reports of other requests are created first.").rstrip(".")

    def step(self, pending: Sequence[ReportWindow], *, records_waiting: bool) -> None:
        """Create, poll and load reports of claimed windows, also of windows not yet requested.

        An unexpected error of a claimed window's request ends the load. If Amazon allows no further
        report, poll the gate's reports for a few seconds until one may be created. These reports
        may be large, so loading them is left to the run for all accounts. If `records_waiting`,
        record an action about the days that still have no request.
        """
        context, session, account = self.context, self.session, self.account
        self._check_active(_days(pending))
        mine = [window for window in pending if window.claimed_by == session.session_id]
        for request_id in sorted({one.request_id for one in mine if one.request_id is not None}):
            drive_request(context, session, request_id)
        if not self._lacking(mine):
            return
        plan_wanted(context, account.account_id)
        over_at = context.now() + LONGEST_WAIT_IN_A_RUN

        def is_over() -> bool:
            return context.now() > over_at or not self._lacking(mine)

        step_requests(context, session, account.ads_account, by_hand=True, until=is_over)
        if records_waiting and (lacking := self._lacking(mine)):
            self._skip(lacking, SkipReason.WAITS_FOR_AMAZON, detail=self._why_none_created())

    def _lacking(self, windows: Sequence[ReportWindow]) -> list[date]:
        """Return the days of `windows` that a user requested and that are still in no request."""
        now = self.windows(_days(windows))
        return _days(one for one in now if one.wanted_by is not None and one.request_id is None)

    def give_up(self, pending: Sequence[ReportWindow]) -> None:
        causes = [(self._why_pending(window), window) for window in pending]
        for why, windows in group_by_cause(causes):
            self.session.add(WaitGivenUp(**self.facts, windows=_days(windows), cause=why))

    def causes(
        self, days: Sequence[date], before: Sequence[ReportWindow], now: Sequence[ReportWindow]
    ) -> dict[date, Cause]:
        """Return the cause for each day that this load did not load, or that is not served.

        `before` and `now` are the windows before the load and at its end.
        """
        with self.context.engine.begin() as connection:
            stopped = get_account(connection, self.account.account_key).stop_cause
        old_requests = {None, *(window.loaded_by_request for window in before)}
        causes = dict.fromkeys({*days} - {*_days(now)}, cause("day-not-served"))
        for window in now:
            was_loaded = window.loaded_by_request not in old_requests
            if not was_loaded or window.status == "not_served":
                why = self._why_not_loaded(window, was_loaded=was_loaded)
                causes[window.window_date] = why or stopped or cause("other")
        return causes

    def _why_not_loaded(self, window: ReportWindow, *, was_loaded: bool) -> Cause | None:
        if window.wanted_by is not None:
            return self._why_pending(window)
        if was_loaded or not is_unproven(window) or window.last_request_id is None:
            return window.cause
        with self.context.engine.begin() as connection:  # the window keeps an older cause
            return get_request(connection, window.last_request_id).cause

    def _why_pending(self, window: ReportWindow) -> Cause:
        if window.request_id is None:
            return cause("no-slot-yet", detail={"why": self._why_none_created()})
        fault = self.context.find_pause()
        return cause("still-at-amazon") if fault is None else fault.failure_cause


def _days(windows: Iterable[ReportWindow]) -> list[date]:
    return sorted({window.window_date for window in windows})
