"""Results of the checks of a dataset as Dagster shows them, and their evaluation by runs that record loads."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetKey,
    DagsterEvent,
    DagsterInstance,
    MetadataValue,
    OpExecutionContext,
    TimestampMetadataValue,
)
from sqlalchemy import Engine

from bidbeacon_pipelines.database.clock import DatabaseClock
from bidbeacon_pipelines.reports.checks import CHECKS, Verdict
from bidbeacon_pipelines.reports.datasets import Dataset, get_dataset
from bidbeacon_pipelines.services.dataset_checks import judge_dataset
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions import SessionRecorder
from bidbeacon_sessions.dagster import bounded_lines, escape_markdown
from bidbeacon_sessions.presentation import session_url

RECENT = timedelta(minutes=10)


def evaluate_checks(
    context: OpExecutionContext | AssetExecutionContext,
    engine: Engine,
    session: SessionRecorder,
    datasets: Iterable[str],
) -> None:
    """Evaluate the checks of datasets that the run has recorded materializations of; the results are events of the run.

    Dagster shows a check as not evaluated from the next materialization of its asset on, unless the
    same run has evaluated it. A result that is younger than ten minutes is stored again, since
    loads come every minute and the checks are of all windows: `checked_at` says when it was found.

    Args:
        context: of the step that recorded them.
        engine: our tables.
        session: of the same step; each new result links to it.
        datasets: their names.
    """
    step = context.get_step_execution_context()
    now = DatabaseClock(engine, get_settings())()
    link = {"session": MetadataValue.url(session_url(str(session.session_id)))}
    for dataset in map(get_dataset, datasets):
        results: Sequence[AssetCheckResult | AssetCheckEvaluation] = _find_recent_results(
            context.instance, dataset, now
        )
        if not results:
            verdicts = judge_dataset(engine, dataset, now, get_settings())
            results = [describe_verdict(dataset, verdict, now, link) for verdict in verdicts]
        for result in results:
            evaluation = AssetCheckEvaluation(
                asset_key=AssetKey(dataset.asset_name),
                check_name=str(result.check_name),
                passed=result.passed,
                metadata=result.metadata,
                severity=result.severity,
                description=result.description,
            )
            DagsterEvent.asset_check_evaluation(step, evaluation)


def _find_recent_results(
    instance: DagsterInstance, dataset: Dataset, now: datetime
) -> list[AssetCheckEvaluation]:
    """Return the last results of a dataset's checks; none where one of them is too old, or under way."""
    asset = AssetKey(dataset.asset_name)
    records = [
        instance.get_latest_asset_check_evaluation_record(AssetCheckKey(asset, name))
        for name in CHECKS
    ]
    found = [record.evaluation for record in records if record is not None]
    results = [
        evaluation for evaluation in found if isinstance(evaluation, AssetCheckEvaluation)
    ]  # others are only planned
    is_recent = [_checked_at(result) > (now - RECENT).timestamp() for result in results]
    return results if len(results) == len(CHECKS) and all(is_recent) else []


def _checked_at(result: AssetCheckEvaluation) -> float:
    """Return when a result was found, in seconds since 1970; 0 where nothing says so."""
    at = result.metadata.get("checked_at")
    return at.value if isinstance(at, TimestampMetadataValue) else 0.0


def describe_verdict(
    dataset: Dataset, verdict: Verdict, now: datetime, of_session: Mapping[str, MetadataValue[Any]]
) -> AssetCheckResult:
    """Return the metadata of a verdict: figures, cases, when it was found, and the session."""
    metadata: dict[str, MetadataValue[Any]] = {
        name: MetadataValue.int(figure) if isinstance(figure, int) else MetadataValue.float(figure)
        for name, figure in verdict.figures.items()
    }
    if verdict.cases:
        metadata["cases"] = MetadataValue.md(_table(verdict))
    return AssetCheckResult(
        passed=verdict.passed,
        asset_key=AssetKey(dataset.asset_name),
        check_name=verdict.check,
        severity=AssetCheckSeverity.WARN,
        description=verdict.sentence,
        metadata={**metadata, "checked_at": MetadataValue.timestamp(now), **of_session},
    )


def _table(verdict: Verdict) -> str:
    """Return the cases as a Markdown table."""
    heads = list(verdict.cases[0])
    lines = [_row(heads), _row(["---"] * len(heads))]
    lines += [_row([escape_markdown(case[head]) for head in heads]) for case in verdict.cases]
    return bounded_lines(lines, "| … and {} more |")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
