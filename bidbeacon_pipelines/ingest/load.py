"""Loads a downloaded report: all parts or nothing, in the caller's one transaction.

A reader never sees half a report, and loading the same report twice leaves what loading it once did.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from psycopg.errors import UniqueViolation
from sqlalchemy import Connection

from bidbeacon_pipelines.ingest.field_types import as_country
from bidbeacon_pipelines.ingest.rows import RowCheck
from bidbeacon_pipelines.ingest.staging import NOTHING_OVERFULL, Overfull, ReportReader, RowStage
from bidbeacon_pipelines.ingest.targets import TargetIndex
from bidbeacon_pipelines.reports.acceptance import (
    LOST_ROWS_DIVISOR,
    Accept,
    BadRows,
    Cause,
    HeldReport,
    Hold,
    Refuse,
    Unconfirmed,
    Verdict,
    decide_load,
    judge_undated,
)
from bidbeacon_pipelines.reports.datasets import Dataset
from bidbeacon_pipelines.reports.windows import local_date
from bidbeacon_pipelines.store.accounts import count_countries
from bidbeacon_pipelines.store.entities import find_first_deliverable_day
from bidbeacon_pipelines.store.first_load import TooManyBadRowsError, open_table
from bidbeacon_pipelines.store.loads import RowCounts, insert_load
from bidbeacon_pipelines.store.performance import (
    MergeCounts,
    Scope,
    WindowEnd,
    WindowTally,
    compare_windows,
    digest_window,
    end_windows,
    is_first_load,
    list_bad_causes,
    merge_windows,
    quarantine_rows,
    tally_loaded_windows,
    tally_windows,
)
from bidbeacon_pipelines.store.performance_tables import PERFORMANCE_TABLES, PerformanceTable
from bidbeacon_pipelines.store.staging import (
    OverfullKeysError,
    RowSink,
    gather_rows,
    open_stage,
    stage_bad_rows,
)
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
    """What a load did; `held` and `refused` windows keep their old rows, each with its reason.

    `unconfirmed` windows have no rows yet, though they should; `silent` ones are among the loaded, and have none either.
    """

    loaded: list[date] = field(default_factory=list)
    silent: list[date] = field(default_factory=list)
    unconfirmed: dict[date, str] = field(default_factory=dict)
    held: dict[date, str] = field(default_factory=dict)
    refused: dict[date, str] = field(default_factory=dict)
    rows: int = 0
    unresolved: int = 0
    quarantined: int = 0
    foreign: int = 0
    other_products: Mapping[str, int] = field(default_factory=dict)
    rows_read: int = 0
    summed: int = 0
    withheld: int = 0
    spend: Decimal = Decimal(0)
    sales: Decimal = Decimal(0)
    merge: MergeCounts = field(default_factory=lambda: MergeCounts(0, 0, 0))

    @property
    def counts(self) -> RowCounts:
        """What became of the report's rows; they add up."""
        not_waited_for = self.foreign + sum(self.other_products.values())
        return RowCounts(
            self.rows_read, self.rows, self.summed, self.quarantined, self.withheld, not_waited_for
        )


def load_report(
    connection: Connection,
    scope: Scope,
    dataset: Dataset,
    windows: Sequence[Window],
    parts: Sequence[Path],
    *,
    targets: TargetIndex,
    rules: LoadRules,
    period: tuple[date, date] | None = None,
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
        period: first and last day that the report holds; rows of those of its days that no window waits for are not loaded. By default the
            windows' own days.

    Raises:
        BrokenPartError: a part can't be read to its end; roll back.
    """
    has_one_country = count_countries(connection, scope.account.account_id) == 1
    load = _Load(connection, scope, dataset, windows, parts, targets, rules, period, has_one_country)
    outcome = load.find_first_load() or load.by_stage()
    result = outcome.result
    result.quarantined = quarantine_rows(connection, scope, load.days, loaded=result.loaded)
    insert_load(connection, scope, result.counts)
    held_before = {window.window_date: window.held_count for window in windows}
    ends = [
        _end(
            tally, outcome.verdicts[tally.window_date], outcome.digests, rules, held_before[tally.window_date]
        )
        for tally in outcome.tallies
    ]
    end_windows(connection, scope, ends)
    return result


@dataclass(frozen=True)
class _Outcome:
    """What a report came to."""

    result: LoadResult
    tallies: Sequence[WindowTally]
    verdicts: Mapping[date, Verdict]
    digests: Mapping[date, str]


@dataclass(frozen=True)
class _Load:
    """One report on its way into its windows, by one of two ways."""

    connection: Connection
    scope: Scope
    dataset: Dataset
    windows: Sequence[Window]
    parts: Sequence[Path]
    targets: TargetIndex
    rules: LoadRules
    period: tuple[date, date] | None
    has_one_country: bool

    @property
    def table(self) -> PerformanceTable:
        """Where its rows go."""
        return PERFORMANCE_TABLES[self.dataset.table]

    @property
    def days(self) -> list[date]:
        """The windows' days."""
        return [window.window_date for window in self.windows]

    def find_first_load(self) -> _Outcome | None:
        """Write rows straight into windows that were never loaded; None, and nothing written, where that is not the way.

        It is not where a window was loaded before or is refused, where rows have to be summed, or where very many are bad.
        """
        connection, table, scope = self.connection, self.table, self.scope
        if not is_first_load(connection, table, scope, self.days):
            return None
        attempt = connection.begin_nested()
        try:
            with open_table(connection, table, scope) as rows:
                reader = self._read_into(rows)
        except (UniqueViolation, TooManyBadRowsError):
            attempt.rollback()
            return None
        stage_bad_rows(connection, bytes(rows.bad_lines))
        tallies = tally_loaded_windows(connection, table, scope, self.days)
        outcome = self._judged(tallies, {}, reader, self._silent_days(tallies))
        if len(outcome.result.loaded) < len(tallies):
            attempt.rollback()
            return None
        attempt.commit()
        outcome.result.merge = MergeCounts(outcome.result.rows, 0, 0)
        return outcome

    def by_stage(self) -> _Outcome:
        """Compare the report with what its windows hold, and write what differs into those that take it."""
        connection, table, scope = self.connection, self.table, self.scope
        reader = self._stage()
        compared = compare_windows(connection, table, scope, self.days)
        tallies = tally_windows(connection, scope, self.days, compared=compared)
        silent = self._silent_days(tallies)
        digests = _digest_suspicious(connection, table, tallies, silent)
        outcome = self._judged(tallies, digests, reader, silent)
        outcome.result.merge = merge_windows(
            connection, table, scope, outcome.result.loaded, compared=compared
        )
        return outcome

    def _stage(self) -> ReportReader:
        """Stage the report; once more where rows of one key add up to more than a column holds, with all of these aside."""
        attempt = self.connection.begin_nested()
        try:
            reader = self._gather()
        except OverfullKeysError as error:
            attempt.rollback()
            return self._gather(error.keys)
        attempt.commit()
        return reader

    def _gather(self, overfull: Overfull = NOTHING_OVERFULL) -> ReportReader:
        with open_stage(self.connection) as staged:
            reader = self._read_into(staged, overfull)
        gather_rows(self.connection, self.table)
        return reader

    def _read_into(self, sink: RowSink, overfull: Overfull = NOTHING_OVERFULL) -> ReportReader:
        """Read the rows of all parts into a sink; return the reader, which has counted them."""
        account = self.scope.account
        check = RowCheck(
            self.dataset.row_model,
            as_country(account.country_code),
            account.time_zone,
            frozenset(self.days),
            frozenset(self.dataset.ad_products),
            period=self.period,
            has_one_country=self.has_one_country,
        )
        reader = ReportReader(check, RowStage(sink, self.targets, overfull))
        for part in self.parts:
            reader.read(part)
        return reader

    def _silent_days(self, tallies: Sequence[WindowTally]) -> frozenset[date]:
        """Return the days that were never loaded and should have rows, where the report has none of the country at all."""
        new = [window.window_date for window in self.windows if window.last_loaded_at is None]
        if (
            not new
            or any(tally.new_rows or tally.bad_rows for tally in tallies)
            or list_bad_causes(self.connection)
        ):
            return frozenset()
        first = find_first_deliverable_day(self.connection, self.scope.account, self.dataset.ad_products)
        today = local_date(self.scope.data_as_of, self.scope.account.time_zone)
        return frozenset(day for day in new if first is not None and first <= day < today)

    def _judged(
        self,
        tallies: Sequence[WindowTally],
        digests: Mapping[date, str],
        reader: ReportReader,
        silent: frozenset[date],
    ) -> _Outcome:
        bad = _bad_rows(list_bad_causes(self.connection))
        verdicts = _judge(tallies, self.windows, digests, self.rules, silent, bad)
        result = LoadResult(
            foreign=reader.foreign,
            other_products=dict(reader.other_products),
            rows_read=reader.total_rows,
        )
        _take_apart(result, tallies, verdicts)
        return _Outcome(result, tallies, verdicts, digests)


def _digest_suspicious(
    connection: Connection, table: PerformanceTable, tallies: Sequence[WindowTally], silent: frozenset[date]
) -> Mapping[date, str]:
    """Digest the windows that lost nearly all of their rows or are silent: only these are compared with an earlier report."""
    lost = {t.window_date for t in tallies if t.new_rows * LOST_ROWS_DIVISOR < t.old_rows}
    return {day: digest_window(connection, table, day) for day in sorted(lost | silent)}


def _bad_rows(found: Sequence[tuple[date | None, str, int, int]]) -> Mapping[date | None, BadRows]:
    """Group what is wrong with bad rows by day; None is for those whose day or country can't be read."""
    causes: dict[date | None, list[Cause]] = {}
    totals: dict[date | None, int] = {}
    for day, fault, rows, all_rows in found:
        causes.setdefault(day, []).append(Cause(rows, fault))
        totals[day] = all_rows
    return {day: BadRows(totals[day], tuple(causes[day])) for day in causes}


def _judge(
    tallies: Sequence[WindowTally],
    windows: Sequence[Window],
    digests: Mapping[date, str],
    rules: LoadRules,
    silent: frozenset[date],
    bad: Mapping[date | None, BadRows],
) -> Mapping[date, Verdict]:
    held_before = {
        w.window_date: HeldReport(w.held_digest, w.held_rows or 0) for w in windows if w.held_digest
    }
    others = sum(tally.read_rows + tally.bad_rows for tally in tallies)
    refused = judge_undated(bad.get(None, BadRows()), others, bad_share_limit=rules.bad_row_share)
    return {
        tally.window_date: refused
        or decide_load(
            tally.old_rows,
            tally.new_rows,
            bad.get(tally.window_date, BadRows()),
            read_rows=tally.read_rows,
            bad_share_limit=rules.bad_row_share,
            held_before=held_before.get(tally.window_date),
            digest=digests.get(tally.window_date, ""),
            should_have_rows=tally.window_date in silent,
        )
        for tally in tallies
    }


def _take_apart(result: LoadResult, tallies: Sequence[WindowTally], verdicts: Mapping[date, Verdict]) -> None:
    for tally in tallies:
        verdict = verdicts[tally.window_date]
        if not isinstance(verdict, Accept):
            result.withheld += tally.read_rows
        if isinstance(verdict, Accept):
            result.loaded.append(tally.window_date)
            result.rows += tally.new_rows
            result.summed += tally.read_rows - tally.new_rows
            result.unresolved += tally.unresolved_rows
            result.spend += tally.spend
            result.sales += tally.sales
            if verdict.is_silent:
                result.silent.append(tally.window_date)
        elif isinstance(verdict, Hold):
            result.held[tally.window_date] = verdict.reason
        elif isinstance(verdict, Unconfirmed):
            result.unconfirmed[tally.window_date] = verdict.reason
        else:
            result.refused[tally.window_date] = verdict.reason


def _end(
    tally: WindowTally, verdict: Verdict, digests: Mapping[date, str], rules: LoadRules, held_before: int
) -> WindowEnd:
    day = tally.window_date
    match verdict:
        case Accept():
            return WindowEnd(tally, "loaded", rules.next_refresh_at(day), accepted=True)
        # Only a window with rows is ever held, so it stays loaded with what it has; an unconfirmed one has nothing.
        case Hold(reason=reason) | Unconfirmed(reason=reason):
            return WindowEnd(
                tally,
                "loaded" if isinstance(verdict, Hold) else "unconfirmed",
                rules.held_again_at(held_before),
                failure_reason=reason,
                held_digest=digests[day],
                held_rows=tally.new_rows,
            )
        case Refuse(reason=reason):
            return WindowEnd(tally, "failed", rules.refused_again_at(day), failure_reason=reason)
