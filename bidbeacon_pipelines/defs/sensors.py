"""The sensors, which start runs if there is work."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import dagster as dg
import httpx

from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.clock_repair import repair_clock
from bidbeacon_pipelines.database.clock import CLOCKS_DIFFER_BY, read_now, read_real_now
from bidbeacon_pipelines.database.unwritable_folders import find_unwritable
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.defs.accounts import sync_accounts
from bidbeacon_pipelines.defs.entities import sync_entities
from bidbeacon_pipelines.defs.partitions import ACCOUNT_TAG, ADS_ACCOUNT_TAG, PARTITION_TAG
from bidbeacon_pipelines.defs.reports import (
    LoadConfig,
    load_datasets,
    load_windows,
    load_windows_op,
    poll_reports,
    refresh_account_job,
)
from bidbeacon_pipelines.defs.resources import session_store
from bidbeacon_pipelines.materializations.queries import lock_unrecorded_days
from bidbeacon_pipelines.requests.dispatch import can_create_reports
from bidbeacon_pipelines.requests.queries import list_requests_to_step
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_pipelines.windows.due import (
    list_ads_accounts_with_due_work,
    list_keys_without_entities,
)
from bidbeacon_pipelines.windows.wanted_queries import list_wanted
from bidbeacon_sessions.dagster import label_tag
from bidbeacon_sessions.queries import list_accounts_failed_twice, read_subject_labels

_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
DUE_SENSOR_SECONDS = 30
POLL_SENSOR_SECONDS = 15
"""The interval is short, so that a new poll soon replaces a poll with a frozen worker."""
POLL_EVERY = timedelta(minutes=1)
"""The interval of the poll of all reports. A newly created report may be polled sooner.

A run costs two CPU seconds, and Amazon allows one poll of a report per minute."""
HELP_AFTER = timedelta(seconds=30)
"""If a poll takes longer (a large report, a frozen worker), another poll may start."""
MANY_DUE = 10
"""If at least this many reports are due, all polls that may run at the same time start."""
_INCOMPLETE = (
    "BIDBEACON_ADS_API_CLIENT_ID is set without BIDBEACON_ADS_API_CLIENT_SECRET "
    "or …_REFRESH_TOKEN: set all three, or none."
)
_RUN_COMES_LATE = timedelta(seconds=5)
"""A tolerance, since a run is stored a moment after the sensor requested it."""
ENTITIES_LIVE = timedelta(hours=24)
ENTITIES_MISSED_LIVE = timedelta(hours=6)
"""The interval of syncs while rows have unknown targets, some of which never appear."""
PAUSE_AFTER_FAILURE = timedelta(minutes=5)
"""The pause of an account after two failures in a row. A single failure, which a database
restart may have caused, is retried at the next tick."""

MOST_WANTED_RUNS = 20
"""The most queued runs for user requests; others are queued when these have started."""
WANTED_TAG = "bidbeacon/wanted"
"""The tag of a run for a user's request: account, dataset (or `entities`) and time."""

LOW_PRIORITY = {"dagster/priority": "-1"}
"""The tags of automatic runs. Runs for users and polls precede these runs in the queue."""


@dg.sensor(
    jobs=[sync_accounts, sync_entities, refresh_account_job, load_windows, load_datasets],
    minimum_interval_seconds=DUE_SENSOR_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts runs for requests by users, one run for each ads account that has due "
    "work, and the first sync of accounts and entities.",
)
def refresh_due_accounts(
    context: dg.SensorEvaluationContext,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Yield runs for user requests, due syncs, and accounts with windows to create or plan."""
    reason = _why_unreachable(get_settings())
    if reason is not None:
        yield dg.SkipReason(reason)
        return
    repair_clock(session_store().engine, get_settings())
    requests = [*_wanted_runs(context.instance), *_due_runs(context.instance)]
    if requests:
        yield from requests
    else:
        yield dg.SkipReason(
            "No account has due work, except for accounts with an unfinished run or a pause."
        )


@dg.sensor(
    jobs=[poll_reports, load_datasets],
    minimum_interval_seconds=POLL_SENSOR_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Starts one run a minute for all reports that can be polled or created now, or sooner for "
        "reports that the last run created. Starts another run if the last run is still busy "
        "after half a minute. If many reports are due, starts as many runs as may poll together."
    ),
)
def poll_reports_in_flight(
    context: dg.SensorEvaluationContext,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Yield runs to poll or create reports, and to record loads that are missing in Dagster.

    A failed poll does not pause the sensor, since only the failed request is paused.
    """
    repair_clock(session_store().engine, get_settings())
    answer = _why_unreachable(get_settings()) or _polls_to_start(context.instance)
    if isinstance(answer, str):
        yield dg.SkipReason(answer)
        return
    for _ in range(answer):
        yield dg.RunRequest(job_name=poll_reports.name)


def busy_accounts(instance: dg.DagsterInstance, job_name: str) -> set[str]:
    """Return keys of accounts with an unfinished run of a job, or two recent failed runs.

    The key is `""` for an unfinished run that concerns no account.
    """
    under_way = list_runs_under_way(instance, job_name)
    with session_store().begin() as connection:
        since = read_real_now(connection) - PAUSE_AFTER_FAILURE
        failed = list_accounts_failed_twice(connection, job_name.replace("_", "-"), since=since)
    return {run.tags.get(PARTITION_TAG, "") for run in under_way} | failed


def list_runs_under_way(instance: dg.DagsterInstance, job_name: str) -> list[dg.DagsterRun]:
    """Return the unfinished runs of a job, including queued runs and runs of dead workers."""
    return list(instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=_UNFINISHED)))


def _created_since(job_name: str, since: datetime, now: datetime) -> dg.RunsFilter:
    # Runs of the future, which a wrong clock has stored, are ignored.
    return dg.RunsFilter(
        job_name=job_name, created_after=since, created_before=now + CLOCKS_DIFFER_BY
    )


def _is_first_sync_due(instance: dg.DagsterInstance, now: datetime) -> bool:
    name = sync_accounts.name
    recent = _created_since(name, now - PAUSE_AFTER_FAILURE, now)
    return not list_runs_under_way(instance, name) and not instance.get_runs(recent, limit=1)


def _due_runs(instance: dg.DagsterInstance) -> Iterator[dg.RunRequest]:
    with session_store().begin() as connection:
        now, real_now = read_now(connection, get_settings()), read_real_now(connection)
        known = bool(list_accounts(connection))
        without = list_keys_without_entities(
            connection,
            now=now,
            synced_before=now - ENTITIES_LIVE,
            missed_before=now - ENTITIES_MISSED_LIVE,
        )
        due = list_ads_accounts_with_due_work(connection, now=now, datasets=tuple(DATASETS))
        fault = find_unwritable(connection, get_settings().scratch_folder, now)
    if not known and _is_first_sync_due(instance, real_now):
        yield dg.RunRequest(job_name=sync_accounts.name)
    if fault is None or not fault["is_paused"]:
        yield from _runs_for(instance, sync_entities.name, ACCOUNT_TAG, without)
    yield from _runs_for(instance, refresh_account_job.name, ADS_ACCOUNT_TAG, due)


def _wanted_runs(instance: dg.DagsterInstance) -> Iterator[dg.RunRequest]:
    """Yield a run for each user request that has no running session and no unfinished run.

    The request of a killed run stays pending, so the next tick starts another run.
    """
    # Runs are read first: the request of one that ends meanwhile is no longer pending.
    jobs = (load_windows.name, sync_entities.name)
    runs = [run for name in jobs for run in list_runs_under_way(instance, name)]
    started = {run.tags.get(WANTED_TAG) for run in runs}
    with session_store().begin() as connection:
        wanted = list_wanted(connection)
    idle = [one for one in wanted if one["session_id"] is None and one["may_start"]]
    for one in idle[:MOST_WANTED_RUNS]:
        key, dataset = one["account_key"], one["dataset"]
        what = f"{key} {dataset or 'entities'} {one['wanted_at'].isoformat()}"
        tags = {WANTED_TAG: what, ACCOUNT_TAG: key} | label_tag(one["account_label"])
        if what in started:
            continue
        if dataset is None:
            yield dg.RunRequest(job_name=sync_entities.name, tags=tags | {PARTITION_TAG: key})
            continue
        days = [str(day) for day in one["windows"]]
        load = LoadConfig(account=key, dataset=dataset, windows=days, by=one["wanted_by"])
        config = {"ops": {load_windows_op.name: {"config": load.model_dump()}}}
        yield dg.RunRequest(job_name=load_windows.name, run_config=config, tags=tags)


def _runs_for(
    instance: dg.DagsterInstance, job_name: str, tag: str, keys: Sequence[str]
) -> Iterator[dg.RunRequest]:
    if not keys:
        return
    busy = busy_accounts(instance, job_name)
    with session_store().begin() as connection:
        labels = read_subject_labels(connection, keys)
    for key in keys:
        if key not in busy:
            tags = {PARTITION_TAG: key, tag: key} | label_tag(labels.get(key)) | LOW_PRIORITY
            yield dg.RunRequest(job_name=job_name, tags=tags)


def _polls_to_start(instance: dg.DagsterInstance) -> int | str:
    with session_store().begin() as connection:
        now = read_now(connection, get_settings())
        downloads = get_settings().scratch_folder
        due = list_requests_to_step(connection, due_at=now, downloads=downloads)
        unrecorded = lock_unrecorded_days(connection, limit=1)
        if not due and not unrecorded and not can_create_reports(connection, now):
            return (
                "No report in flight is due for a poll, and no planned report can be created now."
            )
        now = read_real_now(connection)
    limit = get_settings().loads_at_once
    free = limit - len(list_runs_under_way(instance, poll_reports.name))
    if free <= 0:
        return f"As many polls are in progress as BIDBEACON_LOADS_AT_ONCE allows: {limit}."
    starts = free if len(due) >= MANY_DUE else 1
    since = now - POLL_EVERY + _RUN_COMES_LATE
    last = instance.get_run_records(_created_since(poll_reports.name, since, now), limit=1)
    if not last:
        return starts
    run, began = last[0].dagster_run, last[0].create_timestamp
    if not run.is_finished:
        is_long = began <= now - HELP_AFTER + _RUN_COMES_LATE
        needs_help = is_long or len(due) >= MANY_DUE
        is_at_work = run.status is dg.DagsterRunStatus.STARTED
        return starts if is_at_work and needs_help else "The last poll is in progress."
    if any(one.polls == 0 and one.sent_at and one.sent_at >= began for one in due):
        return starts  # the last run created it
    return "The last poll began less than a minute ago."


def _why_unreachable(settings: Settings) -> str | None:
    if not settings.uses_sandbox:
        return None if settings.credentials else _INCOMPLETE
    try:
        httpx.get(f"{settings.sandbox_url}/healthz", timeout=2, trust_env=False)
    except httpx.HTTPError:
        return (
            f"No Amazon credentials are set, and the sandbox at {settings.sandbox_url} does not "
            "answer: start it with `bidbeacon-sandbox` (`make dev` starts everything), or set "
            "BIDBEACON_CREDENTIALS_FILE, or all of BIDBEACON_ADS_API_CLIENT_ID, …_CLIENT_SECRET "
            "and …_REFRESH_TOKEN."
        )
    return None
