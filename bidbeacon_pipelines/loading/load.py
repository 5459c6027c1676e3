"""Loads a downloaded report into the windows of all countries that wait for it: all parts or nothing, in the caller's transaction.

A reader never sees half a report, and loading the same report twice leaves what loading it once
did. First loads and refreshes take the same steps: decode, check, stage, judge each window, merge
the accepted ones.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import count_countries
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.entities.queries import find_first_deliverable_day
from bidbeacon_pipelines.loading.acceptance import (
    Accept,
    BadRows,
    Fault,
    Refuse,
    Suspicious,
    SuspiciousReport,
    Unconfirmed,
    Verdict,
    decide_load,
    judge_undated,
)
from bidbeacon_pipelines.loading.load_queries import (
    ReportScope,
    RowCounts,
    WindowEnd,
    end_windows,
    insert_load,
    quarantine_rows,
    window_values,
)
from bidbeacon_pipelines.loading.merging import (
    MergeCounts,
    WindowTotals,
    keep_windows,
    merge_windows,
    total_windows,
)
from bidbeacon_pipelines.loading.rows import (
    BadRow,
    NotWaitedFor,
    OtherRow,
    RowCheck,
    WaitingAccount,
)
from bidbeacon_pipelines.loading.staging import (
    FaultyRows,
    OverfullKey,
    StageWriter,
    WindowTally,
    digest_window,
    gather_rows,
    head_of,
    list_faults,
    open_stage,
    set_aside,
    tally_windows,
)
from bidbeacon_pipelines.windows.rules import WindowOutcome, failed, local_date
from bidbeacon_pipelines.windows.tables import ReportWindow


@dataclass(frozen=True)
class LoadRules:
    """Settings of a load.

    Attributes:
        bad_row_share: Share of invalid rows above which a window is refused, 0 to 1.
        suspicious_again_at: Returns when a window is requested again, UTC, given how many
            suspicious reports it had before.
        next_refresh_at: Returns when a window is due next, with data as of this report.
        refused_again_at: Returns when a window is due again that this report was refused for, by
            its day and whether it has data.
    """

    bad_row_share: float
    suspicious_again_at: Callable[[int], datetime]
    next_refresh_at: Callable[[date], datetime | None]
    refused_again_at: Callable[[date, bool], datetime | None]


@dataclass(frozen=True)
class Waiting:
    """An account with the windows that wait for a report, and how they leave its load."""

    account: Account
    windows: Sequence[ReportWindow]
    rules: LoadRules

    @property
    def days(self) -> list[date]:
        """The windows' days."""
        return [window.window_date for window in self.windows]


@dataclass
class LoadResult:
    """The result of a load for one account; `suspicious` and `refused` windows keep their old rows, each with the verdict on it.

    `unconfirmed` windows have no rows yet, though they should; `silent` ones are among the loaded,
    and have none either. `foreign` rows are of countries and days that nobody waits for,
    `neighbours` those of the other accounts that the report is loaded for.
    """

    loaded: list[date] = field(default_factory=list)
    silent: list[date] = field(default_factory=list)
    unconfirmed: dict[date, Unconfirmed] = field(default_factory=dict)
    suspicious: dict[date, Suspicious] = field(default_factory=dict)
    refused: dict[date, Refuse] = field(default_factory=dict)
    rows: int = 0
    unresolved: int = 0
    quarantined: int = 0
    foreign: int = 0
    neighbours: int = 0
    other_products: Mapping[str, int] = field(default_factory=dict)
    rows_read: int = 0
    summed: int = 0
    withheld: int = 0
    spend: Decimal = Decimal(0)
    sales: Decimal = Decimal(0)
    merge: MergeCounts = field(default_factory=MergeCounts)

    @property
    def counts(self) -> RowCounts:
        """What became of the report's rows; they add up."""
        not_waited_for = self.foreign + self.neighbours + sum(self.other_products.values())
        return RowCounts(
            self.rows_read, self.rows, self.summed, self.quarantined, self.withheld, not_waited_for
        )


class RowCounter:
    """Counts the rows of a report while they are read.

    Attributes:
        total: All.
        bad: Those that can't be understood, by account; None for those whose country can't be read.
        other_countries: Those of countries that don't wait for the report.
        other_days: Those of days that no window waits for, by account.
        other_products: Those of ad products that were not asked for, by account.
    """

    def __init__(self) -> None:
        self.total = 0
        self.bad: Counter[int | None] = Counter()
        self.other_countries = 0
        self.other_days: Counter[int | None] = Counter()
        self.other_products: defaultdict[int | None, Counter[str]] = defaultdict(Counter)

    def other(self, row: OtherRow) -> None:
        """Count a row that no window waits for."""
        if row.kind is NotWaitedFor.COUNTRY:
            self.other_countries += 1
        elif row.kind is NotWaitedFor.DAY:
            self.other_days[row.account] += 1
        else:
            self.other_products[row.account][str(row.ad_product)] += 1


def load_report(
    connection: Connection, scope: ReportScope, waiting: Sequence[Waiting], parts: Sequence[Path]
) -> dict[str, LoadResult]:
    """Load every part of a report into the windows that wait for it; return what was done, by the account's key.

    Args:
        connection: an open transaction; the caller commits it, with its own actions in it, and
            holds the accounts' `lock_rows`.
        scope: the report.
        waiting: the windows that wait for the request, by account.
        parts: the downloaded files, in order.

    Raises:
        BrokenPartError: a part can't be read to its end; roll back.
    """
    countries = count_countries(connection, waiting[0].account.account_id)
    accounts = [
        WaitingAccount(
            item.account.id,
            item.account.country_code,
            item.account.time_zone,
            frozenset(item.days),
        )
        for item in waiting
    ]
    check = RowCheck(
        scope.dataset,
        accounts,
        ad_products=scope.ad_products,
        period=scope.period,
        has_one_country=countries == 1,
    )
    counter = _stage(connection, scope, check, parts)
    return _Load(connection, scope, waiting, counter).finish()


def _stage(
    connection: Connection, scope: ReportScope, check: RowCheck, parts: Sequence[Path]
) -> RowCounter:
    """Stage all rows; rows of a key whose sum exceeds a column's range are quarantined as they came."""
    counter = RowCounter()
    with open_stage(connection, scope.dataset) as stage:
        for part in parts:
            _read_part(part, check, stage, counter)
    if overfull := gather_rows(connection, scope.dataset):
        by_head = {key.head: key for key in overfull}
        for key, number, raw in _find_rows(scope.dataset, check, parts, by_head):
            set_aside(connection, key, number, raw)
            counter.bad[key.account] += 1
    return counter


def _read_part(part: Path, check: RowCheck, stage: StageWriter, counter: RowCounter) -> None:
    for batch in check.decoder.batches(part):
        checked = [check(row) for row in batch.rows]
        good = [line for line in checked if isinstance(line, bytes)]
        stage.good(good)
        for place, row in enumerate(checked if len(good) < len(checked) else ()):
            if isinstance(row, BadRow):
                number, raw = counter.total + place, batch.text_of(place)
                stage.bad(number, row.account, row.window_date, row.cause, raw)
                counter.bad[row.account] += 1
            elif isinstance(row, OtherRow):
                counter.other(row)
        counter.total += len(checked)


def _find_rows(
    dataset: Dataset, check: RowCheck, parts: Sequence[Path], keys: Mapping[bytes, OverfullKey]
) -> Iterator[tuple[OverfullKey, int, str]]:
    """Read the parts again, and yield the rows of some keys: the key, the row's number, and its text as it came."""
    before = 0
    for part in parts:
        for batch in check.decoder.batches(part):
            for place, row in enumerate(batch.rows):
                line = check(row)
                if isinstance(line, bytes) and (key := keys.get(head_of(dataset, line))):
                    yield key, before + place, batch.text_of(place)
            before += len(batch.rows)


WindowKey = tuple[int, date]


@dataclass
class _Load:
    """A staged report on its way into its windows."""

    connection: Connection
    scope: ReportScope
    waiting: Sequence[Waiting]
    counter: RowCounter
    tallies: Mapping[WindowKey, WindowTally] = field(default_factory=dict)
    digests: dict[WindowKey, str] = field(default_factory=dict)
    verdicts: dict[WindowKey, Verdict] = field(default_factory=dict)
    bad: dict[int, dict[date | None, BadRows]] = field(default_factory=dict)

    def finish(self) -> dict[str, LoadResult]:
        """Judge, merge and end all windows."""
        dataset, scope = self.scope.dataset, self.scope
        windows = [(waiting.account, day) for waiting in self.waiting for day in waiting.days]
        self.tallies = tally_windows(
            self.connection, dataset, scope.values | window_values(windows)
        )
        faults = list_faults(self.connection)
        for waiting in self.waiting:
            own = [fault for fault in faults if fault.account in {None, waiting.account.id}]
            self.bad[waiting.account.id] = _bad_rows(own)
            self._judge(waiting)
        accepted = [
            (account, day)
            for account, day in windows
            if isinstance(self.verdicts[account.id, day], Accept)
        ]
        if len(accepted) < len(windows):
            keep_windows(self.connection, scope.values | window_values(accepted))
        values = scope.values | window_values(accepted)
        merged = merge_windows(self.connection, dataset, values)
        totals = total_windows(self.connection, dataset, values)
        return {
            waiting.account.account_key: self._end(
                waiting, merged.get(waiting.account.id, MergeCounts()), totals
            )
            for waiting in self.waiting
        }

    def _judge(self, waiting: Waiting) -> None:
        """Decide about the windows of an account."""
        account, rules = waiting.account.id, waiting.rules
        bad = self.bad[account]
        tallies = {day: self.tallies[account, day] for day in waiting.days}
        silent = self._silent_days(waiting, tallies)
        self._digest_suspicious(waiting, tallies, silent)
        others = sum(tally.read_rows for tally in tallies.values())
        others += sum(rows.rows for day, rows in bad.items() if day is not None)
        refused = judge_undated(
            bad.get(None, BadRows()), others, bad_share_limit=rules.bad_row_share
        )
        for window in waiting.windows:
            day = window.window_date
            self.verdicts[account, day] = refused or decide_load(
                tallies[day].old_rows,
                tallies[day].new_rows,
                bad.get(day, BadRows()),
                read_rows=tallies[day].read_rows,
                bad_share_limit=rules.bad_row_share,
                earlier=_last_suspicious(window),
                lost=tallies[day].lost,
                digest=self.digests.get((account, day), ""),
                should_have_rows=day in silent,
            )

    def _digest_suspicious(
        self, waiting: Waiting, tallies: Mapping[date, WindowTally], silent: frozenset[date]
    ) -> None:
        """Digest the windows that lost nearly all of their rows or are silent: only these are compared with an earlier report."""
        lost = {day for day, tally in tallies.items() if tally.lost}
        for day in sorted(lost | silent):
            key = waiting.account.id, day
            products = [loss.ad_product for loss in tallies[day].lost] or self.scope.ad_products
            self.digests[key] = digest_window(self.connection, self.scope.dataset, *key, products)

    def _silent_days(
        self, waiting: Waiting, tallies: Mapping[date, WindowTally]
    ) -> frozenset[date]:
        """Return the days that were never loaded and should have rows, where the report has none of the country at all."""
        new = [window.window_date for window in waiting.windows if window.data_as_of is None]
        if (
            not new
            or self.bad[waiting.account.id]
            or any(tally.new_rows for tally in tallies.values())
        ):
            return frozenset()
        first = find_first_deliverable_day(self.connection, waiting.account, self.scope.ad_products)
        today = local_date(self.scope.data_as_of, waiting.account.time_zone)
        return frozenset(day for day in new if first is not None and first <= day < today)

    def _end(
        self, waiting: Waiting, merged: MergeCounts, totals: Mapping[WindowKey, WindowTotals]
    ) -> LoadResult:
        """End the windows of an account, quarantine its invalid rows, and store the row counts."""
        account = waiting.account
        result = LoadResult(merge=merged, rows_read=self.counter.total)
        for day in waiting.days:
            _take_apart(result, day, self.tallies[account.id, day], self.verdicts[account.id, day])
        for day in result.loaded:
            total = totals[account.id, day]
            result.unresolved += total.unresolved
            result.spend += total.spend
            result.sales += total.sales
        result.quarantined = quarantine_rows(
            self.connection, self.scope, account, waiting.days, result.loaded
        )
        result.other_products = dict(self.counter.other_products[account.id])
        result.foreign = self.counter.other_countries + self.counter.other_days[account.id]
        result.neighbours = self._count_neighbours(account)
        insert_load(self.connection, self.scope, account, result.counts)
        ends = [self._window_end(waiting, window, totals) for window in waiting.windows]
        end_windows(self.connection, self.scope, account, ends)
        return result

    def _count_neighbours(self, account: Account) -> int:
        """Count the rows of the other accounts that wait for the report, of whatever day and ad product."""
        others = [item.account.id for item in self.waiting if item.account.id != account.id]
        rows = sum(
            tally.read_rows for (number, _), tally in self.tallies.items() if number in others
        )
        counted = (self.counter.bad, self.counter.other_days)
        rows += sum(counter[number] for counter in counted for number in others)
        return rows + sum(self.counter.other_products[number].total() for number in others)

    def _window_end(
        self, waiting: Waiting, window: ReportWindow, totals: Mapping[WindowKey, WindowTotals]
    ) -> WindowEnd:
        key = waiting.account.id, window.window_date
        outcome = self._outcome(waiting, window)
        if not isinstance(self.verdicts[key], Accept):
            return WindowEnd(window.window_date, outcome)
        bad = self.bad[waiting.account.id].get(window.window_date, BadRows())
        return WindowEnd(window.window_date, outcome, totals[key], bad.rows)

    def _outcome(self, waiting: Waiting, window: ReportWindow) -> WindowOutcome:
        """Return how a window leaves the load."""
        day, rules = window.window_date, waiting.rules
        key = waiting.account.id, day
        match verdict := self.verdicts[key]:
            case Accept():
                return WindowOutcome(
                    status="loaded",
                    next_refresh_at=rules.next_refresh_at(day),
                    data_as_of=self.scope.data_as_of,
                )
            # Only a window with rows can get a suspicious report, so it stays loaded; an
            # unconfirmed one has nothing.
            case Suspicious(cause=cause) | Unconfirmed(cause=cause):
                return WindowOutcome(
                    status="loaded" if isinstance(verdict, Suspicious) else "unconfirmed",
                    next_refresh_at=rules.suspicious_again_at(window.suspicious_count),
                    data_as_of=window.data_as_of,
                    cause=cause,
                    suspicious_digest=self.digests[key],
                    suspicious_rows=self.tallies[key].new_rows,
                    suspicious_count=window.suspicious_count + 1,
                )
            case Refuse(cause=cause):
                again_at = rules.refused_again_at(day, window.data_as_of is not None)
                kept = WindowOutcome(status=window.status, data_as_of=window.data_as_of)
                return failed(kept, cause, again_at)


def _last_suspicious(window: ReportWindow) -> SuspiciousReport | None:
    """Return the last report, if it was suspicious."""
    digest = window.suspicious_digest
    return SuspiciousReport(digest, window.suspicious_rows or 0) if digest else None


def _take_apart(result: LoadResult, day: date, tally: WindowTally, verdict: Verdict) -> None:
    """Add a window to what the load did."""
    if isinstance(verdict, Accept):
        result.loaded.append(day)
        result.rows += tally.new_rows
        result.summed += tally.read_rows - tally.new_rows
        if verdict.is_silent:
            result.silent.append(day)
        return
    result.withheld += tally.read_rows
    if isinstance(verdict, Suspicious):
        result.suspicious[day] = verdict
    elif isinstance(verdict, Unconfirmed):
        result.unconfirmed[day] = verdict
    else:
        result.refused[day] = verdict


def _bad_rows(faults: Sequence[FaultyRows]) -> dict[date | None, BadRows]:
    """Group what is wrong with bad rows by day; None is for those whose day or country can't be read."""
    grouped: defaultdict[date | None, list[FaultyRows]] = defaultdict(list)
    for fault in sorted(faults, key=lambda bad: (-bad.rows, bad.fault)):
        grouped[fault.window_date].append(fault)
    return {
        day: BadRows(
            sum(bad.rows for bad in some), tuple(Fault(bad.rows, bad.fault) for bad in some)
        )
        for day, some in grouped.items()
    }
