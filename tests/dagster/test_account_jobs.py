"""The jobs that sync accounts and entities, run in process over HTTP."""

import pytest
from dagster import AssetKey, ExecuteInProcessResult, RunRequest, build_schedule_context, schedule

from bidbeacon_pipelines.dagster_instance.run_queue import ACCOUNT_TAG, ADS_ACCOUNT_TAG
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.partitions import ACCOUNT_PARTITIONS, ADS_ACCOUNT_PARTITIONS
from bidbeacon_pipelines.defs.reports import refresh_account_job
from bidbeacon_pipelines.defs.schedules import busy_accounts
from bidbeacon_pipelines.sandbox.faults import FaultOptions, FaultRule
from bidbeacon_pipelines.store.accounts import list_keys_without_entities
from bidbeacon_sessions.clock import utc_now
from tests.dagster.world import World, failure_of


def test_syncing_accounts_stores_them_and_makes_their_partitions(world: World) -> None:
    """Every account and country that the sandbox lists is a row, each that Amazon has not disabled a partition; one session told of it."""
    result = world.run_job("sync_accounts")
    stored = world.rows("SELECT account_key, amazon_status FROM advertiser_accounts")
    active = [row["account_key"] for row in stored if row["amazon_status"] != "DISABLED"]
    listed = sum(len(account.countries) for account in world.sandbox.state.world.accounts.accounts)
    assert result.success
    assert listed == len(stored)
    assert len(active) < len(stored)
    assert sorted(active) == sorted(
        world.instance.get_dynamic_partitions(str(ACCOUNT_PARTITIONS.name))
    )
    ads_accounts = {
        row["ads_account_key"]
        for row in world.rows(
            "SELECT ads_account_key FROM ads_accounts JOIN advertiser_accounts USING (account_id) WHERE amazon_status <> 'DISABLED'"
        )
    }
    assert ads_accounts == set(
        world.instance.get_dynamic_partitions(str(ADS_ACCOUNT_PARTITIONS.name))
    )
    session = world.one_session("sync-accounts")
    assert session["status"] == "succeeded"
    assert (result.run_id, "sync_accounts_op", 0) == (
        session["run_id"],
        session["step_key"],
        session["retry_number"],
    )
    assert [action["type"] for action in session["actions"]] == ["accounts-synced"]


def test_syncing_accounts_observes_amazon(world: World) -> None:
    """The source of the lineage shows when it was asked last, which regions listed accounts, how many, and the session."""
    world.run_job("sync_accounts")
    [observed] = world.instance.fetch_observations(AssetKey("amazon_ads"), limit=5).records
    assert observed.asset_observation is not None
    told = {name: value.value for name, value in observed.asset_observation.metadata.items()}
    [stored] = world.rows(
        "SELECT count(*) AS accounts, string_agg(DISTINCT region, ', ' ORDER BY region) AS regions FROM advertiser_accounts"
    )
    assert (stored["accounts"], stored["regions"]) == (told["accounts"], told["regions"])
    assert str(told["session"]).endswith(f"/sessions/{world.one_session('sync-accounts')['id']}")


def test_syncing_accounts_twice_is_the_same_as_once(world: World) -> None:
    """A second sync adds no account and no partition."""
    world.run_job("sync_accounts")
    before = world.rows("SELECT account_key, name FROM advertiser_accounts ORDER BY account_key")
    partitions = world.instance.get_dynamic_partitions(str(ACCOUNT_PARTITIONS.name))
    world.run_job("sync_accounts")
    assert before == world.rows(
        "SELECT account_key, name FROM advertiser_accounts ORDER BY account_key"
    )
    assert partitions == world.instance.get_dynamic_partitions(str(ACCOUNT_PARTITIONS.name))
    assert [action["type"] for action in world.sessions_of("sync-accounts")[1]["actions"]] == [
        "accounts-synced"
    ]
    assert world.sessions_of("sync-accounts")[1]["actions"][0]["added"] == 0


def test_syncing_entities_stores_all_kinds(stocked: World) -> None:
    """The four exports and the portfolios of an account become rows, the account is marked, one session has each kind."""
    account = stocked.account()
    stocked.execute("UPDATE advertiser_accounts SET entities_synced_at = NULL")
    assert stocked.run_job("sync_entities", account).success
    for table in ("campaigns", "ad_groups", "ads", "targets", "portfolios"):
        [row] = stocked.rows(
            f"SELECT count(*) AS rows FROM {table} WHERE account_id = :account_id AND country_code = :country_code",
            **account.identity,
        )
        assert row["rows"] > 0, table
    assert stocked.account_of(account.account_key).entities_synced_at is not None
    session = stocked.one_session("sync-entities")
    assert session["status"] == "succeeded"
    assert account.account_key == session["account_key"]
    types = [action["type"] for action in session["actions"]]
    assert types == ["export-requested"] * 4 + ["entities-synced"] * 5
    [observed] = stocked.instance.fetch_observations(AssetKey("targets"), limit=5).records
    assert observed.asset_observation is not None
    assert observed.asset_observation.partition == account.account_key
    assert str(observed.asset_observation.metadata["session"].value).endswith(str(session["id"]))


def test_throttled_exports_are_put_off(stocked: World) -> None:
    """The run succeeds without waiting, its session says so, and no sync of the account starts before Amazon allows it."""
    account, ages = stocked.account(), dict.fromkeys(("synced_before", "missed_before"), utc_now())
    with stocked.engine.begin() as connection:
        assert account.account_key in list_keys_without_entities(connection, **ages)
    rule = FaultRule(fault="throttle", operation="create_export", options=FaultOptions(seconds=300))
    stocked.sandbox.state.faults.add(rule)
    assert stocked.run_job("sync_entities", account).success
    session = stocked.one_session("sync-entities")
    assert ["export-pending"] == [action["type"] for action in session["actions"]]
    assert "succeeded" == session["status"]
    with stocked.engine.begin() as connection:
        assert account.account_key not in list_keys_without_entities(connection, **ages)


def test_a_job_of_an_account_is_launched_by_choosing_it_from_a_list(world: World) -> None:
    """No YAML: the partition is the account, its config and the queue's tag follow from it; the session is about it."""
    world.run_job("sync_accounts")
    account = world.account()
    for name, key, tag in (
        ("refresh_account", account.ads_account_key, ADS_ACCOUNT_TAG),
        ("sync_entities", account.account_key, ACCOUNT_TAG),
    ):
        job = defs.resolve_job_def(name)
        result = job.execute_in_process(instance=world.instance, partition_key=key)
        assert result.success
        run = world.instance.get_run_by_id(result.run_id)
        assert run is not None
        assert (key, key) == (run.tags["dagster/partition"], run.tags[tag])
        session = world.one_session(name.replace("_", "-"))
        assert (session["account_key"], session["labels"]["partition"]) == (key, key)


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
    assert (key, key) == (request.partition_key, request.tags[ADS_ACCOUNT_TAG])
    real.instance.create_run_for_job(
        refresh_account_job, run_config=request.run_config, tags=dict(request.tags)
    )
    assert key in busy_accounts(real.instance, refresh_account_job.name, ADS_ACCOUNT_TAG)


JOBS_OF_AN_ACCOUNT = {"refresh_account": "ads_account", "sync_entities": "account"}


@pytest.mark.parametrize("given", ["key", "name"])
@pytest.mark.parametrize("name", JOBS_OF_AN_ACCOUNT)
def test_a_job_takes_the_key_or_the_name_of_an_account(
    stocked: World, name: str, given: str
) -> None:
    """As the command line does; the session is about the account, whichever was given."""
    account = stocked.account()
    key, called = (
        (account.ads_account_key, account.name)
        if name == "refresh_account"
        else (account.account_key, account.label)
    )
    assert run_for(stocked, name, called if given == "name" else key).success
    assert stocked.one_session(name.replace("_", "-"))["account_key"] == key
    if name == "sync_entities":
        [observed] = stocked.instance.fetch_observations(AssetKey("targets"), limit=5).records
        assert observed.asset_observation is not None
        assert observed.asset_observation.partition == key


@pytest.mark.parametrize("given", ["US.nobody", "Nobody Ltd"], ids=["key", "name"])
@pytest.mark.parametrize("name", JOBS_OF_AN_ACCOUNT)
def test_an_unknown_account_is_one_sentence(stocked: World, name: str, given: str) -> None:
    """The failure has what was given and the commands that help, and the session the same error."""
    kind, message = failure_of(run_for(stocked, name, given))
    assert kind == "Failure"
    assert message.startswith(f"No account {given!r}: `bidbeacon accounts list` shows them")
    assert "\n" not in message
    session = stocked.one_session(name.replace("_", "-"))
    assert (session["account_key"], session["error"]["type"]) == (None, "UnknownAccountError")


def test_a_name_that_several_accounts_have_lists_them(stocked: World) -> None:
    """Entities are synced for one country at a time, and the name of an ads account is that of all of them."""
    account = stocked.account()
    _, message = failure_of(run_for(stocked, "sync_entities", account.name))
    assert f"{account.label} ({account.account_key})" in message


def run_for(world: World, name: str, given: str) -> ExecuteInProcessResult:
    """Run a job of one account as somebody who writes its config."""
    config = {"ops": {f"{name}_op": {"config": {JOBS_OF_AN_ACCOUNT[name]: given}}}}
    return defs.resolve_job_def(name).execute_in_process(
        instance=world.instance, run_config=config, raise_on_error=False
    )
