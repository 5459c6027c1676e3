"""Asset checks: claims about a dataset as a whole, checked with each materialization and once an hour."""

from collections.abc import Iterator
from datetime import UTC, datetime

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

from bidbeacon_pipelines.defs.check_results import describe_verdict
from bidbeacon_pipelines.defs.resources import BidBeaconSessions
from bidbeacon_pipelines.reports.claims import CLAIMS, RECONCILED, ROWS_RECONCILE
from bidbeacon_pipelines.reports.datasets import DATASETS, Dataset
from bidbeacon_pipelines.services.dataset_checks import check_claims
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.dagster import session_metadata


def build_report_checks(dataset: Dataset) -> AssetChecksDefinition:
    """Make the checks of a dataset's asset. They have no partitions: one result says how all accounts and windows are."""

    @multi_asset_check(
        name=f"{dataset.asset_name}_claims",
        specs=[
            AssetCheckSpec(name, asset=dataset.asset_name, description=_described(dataset, name, claim))
            for name, claim in CLAIMS.items()
        ],
        can_subset=True,
    )
    def report_checks(
        context: AssetCheckExecutionContext, job_sessions: BidBeaconSessions
    ) -> Iterator[AssetCheckResult]:
        op_context = context.op_execution_context
        now = datetime.now(UTC)
        store = job_sessions.store()
        with job_sessions.session(op_context, "check-claims", input={"dataset": dataset.name}) as session:
            verdicts = check_claims(store.engine, session, dataset, now, get_settings())
        of_session = session_metadata(store, session.session_id)
        wanted = {key.name for key in op_context.selected_asset_check_keys}
        for verdict in verdicts:
            if verdict.claim in wanted:
                yield describe_verdict(dataset, verdict, now, of_session)

    return report_checks


def _described(dataset: Dataset, name: str, claim: str) -> str:
    """Return what a check claims about a dataset."""
    return f"{claim} {RECONCILED[dataset.reconciles]}" if name == ROWS_RECONCILE else claim


def report_checks() -> Iterator[AssetChecksDefinition]:
    """Make the checks of every registered dataset."""
    for dataset in DATASETS.values():
        yield build_report_checks(dataset)


dataset_checks = list(report_checks())


check_report_claims = define_asset_job(
    "check_report_claims",
    selection=AssetSelection.checks_for_assets(*(dataset.asset_name for dataset in DATASETS.values())),
    executor_def=in_process_executor,
    description="Check the claims about all datasets: fresh, reconciled, few rows quarantined.",
)


check_report_claims_hourly = ScheduleDefinition(
    name="check_report_claims_hourly",
    job=check_report_claims,
    cron_schedule="37 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Once an hour: a window that nobody loads turns up by itself.",
)
