"""The jobs that sync accounts and entities: assets, run in process over HTTP."""

import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    AssetPartitionStatus,
    RunRequest,
    build_schedule_context,
    schedule,
)

from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.partitions import (
    ACCOUNT_PARTITIONS,
    ADS_ACCOUNT_PARTITIONS,
    PARTITION_TAG,
    NoPartitionError,
)
from bidbeacon_pipelines.defs.reports import refresh_account_job
from bidbeacon_pipelines.defs.schedules import busy_accounts
from bidbeacon_pipelines.sandbox.faults import FaultOptions, FaultRule
from bidbeacon_pipelines.store.accounts import list_keys_without_entities
from bidbeacon_sessions.clock import utc_now
from tests.dagster.world import World, failure_of

ENTITIES = ("ad_groups", "ads", "campaigns", "portfolios", "targets")


def last_materialization(world: World, asset: str) -> AssetMaterialization:
    """Return the only materialization of an asset."""
    [record] = world.instance.fetch_materializations(AssetKey(asset), limit=5).records
    assert record.asset_materialization is not None
    return record.asset_materialization


def test_syncing_accounts_stores_them_and_makes_their_partitions(world: World) -> None:
    """Every account and country that the sandbox lists is a row, each that Amazon has not disabled a partition; a second sync adds none."""
    result = world.run_job("sync_accounts")
    stored = world.rows(
        "SELECT account_key, ads_account_key, amazon_status FROM advertiser_accounts JOIN ads_accounts USING (account_id)"
    )
    listed = sum(len(account.countries) for account in world.sandbox.state.world.accounts.accounts)
    active = [row for row in stored if row["amazon_status"] != "DISABLED"]
    assert (listed, True) == (len(stored), len(active) < len(stored))
    for partitions, column in (
        (ACCOUNT_PARTITIONS, "account_key"),
        (ADS_ACCOUNT_PARTITIONS, "ads_account_key"),
    ):
        found = world.instance.get_dynamic_partitions(str(partitions.name))
        assert {row[column] for row in active} == set(found)
    session = world.one_session("sync-accounts")
    assert ("succeeded", result.run_id, "accounts", 0) == tuple(
        session[name] for name in ("status", "run_id", "step_key", "retry_number")
    )
    world.run_job("sync_accounts")
    [action] = world.sessions_of("sync-accounts")[1]["actions"]
    assert ("accounts-synced", 0) == (action["type"], action["added"])


def test_syncing_accounts_materializes_them_and_observes_amazon(world: World) -> None:
    """Both show the session; the source shows which regions listed accounts, and how many."""
    world.run_job("sync_accounts")
    told = last_materialization(world, "accounts").metadata
    [observed] = world.instance.fetch_observations(AssetKey("amazon_ads"), limit=5).records
    assert observed.asset_observation is not None
    of_amazon = observed.asset_observation.metadata
    [stored] = world.rows(
        "SELECT count(*) AS accounts, string_agg(DISTINCT region, ', ' ORDER BY region) AS regions FROM advertiser_accounts"
    )
    assert stored["accounts"] == told["dagster/row_count"].value == of_amazon["accounts"].value
    assert stored["regions"] == of_amazon["regions"].value
    end = f"/sessions/{world.one_session('sync-accounts')['id']}"
    assert all(str(each["session"].value).endswith(end) for each in (told, of_amazon))


def test_syncing_entities_materializes_all_kinds(stocked: World) -> None:
    """The four exports and the portfolios of an account become rows, each kind a materialization of the account's partition with its own sentence."""
    account = stocked.account()
    stocked.execute("UPDATE advertiser_accounts SET entities_synced_at = NULL")
    assert stocked.run_job("sync_entities", account).success
    session = stocked.one_session("sync-entities")
    assert ("succeeded", account.account_key) == (session["status"], session["account_key"])
    types = [action["type"] for action in session["actions"]]
    assert types == ["export-requested"] * 4 + ["entities-synced"] * 5
    assert stocked.account_of(account.account_key).entities_synced_at is not None
    for table in ENTITIES:
        [row] = stocked.rows(
            f"SELECT count(*) AS rows FROM {table} WHERE account_id = :account_id AND country_code = :country_code",
            **account.identity,
        )
        recorded = last_materialization(stocked, table)
        assert account.account_key == recorded.partition
        assert 0 < row["rows"] == recorded.metadata["dagster/partition_row_count"].value
        assert str(recorded.metadata["session"].value).endswith(str(session["id"]))
        [sentence] = str(recorded.metadata["actions"].value).splitlines()
        assert f"Synced {row['rows']:,} rows of" in sentence


def test_throttled_exports_are_put_off(stocked: World) -> None:
    """The run succeeds without waiting, only what was stored is materialized, and no sync of the account starts before Amazon allows it."""
    account, ages = stocked.account(), dict.fromkeys(("synced_before", "missed_before"), utc_now())
    with stocked.engine.begin() as connection:
        assert account.account_key in list_keys_without_entities(connection, **ages)
    rule = FaultRule(fault="throttle", operation="create_export", options=FaultOptions(seconds=300))
    stocked.sandbox.state.faults.add(rule)
    assert stocked.run_job("sync_entities", account).success
    session = stocked.one_session("sync-entities")
    assert ["export-pending"] == [action["type"] for action in session["actions"]]
    assert "succeeded" == session["status"]
    assert not stocked.instance.get_materialized_partitions(AssetKey("campaigns"))
    with stocked.engine.begin() as connection:
        assert account.account_key not in list_keys_without_entities(connection, **ages)


def test_a_job_of_an_account_is_launched_by_choosing_it_from_a_list(world: World) -> None:
    """No YAML: the partition is the account, and the session is about it."""
    world.run_job("sync_accounts")
    account = world.account()
    for name, key in (
        ("refresh_account", account.ads_account_key),
        ("sync_entities", account.account_key),
    ):
        job = defs.resolve_job_def(name)
        assert job.execute_in_process(instance=world.instance, partition_key=key).success
        session = world.one_session(name.replace("_", "-"))
        assert (session["account_key"], session["labels"]["partition"]) == (key, key)
    statuses = world.instance.get_status_by_partition(
        AssetKey("targets"), [account.account_key], ACCOUNT_PARTITIONS
    )
    assert {account.account_key: AssetPartitionStatus.MATERIALIZED} == statuses


def test_a_schedule_of_one_partition_works_beside_the_sensor(real: World) -> None:
    """Its run carries the tag by which the sensor sees that the account has a run under way."""
    real.run_job("sync_accounts")
    key = real.account().ads_account_key

    @schedule(job=refresh_account_job, cron_schedule="0 6 * * *")
    def refresh_at_six() -> RunRequest:
        return RunRequest(partition_key=key)

    context = build_schedule_context(
        instance=real.instance, repository_def=defs.get_repository_def()
    )
    [request] = refresh_at_six.evaluate_tick(context).run_requests or []
    real.instance.create_run_for_job(refresh_account_job, tags=dict(request.tags))
    assert key in busy_accounts(real.instance, refresh_account_job.name)


@pytest.mark.parametrize("name", ["refresh_account", "sync_entities"])
def test_an_account_that_is_unknown_or_missing_is_one_sentence(stocked: World, name: str) -> None:
    """The failure says what helps, and the session has the same error."""
    job = defs.resolve_job_def(name)
    for tags, kind, words in (
        ({PARTITION_TAG: "US.nobody"}, "UnknownAccountError", "No account 'US.nobody': `bidbeacon"),
        ({}, "NoPartitionError", str(NoPartitionError())),
    ):
        result = job.execute_in_process(instance=stocked.instance, tags=tags, raise_on_error=False)
        failure, message = failure_of(result)
        assert ("Failure", True, False) == (failure, message.startswith(words), "\n" in message)
        session = stocked.sessions_of(name.replace("_", "-"))[-1]
        assert (session["account_key"], session["error"]["type"]) == (None, kind)
