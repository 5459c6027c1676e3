"""Asset checks: claims about a dataset as a whole, checked with each materialization by hand, once an hour, and on their own."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckKey,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    AssetSelection,
    DagsterInstance,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    MetadataValue,
    RunRequest,
    ScheduleDefinition,
    SensorEvaluationContext,
    SkipReason,
    define_asset_job,
    in_process_executor,
    multi_asset_check,
    sensor,
)

from bidbeacon_pipelines.defs.resources import BidBeaconSessions, session_store
from bidbeacon_pipelines.reports.claims import CLAIMS, RECONCILED, ROWS_RECONCILE, WINDOW_IS_FRESH, Verdict
from bidbeacon_pipelines.reports.datasets import DATASETS, Dataset
from bidbeacon_pipelines.services.dataset_checks import check_claims
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.dagster import (
    bounded_lines,
    escape_markdown,
    list_runs_under_way,
    session_metadata,
)

_CHECK_EVERY_SECONDS = 600


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
        store = job_sessions.store()
        with job_sessions.session(op_context, "check-claims", input={"dataset": dataset.name}) as session:
            verdicts = check_claims(
                store.engine,
                session,
                dataset,
                datetime.now(UTC),
                late_after=get_settings().late_after,
                hourly_difference=get_settings().hourly_difference,
            )
        of_session = session_metadata(store, session.session_id)
        wanted = {key.name for key in op_context.selected_asset_check_keys}
        for verdict in verdicts:
            if verdict.claim in wanted:
                yield _result(dataset, verdict, of_session)

    return report_checks


def _described(dataset: Dataset, name: str, claim: str) -> str:
    """Return what a check claims about a dataset."""
    return f"{claim} {RECONCILED[dataset.reconciles]}" if name == ROWS_RECONCILE else claim


def _result(
    dataset: Dataset, verdict: Verdict, of_session: Mapping[str, MetadataValue[Any]]
) -> AssetCheckResult:
    """Return what Dagster shows of a verdict: figures, cases, and the session, whose one or two sentences leave room for the cases."""
    metadata: dict[str, MetadataValue[Any]] = {
        name: MetadataValue.int(figure) if isinstance(figure, int) else MetadataValue.float(figure)
        for name, figure in verdict.figures.items()
    }
    if verdict.cases:
        metadata["cases"] = MetadataValue.md(_table(verdict))
    return AssetCheckResult(
        passed=verdict.passed,
        asset_key=AssetKey(dataset.asset_name),
        check_name=verdict.claim,
        severity=AssetCheckSeverity.WARN,
        description=verdict.sentence,
        metadata={**metadata, **of_session},
    )


def _table(verdict: Verdict) -> str:
    """Return the cases as a Markdown table."""
    heads = list(verdict.cases[0])
    lines = [_row(heads), _row(["---"] * len(heads))]
    lines += [_row([escape_markdown(case[head]) for head in heads]) for case in verdict.cases]
    return bounded_lines(lines, "| … and {} more |")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


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


@sensor(
    job=check_report_claims,
    minimum_interval_seconds=_CHECK_EVERY_SECONDS,
    default_status=DefaultSensorStatus.RUNNING,
    description=(
        "Checks the datasets that were loaded since their last check, every ten minutes at most: from a load on, Dagster shows a check as not evaluated."
    ),
)
def check_loaded_datasets(context: SensorEvaluationContext) -> RunRequest | SkipReason:
    """Look for datasets whose last materialization is younger than the last evaluation of their checks."""
    loaded = [dataset for dataset in DATASETS.values() if _is_loaded_since(context.instance, dataset)]
    if not loaded:
        return SkipReason("No dataset was loaded since its last check.")
    if list_runs_under_way(session_store(), context.instance, check_report_claims.name):
        return SkipReason("The last check is under way.")
    return RunRequest(
        asset_check_keys=[
            AssetCheckKey(AssetKey(dataset.asset_name), name) for dataset in loaded for name in CLAIMS
        ]
    )


def _is_loaded_since(instance: DagsterInstance, dataset: Dataset) -> bool:
    asset = AssetKey(dataset.asset_name)
    materialization = instance.get_latest_materialization_event(asset)
    if materialization is None:
        return False
    check = instance.get_latest_asset_check_evaluation_record(AssetCheckKey(asset, WINDOW_IS_FRESH))
    return check is None or check.event is None or check.event.timestamp < materialization.timestamp


check_report_claims_hourly = ScheduleDefinition(
    name="check_report_claims_hourly",
    job=check_report_claims,
    cron_schedule="37 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Once an hour: a window that nobody loads turns up by itself.",
)
