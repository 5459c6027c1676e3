"""A small world for tests of the Dagster side: a database, a sandbox over HTTP, an ephemeral Dagster instance."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from dagster import (
    AssetKey,
    DagsterEventType,
    DagsterInstance,
    EventRecordsFilter,
    ExecuteInProcessResult,
    Failure,
    materialize,
)
from sqlalchemy import Engine, func, text

from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.accounts.sync import sync_accounts
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.checks import build_report_checks
from bidbeacon_pipelines.defs.partitions import ACCOUNTS, PARTITION_TAG, partition_key
from bidbeacon_pipelines.defs.reports import build_report_asset
from bidbeacon_pipelines.defs.resources import BidBeaconSessions
from bidbeacon_pipelines.job_context import JobContext, open_job_context
from bidbeacon_pipelines.requests.plan import plan_backfill
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.windows.queries import list_windows, want_windows
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct
from bidbeacon_sandbox.ledger import Call
from bidbeacon_sandbox.server import SandboxHandle
from bidbeacon_sandbox.truth import day_truth
from bidbeacon_sessions import SessionRecorder, SessionStore, with_job_session
from bidbeacon_sessions.clock import utc_now
from tests.support.one_dataset import shorten_history
from tests.support.planning import plan
from tests.support.rows import change_accounts
from tests.support.rules import rule

DATASET = get_dataset("daily_targets")
ASSET_KEY = AssetKey(DATASET.asset_name)
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
HELD_SECONDS = 1_800
SERVED_DAYS = 60
"""The windows of 15 months would take seconds."""


@dataclass(frozen=True)
class Sums:
    """The exact sums of a day's rows; null counts as zero."""

    spend: Decimal
    sales: Decimal
    clicks: Decimal
    impressions: Decimal


@dataclass(frozen=True, repr=False)
class World:
    """Database, sandbox and Dagster instance of one test."""

    database_url: str
    engine: Engine
    sandbox: SandboxHandle
    instance: DagsterInstance

    @property
    def sessions(self) -> SessionStore:
        """Return the store of this database's sessions."""
        return SessionStore(self.engine)

    @contextmanager
    def context(self) -> Iterator[JobContext]:
        """Open the tools of a job."""
        with open_job_context(get_settings(), self.database_url) as context:
            yield context

    def add_accounts(self) -> list[str]:
        """Store the sandbox's accounts and make their partitions; return the keys."""
        with (
            self.context() as context,
            with_job_session("sync-accounts", store=self.sessions) as session,
        ):
            keys = sync_accounts(context, session)
        self.instance.add_dynamic_partitions(ACCOUNTS, keys)
        change_accounts(self.engine, entities_synced_at=func.now())
        return keys

    def shorten_history(self, days: int) -> None:
        """Have Amazon serve so few days only."""
        shorten_history(self.engine, days)

    def account(self, country: str = "US") -> Account:
        """Return the account of a country that Amazon has not disabled."""
        with self.engine.begin() as connection:
            accounts = list_accounts(connection)
        active = [account for account in accounts if account.amazon_status != "DISABLED"]
        return next(account for account in active if account.country_code == country)

    def day(self, ago: int = 3) -> date:
        """Return the date so many days ago, which has started in every account's time zone."""
        return datetime.now(UTC).date() - timedelta(days=ago)

    def yesterday_of(self, account: Account) -> date:
        """Return the last day that has ended in the account's time zone; it may be earlier than yesterday in UTC."""
        return local_date(utc_now(), account.time_zone) - timedelta(days=1)

    def hold_reports(self) -> None:
        """Keep all reports pending until `release_reports`."""
        self.sandbox.state.rules.add(rule("report_ends", status="COMPLETED", seconds=HELD_SECONDS))

    def release_reports(self) -> None:
        """Advance the sandbox's clock until held reports are ready."""
        self.sandbox.state.clock.advance(HELD_SECONDS)

    def execute(self, statement: str, **values: Any) -> None:
        """Run one statement."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def rows(self, statement: str, **values: Any) -> list[Mapping[str, Any]]:
        """Return the rows of a query."""
        with self.engine.begin() as connection:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    def window(self, account: Account, day: date) -> ReportWindow:
        """Return a stored window of the tests' dataset."""
        with self.engine.begin() as connection:
            [window] = list_windows(connection, account, DATASET.name, [day])
        return window

    def sessions_of(self, job_name: str) -> list[Mapping[str, Any]]:
        """Return the sessions of a job, oldest first, as `job_sessions` shows them."""
        return self.rows(
            "SELECT * FROM job_sessions WHERE job_name = :name ORDER BY started_at", name=job_name
        )

    def one_session(self, job_name: str) -> Mapping[str, Any]:
        """Return the only session of a job."""
        [session] = self.sessions_of(job_name)
        return session

    def accepted_creates(self) -> list[Call]:
        """Return the requests for reports that the sandbox accepted."""
        calls = self.sandbox.state.ledger.calls("create_report")
        return [call for call in calls if 200 <= call.status < 300]

    def loaded_sums(self, account: Account, day: date) -> Sums:
        """Return the sums of the stored rows of a day."""
        [row] = self.rows(
            """SELECT coalesce(sum(spend), 0) AS spend, coalesce(sum(sales), 0) AS sales,
                      coalesce(sum(clicks), 0) AS clicks, coalesce(sum(impressions), 0) AS impressions
                 FROM daily_target_performance WHERE account = :id AND window_date = :day""",
            id=account.id,
            day=day,
        )
        return Sums(**row)

    def true_sums(
        self, account: Account, day: date, ad_products: Sequence[AdProduct] = AD_PRODUCTS
    ) -> Sums:
        """Return the sums of the sandbox's truth for a day."""
        world, now = self.sandbox.state.world, self.sandbox.state.clock.now()
        owner = world.accounts.find(account.account_id)
        assert owner is not None
        country = owner.find_country(account.country_code)
        assert country is not None
        catalogs = [world.catalog(owner, country, product) for product in ad_products]
        truth = [row for catalog in catalogs for row in day_truth(catalog, day, now)]
        names = ("totalCost", "sales", "clicks", "impressions")
        return Sums(
            *[sum((Decimal(row[name] or 0) for row in truth), Decimal(0)) for name in names]
        )

    def materialize(
        self,
        account: Account,
        day: date,
        last: date | None = None,
        *,
        dataset: Dataset = DATASET,
        with_checks: bool = False,
        raise_on_error: bool = True,
    ) -> ExecuteInProcessResult:
        """Materialize a day, or with `last` a range in one run, as a single-run backfill does."""
        start, end = (partition_key(account.account_key, each) for each in (day, last or day))
        options: dict[str, Any] = {"partition_key": start}
        if last is not None:
            options = {"tags": {RANGE_START: str(start), RANGE_END: str(end)}}
        checks = [build_report_checks(dataset)] if with_checks else []
        return materialize(
            [build_report_asset(dataset), *checks],
            instance=self.instance,
            resources={"job_sessions": BidBeaconSessions()},
            raise_on_error=raise_on_error,
            **options,
        )

    def run_job(
        self, name: str, account: Account | None = None, *, raise_on_error: bool = True
    ) -> ExecuteInProcessResult:
        """Run a job in this process; with an account, run its partition as the sensor does."""
        tags = {}
        if account is not None:
            is_refresh = name == "refresh_account"
            tags = {PARTITION_TAG: account.ads_account_key if is_refresh else account.account_key}
        return defs.resolve_job_def(name).execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=raise_on_error
        )

    def plan(self, account: Account) -> None:
        """Make an account's windows and plan what is due, as the first part of a refresh."""
        with (
            self.context() as context,
            with_job_session("refresh-account", store=self.sessions) as session,
        ):
            plan(context, session, account.account_key)

    def materializations(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return partition and metadata of all materializations of the tests' asset, oldest first."""
        of_asset = EventRecordsFilter(DagsterEventType.ASSET_MATERIALIZATION, asset_key=ASSET_KEY)
        records = self.instance.get_event_records(of_asset, ascending=True)
        found = [each.asset_materialization for each in records if each.asset_materialization]
        return [
            (str(event.partition), {name: value.value for name, value in event.metadata.items()})
            for event in found
        ]

    def recorded_partitions(self) -> list[str]:
        """Return the partition of every materialization, oldest first."""
        return [partition for partition, _ in self.materializations()]


def failure_of(result: ExecuteInProcessResult) -> Failure:
    """Return the failure of a run's only step, which Dagster shows without a traceback."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    failure, error = event.step_failure_data.user_failure_data, event.step_failure_data.error
    assert failure is not None
    assert error is not None
    assert error.cause is None
    return Failure(failure.description, failure.metadata)


def ask_by_hand(
    context: JobContext, session: SessionRecorder, account: Account, days: Sequence[date]
) -> list[int]:
    """Plan a report for days requested by hand; return the requests."""
    with context.engine.begin() as connection:
        want_windows(connection, account, DATASET.name, days, "maria", now=context.now())
    return plan_backfill(context, session, account, DATASET, days)
