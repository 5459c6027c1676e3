"""A small world for tests of store, load and jobs: a database, and a sandbox over HTTP whose frozen clock is the jobs' clock too."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Engine, text

from bidbeacon_pipelines.accounts.queries import list_accounts, set_paused
from bidbeacon_pipelines.accounts.sync import sync_accounts
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import AD_PRODUCTS
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.entities.sync import sync_entities
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.requests.plan import plan_backfill
from bidbeacon_pipelines.requests.queries import get_request
from bidbeacon_pipelines.requests.refresh import step_requests
from bidbeacon_pipelines.requests.rules import RequestStatus
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_pipelines.windows.queries import list_windows, want_windows
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sandbox.ledger import Call
from bidbeacon_sandbox.rules import Operation
from bidbeacon_sandbox.server import SandboxHandle
from bidbeacon_sandbox.truth import day_truth
from bidbeacon_sessions import SessionRecorder, SessionStore, with_job_session
from tests.report_rows import with_target_ids
from tests.support.one_dataset import shorten_history
from tests.support.planning import plan
from tests.support.rows import change_accounts
from tests.support.rules import rule

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
DATASET = get_dataset("daily_targets")
ACCEPTED = range(200, 300)
Row = tuple[Any, ...]


def query(engine: Engine, statement: str, **values: Any) -> list[Mapping[str, Any]]:
    """Give the rows of a query."""
    with engine.begin() as connection:
        return [dict(row) for row in connection.execute(text(statement), values).mappings()]


def execute(engine: Engine, statement: str, **values: Any) -> None:
    """Run one statement."""
    with engine.begin() as connection:
        connection.execute(text(statement), values)


@dataclass(frozen=True, repr=False)
class BenchWorld:
    """One test's database and sandbox, what jobs work with, and the questions that tests ask of them."""

    engine: Engine
    sandbox: SandboxHandle
    context: JobContext

    @contextmanager
    def session(self, job_name: str = "test") -> Iterator[SessionRecorder]:
        """Open a session; as in a run of its own, nothing was waited for before."""
        for credential in self.context.settings.credentials:
            client = self.context.client_for(credential)
            client._patience = client._policy.patience
        with with_job_session(job_name, store=SessionStore(self.engine)) as session:
            yield session

    def advance(self, **duration: float) -> datetime:
        """Let time pass, for sandbox and jobs at once; give the new instant."""
        self.sandbox.state.clock.advance(timedelta(**duration).total_seconds())
        return self.context.now()

    def break_with(
        self,
        kind: str,
        call: Operation | None = None,
        *,
        times: int | None = None,
        **fields: Any,
    ) -> None:
        """Put a rule in force."""
        self.sandbox.state.rules.add(rule(kind, call, times=times, **fields))

    def shorten_history(self, days: int) -> None:
        """Have Amazon serve so few days only."""
        shorten_history(self.engine, days)

    def sync_accounts(self) -> list[str]:
        """Run the sync of accounts."""
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

    def plan(self, account: Account) -> None:
        """Run the scheduled refresh of an account's ads account once: it plans only."""
        with self.session("refresh-account") as session:
            plan(self.context, session, account.account_key)

    def step(self) -> int:
        """Run the shared polling once: create, poll, load."""
        with self.session("poll-requests") as session:
            return step_requests(self.context, session)

    def ask(self, account: Account, *days: date, dataset: Dataset = DATASET) -> int:
        """Plan and send the requests for days by hand, one for each report; give the id of the first."""
        return self._ask(account, days, dataset)[0]

    def _ask(self, account: Account, days: Sequence[date], dataset: Dataset) -> list[int]:
        with self.session() as session:
            keep_windows(self.context, session, account, dataset)
            with self.engine.begin() as connection:
                now = self.context.now()
                want_windows(connection, account, dataset.name, days, "maria", now=now)
            return self._send(session, account, days, dataset)

    def _send(
        self, session: SessionRecorder, account: Account, days: Sequence[date], dataset: Dataset
    ) -> list[int]:
        """Plan and send the requests for days that are wanted by hand; return their ids."""
        planned = plan_backfill(self.context, session, account, dataset, days)
        for request_id in planned:
            if drive_request(self.context, session, request_id) == RequestStatus.PLANNED:
                self.advance(seconds=1)  # the gate's pace, after one that was just created
                drive_request(self.context, session, request_id)
        return planned

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
            set_paused(connection, account.account_key, by="test")

    def disable_at_amazon(self, account: Account) -> None:
        """Have Amazon say that an account is disabled."""
        change_accounts(
            self.engine, Account.account_key == account.account_key, amazon_status="DISABLED"
        )

    def account(self, country: str = "US") -> Account:
        """Give the account of a country that Amazon has not disabled."""
        with self.engine.begin() as connection:
            found = [a for a in list_accounts(connection) if a.country_code == country]
        return next(account for account in found if account.amazon_status != "DISABLED")

    def account_in(self, account_id: str, country: str) -> Account:
        """Return an ads account in one country."""
        with self.engine.begin() as connection:
            found = list_accounts(connection)
        return next(
            one for one in found if (one.account_id, one.country_code) == (account_id, country)
        )

    def request(self, request_id: int) -> ReportRequest:
        """Give a request as stored."""
        with self.engine.begin() as connection:
            return get_request(connection, request_id)

    def window(self, account: Account, day: date, dataset: Dataset = DATASET) -> ReportWindow:
        """Give the window of a day of a dataset with one report as stored."""
        [window] = self.windows(account, day, dataset=dataset)
        return window

    def sums(self, account: Account, day: date, dataset: Dataset = DATASET) -> SimpleNamespace:
        """Give the sums of the counts and amounts of a day's windows."""
        names = ("row_count", "quarantined_count", "unresolved_count", "spend", "sales")
        windows = self.windows(account, day, dataset=dataset)
        return SimpleNamespace(
            **{name: sum(getattr(one, name) or 0 for one in windows) for name in names}
        )

    def windows(
        self, account: Account, *days: date, dataset: Dataset = DATASET
    ) -> list[ReportWindow]:
        """Give the windows of all reports of some days as stored, by date and report."""
        with self.engine.begin() as connection:
            return list_windows(connection, account, dataset.name, days)

    def query(self, statement: str, **values: Any) -> list[Mapping[str, Any]]:
        """Give the rows of a query."""
        return query(self.engine, statement, **values)

    def execute(self, statement: str, **values: Any) -> None:
        """Run one statement."""
        execute(self.engine, statement, **values)

    def actions(self, kind: str) -> list[Mapping[str, Any]]:
        """Give the payloads of all actions of a type, oldest first."""
        found = self.query(
            "SELECT payload FROM session_actions WHERE type = :kind ORDER BY at, ord", kind=kind
        )
        return [row["payload"] for row in found]

    def accepted(self, operation: Operation = "create_report") -> list[Call]:
        """Give the calls of an operation that the sandbox answered well."""
        return [
            call for call in self.sandbox.state.ledger.calls(operation) if call.status in ACCEPTED
        ]

    def reports_made(self) -> int:
        """Give how many reports Amazon has accepted, whether or not it said so."""
        return len(self.sandbox.state.reports)

    def stored_rows(self, account: Account, day: date) -> set[Row]:
        """Give what the table says of a day."""
        rows = self.query(
            f"""SELECT campaign_id, ad_group_id, target_value, match_type, target_id, impressions, clicks, orders, sales, spend
                  FROM {with_target_ids(DATASET)} WHERE account = :id AND window_date = :day""",
            id=account.id,
            day=day,
        )
        return {tuple(row.values()) for row in rows}

    def true_rows(self, account: Account, day: date, at: datetime) -> set[Row]:
        """Give what the sandbox knows of a day, as of an instant, in the form of `stored_rows`."""
        world = self.sandbox.state.world
        owner = world.accounts.find(account.account_id)
        assert owner is not None
        country = owner.find_country(account.country_code)
        assert country is not None
        summed: dict[Row, Row] = {}
        for product in AD_PRODUCTS:
            for row in day_truth(world.catalog(owner, country, product), day, at):
                key, metrics = _true_row(row)
                summed[key] = _added(summed[key], metrics) if key in summed else metrics
        return {key + metrics for key, metrics in summed.items()}


def _true_row(row: Mapping[str, Any]) -> tuple[Row, Row]:
    """Return what a true row is told by, but for its ad, and its metrics."""
    target = None if row["unresolvable"] else row["targetId"]
    key = (row["campaignId"], row["adGroupId"], row["targetValue"], row["targetMatchType"], target)
    amounts = (None if row[name] is None else Decimal(row[name]) for name in ("sales", "totalCost"))
    return key, (row["impressions"], row["clicks"], row["purchases"], *amounts)


def _added(one: Row, other: Row) -> Row:
    return tuple(
        a if b is None else b if a is None else a + b for a, b in zip(one, other, strict=True)
    )


def days_before(today: date, *ago: int) -> Sequence[date]:
    """Give the days so many days before a date."""
    return [today - timedelta(days=n) for n in ago]
