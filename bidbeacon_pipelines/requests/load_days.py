"""Loads the days that a person wants now, whether or not they are due, and waits for Amazon for a bounded time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import itemgetter

from bidbeacon_pipelines.accounts.errors import AccountStoppedError
from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import LoadRequested, SkipReason, WaitGivenUp
from bidbeacon_pipelines.causes import Cause, cause, explain, key_of, without_detail
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.dispatch import logging_errors
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.requests.plan import plan_wanted, skip_stopped, skip_windows
from bidbeacon_pipelines.requests.queries import (
    get_request,
    insert_load_by_hand,
    list_planned_by_hand,
)
from bidbeacon_pipelines.requests.refresh import step_requests
from bidbeacon_pipelines.requests.rules import RequestStatus
from bidbeacon_pipelines.windows.contracts import read_contract
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_pipelines.windows.queries import list_windows
from bidbeacon_pipelines.windows.rules import is_unproven, local_date, oldest_of
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_pipelines.windows.wanted_queries import (
    claim_windows,
    give_up_claims,
    want_windows,
)
from bidbeacon_sessions import SessionRecorder
from bidbeacon_sessions.errors import ExpectedError
from bidbeacon_sessions.sentences import without_stop

_LONGEST_PAUSE = timedelta(seconds=5)
_MOST_REASONS, _MOST_DAYS = 5, 3


class WindowNotLoadedError(ExpectedError):
    """A requested window could not be loaded.

    Attributes:
        causes: The cause for each day that was not loaded. The message gives each once, with its
            first days.
        loaded: The other requested days, which were loaded.
    """

    def __init__(
        self, dataset: str, causes: Mapping[date, Cause], loaded: Sequence[date] = ()
    ) -> None:
        self.causes = causes
        self.loaded = loaded
        groups = _days_by_cause(causes)
        self.failure_cause = cause(
            "windows-not-loaded",
            causes=[without_detail(why) for why, _ in groups],
            detail={"dataset": dataset, "windows": len(causes), "all": [why for why, _ in groups]},
        )
        left = sum(len(days) for _, days in groups[_MOST_REASONS:])
        super().__init__(
            f"{dataset}: {len(causes)} {'window was' if len(causes) == 1 else 'windows were'} not loaded. "
            + "; ".join(
                f"{_list_days(days)}: {without_stop(explain(why).text)}"
                for why, days in groups[:_MOST_REASONS]
            )
            + (f" (and {left:,} more)." if left else ".")
        )


def _days_by_cause(causes: Mapping[date, Cause]) -> list[tuple[Cause, list[date]]]:
    """Return each cause, with the detail of its first day, and its days."""
    grouped: dict[str, tuple[Cause, list[date]]] = {}
    for day, why in sorted(causes.items()):
        grouped.setdefault(key_of(why), (why, []))[1].append(day)
    return list(grouped.values())


def _list_days(days: Sequence[date]) -> str:
    left = len(days) - _MOST_DAYS
    return ", ".join(map(str, days[:_MOST_DAYS])) + (f" and {left:,} more" if left > 0 else "")


@dataclass(frozen=True)
class Progress:
    """The progress of a load, when it begins to wait again."""

    done: int
    total: int
    waiting_for: str
    waited: timedelta


def load_days(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    dataset: Dataset,
    days: Sequence[date],
    *,
    by: str,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> list[ReportWindow]:
    """Load days now, whether or not they are due: mark them as wanted, and wait until nobody wants them any more.

    One day that fails, or is not over in the account's time zone, does not keep the others from
    being loaded. The session claims the days that no other living session has claimed, and sees to
    them; for the others it only waits. Days that it gives up are not wanted any more, unless another load
    waits for them. If its process is killed they stay wanted, and another session claims them.

    Args:
        context: the tools.
        session: records the actions.
        account: whose days.
        dataset: of which dataset.
        days: account-local days.
        by: the user who requested it, which is recorded.
        on_progress: called each time it begins to wait.

    Returns:
        The loaded windows as they are stored then.

    Raises:
        AccountStoppedError: the account is paused, disabled or needs attention.
        WindowNotLoadedError: a day isn't served or isn't over, its report failed or was suspicious,
            or Amazon took longer than the setting allows.
    """
    load = _Load(context, session, account, dataset, by, context.now())
    try:
        before = load.windows(days)
        failed = load.begin(days, before)
        days = [day for day in days if day not in failed]
        load.wait(days, on_progress)
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
class _Load:
    """A load of days of one dataset of one account, in one session, that started at an instant."""

    context: JobContext
    session: SessionRecorder
    account: Account
    dataset: Dataset
    by: str
    started: datetime

    def begin(self, days: Sequence[date], before: Sequence[ReportWindow]) -> dict[date, Cause]:
        """Record who requested the days, and mark those as wanted and claimed that can be loaded; return the causes of the others.

        Days that were wanted before are claimed first: whatever becomes of this load ends that, too.
        """
        facts = {"account": self.account.account_key, "dataset": self.dataset.name}
        mine = (one.wanted_at for one in before if one.wanted_by == self.by and one.wanted_at)
        at = min(mine, default=None)
        asked = LoadRequested(**facts, windows=list(days), by=self.by, wanted_at=at)
        of = (self.account, self.dataset.name, days)
        with self.context.engine.begin() as connection:
            insert_load_by_hand(connection, self.session.session_id, *of)
            self.session.add_in(connection, asked)
        self._claim(days)
        self._check_active(self.account, days)
        keep_windows(self.context, self.session, self.account, self.dataset, again=True)
        left_out = self._leave_out(days)
        left = [day for day in days if day not in left_out]
        of = (self.account, self.dataset.name, left)
        with self.context.engine.begin() as connection:
            want_windows(connection, *of, self.by, now=self.started)
            claim_windows(connection, *of, self.session.session_id, by=self.by)
        return left_out

    def _check_active(self, account: Account, days: Sequence[date]) -> None:
        """Record and raise that the account is stopped, if it is."""
        if account.stop_reason is not None:
            self.session.add(skip_stopped(account.account_key, self.dataset, days, account))
            raise AccountStoppedError(account)

    def _leave_out(self, days: Sequence[date]) -> dict[date, Cause]:
        """Record which of the days are not over, or not served any more; return the cause of each."""
        zone, left_out = self.account.time_zone, dict[date, Cause]()
        with self.context.engine.begin() as connection:
            reports = read_contract(connection, self.account.account_id).reports(self.dataset)
        today = local_date(self.started, zone)
        oldest = oldest_of(reports, today)
        not_served = cause("day-not-served", detail={"oldest": str(oldest)})
        not_over = cause("day-not-over", detail={"zone": zone})
        for alike, why, reason, detail in (
            ([day for day in days if day < oldest], not_served, SkipReason.NOT_SERVED, None),
            ([day for day in days if day >= today], not_over, SkipReason.NOT_OVER, zone),
        ):
            if alike:
                self._skip(alike, reason, detail)
                left_out |= dict.fromkeys(alike, why)
        return left_out

    def _skip(self, days: Sequence[date], reason: SkipReason, detail: str | None = None) -> None:
        of = (self.account.account_key, self.dataset.name)
        self.session.add(skip_windows(*of, days, reason, detail=detail))

    def windows(self, days: Sequence[date]) -> list[ReportWindow]:
        """Return the windows of these days that Amazon served when the load started."""
        with self.context.engine.begin() as connection:
            windows = list_windows(connection, self.account, self.dataset.name, days)
        return [window for window in windows if window.expires_at > self.started]

    def _claim(self, days: Sequence[date]) -> list[ReportWindow]:
        """Claim the wanted windows that no living session has claimed; return all that are wanted."""
        of = (self.account, self.dataset.name, days)
        with self.context.engine.begin() as connection:
            claim_windows(connection, *of, self.session.session_id, by=self.by)
        return [window for window in self.windows(days) if window.wanted_by is not None]

    def wait(self, days: Sequence[date], on_progress: Callable[[Progress], None]) -> None:
        """Take steps until nobody wants the days any more; if time is up before, record what was waited for."""
        settings, is_first = self.context.settings, True
        deadline = self.started + timedelta(minutes=settings.by_hand_wait_minutes)
        pending = self._claim(days)
        while pending and self.context.now() <= deadline:
            self._step(pending, records_waiting=is_first)
            is_first = False
            if pending := self._claim(days):
                total, waited = len(self.windows(days)), self.context.now() - self.started
                done = total - len(pending)
                on_progress(Progress(done, total, self._waiting_for(pending), waited))
                self.context.sleep(min(_LONGEST_PAUSE, settings.poll_every).total_seconds() / 2)
                pending = self._claim(days)
        causes = {window.window_date: self._why_pending(window) for window in pending}
        for why, alike in _days_by_cause(causes):
            facts = {"account": self.account.account_key, "dataset": self.dataset.name}
            self.session.add(WaitGivenUp(**facts, windows=alike, cause=why))

    def causes(
        self, days: Sequence[date], before: Sequence[ReportWindow], now: Sequence[ReportWindow]
    ) -> dict[date, Cause]:
        """Return the cause for each day that is not loaded, or not served.

        It is not loaded where a window of it has no more loads than it had before. A window of a
        new grouping had as many as any of its day.
        """
        with self.context.engine.begin() as connection:
            stopped = get_account(connection, self.account.account_key).stop_cause
        loads = {(one.report, one.window_date): one.load_count for one in before}
        most = {day: count for (_, day), count in sorted(loads.items(), key=itemgetter(1))}
        causes = dict.fromkeys({*days} - {*_days(now)}, cause("day-not-served"))
        for window in now:
            day = window.window_date
            was_loaded = window.load_count > loads.get((window.report, day), most.get(day, 0))
            if not was_loaded or window.status == "not_served":
                why = self._why_not_loaded(window, was_loaded=was_loaded)
                causes[day] = why or stopped or cause("other")
        return causes

    def _why_not_loaded(self, window: ReportWindow, *, was_loaded: bool) -> Cause | None:
        if window.wanted_by is not None:
            return self._why_pending(window)
        if was_loaded or not is_unproven(window) or window.last_request_id is None:
            return window.cause
        with self.context.engine.begin() as connection:  # the window keeps an older cause
            return get_request(connection, window.last_request_id).cause

    def _waiting_for(self, pending: Sequence[ReportWindow]) -> str:
        if all(window.request_id is None for window in pending):
            return "a free report slot"
        fault = self.context.find_pause()
        return "Amazon" if fault is None else f"{fault.folder}, which {fault.host} can't write to"

    def _why_pending(self, window: ReportWindow) -> Cause:
        if window.request_id is None:
            return cause("no-slot-yet")
        fault = self.context.find_pause()
        return cause("still-at-amazon") if fault is None else fault.failure_cause

    def _step(self, pending: Sequence[ReportWindow], *, records_waiting: bool) -> None:
        """Take the next steps of the requests that serve claimed windows; plan and create those that they lack.

        An unexpected error of one of these ends the load. While Amazon makes as many reports as it
        allows, poll those of the gate until it makes room, and leave their loading to the shared
        run: they may be large. Errors of those are logged only.
        """
        context, session, account = self.context, self.session, self.account
        with context.engine.begin() as connection:
            self._check_active(get_account(connection, account.account_key), _days(pending))
        mine = [window for window in pending if window.claimed_by == session.session_id]
        for request_id in sorted({one.request_id for one in mine if one.request_id is not None}):
            drive_request(context, session, request_id)
        if not (lacking := self._lacking(mine)):
            return
        plan_wanted(context, account.account_id)
        of = (account.account_id, self.dataset.name, lacking)
        with context.engine.begin() as connection:
            planned = list_planned_by_hand(connection, *of)
        for request_id in planned:
            if drive_request(context, session, request_id) == RequestStatus.PLANNED:
                break  # no place is free, or the gate's pace is not over
        if self._lacking(mine):
            self._make_room(mine)
        if records_waiting and (lacking := self._lacking(mine)):
            self._skip(lacking, SkipReason.WAITS_FOR_AMAZON)

    def _make_room(self, windows: Sequence[ReportWindow]) -> None:
        """Create what is wanted at the gate, and poll its reports until those of these windows are requested, but for a few seconds only."""
        over_at = self.context.now() + _LONGEST_PAUSE
        with logging_errors(self.account.ads_account):
            step_requests(
                self.context,
                self.session,
                at=self.account.ads_account,
                by_hand=True,
                until=lambda: self.context.now() > over_at or not self._lacking(windows),
            )

    def _lacking(self, windows: Sequence[ReportWindow]) -> list[date]:
        """Return the days of windows that are still wanted, and for which no report was requested yet."""
        now = self.windows(_days(windows))
        return _days(one for one in now if one.wanted_by is not None and one.request_id is None)


def _days(windows: Iterable[ReportWindow]) -> list[date]:
    """Return the days of windows, each once, oldest first."""
    return sorted({window.window_date for window in windows})
