"""The job that records loads again after Dagster or our tables were wiped, dropped, or restored to an earlier state."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from dagster import DagsterInstance
from sqlalchemy import func

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.dagster_instance.storage import upgrade_dagster
from bidbeacon_pipelines.database.locks import lock_until_commit
from bidbeacon_pipelines.defs.partitions import ACCOUNT_PARTITIONS, partition_key
from tests.dagster.runs import (
    ASSET_KEY,
    SERVED_DAYS,
    add_accounts,
    materializations,
    materialize_days,
    run_job,
)
from tests.support.kept_tables import keep_tables, put_back
from tests.support.reading import column
from tests.support.rows import add_windows, as_loaded, change_accounts, change_windows, days_until
from tests.support.waiting import wait_until
from tests.support.world import World

TABLES = ("report_requests", "report_windows", "daily_targets")


@pytest.fixture
def loaded(real: World) -> World:
    """Return a world in which a day was loaded twice, with copies of the tables as they were in between."""
    add_accounts(real)
    real.shorten_history(SERVED_DAYS)
    assert materialize_days(real, real.account(), real.day()).success
    keep_tables(real.engine, TABLES)
    assert materialize_days(real, real.account(), real.day()).success
    return real


def record_again(world: World) -> int:
    """Run the job; return how many loads it recorded."""
    assert run_job(world, "record_again").success
    actions = world.sessions_of("record-again")[-1]["actions"]
    return sum(action["loads"] for action in actions if action["type"] == "loads-recorded")


def assert_shown_as_held(world: World) -> None:
    """Check that the last materialization is of the stored load, and that nothing is left to record."""
    partition, shown = materializations(world)[-1]
    account, day = world.account(), world.day()
    window = world.window(account, day)
    assert str(partition_key(account.account_key, day)) == partition
    figures = (shown["load"], shown["dagster/partition_row_count"])
    assert (window.load_count, window.row_count) == figures
    assert 0 == record_again(world)


def test_a_load_that_dagster_has_lost_is_recorded_again(loaded: World) -> None:
    """Dagster was restored to before the second load, or somebody wiped the asset; otherwise nothing is recorded."""
    assert 0 == record_again(loaded)
    second = next(run for run in loaded.instance.get_runs() if run.job_name != "record_again")
    loaded.instance.delete_run(second.run_id)
    assert materializations(loaded)[-1][1]["load"] == 1
    assert 1 == record_again(loaded)
    assert_shown_as_held(loaded)
    loaded.instance.wipe_assets([ASSET_KEY])
    assert loaded.instance.get_materialized_partitions(ASSET_KEY) == set()
    assert 1 == record_again(loaded)
    assert_shown_as_held(loaded)


def test_report_that_is_not_served_is_recorded_neither_once_nor_again(loaded: World) -> None:
    """Beside one that is loaded, and alone."""
    account, day = loaded.account(), loaded.day()
    refused = {"status": "not_served", "not_served_since": func.now(), "recorded_load_count": 1}
    columns = as_loaded(func.now()) | {"data_as_of": loaded.window(account, day).data_as_of}
    days = days_until(day, 2)
    add_windows(loaded.engine, account, days, "daily_targets", "SB", **columns | refused)
    assert 0 == record_again(loaded)
    loaded.instance.wipe_assets([ASSET_KEY])
    assert 1 == record_again(loaded)
    assert 0 == record_again(loaded)


def test_runs_record_one_at_a_time(loaded: World) -> None:
    """A day of which two runs record different reports would show the event of the one, and be noted as the other's."""
    change_windows(loaded.engine, recorded_load_count=0)
    waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with loaded.engine.connect() as other, ThreadPoolExecutor(1) as pool:
        with other.begin():
            lock_until_commit(other, "record loads")
            recorded = pool.submit(record_again, loaded)
            wait_until(lambda: loaded.query(waits) != [], "it waits")
            unrecorded = "SELECT 1 FROM report_windows WHERE recorded_load_count < load_count"
            assert 1 == len(loaded.query(unrecorded))
        assert 1 == recorded.result()


def test_a_new_dagster_gets_accounts_and_loads_back(loaded: World) -> None:
    """With Dagster's schema dropped and created again, accounts are partitions, also paused ones, and the day is materialized."""
    change_accounts(loaded.engine, paused=Account.country_code == "DE")
    known = "SELECT account_key FROM advertiser_accounts WHERE amazon_status <> 'DISABLED'"
    keys = column(loaded.engine, known)
    loaded.execute("DROP SCHEMA dagster CASCADE")
    upgrade_dagster(loaded.database_url)
    with DagsterInstance.from_ref(loaded.instance.get_ref()) as instance:
        anew = replace(loaded, instance=instance)
        assert 1 == record_again(anew)
        assert_shown_as_held(anew)
        found = instance.get_dynamic_partitions(str(ACCOUNT_PARTITIONS.name))
        assert set(keys) == set(found)


def test_dagster_follows_our_tables_when_they_are_restored(loaded: World) -> None:
    """Restored to the first load, the partition shows that load; restored to before it, the next load."""
    put_back(loaded.engine, TABLES)
    assert materializations(loaded)[-1][1]["load"] == 2
    assert 1 == record_again(loaded)
    assert_shown_as_held(loaded)
    assert loaded.window(loaded.account(), loaded.day()).load_count == 1

    before = materializations(loaded)
    for table in (*TABLES, "dataset_windows"):
        loaded.execute(f"DELETE FROM {table}")
    assert 0 == record_again(loaded)
    assert before == materializations(loaded)
    assert materialize_days(loaded, loaded.account(), loaded.day()).success
    assert_shown_as_held(loaded)
