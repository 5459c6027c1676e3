"""Checks the claims about a dataset: reads the facts, has them judged, records the verdicts."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, RowMapping

from bidbeacon_pipelines.actions import ClaimsChecked
from bidbeacon_pipelines.reports.claims import (
    LONGEST_GAP,
    AccountWindows,
    Comparison,
    Difference,
    Quarantine,
    Verdict,
    judge_freshness,
    judge_incomparable,
    judge_quarantine,
    judge_reconciliation,
)
from bidbeacon_pipelines.reports.coverage import WindowSigns, late_if_sent_before
from bidbeacon_pipelines.reports.datasets import Dataset, get_dataset
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.store.accounts import list_accounts
from bidbeacon_pipelines.store.dataset_checks import compare_totals, list_quarantined
from bidbeacon_pipelines.store.home import list_unsettled_by_account
from bidbeacon_sessions import SessionRecorder

_MOST_DIFFERENCES = 1_000


def check_claims(
    engine: Engine, session: SessionRecorder, dataset: Dataset, now: datetime, settings: Settings
) -> list[Verdict]:
    """Judge all claims about a dataset, and record which are not true."""
    verdicts = judge_claims(engine, dataset, now, settings)
    broken = [verdict for verdict in verdicts if not verdict.passed]
    session.add(
        ClaimsChecked(
            dataset=dataset.name,
            claims=len(verdicts),
            broken=len(broken),
            found=" ".join(verdict.sentence for verdict in broken),
        )
    )
    return verdicts


def judge_claims(engine: Engine, dataset: Dataset, now: datetime, settings: Settings) -> list[Verdict]:
    """Return whether each claim about a dataset is true, over all of its accounts and windows."""
    with engine.begin() as connection:
        return [
            _judge_freshness(connection, dataset, now, settings.late_after),
            _reconcile(connection, dataset, settings.hourly_difference),
            judge_quarantine([Quarantine(**row) for row in list_quarantined(connection, dataset.name)]),
        ]


def _judge_freshness(
    connection: Connection, dataset: Dataset, now: datetime, late_after: timedelta
) -> Verdict:
    rows = list_unsettled_by_account(
        connection,
        dataset.name,
        now=now,
        overdue_before=now - late_after,
        late_if_sent_before=late_if_sent_before(dataset, now),
    )
    refreshed = sum(account.reason_to_skip is None for account in list_accounts(connection))
    return judge_freshness([_account_windows(row) for row in rows], refreshed)


def _account_windows(row: RowMapping) -> AccountWindows:
    signs = {name: row[name] for name in ("status", "is_due", "is_overdue", "is_held", "request_is_late")}
    others = {name: row[name] for name in AccountWindows.__dataclass_fields__ if name != "signs"}
    return AccountWindows(signs=WindowSigns(**signs), **others)


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
