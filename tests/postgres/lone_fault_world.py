"""One account, one due day, one fault: what Amazon is asked, what is told, and what is stored, when nothing else goes wrong.

Database, sandbox and client share one clock that only waiting moves on, so each case's duration is
exact.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import text
from tenacity import wait_exponential

from bidbeacon_pipelines.accounts.queries import set_resumed
from bidbeacon_pipelines.amazon_ads.client import SHORT_WAITS, AdsApiClient
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.amazon_ads.rate_limits import RateLimits
from bidbeacon_pipelines.amazon_ads.reports import ad_product_filter, create_report
from bidbeacon_pipelines.causes import Cause, explain
from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.problems.entity_findings import find_left_out
from bidbeacon_pipelines.windows.due import list_ads_accounts_with_due_work
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.entities import AD_PRODUCTS, EXPORT_KINDS
from bidbeacon_sandbox.files import Files
from bidbeacon_sandbox.reports import Reports
from bidbeacon_sandbox.rules import Limits, Operation
from bidbeacon_sandbox.server import SandboxHandle, running_sandbox
from bidbeacon_sandbox.store import Store
from tests.faults.ads.oracle import Oracle
from tests.faults.ads.simulated_office import Office
from tests.postgres.job_world import DATASET, NOON, BenchWorld
from tests.support.one_dataset import only_daily_targets
from tests.support.planning import plan

AT_REST = timedelta(hours=2)
"""A window that is due later than this from now is at rest."""
MOST_ROUNDS = 100
BAD_ROW_SHARE = 0.25

RowsAre = Literal["true", "as delivered", "as before", "none"]


@contextmanager
def open_context(office: Office) -> Iterator[JobContext]:
    """Give the tools of jobs, as patient as they are; a pause that is drawn is always the longest that it can be."""
    client = AdsApiClient(
        SANDBOX_CREDENTIAL,
        Endpoints.sandbox(office.sandbox.url),
        engine=office.engine,
        limits=RateLimits(0, office.clock.now),
        retry=replace(SHORT_WAITS, backoff=wait_exponential(multiplier=1, max=20)),
        now=office.clock.now,
        sleep=office.clock.sleep,
    )
    with client:
        yield JobContext(
            office.engine, lambda _: client, office.settings, office.clock.now, office.clock.sleep
        )


@dataclass(frozen=True, repr=False)
class LoneFaultWorld(BenchWorld):
    """A world in which only one day of one account falls due.

    It is three days ago as the world begins, and due again in two days; an older one is due once.
    """

    office: Office
    age: int = 3

    @property
    def day(self) -> date:
        """The day that falls due."""
        today = local_date(_start_of(self.sandbox), self.account().time_zone)
        return today - timedelta(days=self.age)

    def with_day(self, age: int) -> "LoneFaultWorld":
        """Have a day of so many days ago fall due, instead of the other one."""
        world = replace(self, age=age)
        self.execute(
            """UPDATE report_windows w
                  SET next_refresh_at = CASE WHEN w.window_date = :day THEN due.at END
                 FROM (SELECT max(next_refresh_at) AS at FROM report_windows) due
                WHERE w.window_date = :day OR w.next_refresh_at IS NOT NULL""",
            day=world.day,
        )
        return world

    def strike(self, faults: Sequence[Limits]) -> None:
        """Put faults in force, and forget what was asked before."""
        self.sandbox.state.ledger.clear()
        self.sandbox.state.rules.add(*faults)

    def let_another_ask(self) -> None:
        """Have somebody else ask Amazon for the very report that is due."""
        account, day = self.account(), self.day
        fields, client = DATASET.fields, self.context.client_for("default")
        create_report(
            client,
            account.region,
            account.account_id,
            fields=fields,
            start=day,
            end=day,
            row_filter=ad_product_filter(DATASET.reports[0].ad_products),
        )

    def pass_time(self, looks_every: timedelta = timedelta(seconds=1)) -> float:
        """Do what is due until nothing more is for hours, as schedule and sensors would.

        Args:
            looks_every: the least time between two looks at what is due.

        Returns:
            How long it took, in seconds, without the rest after it.
        """
        began = self.context.now()
        for _ in range(MOST_ROUNDS):
            self._do_what_is_due()
            upcoming = self._next_instant()
            if upcoming is None:
                return (self.context.now() - began).total_seconds()
            self.office.clock.jump(max(upcoming, self.context.now() + looks_every))
        raise AssertionError(f"never came to rest: {self.query('SELECT * FROM report_requests')}")

    def _do_what_is_due(self) -> None:
        hold_windows(self.office)
        self.step()
        with self.engine.begin() as connection:
            due = list_ads_accounts_with_due_work(
                connection, now=self.context.now(), datasets=tuple(DATASETS)
            )
        for key in due:
            with self.session("refresh-account") as session:
                plan(self.context, session, key)
        if due:
            self.step()

    def _next_instant(self) -> datetime | None:
        at: datetime | None = self.value(_NEXT_INSTANT, rest=self.context.now() + AT_REST)
        return at

    def wait_until_due(self) -> None:
        """Let time pass until the day is due again; one that never will be is asked for by hand."""
        at = self.the_window().next_refresh_at
        if at is None:
            self.ask(self.account(), self.day)
        else:
            self.office.clock.jump(at)

    def mend(self) -> None:
        """Take the faults away, and wait until the day was due again, and at rest."""

        def work(mended: LoneFaultWorld) -> None:
            mended.wait_until_due()
            mended.pass_time()

        self.mend_with(work)

    def mend_with(self, work: Callable[["LoneFaultWorld"], object]) -> None:
        """Take the faults away, enable the account as a person would, and work with another client, as a later run has it."""
        self.sandbox.state.rules.clear()
        _drop_stuck_reports(self.sandbox)
        with self.engine.begin() as connection:
            set_resumed(connection, self.account().account_key)
        with open_context(self.office) as context:
            work(replace(self, context=context))

    def forget_entities(self) -> None:
        """Remove all that entity syncs have stored."""
        self.execute(f"TRUNCATE {', '.join(_ENTITIES.values())}, entity_exports CASCADE")

    def stored_entities(self) -> dict[str, set[str]]:
        """Give the ids of the account's entities in the tables, by kind."""
        return {
            kind: {
                str(row["id"]) for row in self.query(f"SELECT {_id_of(kind)} AS id FROM {table}")
            }
            for kind, table in _ENTITIES.items()
        }

    def true_entities(self) -> dict[str, set[str]]:
        """Return the ids of the account's entities at Amazon, by kind, of all ad products."""
        account = self.account()
        owner = self.office.owner(account.account_id)
        country = owner.find_country(account.country_code)
        assert country is not None
        world = self.sandbox.state.world
        catalogs = [world.catalog(owner, country, product) for product in AD_PRODUCTS]
        return {
            kind: {
                one[f"{kind.removesuffix('s')}Id"]
                for catalog in catalogs
                for one in catalog.entities[kind]
            }
            for kind in EXPORT_KINDS
        } | {"portfolios": {one["portfolioId"] for one in catalogs[0].portfolios}}

    def stored_accounts(self) -> list[Mapping[str, Any]]:
        """Give what Amazon has told of the accounts."""
        return self.query(
            """SELECT account_id, country_code, name, amazon_status, profile_id, region, currency_code, time_zone
                 FROM advertiser_accounts ORDER BY account_key"""
        )

    def left_out(self) -> str | None:
        """Return the code and text of the finding on campaigns that reports leave out, or None."""
        with self.engine.begin() as connection:
            found = find_left_out(connection, self.context.settings, self.context.now())
        return next((f"{one.code}: {one.sentence} {one.advice}" for one in found), None)

    def calls(self) -> dict[str, int]:
        """Count all that Amazon was asked since the fault, by operation."""
        return dict(
            Counter(call.operation or "other" for call in self.sandbox.state.ledger.calls())
        )

    def value(self, statement: str, **values: Any) -> Any:
        """Give the only value of a query."""
        return self.office.value(statement, **values)

    def count_calls(self, operation: Operation) -> int:
        """Count what Amazon was asked since the fault."""
        return len(self.sandbox.state.ledger.calls(operation))

    def count_actions(self) -> int:
        """Count what was told so far."""
        return int(self.value("SELECT count(*) FROM session_actions"))

    def told_since(self, count: int) -> tuple[str, ...]:
        """Give the types of all actions after the first so many, but for plans, in order; the very same in a row is given once."""
        rows = self.query(
            "SELECT type FROM session_actions ORDER BY at, ord OFFSET :count", count=count
        )
        types = [str(row["type"]) for row in rows if row["type"] != "reports-planned"]
        return tuple(kind for n, kind in enumerate(types) if n == 0 or types[n - 1] != kind)

    def strikes(self) -> list[object]:
        """Give how often each rule struck."""
        return [rule["struck"] for rule in self.sandbox.state.rules.overview()]

    def the_window(self) -> ReportWindow:
        """Give the window of the day."""
        return self.window(self.account(), self.day)

    def lying_rows(self) -> list[Mapping[str, Any]]:
        """Give the day's rows as they lie in the table, with where and by which transaction they were written."""
        return self.query("SELECT *, xmin, ctid FROM daily_target_performance ORDER BY row_key")

    def differences(self, rows: RowsAre) -> list[str]:
        """Give in what the day's rows differ from the truth of when their report was made, or from what was delivered."""
        oracle = Oracle(self.office, self.account())
        if rows == "true":
            return [*oracle.compare_with_truth(), *oracle.false_zeros()]
        return list(oracle.compare_with_delivered())

    def quarantine(self) -> list[str]:
        """Give why each quarantined row was put aside."""
        kept = self.query("SELECT cause FROM quarantined_rows")
        return [explain(row["cause"]).sentence for row in kept]


def code_and_text(cause: Cause) -> str:
    """Return a cause's code, and how it is told."""
    return f"{cause['code']}: {explain(cause).text}"


_ENTITIES = {
    "campaigns": "campaigns",
    "adGroups": "ad_groups",
    "ads": "ads",
    "targets": "targets",
    "portfolios": "portfolios",
}
_PREPARED = (
    "ads_accounts",
    "advertiser_accounts",
    *_ENTITIES.values(),
    "target_names",
    "entity_exports",
    "dataset_windows",
    "report_windows",
)
_WRITTEN = (
    "daily_target_performance",
    "restatements",
    "quarantined_rows",
    "report_loads",
    "row_removals",
    "registry_overrides",
    "proven_histories",
    "session_headers",
    "report_windows",
    "report_requests",
    "report_gates",
    "findings",
    "alert_receivers",
    "access_tokens",
    "api_calls",
)
_COLUMNS = """
    SELECT string_agg(column_name, ', ') FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = :table AND is_generated = 'NEVER'"""
_NEXT_INSTANT = """
    SELECT least((SELECT min(greatest(r.next_step_at, CASE WHEN r.status IN ('planned', 'sent') THEN g.next_create_at END))
                    FROM report_requests r JOIN ads_accounts o USING (account_id) LEFT JOIN report_gates g USING (client_id, region)
                   WHERE r.status NOT IN ('loaded', 'failed') AND o.needs_attention IS NULL),
                 (SELECT min(next_refresh_at) FROM report_windows JOIN ads_accounts o USING (account_id)
                   WHERE request_id IS NULL AND next_refresh_at < :rest AND o.needs_attention IS NULL))"""


@contextmanager
def open_office(database_url: str, home: Path) -> Iterator[Office]:
    """Yield an office with its own sandbox: accounts and entities are known, and one day is due."""
    config = SandboxConfig(
        rows_per_day=40, report_seconds=60, export_seconds=0, clock_start=NOON, clock_rate=0
    )
    engine = make_engine(database_url)
    with only_daily_targets(), running_sandbox(config) as sandbox:
        office = Office(engine, sandbox, home, bad_row_share=BAD_ROW_SHARE)
        prepare(office)
        yield office
    engine.dispose()


def prepare(office: Office) -> None:
    """Sync accounts and the entities of one, and make its windows, all of which but the day are never due; keep a copy of them."""
    with open_context(office) as context:
        world = LoneFaultWorld(office.engine, office.sandbox, context, office)
        world.sync_accounts()
        world.sync_entities(world.account())
        with world.session() as session:
            keep_windows(context, session, world.account(), DATASET)
        world.execute(
            "UPDATE report_windows SET next_refresh_at = NULL WHERE window_date <> :day",
            day=world.day,
        )
    office.execute(
        "UPDATE advertiser_accounts SET entities_synced_at = first_seen_at WHERE entities_synced_at IS NULL"
    )
    hold_windows(office)
    for table in _PREPARED:
        office.execute(f"CREATE TABLE {table}_as_made AS TABLE {table}")


def hold_windows(office: Office) -> None:
    """Let the windows of all accounts count as made for today, so that time creates and expires none."""
    office.execute(
        """INSERT INTO dataset_windows (account_id, country_code, dataset, report, through_date)
           SELECT account_id, country_code, 'daily_targets', 'SP+SB+SD', CAST(CAST(:now AS timestamptz) AT TIME ZONE time_zone AS date)
             FROM advertiser_accounts
           ON CONFLICT (account_id, country_code, dataset, report) DO UPDATE SET through_date = excluded.through_date""",
        now=office.clock.now(),
    )


@contextmanager
def fresh_world(office: Office) -> Iterator[LoneFaultWorld]:
    """Give an office that is as `prepare` left it, with a client of its own."""
    with office.engine.begin() as connection:
        for table in (*_WRITTEN, *reversed(_PREPARED)):
            # Much faster than TRUNCATE, for tables this small.
            connection.execute(text(f"DELETE FROM {table}"))
        for table in _PREPARED:
            columns = connection.execute(text(_COLUMNS), {"table": table}).scalar_one()
            copy = f"SELECT {columns} FROM {table}_as_made"
            connection.execute(
                text(f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE {copy}")
            )
    office.sandbox.state.clock.set(_start_of(office.sandbox))
    _reset(office.sandbox)
    with open_context(office) as context:
        yield LoneFaultWorld(office.engine, office.sandbox, context, office)


def _id_of(kind: str) -> str:
    return f"{_ENTITIES[kind].removesuffix('s')}_id"


def _reset(sandbox: SandboxHandle) -> None:
    """Take a sandbox back to its start, with the exports that were made then."""
    state, start = sandbox.state, _start_of(sandbox)
    state.rules.clear()
    state.urls.first.clear()
    state.reports = Reports(state.world, Store())
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
