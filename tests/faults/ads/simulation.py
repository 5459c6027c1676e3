"""Time passes in jumps: what Dagster's schedule and sensors would start is run here, one run after another, in this process.

The decisions are the product's: the same queries, jobs and pauses as in `defs.schedules` and the
ops, without Dagster.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from bidbeacon_pipelines.accounts.ads_account_queries import (
    list_ads_accounts_with_due_work,
    read_ads_account,
)
from bidbeacon_pipelines.accounts.queries import (
    Account,
    list_accounts,
    list_keys_without_entities,
    list_subjects,
    read_account,
    set_enabled,
)
from bidbeacon_pipelines.accounts.sync import sync_accounts
from bidbeacon_pipelines.datasets.registry import DATASETS, get_dataset
from bidbeacon_pipelines.defs.schedules import ENTITIES_LIVE, ENTITIES_MISSED_LIVE
from bidbeacon_pipelines.entities.sync import sync_entities
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.backfill import drive_windows
from bidbeacon_pipelines.requests.dispatch import create_reports
from bidbeacon_pipelines.requests.gate import pause_before_create
from bidbeacon_pipelines.requests.gate_queries import list_gates_with_work
from bidbeacon_pipelines.requests.queries import list_requests_to_step
from bidbeacon_pipelines.requests.refresh import refresh_account, step_requests
from bidbeacon_pipelines.wait_log import job_session
from bidbeacon_pipelines.windows.rules import local_date, start_of_day
from bidbeacon_sessions import SessionRecorder, Subject
from tests.faults.ads.simulated_office import Office

LOOK_EVERY = timedelta(seconds=30)
PAUSE_AFTER_FAILURE = timedelta(minutes=5)
MINUTE_OF_ACCOUNT_SYNC = 7
MINUTE_OF_PERSON = 37
MORNING_HOUR = 8
LOOK_BY_HAND_EVERY = 60.0

Work = Callable[[JobContext, SessionRecorder], object]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Run:
    """One run of a job: when it began, for which account (`""`: none in particular), and what it failed with."""

    job: str
    account: str
    at: datetime
    error: Exception | None


class Simulation:
    """The product at work in an office, for as long as one lets time pass.

    Attributes:
        runs: every run so far.
        visits: how often the person enabled each account again.
        given_up: when each window was first seen `expired`, by account key, dataset and day.

    Args:
        office: where.
        pairs: the (ads account, country) pairs that are refreshed; the person disables all others.
            Absent: all of them.
        hours_between_account_syncs: 1, as scheduled; more saves real time.
        look_every: how often sensors look, at most.
        on_hour: what is called once an hour, before the person is.
    """

    def __init__(
        self,
        office: Office,
        pairs: Collection[Pair] | None = None,
        *,
        hours_between_account_syncs: int = 1,
        look_every: timedelta = LOOK_EVERY,
        on_hour: Callable[[], object] = lambda: None,
    ) -> None:
        self.office = office
        self._on_hour = on_hour
        self._look_every = look_every
        self._account_sync_every = timedelta(hours=hours_between_account_syncs)
        self.runs: list[Run] = []
        self.visits: Counter[str] = Counter()
        self.given_up: dict[tuple[str, str, date], datetime] = {}
        self.pairs = pairs
        self._paused: dict[tuple[str, str], datetime] = {}
        now = office.clock.now()
        self._next_account_sync = _next_minute(now, MINUTE_OF_ACCOUNT_SYNC)
        self._next_call = _next_minute(now, MINUTE_OF_PERSON)
        self._next_morning = _next_hour(now, MORNING_HOUR)

    @property
    def now(self) -> datetime:
        """The simulated instant, UTC."""
        return self.office.clock.now()

    def run_until(self, instant: datetime, *, until: Callable[[], bool] | None = None) -> None:
        """Let time pass up to an instant, or until something is true, and everything happen that is due meanwhile."""
        while self.now < instant and not (until is not None and until()):
            busy = self.look()
            upcoming = self.now + self._look_every if busy else self._next_instant()
            self.office.clock.jump(min(upcoming, instant))

    def look(self) -> bool:
        """Start what schedule, sensors and the person would start now; return whether that was anything."""
        before = len(self.runs)
        if self.now >= self._next_call:
            self._on_hour()
            self.enable_accounts()
            self._next_call = _next_minute(self.now, MINUTE_OF_PERSON)
            for row in self.office.rows(_EXPIRED):
                self.given_up.setdefault(
                    (row["account_key"], row["dataset"], row["window_date"]), self.now
                )
        if self.now >= self._next_morning:
            self.call_person()
            self._next_morning = _next_hour(self.now, MORNING_HOUR)
        if self.now >= self._next_account_sync:
            self.sync_accounts()
            later = self.now + self._account_sync_every - timedelta(hours=1)
            self._next_account_sync = _next_minute(later, MINUTE_OF_ACCOUNT_SYNC)
        for start in list(self._wanted()):
            start()
        return len(self.runs) > before

    def call_person(self) -> None:
        """Have a person do all that is left to one: enable the accounts that need it, and ask by hand for what was given up."""
        self.enable_accounts()
        for row in self.office.rows(_GIVEN_UP):
            self.drive(row["account_key"], row["dataset"], row["days"])

    def enable_accounts(self) -> None:
        """Have a person who got an alert enable the accounts that need it."""
        for account in self.office.accounts():
            if account.needs_person is not None and self.takes_part(account):
                self.visits[account.account_key] += 1
                with self.office.engine.begin() as connection:
                    set_enabled(connection, account.account_key, enabled=True)

    def drive(self, key: str, dataset: str, days: Sequence[date]) -> Run:
        """Run the job that loads windows of an account by hand, and waits for Amazon."""
        return self.run(
            "load-windows", key, lambda b, s: _drive_patiently(b, s, key, dataset, days)
        )

    def sync_accounts(self) -> Run:
        """Run the job that asks who there is; accounts that aren't part of the simulation are disabled as they come."""
        run = self.run("sync-accounts", "", sync_accounts)
        with self.office.engine.begin() as connection:
            for account in list_accounts(connection):
                if not self.takes_part(account) and account.enabled:
                    set_enabled(connection, account.account_key, enabled=False)
        return run

    def sync_entities(self, key: str) -> Run:
        """Run the job that syncs an account's entities."""
        return self.run(
            "sync-entities", key, lambda b, s: sync_entities(b, s, read_account(b.engine, key))
        )

    def refresh(self, key: str) -> Run:
        """Run the job that plans what is due for an ads account."""
        return self.run(
            "refresh-account",
            key,
            lambda b, s: refresh_account(b, s, read_ads_account(b.engine, key)),
        )

    def poll(self) -> Run:
        """Run the job that looks at the reports in flight of all accounts, and creates what is planned."""
        return self.run("poll-reports", "", _poll)

    def run(self, job: str, account: str, work: Work) -> Run:
        """Run a job in its own session; one that fails makes its account wait, as a sensor would."""
        began, error = self.now, None
        try:
            with self.office.open_context() as context:
                ref = self._find_subject(account)
                with job_session(context, job, account=ref) as session:
                    work(context, session)
        except Exception as failure:  # noqa: BLE001 - whatever it is, the run has failed and the world goes on
            error = failure
            self._paused[job, account] = self.now + PAUSE_AFTER_FAILURE
        self.runs.append(Run(job, account, began, error))
        return self.runs[-1]

    def _find_subject(self, key: str) -> Subject | None:
        with self.office.engine.begin() as connection:
            return next((one for one in list_subjects(connection) if one.key == key), None)

    def takes_part(self, account: Account) -> bool:
        """Tell whether an account is part of the simulation."""
        return self.pairs is None or (account.account_id, account.country_code) in self.pairs

    def _wanted(self) -> Iterator[Callable[[], Run]]:
        """Yield the runs that the sensors ask for, as they look."""
        now = self.now
        with self.office.engine.begin() as connection:
            known = bool(list_accounts(connection))
            without = list_keys_without_entities(
                connection,
                synced_before=now - ENTITIES_LIVE,
                missed_before=now - ENTITIES_MISSED_LIVE,
            )
            due = list_ads_accounts_with_due_work(connection, now=now, datasets=tuple(DATASETS))
            polls = bool(list_requests_to_step(connection, due_at=now)) or any(
                pause_before_create(connection, *gate, now) == timedelta(0)
                for gate in list_gates_with_work(connection, now=now)
            )
        if not known and not self._is_paused("sync-accounts"):
            yield self.sync_accounts
        yield from (
            _with(self.sync_entities, k) for k in without if not self._is_paused("sync-entities", k)
        )
        yield from (
            _with(self.refresh, k) for k in due if not self._is_paused("refresh-account", k)
        )
        if polls:
            yield self.poll

    def _is_paused(self, job: str, account: str = "") -> bool:
        return self._paused.get((job, account), self.now) > self.now

    def _next_instant(self) -> datetime:
        """Return the next instant at which something may be due that isn't now; half a minute away at least."""
        now = self.now
        instants = [
            self._next_account_sync,
            self._next_call,
            self._next_morning,
            *self._paused.values(),
        ]
        instants += [
            row["at"] for row in self.office.rows(_INSTANTS, now=now) if row["at"] is not None
        ]
        for account in self.office.accounts():
            if account.reason_to_skip is None:
                tomorrow = local_date(now, account.time_zone) + timedelta(days=1)
                instants.append(start_of_day(tomorrow, account.time_zone))
        return max(min(instant for instant in instants if instant > now), now + self._look_every)


def _drive_patiently(
    context: JobContext, session: SessionRecorder, key: str, dataset: str, days: Sequence[date]
) -> None:
    """Load windows by hand, looking once a minute: the product looks every few seconds, which is a lot of looks in simulated hours."""
    patient = replace(
        context, sleep=lambda seconds: context.sleep(max(seconds, LOOK_BY_HAND_EVERY))
    )
    drive_windows(patient, session, read_account(context.engine, key), get_dataset(dataset), days)


def _poll(context: JobContext, session: SessionRecorder) -> None:
    step_requests(context, session)
    create_reports(context, session)


def _with(job: Callable[[str], Run], key: str) -> Callable[[], Run]:
    return lambda: job(key)


def _next_minute(now: datetime, minute: int) -> datetime:
    """Return the next instant after this one at which the clock shows so many minutes past an hour."""
    candidate = now.replace(minute=minute, second=0, microsecond=0)
    return candidate if candidate > now else candidate + timedelta(hours=1)


def _next_hour(now: datetime, hour: int) -> datetime:
    """Return the next instant after this one at which the clock shows so many hours, UTC."""
    candidate = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return candidate if candidate > now else candidate + timedelta(days=1)


_GIVEN_UP = """
    SELECT a.account_key, w.dataset, array_agg(w.window_date ORDER BY w.window_date) AS days
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     WHERE w.status = 'failed' AND w.next_refresh_at IS NULL AND a.enabled AND o.needs_person IS NULL
     GROUP BY 1, 2 ORDER BY 1, 2"""
_EXPIRED = """
    SELECT account_key, dataset, window_date FROM report_windows JOIN advertiser_accounts USING (account_id, country_code)
     WHERE status = 'expired'"""
_INSTANTS = """
    SELECT next_step_at AS at FROM report_requests WHERE status IN ('planned', 'sent', 'in_flight', 'completed')
     UNION ALL
    SELECT nullif(next_create_at, '-infinity') FROM report_gates
     UNION ALL
    SELECT min(next_refresh_at) FROM report_windows WHERE request_id IS NULL AND next_refresh_at > :now
     UNION ALL
    SELECT coalesce(entities_synced_at + interval '24 hours', first_seen_at + interval '15 minutes') FROM advertiser_accounts"""
