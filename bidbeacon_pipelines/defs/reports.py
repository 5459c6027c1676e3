"""Report datasets in Dagster: one asset a dataset, partitioned by account and window, and the jobs that keep them fresh."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    BackfillPolicy,
    Failure,
    MaterializeResult,
    MetadataValue,
    OpExecutionContext,
    asset,
    in_process_executor,
    job,
    op,
)

from bidbeacon_pipelines.dagster_instance.run_queue import ACCOUNT_TAG, ADS_ACCOUNT_TAG
from bidbeacon_pipelines.defs import lineage
from bidbeacon_pipelines.defs.accounts import AdsAccountConfig, config_of_partition
from bidbeacon_pipelines.defs.asset_metadata import OWNER, column_schema, place_metadata
from bidbeacon_pipelines.defs.materializations import (
    Metadata,
    add_metadata_of_partitions,
    describe_windows,
    record_loaded_windows,
)
from bidbeacon_pipelines.defs.partitions import (
    ACCOUNT_WINDOWS,
    ADS_ACCOUNT_PARTITIONS,
    days_by_account,
    partition_key,
)
from bidbeacon_pipelines.defs.resources import BidBeaconSessions, JobContexts
from bidbeacon_pipelines.reports.datasets import DATASETS, Dataset
from bidbeacon_pipelines.services.backfill import (
    AccountSkippedError,
    Progress,
    WindowNotLoadedError,
    drive_windows,
)
from bidbeacon_pipelines.services.dispatch import create_reports
from bidbeacon_pipelines.services.job_context import JobContext, find_ref
from bidbeacon_pipelines.services.refresh import refresh_account, step_requests
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.store.accounts import UnknownAccountError
from bidbeacon_pipelines.store.dataset_tables import columns_of
from bidbeacon_pipelines.store.windows import LoadedWindow, list_loaded_windows, record_windows
from bidbeacon_sessions import SessionRecorder, Subject
from bidbeacon_sessions.dagster import session_metadata
from bidbeacon_sessions.presentation import session_url

LOG_EVERY = timedelta(seconds=30)


def build_report_asset(dataset: Dataset) -> AssetsDefinition:
    """Make the asset of a dataset: materializing a partition loads that window now, whether or not it is due."""

    @asset(
        name=dataset.asset_name,
        group_name="reports",
        kinds={"postgres"},
        owners=[OWNER],
        tags={"dataset": dataset.name, "grain": "hour" if dataset.is_hourly else "day"},
        deps=[lineage.ACCOUNTS, *lineage.entities_behind(dataset)],
        partitions_def=ACCOUNT_WINDOWS,
        backfill_policy=BackfillPolicy.single_run(),
        output_required=False,
        description=(
            f"{dataset.title}, from Amazon's reports: one partition is one account and one day of its own calendar. "
            "Materializing loads the day again (adopts a report in flight or requests one, waits, loads); loading twice is the same as "
            "once. A day that is not over in the account's time zone is skipped. By themselves, `refresh_due_accounts` and `poll_reports_in_flight` keep it fresh. "
            f"What happened, live: [Event Stream]({get_settings().stream_public_url})."
        ),
        metadata={
            **place_metadata(f"public.{dataset.table}"),
            "dagster/column_schema": column_schema(columns_of(dataset)),
            "event_stream": MetadataValue.url(get_settings().stream_public_url),
            "refreshed": f"T+{', '.join(map(str, dataset.refresh_offsets))} days, in the account's time zone",
        },
    )
    def report_asset(
        context: AssetExecutionContext, job_contexts: JobContexts, job_sessions: BidBeaconSessions
    ) -> Iterator[MaterializeResult[Any]]:
        keys = _partition_keys(context)
        with job_contexts.open() as job_context:
            given = {"dataset": dataset.name, "partitions": keys}
            with job_sessions.work(
                context,
                job_context,
                "load-windows",
                input=given,
                account=_only_account(job_context, keys),
            ) as session:
                wanted = days_by_account(keys)
                context.instance.add_run_tags(
                    context.run.run_id, {ACCOUNT_TAG: ",".join(wanted)[:250]}
                )
                loaded, failures = _drive_all(context, job_context, session, dataset, wanted)
                if len(loaded) < len(keys):  # a result would materialize those without a load, too
                    record_loaded_windows(context, job_context.engine, session)
                if failures:
                    raise (
                        failures[0]
                        if len(failures) == 1
                        else Failure("\n".join(map(str, failures)))
                    )
            if len(loaded) == len(keys):
                yield MaterializeResult(
                    metadata=_record_metadata(context, job_context, loaded, session.session_id)
                )
                _note_recorded(context, job_context, loaded)

    return report_asset


def _partition_keys(context: AssetExecutionContext) -> list[str]:
    """Return the partitions of the run; none where somebody started it without any."""
    has_any = context.has_partition_key or context.has_partition_key_range
    return [str(key) for key in context.partition_keys] if has_any else []


def _only_account(job_context: JobContext, keys: Sequence[str]) -> Subject | None:
    """Return the account of the run, where it is one and known: its session is then found by it."""
    accounts = {str(key).partition("|")[0] for key in keys}
    return job_context.find_account_ref(accounts.pop()) if len(accounts) == 1 else None


def _drive_all(
    context: AssetExecutionContext,
    job_context: JobContext,
    session: SessionRecorder,
    dataset: Dataset,
    wanted: Mapping[str, Sequence[date]],
) -> tuple[list[LoadedWindow], list[Exception]]:
    """Load the days of each account; return the loads, and the errors of accounts with days that failed."""
    loaded: list[LoadedWindow] = []
    failures: list[Exception] = []
    for key, asked in wanted.items():
        days: Sequence[date] = ()
        try:
            account = job_context.account(key)
            show = _progress_log(context)
            windows = drive_windows(
                job_context, session, account, dataset, asked, by="Dagster", on_progress=show
            )
            days = [window.window_date for window in windows]
        except WindowNotLoadedError as error:
            failures.append(error)
            days = error.loaded
        except (AccountSkippedError, UnknownAccountError) as error:
            failures.append(error)
        if days:
            with job_context.engine.begin() as connection:
                loaded += list_loaded_windows(connection, account, dataset.name, days)
    return loaded, failures


def _progress_log(context: AssetExecutionContext) -> Callable[[Progress], None]:
    """Return a function that logs the progress of a load: on a change, and at most twice a minute, since each line is kept."""
    logged: Progress | None = None

    def show(progress: Progress) -> None:
        nonlocal logged
        if (
            logged is not None
            and replace(progress, waited=logged.waited) == logged
            and progress.waited - logged.waited < LOG_EVERY
        ):
            return
        logged = progress
        context.log.info(
            "%d of %d windows loaded, waiting for %s (%d s so far)",
            progress.done,
            progress.total,
            progress.waiting_for,
            progress.waited.total_seconds(),
        )

    return show


def _record_metadata(
    context: AssetExecutionContext,
    job_context: JobContext,
    loaded: Sequence[LoadedWindow],
    session_id: UUID,
) -> Metadata:
    """Set each partition's own metadata; for a single partition, return it together with the session's.

    Dagster repeats the metadata of a range's result in the materialization of every partition (36
    kB each for 450 windows), so a range's result has none.
    """
    with job_context.engine.begin() as connection:
        described = describe_windows(connection, loaded)
    if len(described) == 1:
        return {**described[0][1], **session_metadata(job_context.sessions, session_id)}
    own = {"session": MetadataValue.url(session_url(str(session_id)))}
    add_metadata_of_partitions(
        context,
        {
            partition_key(window.account_key, window.window_date): {**metadata, **own}
            for window, metadata in described
        },
    )
    return {}


def _note_recorded(
    context: AssetExecutionContext, job_context: JobContext, loaded: Sequence[LoadedWindow]
) -> None:
    """Record that Dagster has these loads; only after it has stored the materializations, or a killed run would lose them."""
    with job_context.engine.begin() as connection:
        record_windows(connection, loaded, context.run.run_id)


@op
def refresh_account_op(
    context: OpExecutionContext,
    config: AdsAccountConfig,
    job_contexts: JobContexts,
    job_sessions: BidBeaconSessions,
) -> None:
    """Create the windows of an ads account and plan what is due in all of its countries.

    Asks Amazon for nothing; safe to run again.
    """
    with job_contexts.open() as job_context:
        ref = find_ref(job_context.named_ads_account, config.ads_account)
        given = {"ads_account": config.ads_account}
        with job_sessions.work(
            context, job_context, "refresh-account", input=given, account=ref
        ) as session:
            refresh_account(job_context, session, job_context.named_ads_account(config.ads_account))
        context.add_output_metadata(session_metadata(job_context.sessions, session.session_id))


@op
def poll_reports_op(
    context: OpExecutionContext, job_contexts: JobContexts, job_sessions: BidBeaconSessions
) -> None:
    """Poll every report in flight that is due, load complete ones, and create planned ones.

    Safe to run again.
    """
    with job_contexts.open() as job_context:
        with job_sessions.work(context, job_context, "poll-reports") as session:
            step_requests(
                job_context,
                session,
                on_step=lambda: record_loaded_windows(context, job_context.engine, session),
            )
            create_reports(job_context, session)
            record_loaded_windows(context, job_context.engine, session)
        context.add_output_metadata(session_metadata(job_context.sessions, session.session_id))


@job(
    name="refresh_account",
    executor_def=in_process_executor,
    config=config_of_partition(
        ADS_ACCOUNT_PARTITIONS, "refresh_account_op", "ads_account", ADS_ACCOUNT_TAG
    ),
    description="Plan what is due for one ads account, in all of its countries; never waits.",
)
def refresh_account_job() -> None:
    """One op: one ads account."""
    refresh_account_op()


@job(
    executor_def=in_process_executor,
    description="Poll the reports in flight of all accounts, load complete ones and create planned ones.",
)
def poll_reports() -> None:
    """One op: all accounts."""
    poll_reports_op()


def report_assets() -> Iterator[AssetsDefinition]:
    """Make the asset of every registered dataset."""
    for dataset in DATASETS.values():
        yield build_report_asset(dataset)


dataset_assets = list(report_assets())
