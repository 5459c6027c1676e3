"""The runs that sensors request, and their reasons for skipping."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dagster import (
    DagsterRun,
    DagsterRunStatus,
    RunRequest,
    SensorDefinition,
    SkipReason,
    build_sensor_context,
)
from sqlalchemy import func, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.unwritable_folders import record_unwritable
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs import sensors
from bidbeacon_pipelines.defs.partitions import ACCOUNT_TAG, ADS_ACCOUNT_TAG, PARTITION_TAG
from bidbeacon_pipelines.defs.sensors import (
    LOW_PRIORITY,
    WANTED_TAG,
    poll_reports_in_flight,
    refresh_due_accounts,
)
from bidbeacon_pipelines.entities.wanted_queries import want_sync
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.windows.make import make_dataset_windows
from bidbeacon_pipelines.windows.wanted import want_load
from bidbeacon_pipelines.windows.wanted_queries import claim_windows, list_wanted
from bidbeacon_sessions import Subject, with_job_session
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.dagster import LABEL_TAG
from tests.dagster.runs import hold_reports, materialize_days, run_job
from tests.support.reading import call, column
from tests.support.rows import (
    change_accounts,
    change_ads_accounts,
    change_requests,
    change_sessions,
    change_windows,
    remove_requests,
)
from tests.support.world import DATASET, World

NOTHING_DUE = "No account has due work, except for accounts with an unfinished run or a pause."
NOTHING_TO_POLL = "No report in flight is due for a poll, and no planned report can be created now."
SYNC: list[tuple[str, dict[str, str]]] = [("sync_accounts", {})]
IN_PROGRESS = "The last poll is in progress."


def requested(world: World, sensor: SensorDefinition) -> list[RunRequest]:
    """Return the runs that a tick of a sensor requests."""
    return [answer for answer in evaluate(world, sensor) if isinstance(answer, RunRequest)]


def evaluate(world: World, sensor: SensorDefinition) -> list[RunRequest | SkipReason]:
    """Return the run requests and skip reasons of one tick of a sensor."""
    with build_sensor_context(instance=world.instance, definitions=defs) as context:
        answers = sensor(context)
        assert isinstance(answers, Iterator)
        return [answer for answer in answers if isinstance(answer, (RunRequest, SkipReason))]


def asked_for(world: World, sensor: SensorDefinition) -> list[tuple[str | None, Mapping[str, str]]]:
    """Return job and tags of each run that a sensor requests."""
    return [(run.job_name, run.tags) for run in requested(world, sensor)]


def refreshed(world: World) -> list[str]:
    """Return the ads accounts that the sensor requests runs for, in order."""
    return [run.tags[ADS_ACCOUNT_TAG] for run in requested(world, refresh_due_accounts)]


def polls(world: World) -> int:
    """Return how many polls a tick of the sensor requests."""
    return len(requested(world, poll_reports_in_flight))


def skipped(world: World, sensor: SensorDefinition) -> str:
    """Return the skip reason of a sensor that requests no run."""
    [answer] = evaluate(world, sensor)
    assert isinstance(answer, SkipReason)
    return answer.skip_message or ""


def put_run(world: World, job: str, status: DagsterRunStatus, **options: Any) -> DagsterRun:
    """Store a run of a job in Dagster, as its daemon does; options are its tags and configuration."""
    definition = defs.resolve_job_def(job)
    return world.instance.create_run_for_job(definition, status=status, **options)


def execute(world: World, run: RunRequest) -> None:
    """Execute a run that a sensor has requested."""
    defs.resolve_job_def(str(run.job_name)).execute_in_process(
        run_config=run.run_config, tags=run.tags, instance=world.instance, raise_on_error=False
    )


def began(world: World, job: str, *, seconds_ago: float) -> None:
    """Set when the runs of a job were created and last changed."""
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    set_both = text(
        "UPDATE runs SET create_timestamp = :at, update_timestamp = :at WHERE pipeline_name = :job"
    )
    storage: Any = world.instance.run_storage  # Dagster names no public type that can connect
    with storage.connect() as connection:
        connection.execute(set_both, {"at": f"{at:%Y-%m-%d %H:%M:%S.%f}", "job": job})


def make_reports_due(world: World) -> None:
    """Create reports that are due for their first poll, with no planned ones beside them."""
    hold_reports(world)
    run_job(world, "refresh_account", world.account("JP"))
    remove_requests(world.engine, ReportRequest.status == "planned")
    change_requests(world.engine, next_step_at=func.now(), sent_at=func.now(), polls=0)
    assert polls(world) == 1


def test_without_accounts_a_sync_is_requested_every_five_minutes(world: World) -> None:
    """A failed sync is followed by the next one after five minutes, one in progress by none."""
    assert SYNC == asked_for(world, refresh_due_accounts)
    world.break_with("token", what="revoked")
    assert not run_job(world, "sync_accounts", raise_on_error=False).success
    assert NOTHING_DUE == skipped(world, refresh_due_accounts)
    began(world, "sync_accounts", seconds_ago=301)
    assert SYNC == asked_for(world, refresh_due_accounts)
    put_run(world, "sync_accounts", DagsterRunStatus.NOT_STARTED)
    began(world, "sync_accounts", seconds_ago=301)
    assert NOTHING_DUE == skipped(world, refresh_due_accounts)


def test_each_due_ads_account_gets_one_run_of_its_partition(stocked: World) -> None:
    """At first every ads account with an active country is due, but not before its own cadence, or while it is paused."""
    runs = requested(stocked, refresh_due_accounts)
    active = """SELECT DISTINCT ads_account_key FROM advertiser_accounts JOIN ads_accounts USING (account_id)
                 WHERE amazon_status <> 'DISABLED' ORDER BY 1"""
    keys = column(stocked.engine, active)
    assert {"refresh_account"} == {run.job_name for run in runs}
    for tag in (PARTITION_TAG, ADS_ACCOUNT_TAG):
        assert keys == sorted(run.tags[tag] for run in runs)
    change_ads_accounts(stocked.engine, next_run_at=func.now() + timedelta(days=1))
    assert NOTHING_DUE == skipped(stocked, refresh_due_accounts)
    change_ads_accounts(stocked.engine, next_run_at=None)
    change_accounts(stocked.engine, paused=True)
    assert NOTHING_DUE == skipped(stocked, refresh_due_accounts)


def test_an_account_without_entities_is_synced_first(stocked: World) -> None:
    """An account whose entities were never synced gets `sync_entities`, and no refresh yet."""
    account = stocked.account("JP")
    key = account.account_key
    change_accounts(stocked.engine, paused=Account.account_key != key, entities_synced_at=None)
    tags = {PARTITION_TAG: key, ACCOUNT_TAG: key, LABEL_TAG: account.label} | LOW_PRIORITY
    assert [("sync_entities", tags)] == asked_for(stocked, refresh_due_accounts)


def test_nothing_is_downloaded_on_a_host_that_cannot_write_it(stocked: World) -> None:
    """While its loads pause, no sync of entities starts, and no poll for a report that only has to be loaded."""
    run_job(stocked, "refresh_account", stocked.account("JP"))
    remove_requests(stocked.engine, ReportRequest.status == "planned")
    is_open = ReportRequest.finished_at.is_(None)
    change_requests(stocked.engine, is_open, next_step_at=None, status="completed")
    change_accounts(stocked.engine, entities_synced_at=None)
    assert "sync_entities" in {job for job, _ in asked_for(stocked, refresh_due_accounts)}
    assert 1 == polls(stocked)
    folder = get_settings().scratch_folder
    call(stocked.engine, record_unwritable, folder, "No space left on device", utc_now())
    assert [] == asked_for(stocked, refresh_due_accounts)
    assert NOTHING_TO_POLL == skipped(stocked, poll_reports_in_flight)


def test_an_account_has_one_run_at_a_time(stocked: World) -> None:
    """An unfinished run keeps its account from the next one; a finished run does not."""
    runs = {
        "US": DagsterRunStatus.SUCCESS,
        "DE": DagsterRunStatus.NOT_STARTED,
        "JP": DagsterRunStatus.STARTED,
    }
    keys = {country: stocked.account(country).ads_account_key for country in runs}
    for country, status in runs.items():
        put_run(stocked, "refresh_account", status, tags={PARTITION_TAG: keys[country]})
    asked = refreshed(stocked)
    assert ["US"] == [country for country, key in keys.items() if key in asked]


def test_an_account_whose_run_failed_twice_waits_for_five_minutes(stocked: World) -> None:
    """The sensor requests another run at once after one failure, and five minutes after a second one.

    An end that a host whose clock was wrong has stored far ahead keeps it from nothing.
    """
    key = stocked.account("DE").ads_account_key
    for is_asked_for in (True, False):
        with (
            pytest.raises(RuntimeError),
            with_job_session("refresh-account", store=stocked.sessions, account=Subject(key)),
        ):
            raise RuntimeError("Amazon is odd")
        assert (key in refreshed(stocked)) is is_asked_for
    began = func.now() - timedelta(minutes=7)
    for lasted in (timedelta(minutes=1), timedelta(days=2)):
        change_sessions(stocked.engine, started_at=began, finished_at=began + lasted)
        assert key in refreshed(stocked)


@pytest.mark.parametrize("sensor", [refresh_due_accounts, poll_reports_in_flight])
def test_without_amazon_no_run_starts(
    world: World, monkeypatch: pytest.MonkeyPatch, sensor: SensorDefinition
) -> None:
    """The skip reason names the command that starts the sandbox, or the settings that are missing."""
    monkeypatch.setenv("BIDBEACON_SANDBOX_PORT", "1")
    get_settings.cache_clear()
    reason = skipped(world, sensor)
    assert "http://127.0.0.1:1 does not answer: start it with `bidbeacon-sandbox`" in reason
    assert "BIDBEACON_ADS_API_CLIENT_ID" in reason
    monkeypatch.setenv("BIDBEACON_ADS_API_CLIENT_ID", "amzn1.application-oa2-client.1")
    get_settings.cache_clear()
    assert "BIDBEACON_ADS_API_CLIENT_SECRET" in skipped(world, sensor)


def test_a_busy_poll_gets_help_after_half_a_minute(stocked: World) -> None:
    """Another run starts only for reports without a living session, never for a queued run or beyond the limit."""
    make_reports_due(stocked)
    queued = put_run(stocked, "poll_reports", DagsterRunStatus.STARTING)
    began(stocked, "poll_reports", seconds_ago=40)
    assert skipped(stocked, poll_reports_in_flight) == IN_PROGRESS
    stocked.instance.delete_run(queued.run_id)
    run_id = put_run(stocked, "poll_reports", DagsterRunStatus.STARTED).run_id
    began(stocked, "poll_reports", seconds_ago=20)
    assert skipped(stocked, poll_reports_in_flight) == IN_PROGRESS
    began(stocked, "poll_reports", seconds_ago=30)
    assert polls(stocked) == 1
    with with_job_session(
        "poll-reports", store=stocked.sessions, run_id=run_id, step_key="poll_reports_op"
    ) as session:
        change_requests(stocked.engine, locked_by=session.session_id)
        assert NOTHING_TO_POLL == skipped(stocked, poll_reports_in_flight)
    put_run(stocked, "poll_reports", DagsterRunStatus.STARTED)
    enough = "As many polls are in progress as BIDBEACON_LOADS_AT_ONCE allows: 2."
    assert enough == skipped(stocked, poll_reports_in_flight)


def test_many_due_reports_get_as_many_runs_as_may_poll_at_once(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run would take long for them, also one that is under way."""
    make_reports_due(stocked)
    with monkeypatch.context() as few:
        few.setattr(sensors, "MANY_DUE", 1)
        assert polls(stocked) == 2
    put_run(stocked, "poll_reports", DagsterRunStatus.STARTED)
    assert skipped(stocked, poll_reports_in_flight) == IN_PROGRESS
    monkeypatch.setattr(sensors, "MANY_DUE", 1)
    assert polls(stocked) == 1


def test_reports_are_polled_once_a_minute_unless_the_last_poll_created_them(
    stocked: World,
) -> None:
    """The next poll starts a minute after the last one, also where that failed."""
    make_reports_due(stocked)
    put_run(stocked, "poll_reports", DagsterRunStatus.FAILURE)
    began(stocked, "poll_reports", seconds_ago=30)
    assert polls(stocked) == 1
    change_requests(stocked.engine, sent_at=ReportRequest.sent_at - timedelta(hours=1))
    assert skipped(stocked, poll_reports_in_flight) == "The last poll began less than a minute ago."
    began(stocked, "poll_reports", seconds_ago=60)
    assert polls(stocked) == 1


def test_planned_reports_start_a_run_where_one_can_be_created(stocked: World) -> None:
    """While the gate is closed, or full, no run starts."""
    hold_reports(stocked)
    run_job(stocked, "refresh_account", stocked.account("JP"))
    later = func.now() + timedelta(hours=1)
    change_requests(stocked.engine, ReportRequest.status == "in_flight", next_step_at=later)
    stocked.execute("UPDATE report_gates SET next_create_at = now() + interval '1 hour'")
    assert NOTHING_TO_POLL == skipped(stocked, poll_reports_in_flight)
    stocked.execute("UPDATE report_gates SET next_create_at = now(), in_flight_limit = 2")
    assert NOTHING_TO_POLL == skipped(stocked, poll_reports_in_flight)
    stocked.execute("UPDATE report_gates SET in_flight_limit = 3")
    assert polls(stocked) == 1


def test_a_load_that_dagster_does_not_know_of_starts_a_run(stocked: World) -> None:
    """A window whose load was never recorded suffices for a run of `poll_reports`."""
    materialize_days(stocked, stocked.account(), stocked.day())
    assert NOTHING_TO_POLL == skipped(stocked, poll_reports_in_flight)
    change_windows(stocked.engine, recorded_load_count=0)
    assert polls(stocked) == 1


@pytest.fixture
def wanted(stocked: World) -> World:
    """A world in which Maria wants a day of the US account."""
    account = stocked.account()
    with stocked.sessions.begin() as connection:
        with stocked.session("refresh-account") as session:
            make_dataset_windows(stocked.context, session, account, DATASET)
        want_load(connection, account, DATASET, [stocked.day()], by="maria", now=utc_now())
    return stocked


def by_hand(world: World) -> list[RunRequest]:
    """Return the runs that the sensor starts for what is wanted."""
    return [run for run in requested(world, refresh_due_accounts) if WANTED_TAG in run.tags]


def is_nothing_wanted(world: World) -> bool:
    """Return whether nothing is wanted, and the sensor starts no run for it."""
    return by_hand(world) == [] and call(world.engine, list_wanted) == []


def test_a_wanted_day_is_loaded_by_one_run(wanted: World) -> None:
    """The run's session says who asked, and when; afterwards nobody wants it."""
    [run] = by_hand(wanted)
    account = wanted.account()
    since = "SELECT wanted_at FROM report_windows WHERE wanted_by IS NOT NULL"
    [wanted_at] = column(wanted.engine, since)
    assert "load_windows" == run.job_name
    assert (account.account_key, account.label) == (run.tags[ACCOUNT_TAG], run.tags[LABEL_TAG])
    execute(wanted, run)
    assert wanted.true_sums(account, wanted.day()) == wanted.stored_sums(account, wanted.day())
    first = wanted.one_session("load-windows")["actions"][0]
    assert ("load-requested", "maria") == (first["type"], first["by"])
    assert wanted_at == datetime.fromisoformat(first["wanted_at"])
    assert is_nothing_wanted(wanted)


def test_a_wanted_day_is_left_to_a_run_that_starts_and_to_a_living_session(wanted: World) -> None:
    """Where both are gone, as after a kill, the next tick starts another run."""
    [asked] = by_hand(wanted)
    given = {"tags": asked.tags, "run_config": asked.run_config}
    run = put_run(wanted, str(asked.job_name), DagsterRunStatus.STARTING, **given)
    assert [] == by_hand(wanted)
    wanted.instance.report_run_failed(run)
    days = wanted.account(), DATASET.name, [wanted.day()]
    with with_job_session("load-windows", store=wanted.sessions) as session:
        call(wanted.engine, claim_windows, *days, session.session_id, by="maria")
        assert [] == by_hand(wanted)
        wanted.execute("UPDATE session_leases SET expires_at = now()")
        assert [asked.tags] == [run.tags for run in by_hand(wanted)]


def test_a_load_that_is_refused_is_not_wanted_any_more(wanted: World) -> None:
    """The account was paused meanwhile: the run's session says so, and no other run follows."""
    [run] = by_hand(wanted)
    change_accounts(wanted.engine, paused=True)
    execute(wanted, run)
    actions = wanted.one_session("load-windows")["actions"]
    assert "account-paused" in str([one.get("cause") for one in actions])
    assert is_nothing_wanted(wanted)


def test_wanted_entities_are_synced_once_amazon_allows_it(stocked: World) -> None:
    """A throttled sync leaves them wanted: the next run starts after the pause, and its session says who asked."""
    account = stocked.account()
    call(stocked.engine, want_sync, account, by="maria")
    stocked.break_with("answer", "create_export", times=1, status=429, retry_after=300)
    for _ in range(2):
        [run] = by_hand(stocked)
        assert ("sync_entities", account.account_key) == (run.job_name, run.tags[PARTITION_TAG])
        execute(stocked, run)
        assert [] == by_hand(stocked)
        stocked.execute("UPDATE rate_limits SET next_start_at = now()")
    assert is_nothing_wanted(stocked)
    for session in stocked.sessions_of("sync-entities"):
        first = session["actions"][0]
        assert ("entity-sync-requested", "maria") == (first["type"], first["by"])
