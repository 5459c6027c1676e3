"""A small world for tests of the Dagster side: a database, a sandbox over HTTP, an ephemeral Dagster instance."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from dagster import (
    AssetKey,
    AssetObservation,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    EventRecordsFilter,
    ExecuteInProcessResult,
    materialize,
)
from sqlalchemy import Engine, text

from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.partitions import (
    ACCOUNTS,
    PARTITION_TAG,
    partition_key,
)
from bidbeacon_pipelines.defs.reports import build_report_asset
from bidbeacon_pipelines.defs.resources import BidBeaconSessions
from bidbeacon_pipelines.reports.datasets import get_dataset
from bidbeacon_pipelines.reports.windows import local_date
from bidbeacon_pipelines.sandbox.entities import AD_PRODUCTS, AdProduct
from bidbeacon_pipelines.sandbox.faults import FaultOptions, FaultRule
from bidbeacon_pipelines.sandbox.ledger import Call
from bidbeacon_pipelines.sandbox.server import SandboxHandle
from bidbeacon_pipelines.sandbox.truth import day_truth
from bidbeacon_pipelines.services.accounts import sync_accounts
from bidbeacon_pipelines.services.job_context import JobContext, open_job_context
from bidbeacon_pipelines.services.refresh import plan_backfill
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.store.accounts import Account, get_account, list_accounts
from bidbeacon_pipelines.store.windows import Window, list_windows, want_windows
from bidbeacon_sessions import SessionRecorder, SessionStore, with_job_session
from bidbeacon_sessions.clock import utc_now

DATASET = get_dataset("daily_targets")
ASSET = build_report_asset(DATASET)
ASSET_KEY = AssetKey(DATASET.asset_name)
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
ACCEPTED = range(200, 300)
HELD_SECONDS = 1_800


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for a condition, for so many seconds at most."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.05)


@dataclass(frozen=True)
class Sums:
    """The exact sums of a day's rows; null counts as zero."""

    spend: Decimal
    sales: Decimal
    clicks: int
    impressions: int


@dataclass(frozen=True, repr=False)
class World:
    """Database, sandbox and Dagster instance of one test, and the questions that tests ask of them."""

    database_url: str
    engine: Engine
    sandbox: SandboxHandle
    instance: DagsterInstance

    @property
    def sessions(self) -> SessionStore:
        """Where this database's sessions are kept."""
        return SessionStore(self.engine)

    @contextmanager
    def context(self) -> Iterator[JobContext]:
        """Open the tools of a job."""
        with open_job_context(get_settings(), self.database_url) as context:
            yield context

    def add_accounts(self) -> list[str]:
        """Store the sandbox's accounts and make their partitions, as the job does; give the keys."""
        with (
            self.context() as context,
            with_job_session("sync-accounts", store=self.sessions) as session,
        ):
            keys = sync_accounts(context, session)
        self.instance.add_dynamic_partitions(ACCOUNTS, keys)
        self.execute("UPDATE advertiser_accounts SET entities_synced_at = now()")
        return keys

    def account(self, country: str = "US") -> Account:
        """Give the account of a country that Amazon has not disabled."""
        with self.engine.begin() as connection:
            return next(
                account
                for account in list_accounts(connection)
                if account.country_code == country and account.amazon_status != "DISABLED"
            )

    def account_of(self, key: str) -> Account:
        """Give the account with this key."""
        with self.engine.begin() as connection:
            return get_account(connection, key)

    def day(self, ago: int = 3) -> date:
        """Give a day, so many days ago; every account has begun it."""
        return datetime.now(UTC).date() - timedelta(days=ago)

    def yesterday_of(self, account: Account) -> date:
        """Return the last day that has ended in the account's time zone; it may be earlier than yesterday in UTC."""
        return local_date(utc_now(), account.time_zone) - timedelta(days=1)

    def hold_reports(self, times: int | None = None) -> None:
        """Let Amazon work on reports, on so many or on all, until `release_reports`, however slow this machine is."""
        held = FaultRule(
            fault="report_pending", times=times, options=FaultOptions(seconds=HELD_SECONDS)
        )
        self.sandbox.state.faults.add(held)

    def release_reports(self) -> None:
        """Let Amazon be done with the reports that are held: for the sandbox, the time has passed."""
        self.sandbox.state.clock.advance(HELD_SECONDS)

    def execute(self, statement: str, **values: Any) -> None:
        """Run one statement."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def rows(self, statement: str, **values: Any) -> list[Mapping[str, Any]]:
        """Give the rows of a query."""
        with self.engine.begin() as connection:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    def window(self, account: Account, day: date) -> Window:
        """Give a stored window of the tests' dataset."""
        with self.engine.begin() as connection:
            [window] = list_windows(connection, account, DATASET.name, [day])
        return window

    def sessions_of(self, job_name: str) -> list[Mapping[str, Any]]:
        """Give the sessions of a job, oldest first, as `job_sessions` shows them."""
        return self.rows(
            "SELECT * FROM job_sessions WHERE job_name = :name ORDER BY started_at", name=job_name
        )

    def one_session(self, job_name: str) -> Mapping[str, Any]:
        """Give the only session of a job."""
        [session] = self.sessions_of(job_name)
        return session

    def accepted_creates(self) -> list[Call]:
        """Give the requests for reports that the sandbox accepted."""
        calls = self.sandbox.state.ledger.calls("create_report")
        return [call for call in calls if call.status in ACCEPTED]

    def loaded_sums(self, account: Account, day: date) -> Sums:
        """Give what the stored rows of a day add up to."""
        [row] = self.rows(
            """SELECT coalesce(sum(spend), 0) AS spend, coalesce(sum(sales), 0) AS sales,
                      coalesce(sum(clicks), 0) AS clicks, coalesce(sum(impressions), 0) AS impressions
                 FROM daily_target_performance WHERE account = :id AND window_date = :day""",
            id=account.id,
            day=day,
        )
        return Sums(row["spend"], row["sales"], int(row["clicks"]), int(row["impressions"]))

    def true_sums(
        self, account: Account, day: date, ad_products: Sequence[AdProduct] = AD_PRODUCTS
    ) -> Sums:
        """Give what the sandbox knows the day to add up to."""
        world = self.sandbox.state.world
        owner = world.accounts.find(account.account_id)
        assert owner is not None
        country = owner.find_country(account.country_code)
        assert country is not None
        now = self.sandbox.state.clock.now()
        truth = [
            row
            for product in ad_products
            for row in day_truth(world.catalog(owner, country, product), day, now)
        ]
        return Sums(
            sum((Decimal(row["totalCost"] or 0) for row in truth), Decimal(0)),
            sum((Decimal(row["sales"] or 0) for row in truth), Decimal(0)),
            sum(row["clicks"] for row in truth),
            sum(row["impressions"] for row in truth),
        )

    def materialize(
        self, account: Account, day: date, *, raise_on_error: bool = True
    ) -> ExecuteInProcessResult:
        """Materialize one partition in this process."""
        key = partition_key(account.account_key, day)
        return self._materialize(raise_on_error=raise_on_error, partition_key=key)

    def materialize_range(
        self, account: Account, first: date, last: date, *, raise_on_error: bool = True
    ) -> ExecuteInProcessResult:
        """Materialize the days from first to last in one run, as a single-run backfill does."""
        start, end = (str(partition_key(account.account_key, day)) for day in (first, last))
        return self._materialize(
            raise_on_error=raise_on_error, tags={RANGE_START: start, RANGE_END: end}
        )

    def materialize_nothing(self) -> ExecuteInProcessResult:
        """Run the asset without a partition."""
        return self._materialize(raise_on_error=False)

    def _materialize(self, **options: Any) -> ExecuteInProcessResult:
        resources = {"job_sessions": BidBeaconSessions()}
        return materialize([ASSET], instance=self.instance, resources=resources, **options)

    def run_job(
        self, name: str, account: Account | None = None, *, raise_on_error: bool = True
    ) -> ExecuteInProcessResult:
        """Run a job in this process; with an account, as the sensor does: `refresh_account` for its ads account."""
        tags = {}
        if account is not None and name == "refresh_account":
            tags = {PARTITION_TAG: account.ads_account_key}
        elif account is not None:
            tags = {PARTITION_TAG: account.account_key}
        return defs.resolve_job_def(name).execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=raise_on_error
        )

    def materializations(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Give all materializations of the tests' asset, oldest first: partition and metadata values."""
        records = self.instance.get_event_records(
            EventRecordsFilter(DagsterEventType.ASSET_MATERIALIZATION, asset_key=ASSET_KEY),
            ascending=True,
        )
        found = [record.asset_materialization for record in records]
        return [
            (str(event.partition), {name: value.value for name, value in event.metadata.items()})
            for event in found
            if event is not None
        ]

    def observations(self) -> list[AssetObservation]:
        """Give all observations of the tests' asset, oldest first."""
        records = self.instance.get_event_records(
            EventRecordsFilter(DagsterEventType.ASSET_OBSERVATION, asset_key=ASSET_KEY),
            ascending=True,
        )
        return [
            record.asset_observation for record in records if record.asset_observation is not None
        ]

    def recorded_partitions(self) -> list[str]:
        """Give the partition of every materialization, oldest first."""
        return [partition for partition, _ in self.materializations()]


def failure_of(result: ExecuteInProcessResult) -> tuple[str, str]:
    """Give the name and the message of the exception that a run's only step failed with."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    return _cause(event)


def _cause(event: DagsterEvent) -> tuple[str, str]:
    error = event.step_failure_data.error
    assert error is not None
    while error.cause is not None:
        error = error.cause
    return error.cls_name or "", error.message.strip().partition(": ")[2]


def ask_by_hand(
    context: JobContext, session: SessionRecorder, account: Account, days: Sequence[date]
) -> list[int]:
    """Plan a report for days that somebody wants; return the requests."""
    with context.engine.begin() as connection:
        want_windows(connection, account, DATASET.name, days, session.session_id)
    return plan_backfill(context, session, account, DATASET, days)
