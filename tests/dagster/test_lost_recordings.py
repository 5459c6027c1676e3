"""Loads whose record Dagster or our tables have lost (wiped, dropped, or restored to an earlier state) are recorded again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from dagster import DagsterInstance, RunRequest, SensorDefinition, SkipReason, build_sensor_context

from bidbeacon_pipelines.dagster_instance.storage import upgrade_dagster
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.partitions import ACCOUNT_PARTITIONS, partition_key
from bidbeacon_pipelines.defs.schedules import poll_reports_in_flight, recover_lost_recordings
from bidbeacon_pipelines.defs.summaries import account_daily_summary, update_changed_summaries
from bidbeacon_pipelines.store.accounts import Account
from tests.dagster.world import ASSET_KEY, World


@pytest.fixture
def loaded(real: World) -> World:
    """Return a world in which a day was loaded by hand, twice."""
    real.add_accounts()
    for _ in range(2):
        assert real.materialize(real.account(), real.day()).success
    return real


def wants_run(world: World, sensor: SensorDefinition) -> bool:
    """Return whether a sensor asks for a run."""
    with build_sensor_context(instance=world.instance, definitions=defs) as context:
        answer = sensor(context)
        answers = list(answer) if isinstance(answer, Iterator) else [answer]
        return any(isinstance(each, RunRequest) for each in answers)


def compare(world: World) -> str:
    """Let the hourly comparison run, and return what it says."""
    with build_sensor_context(instance=world.instance, definitions=defs) as context:
        answer = recover_lost_recordings(context)
    assert isinstance(answer, SkipReason)
    return str(answer.skip_message)


def look(world: World) -> dict[str, Any]:
    """Compare and look at reports; return what the last materialization of the only partition shows then. After that nothing is lost."""
    assert "1 loads that Dagster had lost" in compare(world)
    assert wants_run(world, poll_reports_in_flight)
    assert world.run_job("poll_reports").success
    assert "Dagster knows all accounts and loads." == compare(world)
    assert not wants_run(world, poll_reports_in_flight)
    partition, shown = world.materializations()[-1]
    assert str(partition_key(world.account().account_key, world.day())) == partition
    return dict(shown)


def held(world: World, account: Account, day: date) -> tuple[int, int | None]:
    """Return which load of a day we hold, and its rows."""
    window = world.window(account, day)
    return window.load_count, window.row_count


def shown_by(metadata: dict[str, Any]) -> tuple[int, int]:
    """Return which load a materialization is of, and its rows."""
    return metadata["load"], metadata["dagster/row_count"]


def test_both_agree_after_a_load(loaded: World) -> None:
    """Nothing is recorded twice as long as nothing is lost."""
    assert "Dagster knows all accounts and loads." == compare(loaded)
    assert not wants_run(loaded, poll_reports_in_flight)


def test_a_wiped_asset_is_recorded_again(loaded: World) -> None:
    """Its partition is materialized again, with the load that we hold and a mark; the session says how many."""
    loaded.instance.wipe_assets([ASSET_KEY])
    assert loaded.instance.get_materialized_partitions(ASSET_KEY) == set()
    metadata = look(loaded)
    assert held(loaded, loaded.account(), loaded.day()) == shown_by(metadata)
    assert metadata["recorded_again"] is True
    assert len(loaded.instance.get_materialized_partitions(ASSET_KEY)) == 1
    [told] = [
        action for action in loaded.one_session("poll-reports")["actions"] if "loads" in action
    ]
    assert (told["loads"], told["again"]) == (1, 1)


def test_a_dagster_restored_to_an_earlier_state_learns_of_later_loads(loaded: World) -> None:
    """Without the run of the second load the partition shows the first one, until the next look."""
    loaded.instance.delete_run(loaded.instance.get_runs()[0].run_id)
    assert loaded.materializations()[-1][1]["load"] == 1
    assert (2, True) == (look(loaded)["load"], loaded.materializations()[-1][1]["recorded_again"])


def test_a_dagster_made_anew_gets_accounts_and_loads_back(loaded: World) -> None:
    """With its schema dropped and made again: accounts are partitions at once, the day is materialized by the next look."""
    active = loaded.rows(
        "SELECT account_key FROM advertiser_accounts WHERE amazon_status <> 'DISABLED'"
    )
    loaded.execute("DROP SCHEMA dagster CASCADE")
    upgrade_dagster(loaded.database_url)
    anew = replace(loaded, instance=DagsterInstance.from_ref(loaded.instance.get_ref()))
    with anew.instance:
        assert accounts(anew.instance) == set()
        assert shown_by(look(anew)) == (2, anew.window(anew.account(), anew.day()).row_count)
        assert {row["account_key"] for row in active} == accounts(anew.instance)


def test_dagster_shows_what_we_hold_after_we_were_restored_to_an_earlier_state(real: World) -> None:
    """The second load is gone from our tables; the partition then shows the first one, as we do."""
    real.add_accounts()
    account, day = real.account(), real.day()
    real.materialize(account, day)
    tables = ("report_windows", "report_requests", "daily_target_performance")
    for table in tables:
        real.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")
    real.materialize(account, day)
    for table in tables:
        real.execute(f"DELETE FROM {table}")
        real.execute(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM kept_{table}")
    assert real.materializations()[-1][1]["load"] == 2
    assert shown_by(look(real)) == held(real, account, day)
    assert real.window(account, day).load_count == 1


def test_a_window_restored_to_before_its_first_load_stays_green_until_it_is_loaded_again(
    real: World,
) -> None:
    """Nothing is recorded for a load that we do not hold; the window is due, and its next load is the newest materialization."""
    real.add_accounts()
    account, day = real.account(), real.day()
    real.materialize(account, day)
    [lost] = real.materializations()
    for table in (
        "daily_target_performance",
        "report_windows",
        "dataset_windows",
        "report_requests",
    ):
        real.execute(f"DELETE FROM {table}")
    assert "Dagster knows all accounts and loads." == compare(real)
    assert [lost] == real.materializations()
    assert real.run_job("refresh_account", account).success
    assert real.window(account, day).load_count == 0
    assert real.rows(
        "SELECT 1 FROM report_requests WHERE dataset = 'daily_targets' AND :day BETWEEN start_date AND end_date",
        day=day,
    )
    assert real.materialize(account, day).success
    assert shown_by(dict(real.materializations()[-1][1])) == held(real, account, day)
    assert len(real.materializations()) == 2


def test_it_is_compared_once_an_hour() -> None:
    """By a sensor of its own, which starts no run."""
    assert (3600, []) == (
        recover_lost_recordings.minimum_interval_seconds,
        recover_lost_recordings.targets,
    )


def test_a_wiped_summary_is_recorded_again(real: World) -> None:
    """The sensor starts the update, which records what is summed up already."""
    real.add_accounts()
    real.execute(
        """INSERT INTO account_daily_summaries (account_id, country_code, summary_date, ad_product, currency_code, daily_loads, hourly_loads)
           SELECT account_id, country_code, :day, 'SPONSORED_PRODUCTS', currency_code, 0, 0
             FROM advertiser_accounts WHERE account_key = :key""",
        day=real.day(),
        key=real.account().account_key,
    )
    assert wants_run(real, update_changed_summaries)
    assert real.run_job("update_summaries").success
    assert {real.account().account_key} == real.instance.get_materialized_partitions(
        account_daily_summary.key
    )
    assert not wants_run(real, update_changed_summaries)


def accounts(instance: DagsterInstance) -> set[str]:
    """Return the accounts that are partitions."""
    return set(instance.get_dynamic_partitions(str(ACCOUNT_PARTITIONS.name)))
