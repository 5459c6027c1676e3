"""Replays quarantined rows after a fix: those that are understood now go into the windows that hold their report.

One transaction a report, with its action in it. Safe to run at any time, twice, and beside loads: what it has loaded is not in quarantine
any more, and it waits for a load of the same account to end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlalchemy import Connection, Engine

from bidbeacon_pipelines.actions import QuarantineReplayed
from bidbeacon_pipelines.ingest.field_types import as_country
from bidbeacon_pipelines.ingest.part_text import read_object
from bidbeacon_pipelines.ingest.rows import (
    BadRow,
    CheckedRow,
    ForeignRow,
    GoodRow,
    OtherProductRow,
    ReportRow,
    RowCheck,
)
from bidbeacon_pipelines.ingest.staging import RowStage
from bidbeacon_pipelines.ingest.targets import TargetIndex
from bidbeacon_pipelines.reports.datasets import Dataset, get_dataset
from bidbeacon_pipelines.store.accounts import Account, count_countries, get_account
from bidbeacon_pipelines.store.entities import list_targets
from bidbeacon_pipelines.store.performance import (
    Scope,
    compare_windows,
    lock_rows,
    merge_windows,
    tally_windows,
)
from bidbeacon_pipelines.store.performance_tables import PERFORMANCE_TABLES
from bidbeacon_pipelines.store.quarantine import (
    LoadedReport,
    QuarantinedReport,
    RawRow,
    change_bad_counts,
    count_bad_rows,
    find_loaded_report,
    forget_restatements_of_first_loads,
    keep_rows,
    list_quarantined_reports,
    list_raw_rows,
    recount_windows,
    release_rows,
    stage_held_rows,
)
from bidbeacon_pipelines.store.staging import OverfullKeysError, gather_rows, open_stage
from bidbeacon_pipelines.store.summaries import lock_summary
from bidbeacon_sessions import SessionRecorder


@dataclass
class _Sorted:
    """The quarantined rows of one report, checked anew."""

    understood: list[tuple[RawRow, GoodRow[ReportRow]]] = field(default_factory=list)
    foreign: list[int] = field(default_factory=list)
    kept: list[tuple[int, date | None, str]] = field(default_factory=list)

    @property
    def days(self) -> list[date]:
        """The windows that get rows."""
        return sorted({good.row.window_date for _, good in self.understood})

    @property
    def released(self) -> list[int]:
        """The rows that leave quarantine, by id."""
        return [*(raw.id for raw, _ in self.understood), *self.foreign]

    def keep_if(self, find_reason: Callable[[GoodRow[ReportRow]], str | None]) -> None:
        """Let rows stay for which there is a reason."""
        understood, self.understood = self.understood, []
        for raw, good in understood:
            reason = find_reason(good)
            if reason is None:
                self.understood.append((raw, good))
            else:
                self.kept.append((raw.id, good.row.window_date, reason))


def replay_quarantine(
    engine: Engine,
    session: SessionRecorder,
    *,
    account: str | None = None,
    dataset: str | None = None,
    find_dataset: Callable[[str], Dataset] = get_dataset,
) -> list[QuarantineReplayed]:
    """Check quarantined rows anew, and load those that are understood now; give what was done, by report.

    Only rows whose window still holds the report they came in: a refused or replaced report's rows come with a new report.

    Args:
        engine: our tables.
        session: where it is told.
        account: only this account's, by its key.
        dataset: only this dataset's.
        find_dataset: gives a dataset by its name.
    """
    with engine.begin() as connection:
        reports = list_quarantined_reports(connection, account=account, dataset=dataset)
    told = []
    for report in reports:
        with engine.begin() as connection:
            action = _replay_report(connection, report, find_dataset(report.dataset))
            if action is not None:
                session.add_in(connection, action)
                told.append(action)
    return told


def _replay_report(
    connection: Connection, report: QuarantinedReport, dataset: Dataset
) -> QuarantineReplayed | None:
    """Replay one report's rows; None where another replay or load has dealt with them meanwhile."""
    account = get_account(connection, report.account_key)
    lock_rows(connection, account)
    held = find_loaded_report(connection, account, dataset.name, report.request_id)
    if held.data_as_of is None:
        return None
    scope = Scope(account, dataset.name, report.request_id, held.data_as_of)
    rows = list_raw_rows(connection, scope)
    if not rows:
        return None
    has_one_country = count_countries(connection, account.account_id) == 1
    checked = _check(rows, dataset, account, held, has_one_country=has_one_country)
    _stage(connection, scope, dataset, checked)
    before = count_bad_rows(connection, scope, held.days)
    release_rows(connection, checked.released)
    keep_rows(connection, checked.kept)
    after = count_bad_rows(connection, scope, held.days)
    change_bad_counts(connection, scope, {day: after[day] - before[day] for day in held.days})
    if checked.understood:
        _merge(connection, scope, dataset, checked)
    return QuarantineReplayed(
        account=account.account_key,
        dataset=dataset.name,
        windows=checked.days,
        request_id=report.request_id,
        rows=len(checked.understood),
        foreign=len(checked.foreign),
        left=len(checked.kept),
    )


def _check(
    rows: Sequence[RawRow], dataset: Dataset, account: Account, held: LoadedReport, *, has_one_country: bool
) -> _Sorted:
    """Sort rows by what they are now; one that belongs to a window that holds another report stays untouched."""
    asked = [held.start_date + timedelta(days=n) for n in range((held.end_date - held.start_date).days + 1)]
    check = RowCheck(
        dataset.row_model,
        as_country(account.country_code),
        account.time_zone,
        frozenset(asked),
        frozenset(dataset.ad_products),
        has_one_country=has_one_country,
    )
    result = _Sorted()
    for row in rows:
        match _check_again(check, row):
            case BadRow() as bad:
                result.kept.append((row.id, bad.window_date, bad.reason))
            case GoodRow() as good if good.row.window_date not in held.days:
                result.kept.append((row.id, row.window_date, row.reason))
            case GoodRow() as good:
                result.understood.append((row, good))
            case ForeignRow() | OtherProductRow():
                result.foreign.append(row.id)
    return result


def _check_again(check: RowCheck[ReportRow], row: RawRow) -> CheckedRow[ReportRow]:
    """Check a row as the load did, from the same text; one that can't be read stays bad and stops no other."""
    try:
        return check(row.row_number, read_object(row.raw))
    except (ValueError, RecursionError) as error:
        return BadRow(row.row_number, f"expected a JSON object, got: {error}", row.window_date)


def _stage(connection: Connection, scope: Scope, dataset: Dataset, checked: _Sorted) -> None:
    """Stage what is understood beside what its windows hold; what would add up to more than a column holds stays in quarantine."""
    if not checked.understood:
        return
    table = PERFORMANCE_TABLES[dataset.table]
    targets = TargetIndex(list_targets(connection, scope.account))
    attempt = connection.begin_nested()
    try:
        with open_stage(connection) as staged:
            stage = RowStage(staged, targets)
            for _, good in checked.understood:
                stage.add_good(good)
        stage_held_rows(connection, table, scope, checked.days)
        gather_rows(connection, table)
    except OverfullKeysError as error:
        attempt.rollback()
        checked.keep_if(RowStage(staged, targets, error.keys).find_overfull)
        _stage(connection, scope, dataset, checked)
    else:
        attempt.commit()


def _merge(connection: Connection, scope: Scope, dataset: Dataset, checked: _Sorted) -> None:
    """Add the staged rows to their windows: summed into an existing key or inserted, exactly as the load would have done."""
    table = PERFORMANCE_TABLES[dataset.table]
    compared = compare_windows(connection, table, scope, checked.days)
    tallies = tally_windows(connection, scope, checked.days, compared=compared)
    merge_windows(connection, table, scope, checked.days, compared=compared)
    forget_restatements_of_first_loads(connection, scope, checked.days)
    lock_summary(connection, scope.account)
    recount_windows(connection, scope, tallies)
