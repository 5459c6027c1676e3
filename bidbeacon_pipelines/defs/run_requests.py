"""Runs requested on the page: the job that loads windows, and the runs that the sensor starts."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from bidbeacon_pipelines.accounts.queries import read_account
from bidbeacon_pipelines.dagster_storage import BY_HAND_POOL
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.defs.entities import sync_entities
from bidbeacon_pipelines.defs.partitions import ACCOUNT_TAG, PARTITION_TAG
from bidbeacon_pipelines.defs.recording import record_loads
from bidbeacon_pipelines.defs.resources import RUN_REQUEST_TAG, BidBeaconSessions, session_store
from bidbeacon_pipelines.requests import run_request_queries as stored
from bidbeacon_pipelines.requests.backfill import drive_windows
from bidbeacon_pipelines.requests.run_requests import MOST_TRIES
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.dagster import label_tag


class LoadConfig(dg.Config):
    """Which windows an op loads: days (`2026-11-23`) of a dataset of an account, and who asked for it."""

    account: str
    dataset: str
    windows: list[str]
    by: str


@dg.op(pool=BY_HAND_POOL)
def load_windows_op(
    context: dg.OpExecutionContext, config: LoadConfig, job_sessions: BidBeaconSessions
) -> None:
    """Load windows now, whether or not they are due, and record them as materializations.

    Safe to run again.
    """
    given = config.model_dump()
    with job_sessions.work(context, "load-windows", input=given, account=config.account) as job:
        try:
            drive_windows(
                job.context,
                job.session,
                read_account(job.context.engine, config.account),
                get_dataset(config.dataset),
                [date.fromisoformat(day) for day in config.windows],
                by=config.by,
            )
        finally:
            record_loads(context, job)


@dg.job(description="Load windows of one dataset of one account now, as requested on the page.")
def load_windows() -> None:
    """One op: some days of one dataset of one account."""
    load_windows_op()


def requested_runs(instance: dg.DagsterInstance) -> Iterator[dg.RunRequest]:
    """Yield a run for each request that has none.

    A request stays open until a run has begun its work; a run that died before is repeated up to
    three times.
    """
    with session_store().begin() as connection:
        now = read_now(connection, get_settings())
        stored.finish_requests(connection, now=now)
        waiting = stored.list_waiting_requests(connection)
    for request in waiting:
        tag = {RUN_REQUEST_TAG: str(request.id)}
        runs = instance.get_runs(dg.RunsFilter(tags=tag))
        if any(not run.is_finished for run in runs):
            continue
        if len(runs) >= MOST_TRIES:
            with session_store().begin() as connection:
                reason = (
                    f"{len(runs)} runs ended before they began; the last one is {runs[0].run_id}"
                )
                stored.fail_request(connection, request.id, reason, now=now)
            continue
        yield _run_for(request, tag, tries=len(runs))


def _run_for(request: stored.RunRequest, tag: dict[str, str], *, tries: int) -> dg.RunRequest:
    key = request.account_key
    tags = tag | {ACCOUNT_TAG: key} | label_tag(request.account_label)
    run_key = f"run-request-{request.id}-{tries + 1}"
    if request.kind == "load-windows":
        config = LoadConfig(
            account=key,
            dataset=request.dataset,
            windows=[str(day) for day in request.windows],
            by=request.requested_by,
        )
        return dg.RunRequest(
            run_key=run_key,
            job_name=load_windows.name,
            run_config={"ops": {load_windows_op.name: {"config": config.model_dump()}}},
            tags=tags,
        )
    return dg.RunRequest(
        run_key=run_key, job_name=sync_entities.name, tags=tags | {PARTITION_TAG: key}
    )
