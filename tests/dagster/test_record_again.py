"""Loads whose record Dagster or our tables have lost (wiped, dropped, or restored to an earlier state) are recorded again by a job."""

from dataclasses import replace

import pytest
from dagster import DagsterInstance

from bidbeacon_pipelines.dagster_storage import upgrade_dagster
from bidbeacon_pipelines.defs.partitions import ACCOUNT_PARTITIONS, partition_key
from tests.dagster.world import ASSET_KEY, World

TABLES = ("report_windows", "report_requests", "daily_target_performance")


@pytest.fixture
def loaded(real: World) -> World:
    """Return a world in which a day was loaded by hand, and whose tables were kept before it was loaded again."""
    real.add_accounts()
    assert real.materialize(real.account(), real.day()).success
    for table in TABLES:
        real.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")
    assert real.materialize(real.account(), real.day()).success
    return real


def record_again(world: World) -> int:
    """Run the job; return how many loads it recorded."""
    assert world.run_job("record_again").success
    actions = world.sessions_of("record-again")[-1]["actions"]
    return sum(action["loads"] for action in actions if action["type"] == "loads-recorded")


def assert_shown_as_held(world: World) -> None:
    """Check that the last materialization is of the load that we hold, and that nothing is left to record."""
    partition, shown = world.materializations()[-1]
    account, day = world.account(), world.day()
    window = world.window(account, day)
    assert str(partition_key(account.account_key, day)) == partition
    assert (window.load_count, window.row_count) == (
        shown["load"],
        shown["dagster/partition_row_count"],
    )
    assert 0 == record_again(world)


def test_a_wiped_asset_is_recorded_again(loaded: World) -> None:
    """Its partition is materialized again; nothing is recorded where nothing is lost."""
    assert 0 == record_again(loaded)
    loaded.instance.wipe_assets([ASSET_KEY])
    assert loaded.instance.get_materialized_partitions(ASSET_KEY) == set()
    assert 1 == record_again(loaded)
    assert_shown_as_held(loaded)


def test_a_dagster_restored_to_an_earlier_state_learns_of_later_loads(loaded: World) -> None:
    """Without the run of the second load the partition shows the first one, until the job has run."""
    loaded.instance.delete_run(loaded.instance.get_runs()[0].run_id)
    assert loaded.materializations()[-1][1]["load"] == 1
    assert 1 == record_again(loaded)
    assert_shown_as_held(loaded)


def test_a_dagster_made_anew_gets_accounts_and_loads_back(loaded: World) -> None:
    """With its schema dropped and made again, accounts are partitions and the day is materialized."""
    active = loaded.rows(
        "SELECT account_key FROM advertiser_accounts WHERE amazon_status <> 'DISABLED'"
    )
    loaded.execute("DROP SCHEMA dagster CASCADE")
    upgrade_dagster(loaded.database_url)
    with DagsterInstance.from_ref(loaded.instance.get_ref()) as instance:
        anew = replace(loaded, instance=instance)
        assert 1 == record_again(anew)
        assert_shown_as_held(anew)
        found = instance.get_dynamic_partitions(str(ACCOUNT_PARTITIONS.name))
        assert {row["account_key"] for row in active} == set(found)


def test_dagster_shows_what_we_hold_after_we_were_restored_to_an_earlier_state(
    loaded: World,
) -> None:
    """The second load is gone from our tables; the partition then shows the first one, as we do."""
    for table in TABLES:
        loaded.execute(f"DELETE FROM {table}")
        loaded.execute(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM kept_{table}")
    assert loaded.materializations()[-1][1]["load"] == 2
    assert 1 == record_again(loaded)
    assert_shown_as_held(loaded)
    assert loaded.window(loaded.account(), loaded.day()).load_count == 1


def test_a_window_restored_to_before_its_first_load_stays_green_until_it_is_loaded_again(
    loaded: World,
) -> None:
    """The job records nothing for a load that our tables do not have; its next load is the newest materialization."""
    before = loaded.materializations()
    for table in (*TABLES, "dataset_windows"):
        loaded.execute(f"DELETE FROM {table}")
    assert 0 == record_again(loaded)
    assert before == loaded.materializations()
    assert loaded.materialize(loaded.account(), loaded.day()).success
    assert_shown_as_held(loaded)
