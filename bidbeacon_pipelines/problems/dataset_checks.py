"""Checks a dataset: reads the facts, judges them, records the results."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.actions import DatasetChecked
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.problems.check_rules import (
    LONGEST_GAP,
    Comparison,
    Difference,
    Verdict,
    judge_freshness,
    judge_incomparable,
    judge_quarantine,
    judge_reconciliation,
)
from bidbeacon_pipelines.problems.dataset_check_queries import compare_totals, list_quarantined
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.states import list_late_accounts
from bidbeacon_sessions import SessionRecorder

_MOST_DIFFERENCES = 1_000


def check_dataset(
    engine: Engine, session: SessionRecorder, dataset: Dataset, now: datetime, settings: Settings
) -> list[Verdict]:
    """Make all checks of a dataset, and record which failed."""
    verdicts = judge_dataset(engine, dataset, now, settings)
    failed = [verdict for verdict in verdicts if not verdict.passed]
    session.add(
        DatasetChecked(
            dataset=dataset.name,
            checks=len(verdicts),
            failed=len(failed),
            found=" ".join(verdict.sentence for verdict in failed),
        )
    )
    return verdicts


def judge_dataset(
    engine: Engine, dataset: Dataset, now: datetime, settings: Settings
) -> list[Verdict]:
    """Return the verdict of each check of a dataset, over all of its accounts and windows."""
    with engine.begin() as connection:
        return [
            _judge_freshness(connection, dataset, now, settings.late_after),
            _reconcile(connection, dataset, settings.hourly_difference),
            judge_quarantine(list_quarantined(connection, dataset.name)),
        ]


def _judge_freshness(
    connection: Connection, dataset: Dataset, now: datetime, late_after: timedelta
) -> Verdict:
    late = list_late_accounts(connection, dataset.name, now, late_after)
    refreshed = sum(account.stop_reason is None for account in list_accounts(connection))
    return judge_freshness(late, refreshed)


def _reconcile(connection: Connection, dataset: Dataset, hourly_difference: float) -> Verdict:
    if dataset.reconciles_with is None:
        return judge_incomparable()
    other = get_dataset(dataset.reconciles_with)
    compared, differences = compare_totals(
        connection,
        dataset.name,
        other.name,
        [product for product in dataset.ad_products if product in other.ad_products],
        longest_gap=LONGEST_GAP,
        most=_MOST_DIFFERENCES,
        only_above=dataset.reconciles == "not above",
    )
    return judge_reconciliation(
        other.title.lower(),
        Comparison(**compared),
        [Difference(**row) for row in differences],
        reconciles=dataset.reconciles,
        closeness=hourly_difference,
    )
