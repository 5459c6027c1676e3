"""One account, one due day, one fault: what happens to that day when nothing else goes wrong.

Database, sandbox and client share one clock that only waiting moves on, so each case's duration is
exact.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from tenacity import wait_exponential

from bidbeacon_pipelines.accounts.queries import set_resumed
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.client import SHORT_WAITS
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.jobs import Files
from bidbeacon_sandbox.reports import Reports
from bidbeacon_sandbox.rules import Limits
from bidbeacon_sandbox.server import SandboxHandle, running_sandbox
from tests.support.jobs import due_ads_accounts, make_windows
from tests.support.kept_tables import keep_tables, put_back
from tests.support.one_dataset import only_daily_targets
from tests.support.rows import change_accounts, change_windows
from tests.support.world import ENTITY_TABLES, NOON, World, open_context, open_simulated_world

AT_REST = timedelta(hours=2)
"""A window that is due later than this from now is at rest."""
MOST_ROUNDS = 100
BAD_ROW_SHARE = 0.25


@dataclass(frozen=True)
class LoneDay:
    """The only day of a world that falls due, of one account.

    It is so many days ago as the world begins; one of three days ago is due again in two days, an
    older one is due once.
    """

    world: World
    age: int = 3

    @property
    def day(self) -> date:
        """Its date."""
        today = local_date(_start_of(self.world.sandbox), self.world.account().time_zone)
        return today - timedelta(days=self.age)

    @property
    def window(self) -> ReportWindow:
        """The day's window as stored."""
        return self.world.window(self.world.account(), self.day)

    def with_age(self, age: int) -> "LoneDay":
        """Have a day of so many days ago fall due, instead of this one."""
        other, engine = replace(self, age=age), self.world.engine
        if other != self:
            due_at = self.window.next_refresh_at
            change_windows(engine, ReportWindow.window_date == self.day, next_refresh_at=None)
            change_windows(engine, ReportWindow.window_date == other.day, next_refresh_at=due_at)
        return other

    def strike(self, faults: Sequence[Limits]) -> None:
        """Put faults in force, and forget what was asked before."""
        self.world.sandbox.state.ledger.clear()
        self.world.sandbox.state.rules.add(*faults)

    def pass_time(self, looks_every: timedelta = timedelta(seconds=1)) -> float:
        """Do what is due until nothing more is for hours, as schedule and sensors would.

        Args:
            looks_every: the least time between two looks at what is due.

        Returns:
            How long it took, in seconds, without the rest after it.
        """
        now = self.world.context.now
        began = now()
        for _ in range(MOST_ROUNDS):
            self.do_what_is_due()
            upcoming = self.world.value(_NEXT_INSTANT, rest=now() + AT_REST)
            if upcoming is None:
                return (now() - began).total_seconds()
            self.world.jump(max(upcoming, now() + looks_every))
        raise AssertionError(
            f"never came to rest: {self.world.query('SELECT * FROM report_requests')}"
        )

    def do_what_is_due(self) -> None:
        """Create, poll and load what is due, and plan."""
        world = self.world
        hold_windows(world)
        world.step()
        due = due_ads_accounts(world)
        for key in due:
            world.plan(key)
        if due:
            world.step()

    def wait_until_due(self) -> None:
        """Let time pass until the day is due again; one that never will be is asked for by hand."""
        at = self.window.next_refresh_at
        if at is None:
            self.world.ask(self.world.account(), self.day)
        else:
            self.world.jump(at)

    @contextmanager
    def mended(self) -> Iterator["LoneDay"]:
        """Take faults and pauses away, enable the account as a person would, and yield the day to another client, as a later run has it."""
        self.world.sandbox.state.rules.clear()
        _drop_stuck_reports(self.world.sandbox)
        self.world.execute("DELETE FROM rate_limits")
        with self.world.engine.begin() as connection:
            set_resumed(connection, self.world.account())
        with _open_context(self.world) as context:
            yield replace(self, world=replace(self.world, context=context))

    def mend(self) -> None:
        """Take the faults away, and wait until the day was due again, and at rest."""
        with self.mended() as mended:
            mended.wait_until_due()
            mended.pass_time()

    def forget_entities(self) -> None:
        """Remove all that entity syncs have stored."""
        self.world.execute(f"TRUNCATE {', '.join(ENTITY_TABLES.values())}, entity_exports CASCADE")


_PREPARED = (
    "ads_accounts",
    "advertiser_accounts",
    *ENTITY_TABLES.values(),
    "target_names",
    "entity_exports",
    "dataset_windows",
    "report_windows",
)
_WRITTEN = (
    "daily_targets",
    "restatements",
    "quarantined_rows",
    "report_loads",
    "row_removals",
    "registry_overrides",
    "proven_histories",
    "credential_listings",
    "loads_by_hand",
    "dataset_checks",
    "session_headers",
    "report_windows",
    "report_requests",
    "report_gates",
    "findings",
    "alert_receivers",
    "access_tokens",
    "rate_limits",
    "api_calls",
)
_NEXT_INSTANT = """
    SELECT least((SELECT min(greatest(r.next_step_at, CASE WHEN r.status IN ('planned', 'sent') THEN g.next_create_at END))
                    FROM report_requests r JOIN ads_accounts o USING (account_id) LEFT JOIN report_gates g USING (client_id, region)
                   WHERE r.status NOT IN ('loaded', 'failed') AND o.needs_attention IS NULL),
                 (SELECT min(next_refresh_at) FROM report_windows JOIN ads_accounts o USING (account_id)
                   WHERE request_id IS NULL AND next_refresh_at < :rest AND o.needs_attention IS NULL))"""


@contextmanager
def open_lone_world(database_url: str, home: Path) -> Iterator[World]:
    """Yield a world whose accounts and entities are known, with one day that is due."""
    config = SandboxConfig(
        rows_per_day=40, report_seconds=60, export_seconds=0, clock_start=NOON, clock_frozen=True
    )
    engine = make_engine(database_url)
    with (
        only_daily_targets(),
        running_sandbox(config) as sandbox,
        open_simulated_world(engine, sandbox, home, bad_row_share=BAD_ROW_SHARE) as world,
    ):
        _prepare(world)
        yield world


def _prepare(world: World) -> None:
    """Sync accounts and the entities of one, and make its windows, all of which but the day are never due; keep a copy of them."""
    world.sync_accounts()
    world.sync_entities(world.account())
    make_windows(world, world.account())
    change_windows(
        world.engine, ReportWindow.window_date != LoneDay(world).day, next_refresh_at=None
    )
    never_synced = Account.entities_synced_at.is_(None)
    change_accounts(world.engine, never_synced, entities_synced_at=Account.first_seen_at)
    hold_windows(world)
    keep_tables(world.engine, _PREPARED)


def hold_windows(world: World) -> None:
    """Let the windows of all accounts count as made for today, so that time creates and expires none."""
    world.execute(
        """INSERT INTO dataset_windows (account_id, country_code, dataset, report, through_date)
           SELECT account_id, country_code, 'daily_targets', 'SP+SB+SD', CAST(CAST(:now AS timestamptz) AT TIME ZONE time_zone AS date)
             FROM advertiser_accounts
           ON CONFLICT (account_id, country_code, dataset, report) DO UPDATE SET through_date = excluded.through_date""",
        now=world.context.now(),
    )


@contextmanager
def fresh_day(world: World) -> Iterator[LoneDay]:
    """Yield the day of a world that is as `open_lone_world` made it, with a client of its own."""
    put_back(world.engine, _PREPARED, emptied=_WRITTEN)
    world.sandbox.state.clock.set(_start_of(world.sandbox))
    _reset(world.sandbox)
    with _open_context(world) as context:
        yield LoneDay(replace(world, context=context))


def _open_context(world: World) -> AbstractContextManager[JobContext]:
    """Return the tools of a run, as patient as they are; a pause that is drawn is always the longest that it can be."""
    retry = replace(SHORT_WAITS, backoff=wait_exponential(multiplier=1, max=20))
    engine, settings = world.engine, world.context.settings
    return open_context(engine, world.sandbox, settings, engine=engine, retry=retry)


def _reset(sandbox: SandboxHandle) -> None:
    """Take a sandbox back to its start, with the exports that were made then."""
    state, start = sandbox.state, _start_of(sandbox)
    state.rules.clear()
    state.urls.first.clear()
    state.reports = Reports(state.world)
    for export in state.exports:
        if export.created_at > start:
            state.exports.delete(export)
    state.files = Files(state.config.part_rows)


def _drop_stuck_reports(sandbox: SandboxHandle) -> None:
    """Drop the reports that will never be done, each of which has a slot for ever."""
    for report in sandbox.state.reports:
        if report.ready_at is None:
            sandbox.state.reports.delete(report)


def _start_of(sandbox: SandboxHandle) -> datetime:
    start = sandbox.state.config.clock_start
    assert start is not None
    return start
