"""Time passes in steps of minutes: what Dagster's schedule and sensors would start is run here, one run after another, in this process.

The decisions are the product's: the same queries, jobs and pauses as in `defs.sensors` and the
ops, without Dagster.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from bidbeacon_pipelines.accounts.queries import (
    list_accounts,
    list_subjects,
    read_account,
    read_ads_account,
    set_resumed,
)
from bidbeacon_pipelines.accounts.sync import sync_accounts
from bidbeacon_pipelines.datasets.registry import DATASETS, get_dataset
from bidbeacon_pipelines.defs.sensors import (
    ENTITIES_LIVE,
    ENTITIES_MISSED_LIVE,
    PAUSE_AFTER_FAILURE,
)
from bidbeacon_pipelines.entities.sync import sync_entities
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.dispatch import can_create_reports, step_requests
from bidbeacon_pipelines.requests.load_days import load_days
from bidbeacon_pipelines.requests.plan import plan_account
from bidbeacon_pipelines.requests.queries import list_requests_to_step
from bidbeacon_pipelines.windows.due import (
    list_ads_accounts_with_due_work,
    list_keys_without_entities,
)
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.server import running_sandbox
from bidbeacon_sessions import SessionRecorder, with_job_session
from tests.faults.ads.oracle import GivenUp
from tests.faults.ads.wire import Wire
from tests.support.world import World, open_simulated_world

MINUTE_OF_ACCOUNT_SYNC = 7
MINUTE_OF_PERSON = 37
MORNING_HOUR = 8
LOOK_BY_HAND_EVERY = 60.0
"""Seconds; the product polls every few seconds, which are many polls in simulated hours."""

Work = Callable[[JobContext, SessionRecorder], object]


@dataclass(frozen=True)
class Run:
    """One run of a job, with what it failed with."""

    job: str
    error: Exception | None


class Simulation:
    """The product at work in a world, for as long as one lets time pass.

    Attributes:
        runs: every run so far.
        visits: how often the person enabled an account again.
        given_up: every day that the product gave up so far.

    Args:
        world: where, as of `open_simulated_world`.
        hours_between_account_syncs: 1, as scheduled; more saves real time.
        look_every: how often sensors look.
        on_hour: what is called once an hour, before the person is.
    """

    def __init__(
        self,
        world: World,
        *,
        hours_between_account_syncs: int = 1,
        look_every: timedelta = timedelta(minutes=5),
        on_hour: Callable[[], object] = lambda: None,
    ) -> None:
        self.world, self.wire = world, Wire(world)
        self._on_hour = on_hour
        self._look_every = look_every
        self._account_sync_every = timedelta(hours=hours_between_account_syncs)
        self.runs: list[Run] = []
        self.visits = 0
        self.given_up: GivenUp = {}
        self._paused: dict[tuple[str, str], datetime] = {}
        now = world.context.now()
        self._next_account_sync = _next_time(now, minute=MINUTE_OF_ACCOUNT_SYNC)
        self._next_call = _next_time(now, minute=MINUTE_OF_PERSON)
        self._next_morning = _next_time(now, hour=MORNING_HOUR)

    @property
    def now(self) -> datetime:
        """The simulated instant, UTC."""
        return self.world.context.now()

    def close(self) -> None:
        """End the connections to the sandbox."""
        self.wire.end()

    def run_until(self, instant: datetime) -> None:
        """Let time pass up to an instant, and everything happen that is due meanwhile."""
        while self.now < instant:
            self.look()
            self.world.jump(min(self.now + self._look_every, instant))

    def look(self) -> None:
        """Start what schedule, sensors and the person would start now."""
        if self.now >= self._next_call:
            self._on_hour()
            self.enable_accounts()
            self._next_call = _next_time(self.now, minute=MINUTE_OF_PERSON)
            for row in self.world.query(_EXPIRED):
                self.given_up.setdefault(tuple(row.values()), self.now)
        if self.now >= self._next_morning:
            self.call_person()
            self._next_morning = _next_time(self.now, hour=MORNING_HOUR)
        if self.now >= self._next_account_sync:
            self.run("sync-accounts", "", sync_accounts)
            later = self.now + self._account_sync_every - timedelta(hours=1)
            self._next_account_sync = _next_time(later, minute=MINUTE_OF_ACCOUNT_SYNC)
        self._start_due_runs()

    def call_person(self) -> None:
        """Have a person do all that is left to one: enable the accounts that need it, and ask by hand for what was given up."""
        self.enable_accounts()
        for row in self.world.query(_GIVEN_UP):
            self.drive(row["account_key"], row["dataset"], row["days"])

    def enable_accounts(self) -> None:
        """Have a person who got an alert enable the accounts that need it."""
        for account in self.world.accounts():
            if account.needs_attention is not None:
                self.visits += 1
                with self.world.engine.begin() as connection:
                    set_resumed(connection, account)

    def drive(self, key: str, dataset: str, days: Sequence[date]) -> None:
        """Run the job that loads windows of an account by hand, and waits for Amazon."""

        def load(context: JobContext, session: SessionRecorder) -> None:
            patient = replace(
                context, sleep=lambda seconds: context.sleep(max(seconds, LOOK_BY_HAND_EVERY))
            )
            account = read_account(context.engine, key)
            load_days(patient, session, account, get_dataset(dataset), days, by="maria")

        self.run("load-windows", key, load)

    def sync_entities(self, key: str) -> None:
        """Run the job that syncs an account's entities."""
        self.run(
            "sync-entities", key, lambda b, s: sync_entities(b, s, read_account(b.engine, key))
        )

    def refresh(self, key: str) -> None:
        """Run the job that plans what is due for an ads account."""
        self.run(
            "refresh-account",
            key,
            lambda b, s: plan_account(b, s, read_ads_account(b.engine, key)),
        )

    def run(self, job: str, account: str, work: Work) -> None:
        """Run a job in its own session; one that fails makes its account wait, as a sensor would."""
        error = None
        try:
            with self.wire.open_context() as context:
                with self.world.engine.begin() as connection:
                    subjects = {one.key: one for one in list_subjects(connection)}
                with with_job_session(
                    job, store=context.sessions, account=subjects.get(account)
                ) as session:
                    work(context, session)
        except Exception as failure:  # noqa: BLE001 - whatever it is, the run has failed and the world goes on
            error = failure
            self._paused[job, account] = self.now + PAUSE_AFTER_FAILURE
        self.runs.append(Run(job, error))

    def _start_due_runs(self) -> None:
        """Run what the sensors ask for, as they look."""
        now = self.now
        with self.world.engine.begin() as connection:
            known = bool(list_accounts(connection))
            without = list_keys_without_entities(
                connection,
                now=now,
                synced_before=now - ENTITIES_LIVE,
                missed_before=now - ENTITIES_MISSED_LIVE,
            )
            due = list_ads_accounts_with_due_work(connection, now=now, datasets=tuple(DATASETS))
            polls = bool(
                list_requests_to_step(
                    connection, due_at=now, downloads=self.world.context.settings.scratch_folder
                )
            ) or can_create_reports(connection, now)
        if not known and not self._is_paused("sync-accounts", ""):
            self.run("sync-accounts", "", sync_accounts)
        for key in without:
            if not self._is_paused("sync-entities", key):
                self.sync_entities(key)
        for key in due:
            if not self._is_paused("refresh-account", key):
                self.refresh(key)
        if polls:
            self.run("poll-reports", "", step_requests)

    def _is_paused(self, job: str, account: str) -> bool:
        return self._paused.get((job, account), self.now) > self.now


@contextmanager
def open_japan(
    engine: Engine, home: Path, start: datetime, *, report_seconds: float
) -> Iterator[World]:
    """Yield the world of one account in Japan, which has no summer time; its reports take some time, and no fault strikes."""
    config = SandboxConfig(
        accounts=1,
        countries=(("JP",),),
        rows_per_day=20,
        report_seconds=report_seconds,
        clock_start=start,
        clock_frozen=True,
    )
    with (
        running_sandbox(config) as sandbox,
        open_simulated_world(engine, sandbox, home) as world,
    ):
        yield world


def _next_time(now: datetime, *, hour: int | None = None, minute: int = 0) -> datetime:
    """Return the next instant at which a clock in UTC shows a minute of any hour, or of the one given."""
    candidate = now.replace(
        hour=now.hour if hour is None else hour, minute=minute, second=0, microsecond=0
    )
    every = timedelta(hours=1) if hour is None else timedelta(days=1)
    return candidate if candidate > now else candidate + every


_GIVEN_UP = """
    SELECT a.account_key, w.dataset, array_agg(w.window_date ORDER BY w.window_date) AS days
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     WHERE w.status = 'failed' AND w.next_refresh_at IS NULL AND NOT a.paused AND o.needs_attention IS NULL
     GROUP BY 1, 2 ORDER BY 1, 2"""
_EXPIRED = """
    SELECT account_key, dataset, window_date, report
      FROM report_windows JOIN advertiser_accounts USING (account_id, country_code)
     WHERE status = 'expired' OR status = 'not_served' AND last_loaded_at IS NULL"""
