"""The world of a test: a database, Amazon's sandbox, what jobs work with, and the questions that tests ask of them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, text
from tenacity import wait_fixed

from bidbeacon_pipelines.accounts.queries import list_accounts, read_ads_account, set_paused
from bidbeacon_pipelines.accounts.sync import sync_accounts
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, RetryPolicy
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.amazon_ads.rate_limits import RateLimiter
from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.entities.sync import sync_entities
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.dispatch import step_requests
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.requests.plan import plan_account, plan_wanted
from bidbeacon_pipelines.requests.queries import get_request
from bidbeacon_pipelines.requests.rules import RequestStatus
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.make import make_dataset_windows
from bidbeacon_pipelines.windows.queries import list_windows
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_pipelines.windows.wanted_queries import want_windows
from bidbeacon_sandbox.accounts import AdsAccount as SandboxAccount
from bidbeacon_sandbox.entities import AD_PRODUCTS, EXPORT_KINDS, AdProduct, Catalog
from bidbeacon_sandbox.rules import Operation
from bidbeacon_sandbox.server import SandboxHandle
from bidbeacon_sandbox.state import AnsweredCall
from bidbeacon_sessions import SessionRecorder, SessionStore, with_job_session
from bidbeacon_sessions.clock import utc_now
from tests.support.one_dataset import shorten_history
from tests.support.reading import column, value
from tests.support.rows import change_accounts
from tests.support.rules import rule
from tests.support.truth import DayRows, Sums, catalog_of

if TYPE_CHECKING:
    from dagster import DagsterInstance

DATASET = get_dataset("daily_targets")
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
ENTITY_TABLES = {kind: kind for kind in (*EXPORT_KINDS, "portfolios")} | {"adGroups": "ad_groups"}
ACCEPTED = range(200, 300)
IMPATIENT = RetryPolicy(attempts=2, patience=0.05, backoff=wait_fixed(0.01))
Row = tuple[Any, ...]


class _Absent:
    """What a world does not have; any use of it fails."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        raise AssertionError(f"this world has no {self._name}: nothing to get {attribute} from")


NO_SANDBOX: Any = _Absent("sandbox")
NO_CONTEXT: Any = _Absent("context of jobs")
NO_INSTANCE: Any = _Absent("Dagster instance")


@dataclass(frozen=True, repr=False)
class World:
    """What one test works with, and asks; the context's clock is that of all jobs.

    Attributes:
        engine: the test's own connections to the database.
        sandbox: Amazon.
        context: the tools of jobs.
        instance: Dagster.
    """

    engine: Engine
    sandbox: SandboxHandle = NO_SANDBOX
    context: JobContext = NO_CONTEXT
    instance: "DagsterInstance" = NO_INSTANCE

    @property
    def database_url(self) -> str:
        """The address of the database, with its password."""
        return self.engine.url.render_as_string(hide_password=False)

    def advance(self, **duration: float) -> datetime:
        """Let time pass at Amazon, and for jobs that share its clock; return their new instant."""
        self.sandbox.state.clock.advance(timedelta(**duration).total_seconds())
        return self.context.now()

    def jump(self, instant: datetime) -> None:
        """Let time pass until an instant that is not over."""
        clock = self.sandbox.state.clock
        clock.set(max(instant, clock.now()))

    def day(self, ago: int = 3) -> date:
        """Return the date so many days ago, in UTC."""
        return self.context.now().date() - timedelta(days=ago)

    def yesterday_of(self, account: Account) -> date:
        """Return the last day that has ended in the account's time zone; it may be earlier than yesterday in UTC."""
        return local_date(self.context.now(), account.time_zone) - timedelta(days=1)

    def break_with(
        self,
        kind: str,
        call: Operation | None = None,
        *,
        times: int | None = None,
        **fields: Any,
    ) -> None:
        """Put a rule of the sandbox in force."""
        self.sandbox.state.rules.add(rule(kind, call, times=times, **fields))

    def shorten_history(self, days: int) -> None:
        """Have Amazon serve so few days only."""
        shorten_history(self.engine, days)

    @property
    def sessions(self) -> SessionStore:
        """The store of this database's sessions."""
        return SessionStore(self.engine)

    @contextmanager
    def session(self, job_name: str = "test") -> Iterator[SessionRecorder]:
        """Open a session; as in a run of its own, nothing was waited for before."""
        for credential in self.context.settings.credentials:
            client = self.context.client_for(credential)
            client._patience = client._policy.patience
        with with_job_session(job_name, store=self.sessions) as session:
            yield session

    @contextmanager
    def in_new_process(self, **client: Any) -> Iterator["World"]:
        """Yield the same world to a process that starts now: with no token, and no memory of refusals."""
        with open_impatient(self.engine, self.sandbox, self.context.settings, **client) as context:
            yield replace(self, context=context)

    def sync_accounts(self) -> list[str]:
        """Run the sync of accounts; return their keys."""
        with self.session("sync-accounts") as session:
            return sync_accounts(self.context, session)

    def sync_entities(self, account: Account) -> dict[str, int]:
        """Run the sync of an account's entities."""
        with self.session("sync-entities") as session:
            return sync_entities(self.context, session, account)

    def refresh(self, account: Account) -> None:
        """Run the scheduled refresh of an account's ads account once, then the shared polling, which creates what is planned."""
        self.plan(account)
        self.step()

    def plan(self, account: Account | str) -> None:
        """Run the scheduled refresh of an ads account once, given its key or an account of it: it plans only."""
        key = account if isinstance(account, str) else account.account_key
        with self.session("refresh-account") as session:
            plan_account(self.context, session, read_ads_account(self.engine, key))

    def step(self) -> int:
        """Run the shared polling once: create, poll, load."""
        with self.session("poll-requests") as session:
            return step_requests(self.context, session)

    def ask(self, account: Account, *days: date, dataset: Dataset = DATASET) -> int:
        """Plan and send the requests for days by hand, one for each report; return the id of the first."""
        return self._ask(account, days, dataset)[0]

    def _ask(self, account: Account, days: Sequence[date], dataset: Dataset) -> list[int]:
        with self.session() as session:
            make_dataset_windows(self.context, session, account, dataset)
            planned = self.plan_by_hand(account, days, dataset)
            for request_id in planned:
                if drive_request(self.context, session, request_id) == RequestStatus.PLANNED:
                    self.advance(seconds=1)  # the gate's pace, after one that was just created
                    drive_request(self.context, session, request_id)
        return planned

    def plan_by_hand(
        self, account: Account, days: Sequence[date], dataset: Dataset = DATASET
    ) -> list[int]:
        """Want days by hand, and plan their requests; return their ids."""
        with self.engine.begin() as connection:
            now = self.context.now()
            want_windows(connection, account, dataset.name, days, "maria", now=now)
        plan_wanted(self.context, account.account_id)
        planned = """SELECT id FROM report_requests
                      WHERE status = 'planned' AND by_hand AND account_id = :account_id
                        AND dataset = :dataset ORDER BY end_date DESC, id"""
        return column(self.engine, planned, account_id=account.account_id, dataset=dataset.name)

    def load(self, account: Account, *days: date, dataset: Dataset = DATASET) -> int:
        """Ask for days, wait until the dataset's reports are there, and load them; return the id of the first request."""
        request_ids = self._ask(account, days, dataset)
        for _ in request_ids[1:] or request_ids:  # two are in flight at first
            self.advance(minutes=2)
            self.step()
        return request_ids[0]

    def pause(self, account: Account) -> None:
        """Have a person pause an account."""
        with self.engine.begin() as connection:
            set_paused(connection, account, by="test")

    def disable_at_amazon(self, account: Account) -> None:
        """Have Amazon say that an account is disabled."""
        change_accounts(
            self.engine, Account.account_key == account.account_key, amazon_status="DISABLED"
        )

    def accounts(self) -> list[Account]:
        """Return the stored accounts, by key."""
        with self.engine.begin() as connection:
            return list_accounts(connection)

    def account(self, country: str = "US") -> Account:
        """Return the account of a country that Amazon has not disabled."""
        found = (one for one in self.accounts() if one.country_code == country)
        return next(one for one in found if one.amazon_status != "DISABLED")

    def account_in(self, account_id: str, country: str) -> Account:
        """Return an ads account in one country."""
        wanted = (account_id, country)
        return next(one for one in self.accounts() if (one.account_id, one.country_code) == wanted)

    def request(self, request_id: int) -> ReportRequest:
        """Return a request as stored."""
        with self.engine.begin() as connection:
            return get_request(connection, request_id)

    def window(self, account: Account, day: date, dataset: Dataset = DATASET) -> ReportWindow:
        """Return the window of a day of a dataset with one report as stored."""
        [window] = self.windows(account, day, dataset=dataset)
        return window

    def windows(
        self, account: Account, *days: date, dataset: Dataset = DATASET
    ) -> list[ReportWindow]:
        """Return the windows of all reports of some days as stored, by date and report."""
        with self.engine.begin() as connection:
            return list_windows(connection, account, dataset.name, days)

    def sums(self, account: Account, day: date, dataset: Dataset = DATASET) -> SimpleNamespace:
        """Return the sums of the counts and amounts of a day's windows."""
        names = ("row_count", "quarantined_count", "unresolved_count", "spend", "sales")
        windows = self.windows(account, day, dataset=dataset)
        return SimpleNamespace(
            **{name: sum(getattr(one, name) or 0 for one in windows) for name in names}
        )

    def query(self, statement: str, **values: Any) -> list[Mapping[str, Any]]:
        """Return the rows of a query."""
        return query(self.engine, statement, **values)

    def value(self, statement: str, **values: Any) -> Any:
        """Return the only value of a query."""
        return value(self.engine, statement, **values)

    def execute(self, statement: str, **values: Any) -> None:
        """Run one statement."""
        execute(self.engine, statement, **values)

    def actions(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the payloads of all actions of a type, oldest first."""
        found = self.query(
            "SELECT payload FROM session_actions WHERE type = :kind ORDER BY at, ord", kind=kind
        )
        return [row["payload"] for row in found]

    def sessions_of(self, job_name: str) -> list[Mapping[str, Any]]:
        """Return the sessions of a job, oldest first, as `job_sessions` shows them."""
        return self.query(
            "SELECT * FROM job_sessions WHERE job_name = :name ORDER BY started_at", name=job_name
        )

    def one_session(self, job_name: str) -> Mapping[str, Any]:
        """Return the only session of a job."""
        [session] = self.sessions_of(job_name)
        return session

    def accepted(self, operation: Operation = "create_report") -> list[AnsweredCall]:
        """Return the calls of an operation that the sandbox answered well."""
        return [
            call for call in self.sandbox.state.ledger.calls(operation) if call.status in ACCEPTED
        ]

    def reports_made(self) -> int:
        """Return how many reports Amazon has accepted, whether or not it said so."""
        return len(self.sandbox.state.reports)

    def owner(self, account_id: str) -> SandboxAccount:
        """Return the sandbox's side of an ads account."""
        owner = self.sandbox.state.world.accounts.find(account_id)
        assert owner is not None
        return owner

    def catalog(self, account: Account, product: AdProduct) -> Catalog:
        """Return what the sandbox knows that an account has of an ad product in its country."""
        return catalog_of(self.sandbox.state, account, product)

    def stored_rows(self, account: Account, day: date) -> set[Row]:
        """Return the rows that the table has of a day."""
        return {*self._rows_of(account, day).stored().items()}

    def stored_sums(self, account: Account, day: date) -> Sums:
        """Return the sums of the stored rows of a day."""
        rows = self._rows_of(account, day)
        return rows.sums(rows.stored())

    def true_rows(self, account: Account, day: date, at: datetime) -> set[Row]:
        """Return the rows that Amazon has of a day as of an instant, in the form of `stored_rows`."""
        return {*self._rows_of(account, day).true(at).items()}

    def true_sums(
        self, account: Account, day: date, ad_products: Sequence[str] = AD_PRODUCTS
    ) -> Sums:
        """Return the sums of the rows that Amazon has of a day now."""
        rows = self._rows_of(account, day)
        return rows.sums(rows.true(self.sandbox.state.clock.now(), ad_products))

    def _rows_of(self, account: Account, day: date) -> DayRows:
        return DayRows(self.engine, self.sandbox.state, account, DATASET, day)

    def true_entities(self, account: Account) -> dict[str, set[str]]:
        """Return the ids of an account's entities at Amazon, by kind, of all ad products."""
        catalogs = [self.catalog(account, product) for product in AD_PRODUCTS]
        return {
            kind: {
                one[f"{kind.removesuffix('s')}Id"]
                for catalog in catalogs
                for one in catalog.entities[kind]
            }
            for kind in EXPORT_KINDS
        } | {"portfolios": {one["portfolioId"] for one in catalogs[0].portfolios}}

    def stored_entities(self, account: Account) -> dict[str, set[str]]:
        """Return the ids of an account's stored entities, by kind."""
        ids = "SELECT {}_id FROM {} WHERE account_id = :account_id AND country_code = :country_code"
        return {
            kind: {*column(self.engine, ids.format(table[:-1], table), **account.identity)}
            for kind, table in ENTITY_TABLES.items()
        }


@contextmanager
def open_context(
    engine: Engine, sandbox: SandboxHandle, settings: Settings, /, **client: Any
) -> Iterator[JobContext]:
    """Yield the tools of one run, with a client of its own, on the sandbox's clock: sleeping moves it on.

    Args:
        engine: the database.
        sandbox: Amazon.
        settings: of the product.
        client: arguments of `AdsApiClient` that are not as usual.
    """
    clock, advancing = sandbox.state.clock, Lock()

    def sleep(seconds: float) -> None:
        with advancing:  # clients sleep in several threads
            clock.advance(max(0.0, seconds))

    limiter = RateLimiter(engine, 0, clock.now)
    options: dict[str, Any] = {"limiter": limiter, "now": clock.now, "sleep": sleep} | client
    endpoints = Endpoints.sandbox(sandbox.url)
    with AdsApiClient(SANDBOX_CREDENTIAL, endpoints, **options) as opened:
        yield JobContext(engine, lambda _: opened, settings, clock.now, sleep)


def open_impatient(
    engine: Engine, sandbox: SandboxHandle, settings: Settings, **client: Any
) -> AbstractContextManager[JobContext]:
    """Return the tools of one run whose client waits shortly, and really."""
    real = {"retry": IMPATIENT, "now": utc_now, "sleep": time.sleep}
    return open_context(engine, sandbox, settings, **real | client)


@contextmanager
def open_simulated_world(
    engine: Engine, sandbox: SandboxHandle, home: Path, **settings: Any
) -> Iterator[World]:
    """Yield a world without accounts whose jobs poll as often as with Amazon, on connections that nobody ends."""
    as_with_amazon = {"report_first_poll_seconds": 180, "report_poll_seconds": 60}
    chosen = Settings(home=home, **as_with_amazon | settings)
    # Unlike the product's, it doesn't ask a connection whether it lives before each use.
    own = create_engine(engine.url, pool_size=3, connect_args={"options": "-c timezone=UTC"})
    with open_context(own, sandbox, chosen) as context:
        yield World(own, sandbox, context)
    own.dispose()


def query(engine: Engine, statement: str, **values: Any) -> list[Mapping[str, Any]]:
    """Return the rows of a query."""
    with engine.begin() as connection:
        return [dict(row) for row in connection.execute(text(statement), values).mappings()]


def execute(engine: Engine, statement: str, **values: Any) -> None:
    """Run one statement."""
    with engine.begin() as connection:
        connection.execute(text(statement), values)
