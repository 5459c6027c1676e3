"""Schedules and sensors: the hourly account sync, and sensors that start a run only if there is something to do."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import httpx
from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    DynamicPartitionsDefinition,
    JobDefinition,
    RunRecord,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from bidbeacon_pipelines.dagster_instance.run_queue import ACCOUNT_TAG, ADS_ACCOUNT_TAG
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.defs.accounts import add_partitions, sync_accounts, sync_entities_job
from bidbeacon_pipelines.defs.partitions import (
    ACCOUNT_PARTITIONS,
    ADS_ACCOUNT_PARTITIONS,
    FIRST_DAY,
)
from bidbeacon_pipelines.defs.reports import poll_reports, refresh_account_job
from bidbeacon_pipelines.defs.resources import session_store
from bidbeacon_pipelines.defs.run_requests import load_windows, requested_runs
from bidbeacon_pipelines.reports.datasets import DATASETS
from bidbeacon_pipelines.reports.partition_bound import TooManyPartitionsError
from bidbeacon_pipelines.services.account_changes import notice_changes
from bidbeacon_pipelines.services.cadence import settle_cadences
from bidbeacon_pipelines.services.gate import pause_before_create
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_pipelines.store.accounts import list_accounts, list_keys_without_entities
from bidbeacon_pipelines.store.ads_accounts import list_ads_accounts_with_due_work, list_open_rounds
from bidbeacon_pipelines.store.gates import list_gates_with_work
from bidbeacon_pipelines.store.materializations import forget_lost_recordings
from bidbeacon_pipelines.store.requests import list_requests_to_step
from bidbeacon_pipelines.store.windows import list_unrecorded_windows
from bidbeacon_sessions.dagster import label_tag, list_runs_under_way
from bidbeacon_sessions.queries import find_labels, list_sessions_of_run
from bidbeacon_sessions.reaper import build_session_closer

LOOK_EVERY_SECONDS = 30
POLL_LOOK_EVERY_SECONDS = 15
"""All accounts wait for the shared look at reports: where its worker is busy or frozen, another one starts soon."""
POLL_EVERY = timedelta(minutes=1)
"""Between two runs of the shared poll of reports: a run costs two CPU seconds, and Amazon asks for no more than a poll a minute.

A report whose first poll is due within a minute of its creation, as the sandbox's are, is not kept waiting."""
COMPARE_EVERY_SECONDS = 3_600
HELP_AFTER = timedelta(seconds=30)
"""Where there still is work so long after the last run began, another one starts: that one is busy with a large report, or frozen."""
_RUN_COMES_LATE = timedelta(seconds=5)
"""A run is stored a moment after the tick that asked for it; measured to the second, the second tick after it would come too soon."""
ENTITIES_LIVE = timedelta(hours=24)
ENTITIES_MISSED_LIVE = timedelta(hours=6)
"""After rows with unknown targets, a sync comes sooner, but not after each load, since some targets never appear."""
PAUSE_AFTER_FAILURE = timedelta(minutes=5)
PAUSE_WITHOUT_SESSION = timedelta(minutes=1)
LONGEST_PAUSE_OF_FIRST_SYNC = timedelta(hours=1)
LOADED_AT = datetime.now(UTC)
"""When this process began. A restart may have brought other credentials: what was in vain before is no reason to wait."""

LOW_PRIORITY = {"dagster/priority": "-1"}
"""In Dagster's queue, runs that a person started and the run that polls all reports go before runs that start by schedule."""

sync_accounts_hourly = ScheduleDefinition(
    name="sync_accounts_hourly",
    job=sync_accounts,
    cron_schedule="7 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="New accounts and countries, names and statuses, a few minutes past the hour when Amazon is less busy.",
)


@sensor(
    jobs=[sync_accounts, sync_entities_job, refresh_account_job, load_windows],
    minimum_interval_seconds=LOOK_EVERY_SECONDS,
    default_status=DefaultSensorStatus.RUNNING,
    description="Starts runs requested on the page, one run for each ads account that has due work, and the first sync of accounts and entities.",
)
def refresh_due_accounts(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
    """Every half minute, find accounts with work to do, in one indexed query."""
    reason = _why_unreachable(get_settings())
    if reason is not None:
        yield SkipReason(reason)
        return
    requests = list(_wanted_runs(context.instance))
    if requests:
        yield from requests
    else:
        yield SkipReason("No account has due work, or its run is in progress.")


@sensor(
    job=poll_reports,
    minimum_interval_seconds=POLL_LOOK_EVERY_SECONDS,
    default_status=DefaultSensorStatus.RUNNING,
    description=(
        "Starts one run for all reports that are due for a check or can be created now; one a minute, or sooner for reports that the last run created. "
        "Starts another one where the last one is still busy after half a minute."
    ),
)
def poll_reports_in_flight(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
    """Find reports that are due for a poll or can be created, and loads that Dagster does not know of.

    A failed poll does not pause the sensor: the error concerns one request, which rests on its own.
    """
    reason = _why_unreachable(get_settings()) or _nothing_to_poll() or _why_wait(context.instance)
    yield RunRequest() if reason is None else SkipReason(reason)


@sensor(
    minimum_interval_seconds=COMPARE_EVERY_SECONDS,
    default_status=DefaultSensorStatus.RUNNING,
    description=(
        "Brings back, once an hour, what Dagster has lost: partitions of accounts at once, and materializations of loads by the next poll_reports. "
        "Starts no run."
    ),
)
def recover_lost_recordings(context: SensorEvaluationContext) -> SkipReason:
    """Compare our accounts and loads with Dagster's partitions and materializations."""
    with session_store().begin() as connection:
        accounts = list_accounts(connection)
    with suppress(TooManyPartitionsError):  # the sync of accounts says so
        add_partitions(context.instance, accounts)
    lost = 0
    for dataset in DATASETS.values():
        with session_store().begin() as connection:
            lost += forget_lost_recordings(connection, dataset, first_day=FIRST_DAY)
    return SkipReason(
        f"{lost:,} loads that Dagster had lost are materialized again by the next poll_reports."
        if lost
        else "Dagster knows all accounts and loads."
    )


close_crashed_sessions = build_session_closer(session_store)


def busy_accounts(instance: DagsterInstance, job_name: str, tag: str = ACCOUNT_TAG) -> set[str]:
    """Return the accounts (`""` for none) that have a run of a job in progress, or one that failed recently."""
    now = datetime.now(UTC)
    under_way = list_runs_under_way(instance, job_name)
    failed = instance.get_run_records(
        RunsFilter(
            job_name=job_name,
            statuses=[DagsterRunStatus.FAILURE],
            updated_after=now - PAUSE_AFTER_FAILURE,
        )
    )
    waiting = [record.dagster_run for record in failed if _is_pause_due(record, now)]
    return {run.tags.get(tag, "") for run in [*under_way, *waiting]}


def first_sync_at(ends: Sequence[datetime]) -> datetime | None:
    """Return the instant before which accounts aren't synced again where none came; None where that was never tried.

    With bad credentials or an empty list of accounts, the pause grows: 5, 10, 20 minutes, then an
    hour.

    Args:
        ends: when the syncs in vain ended.
    """
    if not ends:
        return None
    doubled = PAUSE_AFTER_FAILURE * (1 << min(len(ends) - 1, 10))
    return max(ends) + min(doubled, LONGEST_PAUSE_OF_FIRST_SYNC)


def _is_first_sync_due(instance: DagsterInstance, now: datetime) -> bool:
    """Return whether accounts have to be synced, since none are known."""
    if busy_accounts(instance, sync_accounts.name):
        return False
    ended = RunsFilter(
        job_name=sync_accounts.name,
        statuses=[DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS],
        updated_after=LOADED_AT,
    )
    records = instance.get_run_records(ended, limit=20)
    at = first_sync_at([record.update_timestamp for record in records if _ended_by_itself(record)])
    return at is None or now >= at


def _ended_by_itself(record: RunRecord) -> bool:
    """Return whether a run ended by itself; a killed one says nothing about Amazon."""
    with session_store().begin() as connection:
        ends = {
            row["status"] for row in list_sessions_of_run(connection, record.dagster_run.run_id)
        }
    return bool(ends & {"failed", "succeeded"})


def _is_pause_due(failed: RunRecord, now: datetime) -> bool:
    """Return whether a failed run still keeps its account waiting.

    One whose session failed does, for the whole pause. One that was killed does not. One that never
    got to open a session was killed at its start, or something is wrong that a new run would meet
    too: a short pause serves both.
    """
    with session_store().begin() as connection:
        ends = {
            row["status"] for row in list_sessions_of_run(connection, failed.dagster_run.run_id)
        }
    if not ends:
        return now - failed.update_timestamp < PAUSE_WITHOUT_SESSION
    return "failed" in ends


def _wanted_runs(instance: DagsterInstance) -> Iterator[RunRequest]:
    with session_store().begin() as connection:
        now = read_now(connection, get_settings())
        settle_cadences(connection, now)
    notice_changes(session_store(), now=now)
    with session_store().begin() as connection:
        known = bool(list_accounts(connection))
        without = list_keys_without_entities(
            connection, synced_before=now - ENTITIES_LIVE, missed_before=now - ENTITIES_MISSED_LIVE
        )
        due = list_ads_accounts_with_due_work(connection, now=now, datasets=tuple(DATASETS))
    if not known and _is_first_sync_due(instance, now):
        yield RunRequest(job_name=sync_accounts.name)
    yield from requested_runs(instance)
    yield from _runs_for(instance, sync_entities_job, ACCOUNT_PARTITIONS, ACCOUNT_TAG, without)
    yield from _runs_for(
        instance, refresh_account_job, ADS_ACCOUNT_PARTITIONS, ADS_ACCOUNT_TAG, due
    )


def _runs_for(
    instance: DagsterInstance,
    job: JobDefinition,
    partitions: DynamicPartitionsDefinition,
    tag: str,
    keys: Sequence[str],
) -> Iterator[RunRequest]:
    """Yield a run for each account that has none under way: of its partition, where it is one, as if a person had chosen it."""
    if not keys:
        return
    busy = busy_accounts(instance, job.name, tag)
    listed = set(instance.get_dynamic_partitions(str(partitions.name)))
    with session_store().begin() as connection:
        labels = find_labels(connection, keys)
    for key in keys:
        if key in busy:
            continue
        partition = key if key in listed else None
        config = None if partition else {"ops": {f"{job.name}_op": {"config": {tag: key}}}}
        tags = {tag: key} | label_tag(labels.get(key)) | LOW_PRIORITY
        yield RunRequest(job_name=job.name, partition_key=partition, run_config=config, tags=tags)


def _nothing_to_poll() -> str | None:
    with session_store().begin() as connection:
        now = read_now(connection, get_settings())
        if list_requests_to_step(connection, due_at=now):
            return None
        if list_unrecorded_windows(connection, now=now, limit=1):
            return None
        if list_open_rounds(connection, now=now, datasets=tuple(DATASETS)):
            return None
        gates = list_gates_with_work(connection, now=now)
        if any(pause_before_create(connection, *gate, now) == timedelta(0) for gate in gates):
            return None
    return "No report in flight is due for a check, and no planned report can be created now."


def _why_wait(instance: DagsterInstance) -> str | None:
    """Return why no run starts now, though there is work; None where one does."""
    limit = get_settings().loads_at_once
    if len(list_runs_under_way(instance, poll_reports.name)) >= limit:
        return f"As many polls are in progress as BIDBEACON_LOADS_AT_ONCE allows: {limit}."
    with session_store().begin() as connection:
        now = read_now(connection, get_settings())
        due = list_requests_to_step(connection, due_at=now)
    since = now - POLL_EVERY + _RUN_COMES_LATE
    last = instance.get_run_records(
        RunsFilter(job_name=poll_reports.name, created_after=since), limit=1
    )
    if not last:
        return None
    began = last[0].create_timestamp
    if not last[0].dagster_run.is_finished:
        is_recent = began > now - HELP_AFTER + _RUN_COMES_LATE
        return "The last poll is in progress." if is_recent else None
    if any(one.polls == 0 and one.sent_at and one.sent_at >= began for one in due):
        return None  # the last run created it
    return "The last poll began less than a minute ago."


def _why_unreachable(settings: Settings) -> str | None:
    """Return why Amazon cannot be called, if that is known beforehand."""
    if settings.uses_sandbox:
        return _sandbox_away(settings)
    if settings.ads_api_client_secret is None or settings.ads_api_refresh_token is None:
        return "BIDBEACON_ADS_API_CLIENT_ID is set without BIDBEACON_ADS_API_CLIENT_SECRET or …_REFRESH_TOKEN: set all three, or none."
    return None


def _sandbox_away(settings: Settings) -> str | None:
    """Return that there are neither credentials nor a running sandbox, if so."""
    try:
        httpx.get(f"{settings.sandbox_url}/healthz", timeout=2, trust_env=False)
    except httpx.HTTPError:
        return (
            f"No Amazon credentials are set, and the sandbox at {settings.sandbox_url} does not answer: start it with "
            "`bidbeacon sandbox` (`make dev` starts everything), or set BIDBEACON_ADS_API_CLIENT_ID and its companions."
        )
    return None
