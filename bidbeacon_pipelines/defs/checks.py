"""Asset checks of a dataset as a whole, made with each materialization and once an hour."""

from collections.abc import Iterator

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSpec,
    AssetSelection,
    DefaultScheduleStatus,
    ScheduleDefinition,
    define_asset_job,
    in_process_executor,
    multi_asset_check,
)

from bidbeacon_pipelines.database.clock import DatabaseClock
from bidbeacon_pipelines.defs.check_results import describe_verdict
from bidbeacon_pipelines.defs.resources import BidBeaconSessions
from bidbeacon_pipelines.reports.checks import CHECKS, RECONCILED, ROWS_RECONCILE
from bidbeacon_pipelines.reports.datasets import DATASETS, Dataset
from bidbeacon_pipelines.services.dataset_checks import check_dataset
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.dagster import session_metadata


def build_report_checks(dataset: Dataset) -> AssetChecksDefinition:
    """Make the checks of a dataset's asset.

    They have no partitions: one result says how all accounts and windows are.
    """

    @multi_asset_check(
        name=f"{dataset.asset_name}_checks",
        specs=[
            AssetCheckSpec(
                name, asset=dataset.asset_name, description=_described(dataset, name, description)
            )
            for name, description in CHECKS.items()
        ],
        can_subset=True,
    )
    def report_checks(
        context: AssetCheckExecutionContext, job_sessions: BidBeaconSessions
    ) -> Iterator[AssetCheckResult]:
        op_context = context.op_execution_context
        store = job_sessions.store()
        now = DatabaseClock(store.engine, get_settings())()
        with job_sessions.session(
            op_context, "check-dataset", input={"dataset": dataset.name}
        ) as session:
            verdicts = check_dataset(store.engine, session, dataset, now, get_settings())
        of_session = session_metadata(store, session.session_id)
        wanted = {key.name for key in op_context.selected_asset_check_keys}
        for verdict in verdicts:
            if verdict.check in wanted:
                yield describe_verdict(dataset, verdict, now, of_session)

    return report_checks


def _described(dataset: Dataset, name: str, description: str) -> str:
    """Return the condition for a check of a dataset to pass."""
    return (
        f"{description} {RECONCILED[dataset.reconciles]}" if name == ROWS_RECONCILE else description
    )


def report_checks() -> Iterator[AssetChecksDefinition]:
    """Make the checks of every registered dataset."""
    for dataset in DATASETS.values():
        yield build_report_checks(dataset)


dataset_checks = list(report_checks())


check_datasets = define_asset_job(
    "check_datasets",
    selection=AssetSelection.checks_for_assets(
        *(dataset.asset_name for dataset in DATASETS.values())
    ),
    executor_def=in_process_executor,
    description="Check all datasets: fresh, reconciled, few rows quarantined.",
)


check_datasets_hourly = ScheduleDefinition(
    name="check_datasets_hourly",
    job=check_datasets,
    cron_schedule="37 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Once an hour, so that a window that is not loaded is noticed.",
)
