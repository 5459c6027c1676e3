"""One simulated month: what is simulated, how it goes, and what is counted at its end."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from time import monotonic

from sqlalchemy import Engine

from bidbeacon_pipelines.accounts.queries import Account
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset
from bidbeacon_pipelines.entities.sync import ExportFailedError
from bidbeacon_pipelines.requests.backfill import AccountSkippedError, WindowNotLoadedError
from bidbeacon_pipelines.sandbox import SandboxConfig
from bidbeacon_pipelines.sandbox.faults import FaultOptions, FaultRule
from bidbeacon_pipelines.sandbox.server import running_sandbox
from bidbeacon_pipelines.values.decode import BrokenPartError
from tests.faults.ads import accounting
from tests.faults.ads.month_alerts import MonthOfAlerts
from tests.faults.ads.month_faults import Season, SeasonalFaults, month_faults
from tests.faults.ads.oracle import Mismatch, Oracle
from tests.faults.ads.served import days_without_data, given_up_too_early, not_fresh
from tests.faults.ads.simulated_office import Office
from tests.faults.ads.simulation import Simulation
from tests.one_dataset import only_datasets

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
"""Summer time begins in the month that follows: on 8 March in America, on 29 March in Europe."""
DAYS = 30
LONGEST_REST = timedelta(days=10)
PROBABILITY = 0.03
LOOK_EVERY = timedelta(minutes=2)
HOURS_BETWEEN_ACCOUNT_SYNCS = 6
POLL_SECONDS = 300
"""The setting: a report that Amazon leaves pending for thirty hours would be polled 1,800 times at the default."""
KEPT = {
    1: ("daily_targets", "hourly_products"),
    2: ("daily_campaigns", "daily_placements"),
    3: ("daily_products", "daily_search_terms"),
    4: ("daily_purchased_products",),
}
"""By seed. Each month has a few datasets, so that it takes minutes; between them they have all daily ones."""
EUROPE = ("AE", "ES", "FR", "IN", "IT", "NL", "PL", "SE", "TR")
WITHOUT_RIGHTS = 3
"""The last ads account is listed, and may not be reported on until somebody grants it."""
FORESEEN = (
    AdsApiError,
    ExportFailedError,
    WindowNotLoadedError,
    AccountSkippedError,
    BrokenPartError,
)
BAD_ROW_SHARE = 0.25
"""The setting: a day of ten rows with two bad ones among them is to be loaded, and these put aside."""


def choose_countries(seed: int) -> tuple[tuple[str, ...], ...]:
    """Choose the countries of four ads accounts: six in Europe, two and one in America, one in the Far East."""
    rng = Random(seed)
    return (
        tuple(sorted(("DE", "GB", *rng.sample(EUROPE, 4)))),
        ("US", rng.choice(("BR", "CA"))),
        (rng.choice(("AU", "JP", "SG")),),
        ("MX",),
    )


def config(seed: int, faults: tuple[FaultRule, ...] = ()) -> SandboxConfig:
    """Return the sandbox of a month: small accounts, Amazon's usual times, and more than one part to most reports."""
    countries = choose_countries(seed)
    return SandboxConfig(
        seed=seed,
        accounts=len(countries),
        countries=countries,
        rows_per_day=10,
        report_seconds=300,
        export_seconds=5,
        poll_min_seconds=30,
        part_rows=1_000,
        clock_start=START,
        clock_rate=0,
        faults=faults,
    )


def seasons(account_without_rights: str) -> tuple[Season, ...]:
    """Return what lasts for days: a throttled hour each day, one report at a time, renamed fields, and an account without rights."""
    throttle = FaultOptions(retry_after="none")
    return (
        Season(
            FaultRule(fault="throttle", operation="create_report", options=throttle),
            lambda now: now.hour == 9,
        ),
        Season(
            FaultRule(fault="one_at_a_time", options=throttle),
            lambda now: now < START + timedelta(hours=2) or _day(now) in range(5, 9),
        ),
        Season(
            FaultRule(fault="renamed_fields"), lambda now: _day(now) in {3, 4, 12, *range(20, 25)}
        ),
        Season(
            FaultRule(fault="missing_rights", account=account_without_rights),
            lambda now: _day(now) in range(8),
        ),
    )


def _day(now: datetime) -> int:
    return (now - START).days


@contextmanager
def open_month(engine: Engine, home: Path, seed: int) -> Iterator["Month"]:
    """Open a sandbox with every fault in force, and a month in it that has not begun."""
    with only_datasets(*KEPT[seed]), running_sandbox(config(seed)) as sandbox:
        without_rights = sandbox.state.world.accounts.accounts[WITHOUT_RIGHTS].account_id
        faults = SeasonalFaults(
            seed, month_faults(PROBABILITY), seasons(without_rights), sandbox.state.clock.now
        )
        sandbox.state.faults = faults
        office = Office(
            engine, sandbox, home, bad_row_share=BAD_ROW_SHARE, report_poll_seconds=POLL_SECONDS
        )
        yield Month(office, faults)
        office.close()


class Month:
    """A month under way in an office."""

    def __init__(self, office: Office, faults: SeasonalFaults) -> None:
        self.office = office
        self.alerts = MonthOfAlerts(office)
        self.simulation = Simulation(
            office,
            hours_between_account_syncs=HOURS_BETWEEN_ACCOUNT_SYNCS,
            look_every=LOOK_EVERY,
            on_hour=self.alerts.look,
        )
        self._faults = faults
        self._began = monotonic()

    def __str__(self) -> str:
        accounts = self.office.sandbox.state.world.accounts.accounts
        return "; ".join(f"{one.region} {' '.join(one.country_codes)}" for one in accounts)

    def pass_with_faults(self, tell: Callable[[str], object]) -> None:
        """Let thirty days pass; then, at most ten days, until each day that was over by then is loaded."""
        end = START + timedelta(days=DAYS)
        for day in range(1, DAYS + 1):
            self.simulation.run_until(START + timedelta(days=day))
            tell(self.progress())
        self.simulation.run_until(end + LONGEST_REST, until=lambda: not self.days_without_data(end))
        tell(self.progress())

    def end_faults(self) -> None:
        """End the faults, and let a day pass in which what is in flight comes to its end; a person gets everything going again."""
        self._faults.end()
        for hours in (2, 22):
            self.simulation.call_person()
            self.simulation.run_until(self.simulation.now + timedelta(hours=hours))

    def redo_by_hand(self) -> int:
        """Load by hand what was last loaded from a report that said something else than the truth; return how many windows."""
        done = 0
        for account in self.office.accounts():
            self.simulation.sync_entities(account.account_key)
            for dataset in DATASETS.values():
                days = Oracle(self.office, account, dataset).windows_not_true()
                if days:
                    self.simulation.drive(account.account_key, dataset.name, days)
                    done += len(days)
        return done

    def come_to_rest(self) -> None:
        """Let what is still asked for come to its end, in one report or several, at most a day."""
        self.simulation.run_until(
            self.simulation.now + timedelta(days=1),
            until=lambda: self.office.value(_ASKED_FOR, now=self.simulation.now) == 0,
        )

    def each(self) -> Iterator[tuple[Account, Dataset]]:
        """Return each dataset of each account."""
        for account in self.office.accounts():
            for dataset in DATASETS.values():
                yield account, dataset

    def compare_with_delivered(self) -> list[Mismatch]:
        """Compare every window with the report it was last loaded from, and the counts of each load with its report."""
        found = []
        for account, dataset in self.each():
            oracle = Oracle(self.office, account, dataset)
            found += [*oracle.compare_with_delivered(), *oracle.compare_counts()]
        return found

    def compare_with_truth(self) -> list[Mismatch]:
        """Compare every window with the truth."""
        return [
            found
            for account, dataset in self.each()
            for found in Oracle(self.office, account, dataset).compare_with_truth()
        ]

    def windows_not_true(self) -> list[tuple[str, str, date]]:
        """Return the windows whose last report said something else than the truth."""
        return [
            (account.account_key, dataset.name, day)
            for account, dataset in self.each()
            for day in Oracle(self.office, account, dataset).windows_not_true()
        ]

    def days_without_data(self, end: datetime) -> list[tuple[str, str, date]]:
        """Return the days without data that were over at an instant, in the account's own calendar, and that Amazon serves."""
        return [
            (account.account_key, dataset.name, day)
            for account, dataset in self.each()
            for day in days_without_data(self.office, account, end, dataset)
        ]

    def given_up_too_early(self) -> list[tuple[str, str, date]]:
        """Return the days that became `expired` while Amazon served them, or at all though they fell into the month."""
        given_up = self.simulation.given_up
        early = [
            (account.account_key, dataset.name, day)
            for account, dataset in self.each()
            for day in given_up_too_early(self.office, account, given_up, dataset)
        ]
        return [*early, *(window for window in given_up if window[2] >= START.date())]

    def not_fresh(self) -> list[tuple[str, str, date, str]]:
        """Return the windows that are neither fresh nor have a stated reason."""
        return [
            (account.account_key, dataset.name, *found)
            for account, dataset in self.each()
            for found in not_fresh(self.office, account, dataset)
        ]

    def count_reasons(self) -> tuple[Counter[str], list[accounting.SentCreate]]:
        """Count why each create went out, and return those without a reason."""
        return accounting.count_reasons(
            self.office.creates, self.office.sandbox.state.reports, self._faults.struck
        )

    def count(self) -> "Counts":
        """Count what there is to tell of the month."""
        tell, runs, creates = self.office.value, self.simulation.runs, self.office.creates
        summary = self.office.sandbox.state.ledger.summary()
        strikes = Counter(strike.fault for strike in self._faults.struck)
        return Counts(
            windows=tell("SELECT count(*) FROM report_windows"),
            expired=tell("SELECT count(*) FROM report_windows WHERE status = 'expired'"),
            loads=int(tell("SELECT sum(load_count) FROM report_windows")),
            rows=tell("SELECT sum(row_count) FROM report_windows"),
            quarantined=tell("SELECT count(*) FROM quarantined_rows"),
            requests=tell("SELECT count(*) FROM report_requests"),
            open_requests=tell("SELECT count(*) FROM report_requests WHERE finished_at IS NULL"),
            creates=sum(summary["calls"]["create_report"].values()),
            reasons=dict(self.count_reasons()[0]),
            most_in_flight={
                region: max(one.counted + 1 for one in creates if one.region == region)
                for region in sorted({one.region for one in creates})
            },
            polls=sum(run.job == "poll-reports" for run in runs),
            calls=len(self.office.sandbox.state.ledger),
            strikes=strikes,
            sessions=len(runs),
            failed_sessions=sum(run.error is not None for run in runs),
            running_sessions=tell("SELECT count(*) FROM job_sessions WHERE status = 'running'"),
            longest_session=float(
                tell("SELECT extract(epoch FROM max(duration)) FROM job_sessions")
            ),
            visits=sum(self.simulation.visits.values()),
            alerts=self.alerts.counts(),
            seconds=monotonic() - self._began,
        )

    def unforeseen_errors(self) -> list[Exception]:
        """Return what runs failed with that isn't Amazon's doing."""
        errors = (run.error for run in self.simulation.runs if run.error is not None)
        return [error for error in errors if not _is_foreseen(error)]

    def progress(self) -> str:
        """Return a line that says how far the month is."""
        counts = self.office.rows(
            "SELECT status, count(*) FROM report_windows GROUP BY status ORDER BY status"
        )
        windows = ", ".join(f"{row['count']:,} {row['status']}" for row in counts)
        jobs = Counter(run.job for run in self.simulation.runs)
        failed = sum(run.error is not None for run in self.simulation.runs)
        missing = len(self.days_without_data(self.simulation.now))
        return (
            f"  {self.simulation.now:%d %B} ({monotonic() - self._began:.0f} s): windows {windows}, {missing:,} days without data; "
            f"{len(self.office.creates):,} creates; runs {', '.join(f'{job} {n:,}' for job, n in sorted(jobs.items()))}, {failed:,} failed"
        )


def _is_foreseen(error: Exception) -> bool:
    if isinstance(error, ExceptionGroup):
        return all(_is_foreseen(one) for one in error.exceptions)
    return isinstance(error, FORESEEN)


@dataclass(frozen=True)
class Counts:
    """What a month came to, in numbers; `seconds` and `longest_session` are real ones."""

    windows: int
    expired: int
    loads: int
    rows: int
    quarantined: int
    requests: int
    open_requests: int
    creates: int
    reasons: Mapping[str, int]
    most_in_flight: Mapping[str, int]
    polls: int
    calls: int
    strikes: Mapping[str, int]
    sessions: int
    failed_sessions: int
    running_sessions: int
    longest_session: float
    visits: int
    alerts: Mapping[str, int]
    seconds: float

    @property
    def told_strikes(self) -> str:
        """How often each fault struck, by name."""
        return _listed(self.strikes)

    def __str__(self) -> str:
        return (
            f"{self.windows:,} windows, {self.expired:,} expired, loaded {self.loads:,} times by {self.requests:,} requests, {self.open_requests} of them open; "
            f"{self.rows:,} rows, {self.quarantined:,} quarantined; {self.creates:,} creates ({_listed(self.reasons)}); "
            f"most in flight {_listed(self.most_in_flight)}; {self.polls:,} polls; {sum(self.strikes.values()):,} faults struck {self.calls:,} calls; "
            f"{self.sessions:,} sessions, {self.failed_sessions:,} failed, {self.running_sessions} left running, "
            f"the longest {self.longest_session:.1f} s; a person was called {self.visits:,} times; alerts: {_listed(self.alerts)}; {self.seconds:.0f} s"
        )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


_ASKED_FOR = """
    SELECT (SELECT count(*) FROM report_requests WHERE finished_at IS NULL)
           + (SELECT count(*) FROM report_windows WHERE products_due IS NOT NULL AND next_refresh_at <= :now)"""
"""Reports, and windows that had one and wait for that of their other ad products."""
