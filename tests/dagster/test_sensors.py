"""The runs that sensors request, and their reasons for skipping: `build_sensor_context` on a real database and sandbox."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dagster import DagsterRunStatus, RunRequest, SensorDefinition, SkipReason, build_sensor_context
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.test_utils import create_run_for_test

from bidbeacon_pipelines.amazon_ads.credentials import REGIONS
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs import schedules
from bidbeacon_pipelines.defs.partitions import (
    ACCOUNT_TAG,
    ADS_ACCOUNT_TAG,
    PARTITION_TAG,
)
from bidbeacon_pipelines.defs.schedules import (
    LOW_PRIORITY,
    poll_reports_in_flight,
    refresh_due_accounts,
)
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.store.accounts import Account, list_accounts
from bidbeacon_sessions import Subject, with_job_session
from bidbeacon_sessions.dagster import LABEL_TAG
from tests.dagster.world import World, wait_until


def evaluate(world: World, sensor: SensorDefinition) -> list[RunRequest | SkipReason]:
    """Return what a sensor answers to one tick."""
    with build_sensor_context(instance=world.instance, definitions=defs) as context:
        answers = sensor(context)
        assert isinstance(answers, Iterator)
        return [answer for answer in answers if isinstance(answer, (RunRequest, SkipReason))]


def asked_for(world: World, sensor: SensorDefinition) -> list[tuple[str | None, Mapping[str, str]]]:
    """Return job and tags of each run that a sensor asks for."""
    answers = evaluate(world, sensor)
    return [(answer.job_name, answer.tags) for answer in answers if isinstance(answer, RunRequest)]


def skipped(world: World, sensor: SensorDefinition) -> str:
    """Return the reason of a sensor that asks for nothing."""
    [answer] = evaluate(world, sensor)
    assert isinstance(answer, SkipReason)
    return answer.skip_message or ""


def _accounts(world: World) -> list[Account]:
    with world.engine.begin() as connection:
        return list_accounts(connection)


def put_run(
    world: World, job: str, status: DagsterRunStatus, tags: Mapping[str, Any] | None = None
) -> str:
    """Put a run of a job into Dagster's storage, as the sensor would; return its id."""
    definition = defs.resolve_job_def(job)
    run = world.instance.create_run_for_job(definition, tags=dict(tags or {}), status=status)
    return run.run_id


def test_without_accounts_the_first_run_syncs_them(world: World) -> None:
    """An empty database makes the sensor ask for `sync_accounts`, and for nothing else."""
    assert [("sync_accounts", {})] == asked_for(world, refresh_due_accounts)


def test_a_sync_under_way_is_not_asked_for_again(world: World) -> None:
    """While `sync_accounts` has not begun yet, the sensor asks for nothing."""
    put_run(world, "sync_accounts", DagsterRunStatus.NOT_STARTED)
    assert (
        skipped(world, refresh_due_accounts)
        == "No account has due work, or its run is in progress."
    )


def test_each_due_ads_account_gets_one_run_of_its_partition(stocked: World) -> None:
    """Every ads account with an active country is due at first: one `refresh_account` each, also where it is no partition."""
    asked = asked_for(stocked, refresh_due_accounts)
    active = stocked.rows(
        "SELECT DISTINCT ads_account_key FROM advertiser_accounts JOIN ads_accounts USING (account_id) WHERE amazon_status <> 'DISABLED'"
    )
    keys = sorted(row["ads_account_key"] for row in active)
    assert {"refresh_account"} == {job for job, _ in asked}
    for tag in (PARTITION_TAG, ADS_ACCOUNT_TAG):
        assert keys == sorted(tags[tag] for _, tags in asked)


def test_an_account_without_entities_is_synced_first(stocked: World) -> None:
    """An account whose entities were never synced gets `sync_entities`, and no refresh yet."""
    account = stocked.account("JP")
    stocked.execute(
        "UPDATE advertiser_accounts SET enabled = account_key = :key", key=account.account_key
    )
    stocked.execute("UPDATE advertiser_accounts SET entities_synced_at = NULL")
    key = account.account_key
    tags = {PARTITION_TAG: key, ACCOUNT_TAG: key, LABEL_TAG: account.label} | LOW_PRIORITY
    assert [("sync_entities", tags)] == asked_for(stocked, refresh_due_accounts)


@pytest.mark.parametrize(
    "status", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED]
)
def test_a_busy_account_gets_no_second_run(stocked: World, status: DagsterRunStatus) -> None:
    """An account with an unfinished run is left alone; the others are not."""
    account = stocked.account("DE")
    put_run(stocked, "refresh_account", status, {PARTITION_TAG: account.ads_account_key})
    tags = [tags[ADS_ACCOUNT_TAG] for _, tags in asked_for(stocked, refresh_due_accounts)]
    assert account.ads_account_key not in tags
    assert tags


def test_an_account_whose_run_failed_waits_for_five_minutes(stocked: World) -> None:
    """Then it is asked for again."""
    account = stocked.account("DE")
    with (
        pytest.raises(RuntimeError),
        with_job_session(
            "refresh-account", store=stocked.sessions, account=Subject(account.ads_account_key)
        ),
    ):
        raise RuntimeError("Amazon is odd")
    key = account.ads_account_key

    def is_asked_for() -> bool:
        asked = asked_for(stocked, refresh_due_accounts)
        return key in [tags[ADS_ACCOUNT_TAG] for _, tags in asked]

    assert not is_asked_for()
    stocked.execute(
        "UPDATE session_headers SET started_at = now() - interval '7 minutes', finished_at = now() - interval '6 minutes'"
    )
    assert is_asked_for()


def test_an_account_whose_run_has_succeeded_may_have_another(stocked: World) -> None:
    """A finished run does not keep its account from the next."""
    account = stocked.account("DE")
    put_run(
        stocked,
        "refresh_account",
        DagsterRunStatus.SUCCESS,
        {PARTITION_TAG: account.ads_account_key},
    )
    assert account.ads_account_key in [
        tags[ADS_ACCOUNT_TAG] for _, tags in asked_for(stocked, refresh_due_accounts)
    ]


def test_a_backlog_does_not_delay_another_accounts_yesterday(stocked: World) -> None:
    """An account that was refreshed a moment ago and has 15 months left comes after all others, whatever its key."""
    ordered = [tags[ADS_ACCOUNT_TAG] for _, tags in asked_for(stocked, refresh_due_accounts)]
    stocked.run_job(
        "refresh_account", next(a for a in _accounts(stocked) if a.ads_account_key == ordered[0])
    )
    stocked.execute("UPDATE ads_accounts SET planned_at = NULL")
    again = [tags[ADS_ACCOUNT_TAG] for _, tags in asked_for(stocked, refresh_due_accounts)]
    assert again == [*ordered[1:], ordered[0]]


def test_an_account_waits_for_its_own_cadence(stocked: World) -> None:
    """With a round that begins in June, no run starts, though all of its windows are due."""
    key = stocked.account("JP").ads_account_key
    stocked.execute(
        "UPDATE ads_accounts SET refresh_cron = '0 6 1 6 *' WHERE ads_account_key = :key", key=key
    )
    assert key not in [
        tags[ADS_ACCOUNT_TAG] for _, tags in asked_for(stocked, refresh_due_accounts)
    ]


def test_with_nothing_due_the_sensor_says_so(stocked: World) -> None:
    """Paused accounts are never due."""
    stocked.execute("UPDATE advertiser_accounts SET enabled = false")
    assert (
        skipped(stocked, refresh_due_accounts)
        == "No account has due work, or its run is in progress."
    )


@pytest.mark.parametrize(
    "sensor", [refresh_due_accounts, poll_reports_in_flight], ids=lambda sensor: sensor.name
)
def test_without_a_sandbox_the_sensors_say_how_to_start_it(
    world: World, sensor: SensorDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No credentials and no sandbox: nothing is started, and the reason names the command and the variable."""
    monkeypatch.setenv("BIDBEACON_SANDBOX_PORT", "1")
    get_settings.cache_clear()
    reason = skipped(world, sensor)
    assert "http://127.0.0.1:1 does not answer" in reason
    assert "`bidbeacon sandbox`" in reason
    assert "BIDBEACON_ADS_API_CLIENT_ID" in reason


def test_reports_in_flight_are_polled_by_one_run(stocked: World) -> None:
    """A report due for a look makes one run; while that waits or is under way there is no second."""
    looks_due(stocked)
    assert len(asked_for(stocked, poll_reports_in_flight)) == 1
    queue = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("ours"), "repository")
    create_run_for_test(
        stocked.instance,
        job_name="poll_reports",
        status=DagsterRunStatus.QUEUED,
        remote_job_origin=queue.get_job_origin("poll_reports"),
    )
    began(stocked, "poll_reports", seconds_ago=40)
    assert skipped(stocked, poll_reports_in_flight) == "The last poll is in progress."


def test_reports_that_a_run_does_not_come_to_get_another_run(stocked: World) -> None:
    """After half a minute, unless a living session works on them; never more runs than are allowed."""
    looks_due(stocked)
    run_id = put_run(stocked, "poll_reports", DagsterRunStatus.STARTED)
    began(stocked, "poll_reports", seconds_ago=20)
    assert skipped(stocked, poll_reports_in_flight) == "The last poll is in progress."
    began(stocked, "poll_reports", seconds_ago=30)
    assert len(asked_for(stocked, poll_reports_in_flight)) == 1
    step = {"run_id": run_id, "step_key": "poll_reports_op"}
    with with_job_session("poll-reports", store=stocked.sessions, **step) as session:
        locked = "UPDATE report_requests SET locked_by = :by"
        stocked.execute(locked, by=session.session_id)
        assert "No report in flight is due" in skipped(stocked, poll_reports_in_flight)
    put_run(stocked, "poll_reports", DagsterRunStatus.STARTED)
    assert "As many polls are in progress as BIDBEACON_LOADS_AT_ONCE allows: 2." == skipped(
        stocked, poll_reports_in_flight
    )


def test_many_due_reports_get_another_run_at_the_next_tick(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that is under way would take long for them."""
    looks_due(stocked)
    put_run(stocked, "poll_reports", DagsterRunStatus.STARTED)
    assert skipped(stocked, poll_reports_in_flight) == "The last poll is in progress."
    monkeypatch.setattr(schedules, "MANY_DUE", 1)
    assert len(asked_for(stocked, poll_reports_in_flight)) == 1


def test_reports_in_flight_are_polled_once_a_minute_unless_the_last_poll_created_them(
    stocked: World,
) -> None:
    """However many are due: the next run waits until the last one began a minute ago; other jobs' runs don't matter."""
    looks_due(stocked)
    put_run(stocked, "poll_reports", DagsterRunStatus.SUCCESS)
    began(stocked, "poll_reports", seconds_ago=30)
    assert len(asked_for(stocked, poll_reports_in_flight)) == 1
    stocked.execute("UPDATE report_requests SET sent_at = sent_at - interval '1 hour'")
    assert skipped(stocked, poll_reports_in_flight) == "The last poll began less than a minute ago."
    began(stocked, "poll_reports", seconds_ago=60)
    assert len(asked_for(stocked, poll_reports_in_flight)) == 1


def create_reports(world: World) -> None:
    """Have reports in flight, and nothing that is planned beside them."""
    world.run_job("refresh_account", world.account("JP"))
    world.run_job("poll_reports")
    world.execute("DELETE FROM report_requests WHERE status = 'planned'")
    began(world, "poll_reports", seconds_ago=3600)


def test_planned_reports_start_a_run_where_one_can_be_created(stocked: World) -> None:
    """A plan is enough; with the gate closed, or full, there is no run."""
    stocked.run_job("refresh_account", stocked.account("JP"))
    assert len(asked_for(stocked, poll_reports_in_flight)) == 1
    stocked.run_job("poll_reports")
    began(stocked, "poll_reports", seconds_ago=3600)
    stocked.execute(
        "UPDATE report_requests SET next_step_at = now() + interval '1 hour' WHERE status = 'in_flight'"
    )
    stocked.execute("UPDATE report_gates SET next_create_at = now() + interval '1 hour'")
    assert "no planned report can be created now" in skipped(stocked, poll_reports_in_flight)
    stocked.execute("UPDATE report_gates SET next_create_at = now(), in_flight_limit = 2")
    assert "no planned report can be created now" in skipped(stocked, poll_reports_in_flight)
    stocked.execute("UPDATE report_gates SET in_flight_limit = 3")
    assert len(asked_for(stocked, poll_reports_in_flight)) == 1


def test_round_that_lacks_reports_starts_a_run(stocked: World) -> None:
    """Windows that were due when it began and are in no plan are enough, though the next round is a day away."""
    stocked.run_job("refresh_account", stocked.account("JP"))
    stocked.execute("DELETE FROM report_requests")
    stocked.execute(
        "UPDATE ads_accounts SET next_look_at = now() + interval '1 day', planned_at = last_look_at"
    )
    assert "no planned report can be created now" in skipped(stocked, poll_reports_in_flight)
    stocked.execute("UPDATE ads_accounts SET planned_at = NULL")
    assert len(asked_for(stocked, poll_reports_in_flight)) == 1


def began(world: World, job: str, *, seconds_ago: float) -> None:
    """Let the runs of a job have come to be so long ago, and not have changed since."""
    at = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).replace(tzinfo=None)
    with world.instance.run_storage.connect() as connection:
        runs = RunsTable.update().where(RunsTable.c.pipeline_name == job)
        connection.execute(runs.values(create_timestamp=at, update_timestamp=at))


def looks_due(world: World) -> None:
    """Have a report in flight that is due for a look."""
    create_reports(world)
    wait_until(lambda: bool(asked_for(world, poll_reports_in_flight)), "a look is due")


def test_a_look_that_failed_keeps_no_report_waiting(stocked: World) -> None:
    """The next look begins a minute after it, as after any other: what went wrong concerns one request."""
    looks_due(stocked)
    run_id = put_run(stocked, "poll_reports", DagsterRunStatus.FAILURE)
    step = {"run_id": run_id, "step_key": "poll_reports_op"}
    with (
        pytest.raises(RuntimeError),
        with_job_session("poll-reports", store=stocked.sessions, **step),
    ):
        raise RuntimeError("one report is odd")
    began(stocked, "poll_reports", seconds_ago=61)
    assert len(asked_for(stocked, poll_reports_in_flight)) == 1


def test_a_load_that_dagster_does_not_know_of_starts_a_run(stocked: World) -> None:
    """A window whose load was never recorded is enough for a run of `poll_reports`."""
    stocked.materialize(stocked.account(), stocked.day())
    assert (
        skipped(stocked, poll_reports_in_flight)
        == "No report in flight is due for a check, and no planned report can be created now."
    )
    stocked.execute("UPDATE report_windows SET recorded_load_count = 0")
    assert len(asked_for(stocked, poll_reports_in_flight)) == 1


def test_the_sandbox_serves_every_region(world: World) -> None:
    """The ledger shows that a sync asks all regions, so that no account of another continent is missed."""
    world.run_job("sync_accounts")
    paths = {
        call.path.split("/")[1].upper()
        for call in world.sandbox.state.ledger.calls("list_accounts")
    }
    assert set(REGIONS) == paths
