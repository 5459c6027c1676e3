"""Datasets in Dagster: assets with partitions by account and window, and jobs."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg

from bidbeacon_pipelines.accounts.queries import read_account, read_ads_account
from bidbeacon_pipelines.dagster_instance.storage import BY_HAND_POOL
from bidbeacon_pipelines.datasets.dataset_tables import columns_of
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset, get_dataset
from bidbeacon_pipelines.defs import lineage
from bidbeacon_pipelines.defs.asset_metadata import OWNER, table_metadata
from bidbeacon_pipelines.defs.checks import evaluate_checks
from bidbeacon_pipelines.defs.materializations import log_days, record_loads
from bidbeacon_pipelines.defs.partitions import (
    ACCOUNT_WINDOWS,
    ADS_ACCOUNT_PARTITIONS,
    ADS_ACCOUNT_TAG,
    NoPartitionError,
    days_by_account,
)
from bidbeacon_pipelines.defs.resources import BidBeaconSessions, Context, RunningJob, one_op_job
from bidbeacon_pipelines.requests.dispatch import step_requests
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError, load_days
from bidbeacon_pipelines.requests.plan import plan_account
from bidbeacon_pipelines.settings import get_settings


def build_report_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """Make a dataset's asset; materializing a partition loads its window, even if not due."""

    @dg.asset(
        name=dataset.name,
        group_name="reports",
        kinds={"postgres"},
        owners=[OWNER],
        tags={"dataset": dataset.name, "grain": "hour" if dataset.is_hourly else "day"},
        deps=["accounts", *lineage.entities_behind(dataset)],
        partitions_def=ACCOUNT_WINDOWS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=BY_HAND_POOL,
        output_required=False,
        description=(
            f"{dataset.title}, from Amazon's reports. One partition is one account and one day in "
            "the account's time zone. Materializing loads the day again, from a report in flight "
            "or a new one; it is safe to repeat. If a day is not over in the account's time zone, "
            "the other days are loaded and the run fails. The sensors `refresh_due_accounts` and "
            "`poll_reports_in_flight` keep the data fresh. "
            f"Live events: [Event Stream]({get_settings().stream_public_url})."
        ),
        metadata={
            **table_metadata(dataset.name, columns_of(dataset)),
            "event_stream": dg.MetadataValue.url(get_settings().stream_public_url),
            "refreshed": f"T+{', '.join(map(str, dataset.refresh_offsets))} days, "
            "in the account's time zone",
        },
    )
    def report_asset(
        context: dg.AssetExecutionContext, job_sessions: BidBeaconSessions
    ) -> Iterator[dg.MaterializeResult[Any]]:
        keys = _partition_keys(context)
        named = {key.partition("|")[0] for key in keys}
        with job_sessions.work(
            context,
            "load-windows",
            input={"dataset": dataset.name, "partitions": keys},
            account=named.pop() if len(named) == 1 else None,
        ) as job:
            for key, days in days_by_account(keys).items():
                _load(context, job, key, dataset, days)
        yield from ()  # a result would materialize all partitions of the run, also skipped ones

    return report_asset


def _partition_keys(context: dg.AssetExecutionContext) -> list[str]:
    has_any = context.has_partition_key or context.has_partition_key_range
    return [str(key) for key in context.partition_keys] if has_any else []


def _load(
    context: Context,
    job: RunningJob,
    account_key: str,
    dataset: Dataset,
    days: Sequence[date],
    *,
    by: str = "Dagster",
) -> None:
    """Load days of an account now; then record loaded days in Dagster and run the checks.

    Loaded days are recorded even if other days fail. `by` names the requester.
    """
    account, loaded = read_account(job.context.engine, account_key), list[date]()
    try:
        windows = load_days(job.context, job.session, account, dataset, days, by=by)
        loaded = sorted({window.window_date for window in windows})
    except WindowNotLoadedError as error:
        loaded = list(error.loaded)
        raise
    finally:
        log_days(context, job, account, dataset, loaded)
        # Dagster skips an asset's checks if the asset has no result.
        evaluate_checks(context, job, [dataset.name])


class LoadConfig(dg.Config):
    """The windows to load, given as days such as `2026-11-23`; `by` is the requesting user."""

    account: str
    dataset: str
    windows: list[str]
    by: str = "Dagster"


@dg.op(pool=BY_HAND_POOL)
def load_windows_op(
    context: dg.OpExecutionContext, config: LoadConfig, job_sessions: BidBeaconSessions
) -> None:
    """Load windows now, even if they are not due, and record their days in Dagster.

    Safe to run again.
    """
    given = config.model_dump()
    with job_sessions.work(context, "load-windows", input=given, account=config.account) as job:
        days = [date.fromisoformat(day) for day in config.windows]
        _load(context, job, config.account, get_dataset(config.dataset), days, by=config.by)


load_windows = one_op_job(
    load_windows_op, "Load windows of one dataset of one account now, and wait for them."
)


@dg.op
def refresh_account_op(context: dg.OpExecutionContext, job_sessions: BidBeaconSessions) -> None:
    """Plan due windows of an ads account, create and poll reports, and load completed ones.

    Safe to run again.
    """
    key = context.partition_key if context.has_partition_key else None
    with job_sessions.work(
        context, "refresh-account", input={"ads_account": key}, ads_account=key
    ) as job:
        if key is None:
            raise NoPartitionError
        ads_account = read_ads_account(job.context.engine, key)
        plan_account(job.context, job.session, ads_account)
        step_requests(
            job.context, job.session, ads_account, on_step=lambda: record_loads(context, job)
        )


refresh_account_job = one_op_job(
    refresh_account_op,
    "Bring one ads account up to date: plan due windows, create reports, load completed ones; "
    "never wait for Amazon to complete a report.",
    config=dg.PartitionedConfig(
        ADS_ACCOUNT_PARTITIONS,
        run_config_for_partition_key_fn=lambda _: {},
        tags_for_partition_key_fn=lambda key: {ADS_ACCOUNT_TAG: key},
    ),
)


@dg.op
def poll_reports_op(context: dg.OpExecutionContext, job_sessions: BidBeaconSessions) -> None:
    """Create planned reports, poll all reports that are due, and load completed reports.

    Safe to run again.
    """
    with job_sessions.work(context, "poll-reports") as job:
        step_requests(job.context, job.session, on_step=lambda: record_loads(context, job))
        record_loads(context, job)


poll_reports = one_op_job(
    poll_reports_op,
    "Create planned reports, poll the reports in flight of all accounts and load complete ones.",
)

dataset_assets = [build_report_asset(dataset) for dataset in DATASETS.values()]

load_datasets = dg.define_asset_job(
    "load_datasets",
    selection=dataset_assets,
    description=(
        "Load days of an account again, in all datasets. The sensors that keep datasets fresh list "
        "this job, so that the page of each dataset shows the sensors."
    ),
)
