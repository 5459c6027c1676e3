"""Runs of Dagster in this process, in the world of a test, and what they leave there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
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
from sqlalchemy import Engine, func

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.checks import build_report_checks
from bidbeacon_pipelines.defs.partitions import ACCOUNTS, PARTITION_TAG, partition_key
from bidbeacon_pipelines.defs.reports import build_report_asset
from bidbeacon_pipelines.defs.resources import BidBeaconSessions
from bidbeacon_pipelines.job_context import open_job_context
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sandbox.server import SandboxHandle
from tests.support.rows import change_accounts
from tests.support.world import DATASET, World

ASSET_KEY = AssetKey(DATASET.name)
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
HELD_SECONDS = 1_800
SERVED_DAYS = 60
"""The windows of 15 months would take seconds."""


@contextmanager
def open_world(
    engine: Engine, sandbox: SandboxHandle, instance: DagsterInstance
) -> Iterator[World]:
    """Yield a world without accounts whose jobs have the settings and the clock of runs."""
    url = engine.url.render_as_string(hide_password=False)
    with open_job_context(get_settings(), url) as context:
        yield World(engine, sandbox, context, instance)


def add_accounts(world: World) -> None:
    """Store the sandbox's accounts as if their entities were synced, and make their partitions."""
    world.instance.add_dynamic_partitions(ACCOUNTS, world.sync_accounts())
    change_accounts(world.engine, entities_synced_at=func.now())


def hold_reports(world: World) -> None:
    """Keep all reports pending until `release_reports`."""
    world.break_with("report_ends", status="COMPLETED", seconds=HELD_SECONDS)


def release_reports(world: World) -> None:
    """Advance the sandbox's clock until held reports are ready."""
    world.advance(seconds=HELD_SECONDS)


def materialize_days(
    world: World,
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
        instance=world.instance,
        resources={"job_sessions": BidBeaconSessions()},
        raise_on_error=raise_on_error,
        **options,
    )


def run_job(
    world: World, name: str, account: Account | None = None, *, raise_on_error: bool = True
) -> ExecuteInProcessResult:
    """Run a job in this process; with an account, run its partition as the sensor does."""
    tags = {}
    if account is not None:
        is_refresh = name == "refresh_account"
        tags = {PARTITION_TAG: account.ads_account_key if is_refresh else account.account_key}
    return defs.resolve_job_def(name).execute_in_process(
        instance=world.instance, tags=tags, raise_on_error=raise_on_error
    )


def failure_of(result: ExecuteInProcessResult) -> Failure:
    """Return the failure of a run's only step, which Dagster shows without a traceback."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    failure, error = event.step_failure_data.user_failure_data, event.step_failure_data.error
    assert failure is not None
    assert error is not None
    assert error.cause is None
    return Failure(failure.description, failure.metadata)


def materializations(world: World) -> list[tuple[str, Mapping[str, Any]]]:
    """Return partition and metadata of all materializations of the tests' asset, oldest first."""
    of_asset = EventRecordsFilter(DagsterEventType.ASSET_MATERIALIZATION, asset_key=ASSET_KEY)
    records = world.instance.get_event_records(of_asset, ascending=True)
    found = [each.asset_materialization for each in records if each.asset_materialization]
    return [
        (str(event.partition), {name: value.value for name, value in event.metadata.items()})
        for event in found
    ]


def recorded_partitions(world: World) -> list[str]:
    """Return the partition of every materialization, oldest first."""
    return [partition for partition, _ in materializations(world)]
