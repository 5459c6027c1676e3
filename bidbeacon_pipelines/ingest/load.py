"""Loads a downloaded report: all parts or nothing, in the caller's one transaction.

A reader never sees half a report, and loading the same report twice leaves what loading it once did.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from sqlalchemy import Connection

from bidbeacon_pipelines.ingest.field_types import as_country
from bidbeacon_pipelines.ingest.rows import RowCheck
from bidbeacon_pipelines.ingest.staging import ReportReader, RowStage
from bidbeacon_pipelines.ingest.targets import TargetIndex
from bidbeacon_pipelines.reports.acceptance import (
    LOST_ROWS_DIVISOR,
    Accept,
    HeldReport,
    Hold,
    Refuse,
    Verdict,
    decide_load,
)
from bidbeacon_pipelines.reports.datasets import Dataset
from bidbeacon_pipelines.store.performance import (
    MergeCounts,
    Scope,
    WindowEnd,
    WindowTally,
    compare_windows,
    digest_window,
    end_windows,
    merge_windows,
    quarantine_rows,
    tally_windows,
)
from bidbeacon_pipelines.store.performance_tables import PERFORMANCE_TABLES, PerformanceTable
from bidbeacon_pipelines.store.staging import gather_rows, open_stage
from bidbeacon_pipelines.store.windows import Window


@dataclass(frozen=True)
class LoadRules:
    """What decides how a window leaves the load.

    Attributes:
        bad_row_share: Over this share of bad rows a window is refused, 0 to 1.
        held_again_at: Gives when a window is asked for again that was held so many times before, UTC.
        next_refresh_at: Gives when a window is due next, with data as of this report.
        refused_again_at: Gives when a window is due again that this report was refused for.
    """

    bad_row_share: float
    held_again_at: Callable[[int], datetime]
    next_refresh_at: Callable[[date], datetime | None]
    refused_again_at: Callable[[date], datetime | None]


@dataclass
class LoadResult:
    """What a load did; `held` and `refused` windows keep their old rows, each with its reason."""

    loaded: list[date] = field(default_factory=list)
    held: dict[date, str] = field(default_factory=dict)
    refused: dict[date, str] = field(default_factory=dict)
    rows: int = 0
    unresolved: int = 0
    quarantined: int = 0
    foreign: int = 0
    spend: Decimal = Decimal(0)
    sales: Decimal = Decimal(0)
    merge: MergeCounts = field(default_factory=lambda: MergeCounts(0, 0, 0))


def load_report(
    connection: Connection,
    scope: Scope,
    dataset: Dataset,
    windows: Sequence[Window],
    parts: Sequence[Path],
    *,
    targets: TargetIndex,
    rules: LoadRules,
) -> LoadResult:
    """Load every part of a report into the windows that wait for it.

    Args:
        connection: an open transaction; the caller commits it, with its own action in it.
        scope: the account, dataset and request.
        dataset: the dataset's registry entry.
        windows: the windows that wait for the request.
        parts: the downloaded files, in order.
        targets: the account's targets.
        rules: how windows leave.

    Raises:
        BrokenPartError: a part can't be read to its end; roll back.
    """
    table = PERFORMANCE_TABLES[dataset.table]
    days = [window.window_date for window in windows]
    result = LoadResult()
    result.foreign = _stage(connection, scope, dataset, days, parts, targets)
    gather_rows(connection, table)
    compared = compare_windows(connection, table, scope, days)
    tallies = tally_windows(connection, scope, days, compared=compared)
    digests = _digest_suspicious(connection, table, tallies)
    verdicts = _judge(tallies, windows, digests, rules)
    _take_apart(result, tallies, verdicts)
    result.merge = merge_windows(connection, table, scope, result.loaded, compared=compared)
    result.quarantined = quarantine_rows(connection, scope, days, loaded=result.loaded)
    held_before = {window.window_date: window.held_count for window in windows}
    end_windows(
        connection,
        scope,
        [
            _end(tally, verdicts[tally.window_date], digests, rules, held_before[tally.window_date])
            for tally in tallies
        ],
    )
    return result


def _stage(
    connection: Connection,
    scope: Scope,
    dataset: Dataset,
    days: Sequence[date],
    parts: Sequence[Path],
    targets: TargetIndex,
) -> int:
    """Stage the rows of all parts; give how many are other countries'."""
    account = scope.account
    check = RowCheck(dataset.row_model, as_country(account.country_code), account.time_zone, frozenset(days))
    with open_stage(connection) as write:
        reader = ReportReader(check, RowStage(write, targets))
        for part in parts:
            reader.read(part)
    return reader.foreign


def _digest_suspicious(
    connection: Connection, table: PerformanceTable, tallies: Sequence[WindowTally]
) -> Mapping[date, str]:
    """Digest the windows that lost nearly all of their rows: only these are compared with an earlier report."""
    lost = [t.window_date for t in tallies if t.new_rows * LOST_ROWS_DIVISOR < t.old_rows]
    return {day: digest_window(connection, table, day) for day in lost}


def _judge(
    tallies: Sequence[WindowTally], windows: Sequence[Window], digests: Mapping[date, str], rules: LoadRules
) -> Mapping[date, Verdict]:
    held_before = {
        w.window_date: HeldReport(w.held_digest, w.held_rows or 0) for w in windows if w.held_digest
    }
    return {
        tally.window_date: decide_load(
            tally.old_rows,
            tally.new_rows,
            tally.bad_rows,
            bad_share_limit=rules.bad_row_share,
            held_before=held_before.get(tally.window_date),
            digest=digests.get(tally.window_date, ""),
        )
        for tally in tallies
    }


def _take_apart(result: LoadResult, tallies: Sequence[WindowTally], verdicts: Mapping[date, Verdict]) -> None:
    for tally in tallies:
        verdict = verdicts[tally.window_date]
        if isinstance(verdict, Accept):
            result.loaded.append(tally.window_date)
            result.rows += tally.new_rows
            result.unresolved += tally.unresolved_rows
            result.spend += tally.spend
            result.sales += tally.sales
        elif isinstance(verdict, Hold):
            result.held[tally.window_date] = verdict.reason
        else:
            result.refused[tally.window_date] = verdict.reason


def _end(
    tally: WindowTally, verdict: Verdict, digests: Mapping[date, str], rules: LoadRules, held_before: int
) -> WindowEnd:
    day = tally.window_date
    match verdict:
        case Accept():
            return WindowEnd(tally, "loaded", rules.next_refresh_at(day), accepted=True)
        case Hold(reason=reason):  # only a window with rows is ever held, so it stays loaded with what it has
            return WindowEnd(
                tally,
                "loaded",
                rules.held_again_at(held_before),
                failure_reason=reason,
                held_digest=digests[day],
                held_rows=tally.new_rows,
            )
        case Refuse(reason=reason):
            return WindowEnd(tally, "failed", rules.refused_again_at(day), failure_reason=reason)
