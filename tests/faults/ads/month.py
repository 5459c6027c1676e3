"""One simulated month: what is simulated, how it goes, and what is counted at its end."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import monotonic

from sqlalchemy import Engine

from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
from bidbeacon_pipelines.ingest.decode import BrokenPartError
from bidbeacon_pipelines.sandbox import SandboxConfig
from bidbeacon_pipelines.sandbox.accounts import AccountBook
from bidbeacon_pipelines.sandbox.faults import FaultRule
from bidbeacon_pipelines.sandbox.server import running_sandbox
from bidbeacon_pipelines.services.by_hand import AccountSkippedError, WindowNotLoadedError
from bidbeacon_pipelines.services.entities import ExportFailedError
from bidbeacon_pipelines.store.accounts import Account
from tests.faults.ads.month_faults import costs_a_create, month_faults
from tests.faults.ads.oracle import DATASET, Mismatch, Oracle
from tests.faults.ads.served import days_without_data, given_up_too_early
from tests.faults.ads.simulated_office import Office, SentCreate
from tests.faults.ads.simulation import Pair, Simulation
from tests.one_dataset import only_daily_targets

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
"""Summer time begins in the month that follows: on 8 March in America, on 29 March in Europe."""
DAYS = 30
LONGEST_REST = timedelta(days=10)
PROBABILITY = 0.1
ACCOUNTS = 6
FORESEEN = (AdsApiError, ExportFailedError, WindowNotLoadedError, AccountSkippedError, BrokenPartError)
LEFT_ALONE = timedelta(minutes=10)
"""For so long at least a create whose outcome nobody knows is not sent again, as seen on the wire."""
BAD_ROW_SHARE = 0.1
"""The setting: a day of twenty rows with one bad one among them is to be loaded, and the row put aside."""


def config(seed: int, faults: tuple[FaultRule, ...]) -> SandboxConfig:
    """Give the sandbox of a month: small accounts, Amazon's usual times, and more than one part to most reports."""
    return SandboxConfig(
        seed=seed,
        accounts=8,
        rows_per_day=20,
        report_seconds=300,
        export_seconds=5,
        poll_min_seconds=30,
        part_rows=1_000,
        clock_start=START,
        clock_rate=0,
        faults=faults,
    )


def choose_pairs(book: AccountBook) -> list[Pair]:
    """Choose six accounts: US and CA, DE and GB, JP, and the first of the others that lives in another time zone."""
    pairs = [
        (account, country)
        for account in book.accounts
        for country in account.countries
        if account.status != "DISABLED"
    ]
    known = pairs[: ACCOUNTS - 1]
    zones = {country.market.time_zone for _, country in known}
    sixth = next(pair for pair in pairs[ACCOUNTS - 1 :] if pair[1].market.time_zone not in zones)
    return [(account.account_id, country.country) for account, country in [*known, sixth]]


@contextmanager
def open_month(engine: Engine, home: Path, seed: int) -> Iterator["Month"]:
    """Open a sandbox with every fault in force, and a month in it that has not begun."""
    faults = month_faults(PROBABILITY)
    with only_daily_targets(), running_sandbox(config(seed, faults)) as sandbox:
        office = Office(engine, sandbox, home, bad_row_share=BAD_ROW_SHARE)
        yield Month(office)
        office.close()


class Month:
    """A month under way in an office."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self._pairs = choose_pairs(office.sandbox.state.world.accounts)
        self.simulation = Simulation(office, self._pairs)
        self._strikes: list[tuple[FaultRule, int]] = []
        self._began = monotonic()

    def __str__(self) -> str:
        catalogs = [
            (account_id, country, self.office.owner(account_id).find_country(country))
            for account_id, country in self._pairs
        ]
        return ", ".join(
            f"{country} ({known.market.time_zone})" for _, country, known in catalogs if known is not None
        )

    def pass_with_faults(self, tell: Callable[[str], object]) -> None:
        """Let thirty days pass; then, at most ten days, until each day that was over by then is loaded."""
        end = START + timedelta(days=DAYS)
        for week in range(1, 6):
            self.simulation.run_until(min(START + timedelta(weeks=week), end))
            tell(self.progress())
        self.simulation.run_until(end + LONGEST_REST, until=lambda: not self.days_without_data(end))
        tell(self.progress())

    def end_faults(self) -> None:
        """End the faults, and let a day pass in which what is in flight comes to its end; a person gets everything going again."""
        self._strikes = _strikes(self.office)
        self.office.sandbox.state.faults.clear()
        for hours in (2, 22):
            self.simulation.call_person()
            self.simulation.run_until(self.simulation.now + timedelta(hours=hours))

    def redo_by_hand(self) -> int:
        """Load by hand what was last loaded from a report that said something else than the truth; give how many windows."""
        done = 0
        for account in self.accounts():
            days = self.oracle(account).windows_not_true()
            if days:
                self.simulation.sync_entities(account.account_key)
                self.simulation.drive(account.account_key, DATASET.name, days)
                done += len(days)
        return done

    def accounts(self) -> list[Account]:
        """Give the accounts that take part."""
        return [account for account in self.office.accounts() if self.simulation.takes_part(account)]

    def oracle(self, account: Account) -> Oracle:
        """Give what knows how an account's tables should be by now."""
        return Oracle(self.office, account)

    def compare_with_delivered(self) -> list[Mismatch]:
        """Compare every window with the report it was last loaded from."""
        return [
            found for account in self.accounts() for found in self.oracle(account).compare_with_delivered()
        ]

    def compare_with_truth(self) -> list[Mismatch]:
        """Compare every window with the truth."""
        return [found for account in self.accounts() for found in self.oracle(account).compare_with_truth()]

    def days_without_data(self, end: datetime) -> list[tuple[str, date]]:
        """Give the days without data that were over at an instant, in the account's own calendar, and that Amazon serves, with their accounts."""
        return [
            (account.account_key, day)
            for account in self.accounts()
            for day in days_without_data(self.office, account, end)
        ]

    def given_up_too_early(self) -> list[tuple[str, date]]:
        """Give the days that became `expired` while Amazon served them, with their accounts."""
        return [
            (account.account_key, day)
            for account in self.accounts()
            for day in given_up_too_early(self.office, account, self.simulation.given_up)
        ]

    def count(self) -> "Counts":
        """Count what there is to tell of the month."""
        tell, runs = self.office.value, self.simulation.runs
        summary = self.office.sandbox.state.ledger.summary()
        return Counts(
            windows=tell("SELECT count(*) FROM report_windows"),
            expired=tell("SELECT count(*) FROM report_windows WHERE status = 'expired'"),
            loads=int(tell("SELECT sum(load_count) FROM report_windows")),
            requests=tell("SELECT count(*) FROM report_requests"),
            creates=sum(summary["calls"]["create_report"].values()),
            reports=len(self.office.sandbox.state.reports.summary()),
            over_the_gate=self.simulation.over_the_gate,
            calls=len(self.office.sandbox.state.ledger),
            strikes=self._count_strikes(),
            costly_strikes=sum(struck for rule, struck in self._strikes if costs_a_create(rule)),
            sessions=len(runs),
            failed_sessions=sum(run.error is not None for run in runs),
            running_sessions=tell("SELECT count(*) FROM job_sessions WHERE status = 'running'"),
            longest_session=float(tell("SELECT extract(epoch FROM max(duration)) FROM job_sessions")),
            visits=sum(self.simulation.visits.values()),
            seconds=monotonic() - self._began,
        )

    def _count_strikes(self) -> Counter[str]:
        """Count how often each fault struck, those that never did too."""
        counts = Counter({rule.fault: 0 for rule, _ in self._strikes})
        for rule, struck in self._strikes:
            counts[rule.fault] += struck
        return counts

    def early_creates(self) -> list[SentCreate]:
        """Give the creates that went out too soon after one for the same request whose outcome nobody knew."""
        unknown: dict[int, datetime] = {}
        early = []
        for create in self.office.creates:
            since = unknown.pop(create.request_id, None)
            if since is not None and create.at - since < LEFT_ALONE:
                early.append(create)
            if not create.answered:
                unknown[create.request_id] = create.at
        return early

    def unforeseen_errors(self) -> list[Exception]:
        """Give what runs failed with that isn't Amazon's doing."""
        errors = (run.error for run in self.simulation.runs if run.error is not None)
        return [error for error in errors if not isinstance(error, FORESEEN)]

    def progress(self) -> str:
        """Give a line that says how far the month is."""
        counts = self.office.rows(
            "SELECT status, count(*) FROM report_windows GROUP BY status ORDER BY status"
        )
        windows = ", ".join(f"{row['count']:,} {row['status']}" for row in counts)
        failed = sum(run.error is not None for run in self.simulation.runs)
        empty = len(self.days_without_data(self.simulation.now))
        return (
            f"  {self.simulation.now:%d %B} ({monotonic() - self._began:.0f} s): windows {windows}, {empty:,} days without data; "
            f"{len(self.simulation.runs):,} runs, {failed:,} of them failed"
        )


@dataclass(frozen=True)
class Counts:
    """What a month came to, in numbers; `seconds` and `longest_session` are real ones."""

    windows: int
    expired: int
    loads: int
    requests: int
    creates: int
    reports: int
    over_the_gate: int
    calls: int
    strikes: Mapping[str, int]
    costly_strikes: int
    sessions: int
    failed_sessions: int
    running_sessions: int
    longest_session: float
    visits: int
    seconds: float

    @property
    def told_strikes(self) -> str:
        """How often each fault struck, by name."""
        return ", ".join(f"{fault} {count:,}" for fault, count in sorted(self.strikes.items()))

    def __str__(self) -> str:
        return (
            f"{self.windows:,} windows, {self.expired:,} expired, loaded {self.loads:,} times by {self.requests:,} requests; {self.creates:,} creates, "
            f"{self.reports:,} reports made, {self.over_the_gate} more in flight than a gate allowed; {sum(self.strikes.values()):,} faults struck "
            f"{self.calls:,} calls; {self.sessions:,} sessions, {self.failed_sessions:,} failed, {self.running_sessions} left running, "
            f"the longest {self.longest_session:.1f} s; a person was called {self.visits:,} times; {self.seconds:.0f} s"
        )


def _strikes(office: Office) -> list[tuple[FaultRule, int]]:
    rules = office.sandbox.state.faults.overview()
    return [
        (
            FaultRule.model_validate({k: v for k, v in rule.items() if k not in {"matched", "struck"}}),
            int(str(rule["struck"])),
        )
        for rule in rules
    ]
