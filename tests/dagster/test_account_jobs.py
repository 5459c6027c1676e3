"""The jobs that sync accounts and entities: assets, run in process over HTTP."""

import pytest
from dagster import AssetKey, AssetMaterialization, RunRequest, build_schedule_context, schedule

from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.amazon_ads.endpoints import REGIONS
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.partitions import (
    ACCOUNT_PARTITIONS,
    ADS_ACCOUNT_PARTITIONS,
    PARTITION_TAG,
    NoPartitionError,
)
from bidbeacon_pipelines.defs.reports import refresh_account_job
from bidbeacon_pipelines.defs.sensors import busy_accounts
from bidbeacon_pipelines.windows.due import list_keys_without_entities
from bidbeacon_sessions.clock import utc_now
from tests.dagster.runs import failure_of, run_job
from tests.support.dagster_runs import links_to
from tests.support.reading import call, value
from tests.support.rows import change_accounts
from tests.support.world import World

ENTITIES = ("ad_groups", "ads", "campaigns", "portfolios", "targets")


def last_materialization(world: World, asset: str) -> AssetMaterialization:
    """Return the only materialization of an asset."""
    [record] = world.instance.fetch_materializations(AssetKey(asset), limit=5).records
    assert record.asset_materialization is not None
    return record.asset_materialization


def test_syncing_accounts_stores_them_and_makes_their_partitions(world: World) -> None:
    """Each listed account and country is a row, and a partition unless Amazon disabled it; the source shows each region."""
    result = run_job(world, "sync_accounts")
    stored = call(world.engine, list_accounts)
    listed = sum(len(account.countries) for account in world.sandbox.state.world.accounts.accounts)
    active = [account for account in stored if account.amazon_status != "DISABLED"]
    assert (listed, True) == (len(stored), len(active) < len(stored))
    assert set(REGIONS) == {account.ads_account.region for account in stored}
    partitions = world.instance.get_dynamic_partitions
    expected = {account.account_key for account in active}
    assert expected == set(partitions(str(ACCOUNT_PARTITIONS.name)))
    expected = {account.ads_account_key for account in active}
    assert expected == set(partitions(str(ADS_ACCOUNT_PARTITIONS.name)))
    session = world.one_session("sync-accounts")
    assert ("succeeded", result.run_id) == (session["status"], session["run_id"])

    told = last_materialization(world, "accounts").metadata
    [observed] = world.instance.fetch_observations(AssetKey("amazon_ads"), limit=5).records
    assert observed.asset_observation is not None
    of_amazon = observed.asset_observation.metadata
    assert listed == told["dagster/row_count"].value == of_amazon["accounts"].value
    assert ", ".join(sorted(REGIONS)) == of_amazon["regions"].value
    assert links_to(told, session)
    assert links_to(of_amazon, session)


def test_syncing_entities_materializes_all_kinds(stocked: World) -> None:
    """The four exports and the portfolios of an account become rows; each kind is a materialization of its partition."""
    account = stocked.account()
    change_accounts(stocked.engine, entities_synced_at=None)
    job = defs.resolve_job_def("sync_entities")
    key = account.account_key
    assert job.execute_in_process(instance=stocked.instance, partition_key=key).success
    session = stocked.one_session("sync-entities")
    assert ("succeeded", key) == (session["status"], session["account_key"])
    assert session["labels"]["partition"] == key
    types = [action["type"] for action in session["actions"]]
    assert types == ["export-requested"] * 4 + ["entities-synced"] * 5
    assert stocked.account().entities_synced_at is not None
    for table in ENTITIES:
        of_account = "account_id = :account_id AND country_code = :country_code"
        count = f"SELECT count(*) FROM {table} WHERE {of_account}"
        rows = value(stocked.engine, count, **account.identity)
        recorded = last_materialization(stocked, table)
        assert key == recorded.partition
        assert 0 < rows == recorded.metadata["dagster/partition_row_count"].value
        assert links_to(recorded.metadata, session)
        [sentence] = str(recorded.metadata["actions"].value).splitlines()
        assert f"Synced {rows:,} rows of" in sentence


def test_throttled_exports_are_put_off(stocked: World) -> None:
    """The run succeeds without waiting and materializes nothing; no sync of the account starts before Amazon allows it."""
    account = stocked.account()
    ages = dict.fromkeys(("now", "synced_before", "missed_before"), utc_now())
    assert account.account_key in call(stocked.engine, list_keys_without_entities, **ages)
    stocked.break_with("answer", "create_export", status=429, retry_after=300)
    assert run_job(stocked, "sync_entities", account).success
    session = stocked.one_session("sync-entities")
    assert ["export-pending"] == [action["type"] for action in session["actions"]]
    assert "succeeded" == session["status"]
    assert not stocked.instance.get_materialized_partitions(AssetKey("campaigns"))
    assert account.account_key not in call(stocked.engine, list_keys_without_entities, **ages)


def test_a_schedule_of_one_account_works_beside_the_sensor(real: World) -> None:
    """Its run has the tag that tells the sensor that the account has a run in progress."""
    run_job(real, "sync_accounts")
    key = real.account().ads_account_key

    @schedule(job=refresh_account_job, cron_schedule="0 6 * * *")
    def refresh_at_six() -> RunRequest:
        return RunRequest(partition_key=key)

    repository = defs.get_repository_def()
    context = build_schedule_context(instance=real.instance, repository_def=repository)
    [request] = refresh_at_six.evaluate_tick(context).run_requests or []
    real.instance.create_run_for_job(refresh_account_job, tags=dict(request.tags))
    assert key in busy_accounts(real.instance, refresh_account_job.name)


@pytest.mark.parametrize("name", ["refresh_account", "sync_entities"])
def test_an_account_that_is_unknown_or_missing_is_one_sentence(stocked: World, name: str) -> None:
    """The failure says what to do, and the session has the same error."""
    job = defs.resolve_job_def(name)
    for tags, kind, words in (
        ({PARTITION_TAG: "US.nobody"}, "UnknownAccountError", "No account 'US.nobody': `bidbeacon"),
        ({}, "NoPartitionError", str(NoPartitionError())),
    ):
        result = job.execute_in_process(instance=stocked.instance, tags=tags, raise_on_error=False)
        message = failure_of(result).description or ""
        assert (True, False) == (message.startswith(words), "\n" in message)
        session = stocked.sessions_of(name.replace("_", "-"))[-1]
        assert (session["account_key"], session["error"]["type"]) == (None, kind)
