"""One simulated month: its accounts, datasets and seasons of faults, how it passes, and what is counted at its end."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import Engine

from bidbeacon_pipelines.accounts.rules import AccountStoppedError
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
from bidbeacon_pipelines.datasets.registry import DATASETS, get_dataset
from bidbeacon_pipelines.entities.sync import ExportFailedError
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError
from bidbeacon_pipelines.values.decode import BrokenPartError
from bidbeacon_pipelines.windows.queries import decide_windows
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.rules import Limits
from bidbeacon_sandbox.server import running_sandbox
from tests.faults.ads import accounting
from tests.faults.ads.month_alerts import MonthOfAlerts
from tests.faults.ads.month_faults import SeasonalRules, Seasons, histories, month_rules
from tests.faults.ads.oracle import Oracle
from tests.faults.ads.simulation import Simulation
from tests.support.one_dataset import only_datasets
from tests.support.rules import rule
from tests.support.world import World, open_simulated_world

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
"""Summer time begins in the month that follows: on 8 March in America, on 29 March in Europe."""
DAYS = 30
END = START + timedelta(days=DAYS)
DAY = timedelta(days=1)
SLOW_DAY = 16
LONGEST_REST = timedelta(days=10)
OTHER_STRIKES = int(os.environ.get("STRIKES", "0"))
"""Added to the seed of the faults, so that they strike other calls: `STRIKES=30 make test-faults SUITE=ads`."""
HOURS_BETWEEN_ACCOUNT_SYNCS = 6
POLL_SECONDS = 900
"""The setting: a report that Amazon leaves pending for thirty hours would be polled 1,800 times at the default."""
CHOSEN_DATASETS = {
    1: ("daily_targets", "daily_campaigns", "hourly_products", "hourly_targets"),
    2: ("daily_products", "daily_placements", "hourly_campaigns"),
    3: ("daily_purchased_products", "daily_search_terms"),
}
"""Four reports a day and ads account in each seed; its histories are about some of the datasets."""


def _deal_datasets() -> dict[int, tuple[str, ...]]:
    """Return the datasets of each seed: the chosen ones, and each other one where reports are fewest."""
    dealt = dict(CHOSEN_DATASETS)

    def count_reports(seed: int) -> int:
        return sum(len(get_dataset(name).reports) for name in dealt[seed])

    chosen = {name for names in CHOSEN_DATASETS.values() for name in names}
    for name in (name for name in DATASETS if name not in chosen):
        seed = min(dealt, key=count_reports)
        dealt[seed] = (*dealt[seed], name)
    return dealt


DATASETS_BY_SEED = _deal_datasets()
COUNTRIES = {
    1: (("US", "BR"), ("MX",)),
    2: (("GB", "DE"), ("JP",)),
    3: (("FR", "AE"), ("CA",)),
}
"""Each seed has an ads account in two countries and one in a single country: at the same gate in seed 1, at two in the others."""
WITHOUT_RIGHTS = 1
"""The second ads account is listed, and may not be reported on until somebody grants it."""
FORESEEN = (
    AdsApiError,
    ExportFailedError,
    WindowNotLoadedError,
    AccountStoppedError,
    BrokenPartError,
)
BAD_ROW_SHARE = 0.25
"""The setting: a day of ten rows with two bad ones among them is to be loaded, and these put aside."""


def config(
    seed: int, countries: tuple[tuple[str, ...], ...], rules: tuple[Limits, ...] = ()
) -> SandboxConfig:
    """Return the sandbox of a month: small accounts, Amazon's usual times, and more than one part to most reports."""
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
        clock_frozen=True,
        rules=rules,
    )


def seasons(account_without_rights: str) -> Seasons:
    """Return what lasts: a throttled hour each day, one report at a time, renamed fields, an account without rights, and a day of slow reports.

    On that day half of the accepted creates are answered with a 429, so they are sent again while
    Amazon makes their reports, and are duplicates.
    """
    return {
        "throttled hour": (
            rule("answer", "create_report", status=429, name="throttled hour"),
            lambda now: now.hour == 9,
        ),
        "one at a time": (
            rule("one_at_a_time", name="one at a time"),
            lambda now: now < START + timedelta(hours=2) or _day(now) in range(5, 9),
        ),
        "old names": (
            rule("refuse", reason="old_names", name="old names"),
            lambda now: _day(now) in {3, 4, 12, *range(20, 25)},
        ),
        "no rights": (
            rule("refuse", account=account_without_rights, reason="no_rights", name="no rights"),
            lambda now: _day(now) in range(2),
        ),
        "slow reports": (
            rule("report_ends", status="COMPLETED", seconds=7200, name="slow reports"),
            lambda now: _day(now) == SLOW_DAY,
        ),
        "unheard": (
            rule("accepted_429", probability=0.5, name="unheard"),
            lambda now: _day(now) == SLOW_DAY,
        ),
    }


def _day(now: datetime) -> int:
    return (now - START).days


@contextmanager
def open_month(engine: Engine, home: Path, seed: int) -> Iterator["Month"]:
    """Open a sandbox with every fault in force, and a month in it that has not begun."""
    with (
        only_datasets(*DATASETS_BY_SEED[seed]),
        running_sandbox(config(seed, COUNTRIES[seed])) as sandbox,
    ):
        without_rights = sandbox.state.world.accounts.accounts[WITHOUT_RIGHTS].account_id
        rules = SeasonalRules(
            seed + OTHER_STRIKES,
            (*histories(seed), *month_rules()),
            seasons(without_rights),
            sandbox.state.clock.now,
        )
        sandbox.state.rules = rules
        settings = {"bad_row_share": BAD_ROW_SHARE, "report_poll_seconds": POLL_SECONDS}
        with open_simulated_world(engine, sandbox, home, **settings) as world:
            month = Month(world, rules)
            yield month
            month.simulation.close()


class Month:
    """A month under way in a world."""

    def __init__(self, world: World, rules: SeasonalRules) -> None:
        self.world = world
        self.alerts = MonthOfAlerts(world)
        self.simulation = Simulation(
            world,
            hours_between_account_syncs=HOURS_BETWEEN_ACCOUNT_SYNCS,
            on_hour=self.alerts.check,
        )
        self._rules = rules
        self._began = monotonic()

    def __str__(self) -> str:
        accounts = self.world.sandbox.state.world.accounts.accounts
        return "; ".join(f"{one.region} {' '.join(one.country_codes)}" for one in accounts)

    def pass_with_faults(self, tell: Callable[[str], object]) -> None:
        """Let thirty days pass; then, at most ten days, until each day that was over by then is loaded."""
        for day in range(1, DAYS + 1):
            self.simulation.run_until(START + timedelta(days=day))
            tell(self.progress())
        self.run_while(lambda: self.find(lambda one: one.days_without_data(END)), LONGEST_REST)
        tell(self.progress())

    def run_while(self, condition: Callable[[], object], longest: timedelta) -> None:
        """Let time pass while a condition holds, which is checked every six hours."""
        end = self.simulation.now + longest
        while self.simulation.now < end and condition():
            self.simulation.run_until(self.simulation.now + timedelta(hours=6))

    def end_faults(self) -> None:
        """End the faults, and let a day pass in which what is in flight comes to its end; a person gets everything going again."""
        self._rules.clear()
        for hours in (2, 22):
            self.simulation.call_person()
            self.simulation.run_until(self.simulation.now + timedelta(hours=hours))

    def redo_by_hand(self) -> None:
        """Load by hand what was last loaded from a report that said something else than the truth, and let what is asked for come to its end.

        Final days of which Amazon has far fewer rows than a fault has brought are accepted. The
        sensors do not run during these loads, which take hours, so they run for two hours afterwards.
        """
        for account in self.world.accounts():
            self.simulation.sync_entities(account.account_key)
            for dataset in DATASETS.values():
                days = Oracle(self.world, account, dataset).windows_not_true()
                if days:
                    self._accept(account, dataset.name, days)
                    self.simulation.drive(account.account_key, dataset.name, days)
        self.simulation.run_until(self.simulation.now + timedelta(hours=2))
        self.run_while(lambda: self.world.query(_ASKED_FOR), DAY)

    def _accept(self, account: Account, dataset: str, days: Sequence[date]) -> None:
        with self.world.engine.begin() as connection:
            now = self.world.context.now()
            decide_windows(connection, account, dataset, days, accepts=True, by="a person", now=now)

    def find(self, find: Callable[[Oracle], Iterable[object]]) -> list[object]:
        """Return what is found in each dataset of each account, with the names of both."""
        return [
            (account.account_key, dataset.name, found)
            for account in self.world.accounts()
            for dataset in DATASETS.values()
            for found in find(Oracle(self.world, account, dataset))
        ]

    def count_reasons(self) -> tuple[Counter[str], list[accounting.SentCreate]]:
        """Count why each create went out, and return those without a reason."""
        return accounting.count_reasons(
            self.simulation.wire.creates, self.world.sandbox.state.reports, self._rules.log
        )

    def not_loaded(self) -> list[Mapping[str, Any]]:
        """Return the windows without a load, newest first, and what was learned of Amazon's limits."""
        return [*self.world.query(_NOT_LOADED), *self.world.query(_LEARNED)]

    def loads_by_hand(self) -> list[Mapping[str, Any]]:
        """Return how the last loads by hand ended, what each did last, and what was learned of Amazon's limits."""
        return [*self.world.query(_LOADS_BY_HAND), *self.world.query(_LEARNED)]

    def count(self) -> dict[str, Any]:
        """Count what there is to tell of the month; `seconds` are real ones."""
        [stored] = self.world.query(_COUNTS)
        runs = self.simulation.runs
        return {
            **stored,
            "creates": dict(self.count_reasons()[0]),
            "runs": dict(Counter(run.job for run in runs)),
            "failed runs": sum(run.error is not None for run in runs),
            "visits": self.simulation.visits,
            "alerts": self.alerts.counts(),
            "calls": len(self.world.sandbox.state.ledger),
            "strikes": dict(Counter(strike.rule for strike in self._rules.log)),
            "seconds": round(monotonic() - self._began),
        }

    def unforeseen_errors(self) -> list[Exception]:
        """Return what runs failed with that isn't Amazon's doing."""
        errors = (run.error for run in self.simulation.runs if run.error is not None)
        return [error for error in errors if not _is_foreseen(error)]

    def progress(self) -> str:
        """Return a line that says how far the month is."""
        counts = self.world.query(
            "SELECT status, count(*) FROM report_windows GROUP BY status ORDER BY status"
        )
        windows = ", ".join(f"{row['count']:,} {row['status']}" for row in counts)
        return (
            f"  {self.simulation.now:%d %B} ({monotonic() - self._began:.0f} s): windows {windows}; "
            f"{len(self.simulation.wire.creates):,} creates; {len(self.simulation.runs):,} runs"
        )


def _is_foreseen(error: Exception) -> bool:
    if isinstance(error, ExceptionGroup):
        return all(_is_foreseen(one) for one in error.exceptions)
    return isinstance(error, FORESEEN)


_NOT_LOADED = """
    SELECT account_key, dataset, report, window_date, status, data_as_of, next_refresh_at, expires_at, request_id, cause
      FROM report_windows JOIN advertiser_accounts USING (account_id, country_code)
     WHERE load_count = 0 ORDER BY window_date DESC LIMIT 40"""
_LEARNED = "SELECT region, dataset, subject, value, set_by, set_at FROM registry_overrides"
_LOADS_BY_HAND = """
    SELECT account_key, started_at, status, outcome, error, input, action_count, actions -> -1 AS last_action
      FROM job_sessions WHERE job_name = 'load-windows' ORDER BY started_at DESC LIMIT 20"""
_ASKED_FOR = "SELECT 1 FROM report_requests WHERE finished_at IS NULL"
_COUNTS = """
    SELECT count(*) AS windows, count(*) FILTER (WHERE status = 'expired') AS expired,
           sum(load_count)::integer AS loads, sum(row_count)::integer AS rows,
           (SELECT count(*) FROM quarantined_rows) AS quarantined,
           (SELECT count(*) FROM report_requests) AS requests,
           (SELECT count(*) FROM report_requests WHERE finished_at IS NULL) AS "open requests",
           (SELECT count(*) FROM job_sessions WHERE status = 'running') AS "running sessions"
      FROM report_windows"""
