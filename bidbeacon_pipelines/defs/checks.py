"""Asset checks of datasets.

They run hourly, when an asset is materialized, and when loads are recorded in Dagster.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import dagster as dg

from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.database.clock import DatabaseClock
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset, get_dataset
from bidbeacon_pipelines.defs.resources import BidBeaconSessions, Context, RunningJob
from bidbeacon_pipelines.problems.checks import (
    CHECKS,
    RECONCILED,
    ROWS_RECONCILE,
    check_dataset,
    judge_dataset,
)
from bidbeacon_pipelines.problems.findings import Finding
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.dagster import session_link

RECENT = timedelta(minutes=10)


def build_report_checks(dataset: Dataset) -> dg.AssetChecksDefinition:
    """Make the asset checks of a dataset; each result covers all accounts and windows."""
    descriptions = dict(CHECKS)
    descriptions[ROWS_RECONCILE] += f" {RECONCILED[dataset.reconciles]}"

    @dg.multi_asset_check(
        name=f"{dataset.name}_checks",
        specs=[
            dg.AssetCheckSpec(name, asset=dataset.name, description=description)
            for name, description in descriptions.items()
        ],
        can_subset=True,
    )
    def report_checks(
        context: dg.AssetCheckExecutionContext, job_sessions: BidBeaconSessions
    ) -> Iterator[dg.AssetCheckResult]:
        op_context, engine = context.op_execution_context, job_sessions.store().engine
        now = DatabaseClock(engine, get_settings())()
        given = {"dataset": dataset.name}
        with job_sessions.session(op_context, "check-dataset", input=given) as session:
            found = check_dataset(engine, session, dataset, now, get_settings())
        wanted = {key.name for key in op_context.selected_asset_check_keys}
        for result in found:
            if result.code in wanted:
                yield _describe(dataset, result, now, session.session_id)

    return report_checks


def evaluate_checks(context: Context, job: RunningJob, datasets: Collection[str]) -> None:
    """Log the results of all checks of these datasets, as events of the run.

    Call it after loads of the datasets are recorded. An evaluation reads all windows, and loads
    occur every minute, so checks are evaluated at most every ten minutes. In between, the previous
    results are logged again, with the time of their evaluation as `checked_at`. New results link to
    the session of `job`.
    """
    now = job.context.now()
    for dataset in map(get_dataset, sorted(datasets)):
        results: Sequence[dg.AssetCheckResult | dg.AssetCheckEvaluation] = _find_recent_results(
            context.instance, dataset, now
        )
        if not results:
            found = judge_dataset(job.context.engine, dataset, now, job.context.settings)
            results = [_describe(dataset, one, now, job.session.session_id) for one in found]
        for result in results:
            evaluation = dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(dataset.name),
                check_name=str(result.check_name),
                passed=result.passed,
                metadata=result.metadata,
                severity=result.severity,
                description=result.description,
            )
            context.log_event(evaluation)  # type: ignore[arg-type]  # accepted, despite its type
            # Dagster keeps one result per run, at the position of the run's first result. A result
            # of another run may follow it.
            latest = context.instance.get_latest_asset_check_evaluation_record(
                evaluation.asset_check_key
            )
            if latest is not None and latest.run_id != context.run.run_id:
                context.instance.report_runless_asset_event(evaluation)


def _find_recent_results(
    instance: dg.DagsterInstance, dataset: Dataset, now: datetime
) -> list[dg.AssetCheckEvaluation]:
    """Return the last results of all checks of a dataset, or [] if one is missing or too old."""
    asset = dg.AssetKey(dataset.name)
    records = [
        instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(asset, name))
        for name in CHECKS
    ]
    found = [record.evaluation for record in records if record is not None]
    results = [
        evaluation for evaluation in found if isinstance(evaluation, dg.AssetCheckEvaluation)
    ]  # others are only planned
    is_recent = [_checked_at(result) > (now - RECENT).timestamp() for result in results]
    return results if len(results) == len(CHECKS) and all(is_recent) else []


def _checked_at(result: dg.AssetCheckEvaluation) -> float:
    at = result.metadata.get("checked_at")
    return at.value if isinstance(at, dg.TimestampMetadataValue) else 0.0


def _describe(
    dataset: Dataset, result: Finding, now: datetime, session_id: UUID
) -> dg.AssetCheckResult:
    metadata = dict(result.facts)
    cases = [dg.TableRecord(dict(case)) for case in metadata.pop("cases")]
    if cases:
        metadata["cases"] = dg.MetadataValue.table(cases)
    metadata["checked_at"] = dg.MetadataValue.timestamp(now)
    return dg.AssetCheckResult(
        passed=result.severity is Severity.FINE,
        asset_key=dg.AssetKey(dataset.name),
        check_name=result.code,
        severity=dg.AssetCheckSeverity.WARN,
        description=result.sentence,
        metadata=metadata | session_link(session_id),
    )


dataset_checks = [build_report_checks(dataset) for dataset in DATASETS.values()]

check_datasets = dg.define_asset_job(
    "check_datasets",
    selection=dg.AssetSelection.checks(*dataset_checks),
    description="Check all datasets: fresh, reconciled, few rows quarantined.",
)

check_datasets_hourly = dg.ScheduleDefinition(
    name="check_datasets_hourly",
    job=check_datasets,
    cron_schedule="37 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Checks once an hour, so that a window that is not loaded is noticed.",
)
