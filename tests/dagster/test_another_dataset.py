"""A dataset that is one registry entry has all that the others have: asset, windows, planning, load, command."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.schema import MIGRATIONS
from bidbeacon_pipelines.datasets import registry as datasets
from bidbeacon_pipelines.datasets.dataset_tables import columns_of, make_dataset_table
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, DATASETS
from bidbeacon_pipelines.defs.sensors import refresh_due_accounts
from bidbeacon_pipelines.migrations.create import list_views, run
from bidbeacon_pipelines.migrations.upgrade import upgrade
from bidbeacon_pipelines.problems.checks import CHECKS
from tests.dagster.another_dataset import DAILY_MATCHED_TARGETS as ANOTHER
from tests.dagster.runs import materialize_days, run_job
from tests.dagster.test_sensors import asked_for
from tests.support.commands import run_command
from tests.support.reading import tuples
from tests.support.truth import DayRows
from tests.support.world import World
from tools.catalog import read_catalog
from tools.migration import write_next

REPORTS = [report for dataset in DATASETS.values() for report in dataset.reports]


def tables_with_another() -> MetaData:
    """Return the pipelines' tables and the dataset's, as its registry entry makes it."""
    metadata = MetaData(naming_convention=PipelinesBase.metadata.naming_convention)
    for table in PipelinesBase.metadata.tables.values():
        table.to_metadata(metadata)
    make_dataset_table(ANOTHER, metadata)
    return metadata


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> Iterator[None]:
    """Register the dataset for one test, and make its table."""
    tables_with_another().tables[ANOTHER.name].create(engine)
    with monkeypatch.context() as patch:
        patch.setitem(datasets._REGISTRY, ANOTHER.name, ANOTHER)
        yield


def day_rows_of(world: World, account: Account) -> DayRows:
    """Return the rows of a day of an account with entities."""
    assert run_job(world, "sync_entities", account).success
    return DayRows(world.engine, world.sandbox.state, account, ANOTHER, world.day())


def test_its_migration_is_generated(empty_url: str, tmp_path: Path) -> None:
    """`make migration` writes its table with all checks; the analysts' view of it, and the view that all datasets are in, follow."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    write_next(empty_url, "Add matched targets", tables=tables_with_another(), folder=folder)
    upgrade(empty_url, folder=folder)
    views = list_views([*ALL_DATASETS, ANOTHER])
    engine = make_engine(empty_url, pool_size=1)
    with engine.begin() as connection:
        run(connection, "DROP VIEW performance_rows CASCADE", views["VIEW performance_rows"])
        run(connection, views[f"VIEW reports.{ANOTHER.name}"])
        found = read_catalog(connection)
    engine.dispose()
    assert ("column", ANOTHER.name, columns_of(ANOTHER)[-1].name) in found
    assert ANOTHER.name in found["table", "performance_rows", "performance_rows"]
    described = found["column", f"reports.{ANOTHER.name}", "matched_target"]
    assert "What the target was matched with." in described


@pytest.mark.usefixtures("registered")
def test_its_asset_loads_amazons_rows(stocked: World) -> None:
    """Materializing a partition of its asset over HTTP makes the table what Amazon knows, row by row; its checks run with it."""
    day_rows = day_rows_of(stocked, stocked.account("JP"))
    of_day = (day_rows.account, day_rows.day)
    result = materialize_days(stocked, *of_day, dataset=ANOTHER, with_checks=True)
    [told] = result.asset_materializations_for_node(ANOTHER.name)
    stored = day_rows.stored()
    assert stored
    assert len(stored) == told.metadata["dagster/partition_row_count"].value
    assert day_rows.differences(datetime.now(UTC)) == []
    assert [True] * len(CHECKS) == [check.passed for check in result.get_asset_check_evaluations()]


def test_accounts_get_its_windows_as_soon_as_it_is_registered(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing was due, every active account has work again; its run plans, and asks for the newest windows."""
    leave_nothing_due(stocked)
    assert [] == asked_for(stocked, refresh_due_accounts)
    monkeypatch.setitem(datasets._REGISTRY, ANOTHER.name, ANOTHER)
    assert {"refresh_account"} == {job for job, _ in asked_for(stocked, refresh_due_accounts)}
    account = stocked.account("JP")
    stocked.plan(account)
    windows = "SELECT dataset, count(*) > 15 * 28 FROM report_windows GROUP BY 1"
    assert [(ANOTHER.name, True)] == tuples(stocked.engine, windows)
    assert run_job(stocked, "poll_reports").success
    requests = "SELECT dataset, status FROM report_requests WHERE attempts > 0"
    assert [(ANOTHER.name, "in_flight")] * 2 == tuples(stocked.engine, requests)


def leave_nothing_due(world: World) -> None:
    """Let the windows of all other datasets exist through tomorrow, without any that is due."""
    world.execute(
        """INSERT INTO dataset_windows (account_id, country_code, dataset, report, through_date)
           SELECT account_id, country_code, dataset, report, CAST(now() AT TIME ZONE time_zone AS date) + 1
             FROM advertiser_accounts, unnest(CAST(:datasets AS text[]), CAST(:reports AS text[])) AS r(dataset, report)""",
        datasets=[report.dataset.name for report in REPORTS],
        reports=[report.name for report in REPORTS],
    )


@pytest.mark.usefixtures("registered")
def test_the_command_line_refreshes_it(stocked: World) -> None:
    """`bidbeacon load --dataset` takes its name, and its rows are there."""
    day_rows = day_rows_of(stocked, stocked.account("JP"))
    of = ("--account", day_rows.account.account_key, "--window", str(day_rows.day))
    printed = run_command("load", *of, "--dataset", ANOTHER.name).output
    assert f"of {ANOTHER.name}" in printed
    assert day_rows.differences(datetime.now(UTC)) == []
