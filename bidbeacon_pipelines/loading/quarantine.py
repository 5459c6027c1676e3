"""Replays of quarantined rows: rows that are valid now are loaded into their windows.

Each report is replayed in one transaction, which also stores the action. A replay is safe to run
again, since loaded rows leave quarantine. It waits until a running load of the account has ended.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Connection, Engine

from bidbeacon_pipelines.accounts.queries import get_account, lock_rows
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import QuarantineReplayed
from bidbeacon_pipelines.causes import Cause, cause
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.loading.load_queries import (
    ReportScope,
    judge_history,
    make_check,
    window_values,
)
from bidbeacon_pipelines.loading.merging import merge_windows
from bidbeacon_pipelines.loading.quarantine_queries import (
    delete_quarantined_rows,
    list_loaded_reports,
    list_quarantined_reports,
    lock_quarantined_rows,
    recount_bad_rows,
    recount_windows,
    stage_held_rows,
    update_quarantined_rows,
)
from bidbeacon_pipelines.loading.rows import BadRow, CheckedRow, IgnoredAs, OtherRow, RowCheck
from bidbeacon_pipelines.loading.staging import gather_rows, open_stage, tally_windows
from bidbeacon_pipelines.loading.tables import QuarantinedRow
from bidbeacon_pipelines.values.decode import read_object
from bidbeacon_sessions import SessionRecorder


@dataclass
class _Sorted:
    """Quarantined rows by the result of their new check.

    `valid` has the day and the line for COPY of each valid row, by row id. `foreign` has the ids of
    rows of other countries and ad products, to delete. `kept` has the rows that stay in quarantine
    as tuples of row id, day and new cause.
    """

    valid: dict[int, tuple[date, bytes]] = field(default_factory=dict)
    foreign: list[int] = field(default_factory=list)
    kept: list[tuple[int, date | None, Cause]] = field(default_factory=list)

    @property
    def days(self) -> list[date]:
        return sorted({day for day, _ in self.valid.values()})


def replay_quarantine(
    engine: Engine,
    session: SessionRecorder,
    *,
    account: str | None = None,
    dataset: str | None = None,
    find_dataset: Callable[[str], Dataset] = get_dataset,
) -> list[QuarantineReplayed]:
    """Check quarantined rows again and load the valid ones; return one action per report.

    If an account key or a dataset's name is given, only matching rows are checked. Rows of refused
    or replaced reports are not checked, because a newer report contains them.
    """
    with engine.begin() as connection:
        reports = list_quarantined_reports(connection, account=account, dataset=dataset)
    replayed = []
    for account_key, name, request_id in reports:
        with engine.begin() as connection:
            of_account = get_account(connection, account_key)
            for action in _replay_report(connection, of_account, find_dataset(name), request_id):
                session.add_in(connection, action)
                replayed.append(action)
    return replayed


def _replay_report(
    connection: Connection, account: Account, dataset: Dataset, request_id: int
) -> Iterator[QuarantineReplayed]:
    lock_rows(connection, account)
    held = list_loaded_reports(connection, account, dataset, request_id)
    products = {product for scope, _ in held for product in scope.ad_products}
    for scope, days in held:
        if rows := lock_quarantined_rows(connection, account, scope):
            check = make_check(connection, scope, [(account, days)])
            sorted_rows = _sort(check, rows, products)
            yield _replay_rows(connection, account, scope, days, sorted_rows)
    for scope, _ in held:
        judge_history(connection, scope, [account])


def _replay_rows(
    connection: Connection,
    account: Account,
    scope: ReportScope,
    days: Sequence[date],
    checked: _Sorted,
) -> QuarantineReplayed:
    if checked.valid:
        _load_valid(connection, account, scope, checked)
    delete_quarantined_rows(connection, [*checked.valid, *checked.foreign])
    update_quarantined_rows(connection, checked.kept)
    recount_bad_rows(connection, account, scope, days)
    return QuarantineReplayed(
        account=account.account_key,
        dataset=scope.dataset.name,
        windows=checked.days,
        request_id=scope.request_id,
        rows=len(checked.valid),
        foreign=len(checked.foreign),
        left=len(checked.kept),
    )


def _sort(check: RowCheck, rows: Sequence[QuarantinedRow], held: Collection[str]) -> _Sorted:
    """Check rows again and sort them by result.

    `check` is for one group of ad products. `held` has the ad products of all groups whose windows
    have data of this report. The result leaves out rows of ad products that are in `held`, but
    not in the group of `check`.
    """
    result = _Sorted()
    for row in rows:
        match _check_again(check, row):
            case bytes(line):
                day = date.fromisoformat(line.split(b"\t", 2)[1].decode())
                result.valid[row.id] = day, line
            case BadRow(cause=why, window_date=day):
                result.kept.append((row.id, day, why))
            case OtherRow(kind=IgnoredAs.DAY):
                result.kept.append((row.id, row.window_date, row.cause))
            case OtherRow(ad_product=product) if product not in held:
                result.foreign.append(row.id)
    return result


def _check_again(check: RowCheck, row: QuarantinedRow) -> CheckedRow:
    """Check a quarantined row's text again as a load does; text other than JSON is invalid."""
    try:
        return check(read_object(row.raw))
    except (ValueError, RecursionError) as error:
        unreadable = cause("row-unreadable", detail={"got": str(error)})
        return BadRow(unreadable, None, row.window_date)


def _load_valid(
    connection: Connection, account: Account, scope: ReportScope, checked: _Sorted
) -> None:
    """Stage the valid rows and the rows that their windows already have; merge them all."""
    with open_stage(connection, scope.dataset) as stage:
        stage.good([line for _, line in checked.valid.values()])
    stage_held_rows(connection, account, scope, checked.days)
    gather_rows(connection, scope.dataset)
    values = scope.values | window_values([(account, day) for day in checked.days])
    tallies = tally_windows(connection, scope.dataset, values)
    merge_windows(connection, scope.dataset, values)
    totals = {day: tallies[account.id, day] for day in checked.days}
    recount_windows(connection, account, scope, totals)
