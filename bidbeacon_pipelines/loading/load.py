"""Load a downloaded report into all windows that wait for it, in one or more countries.

All files are loaded in the caller's transaction, so no reader sees half a report. A load is
idempotent. First loads and refreshes take the same steps: read, check and stage the rows, judge
each window, and merge the accepted windows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import Cause
from bidbeacon_pipelines.entities.queries import find_first_deliverable_day
from bidbeacon_pipelines.loading.acceptance import (
    Accept,
    BadRows,
    NeedsDecision,
    Refuse,
    Suspicious,
    Totals,
    Unconfirmed,
    Verdict,
    WindowTally,
    decide_load,
    is_too_bad,
    suspicious_pause,
)
from bidbeacon_pipelines.loading.load_queries import (
    ReportScope,
    insert_load,
    insert_removals,
    judge_history,
    make_check,
    quarantine_rows,
    update_loaded_windows,
    window_values,
)
from bidbeacon_pipelines.loading.merging import MergeCounts, merge_windows
from bidbeacon_pipelines.loading.staging import (
    RowCounter,
    delete_rows_of_other_windows,
    digest_window,
    stage_report,
    tally_windows,
)
from bidbeacon_pipelines.windows.history_queries import list_served_ages
from bidbeacon_pipelines.windows.queries import release_windows
from bidbeacon_pipelines.windows.rules import (
    NOT_SUSPICIOUS,
    UNDECIDED,
    awaits_decision,
    is_final,
    loaded,
    local_date,
    next_refresh_at,
    put_back,
)
from bidbeacon_pipelines.windows.tables import ReportWindow


@dataclass(frozen=True)
class LoadRules:
    """The rules by which a load judges windows.

    Attributes:
        now: The instant of the load, UTC.
        bad_row_share: The largest accepted share of invalid rows in a window, 0 to 1.
        refused: A function that returns the next state of a refused window.
    """

    now: datetime
    bad_row_share: float
    refused: Callable[[Account, ReportWindow, Cause], ReportWindow]


@dataclass
class LoadResult:
    """The result of a load for one account.

    `suspicious` and `refused` windows keep their old rows. `unconfirmed` windows were not loaded,
    because rows were expected and the report has none. `silent` windows were loaded without rows.
    `not_served` has the rows of `judge_loaded_windows`: loaded windows for which Amazon does not
    serve some or all ad products. `foreign` counts rows of other countries, and rows of days
    without a requested window.
    """

    loaded: list[date] = field(default_factory=list)
    silent: list[date] = field(default_factory=list)
    not_served: list[RowMapping] = field(default_factory=list)
    unconfirmed: dict[date, Unconfirmed] = field(default_factory=dict)
    suspicious: dict[date, Suspicious | NeedsDecision] = field(default_factory=dict)
    refused: dict[date, Refuse] = field(default_factory=dict)
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
    merge: MergeCounts = field(default_factory=MergeCounts)

    @property
    def counts(self) -> dict[str, int]:
        """The number of the report's rows by result, as columns of `report_loads`."""
        own = {
            "rows_loaded": self.rows,
            "rows_summed": self.summed,
            "rows_quarantined": self.quarantined,
            "rows_withheld": self.withheld,
        }
        others = self.rows_read - sum(own.values())
        return {"rows_read": self.rows_read, **own, "rows_ignored": others}

    @property
    def silent_days(self) -> list[date]:
        """The days accepted without the expected rows, except days that Amazon does not serve."""
        ended = {row["window_date"] for row in self.not_served if row["is_whole"]}
        return [day for day in self.silent if day not in ended]

    def take(self, day: date, tally: WindowTally, verdict: Verdict) -> None:
        """Record the verdict on a day's window, and add the window's counts to the totals."""
        if isinstance(verdict, Accept):
            self.loaded.append(day)
            self.rows += tally.total("rows")
            self.summed += tally.total("read_rows") - tally.total("rows")
            self.unresolved += tally.total("unresolved")
            self.spend += tally.total("spend")
            self.sales += tally.total("sales")
            if verdict.is_silent:
                self.silent.append(day)
            return
        self.withheld += tally.total("read_rows")
        if isinstance(verdict, Suspicious | NeedsDecision):
            self.suspicious[day] = verdict
        elif isinstance(verdict, Unconfirmed):
            self.unconfirmed[day] = verdict
        else:
            self.refused[day] = verdict


def load_report(
    connection: Connection,
    scope: ReportScope,
    waiting: Sequence[tuple[Account, Sequence[ReportWindow]]],
    parts: Sequence[Path],
    rules: LoadRules,
) -> dict[str, LoadResult]:
    """Load a report into the windows that wait for it; return results by account key.

    Before the call, the caller opens a transaction and locks the accounts with `lock_rows`. After
    the call, the caller adds the actions and commits. `parts` are all downloaded files, in order.

    Raises:
        BrokenPartError: A file can't be read to its end. The caller must roll back.
    """
    days = [(account, [one.window_date for one in windows]) for account, windows in waiting]
    counter = stage_report(connection, scope.dataset, make_check(connection, scope, days), parts)
    windows = [(account, day) for account, own in days for day in own]
    tallies = tally_windows(connection, scope.dataset, scope.values | window_values(windows))
    loads = [
        _AccountLoad(connection, scope, account, own, rules, counter, tallies)
        for account, own in waiting
    ]
    for load in loads:
        load.judge()
    accepted = [(load.account, day) for load in loads for day in load.accepted]
    values = scope.values | window_values(accepted)
    if len(accepted) < len(windows):
        delete_rows_of_other_windows(connection, values)
    merged = merge_windows(connection, scope.dataset, values)
    results = {load.account.account_key: load.finish(merged) for load in loads}
    for row in judge_history(connection, scope, [account for account, _ in waiting]):
        results[row["account_key"]].not_served.append(row)
    for load in loads:
        result = results[load.account.account_key]
        insert_load(
            connection,
            scope,
            load.account,
            result.counts,
            silent=result.silent_days,
            first_days=load.first_days,
        )
    return results


@dataclass
class _AccountLoad:
    connection: Connection
    scope: ReportScope
    account: Account
    windows: Sequence[ReportWindow]
    rules: LoadRules
    counter: RowCounter
    all_tallies: Mapping[tuple[int, date], WindowTally]
    digests: dict[date, str] = field(default_factory=dict)
    verdicts: dict[date, Verdict] = field(default_factory=dict)

    def __post_init__(self) -> None:
        days = [window.window_date for window in self.windows]
        self.tallies = {day: self.all_tallies[self.account.id, day] for day in days}
        self.bad = self.counter.bad_rows(self.account.id)
        self.without_country = self.counter.bad_rows(None).get(None, BadRows())

    @property
    def accepted(self) -> list[date]:
        """The days of the accepted windows."""
        return [day for day, verdict in self.verdicts.items() if isinstance(verdict, Accept)]

    @property
    def first_days(self) -> int:
        """The number of accepted days that had never been loaded."""
        new = {window.window_date for window in self.windows if window.last_loaded_at is None}
        return len(new.intersection(self.accepted))

    def judge(self) -> None:
        limit, silent = self.rules.bad_row_share, self._silent_days()
        dataset, zone = self.scope.dataset, self.account.time_zone
        refused = self._refused_report(limit)
        for window in self.windows:
            day, tally = window.window_date, self.tallies[window.window_date]
            if tally.lost or day in silent:  # only these are compared with an earlier report
                self.digests[day] = self._digest(day, tally)
            is_kept = bool(tally.lost) and (
                is_final(dataset, window, zone) or self._is_past_history(day, tally)
            )
            verdict = refused or decide_load(
                tally,
                self.bad.get(day, BadRows()),
                bad_share_limit=limit,
                earlier=window.suspicious_digest,
                digest=self.digests.get(day, ""),
                should_have_rows=day in silent,
                is_final=is_kept,
                is_accepted=window.decision == "accept",
            )
            is_doubted = is_kept and isinstance(verdict, Suspicious)
            self.verdicts[day] = self._doubted(window, tally) if is_doubted else verdict

    def _is_past_history(self, day: date, tally: WindowTally) -> bool:
        """Return whether an ad product lost all rows of a day that Amazon may no longer serve."""
        gone = [name for name, product in tally.lost.items() if not product.rows]
        return any(self._age(day) > self._served_ages[name] for name in gone)

    def _age(self, day: date) -> int:
        return (local_date(self.scope.data_as_of, self.account.time_zone) - day).days

    @cached_property
    def _served_ages(self) -> dict[str, int]:
        """The age in days of the oldest day that Amazon is proven to serve, by ad product."""
        report = self.account.account_id, self.scope.dataset.name, self.scope.ad_products
        ages = list_served_ages(self.connection, *report)
        for day, tally in self.tallies.items():
            for name, product in tally.products.items():
                if product.rows:
                    ages[name] = max(ages[name], self._age(day))
        return ages

    def _doubted(self, window: ReportWindow, tally: WindowTally) -> NeedsDecision:
        old, new = Totals(tally.total("old_rows"), window.spend), tally.totals
        if "spend" not in self.scope.dataset.columns:
            old, new = replace(old, spend=None), replace(new, spend=None)
        account, name = self.account, self.scope.dataset.name
        return NeedsDecision(account.account_key, name, account.currency_code, old, new)

    def _refused_report(self, limit: float) -> Refuse | None:
        """Return a refusal of all windows if too many rows have no readable country or date.

        `limit` is a share. Rows without a readable country may belong to any account, so their
        share is of all rows of the report. The share of rows without a readable date is of the
        account's rows.
        """
        others = sum(tally.total("read_rows") for tally in self.tallies.values())
        others += sum(bad.total() for day, bad in self.bad.items() if day is not None)
        for bad, good_rows in (
            (self.without_country, self.counter.total - self.without_country.total()),
            (self.bad.get(None, BadRows()), others),
        ):
            if is_too_bad(bad, good_rows, limit):
                return Refuse(bad, good_rows, is_whole_report=True)
        return None

    def _digest(self, day: date, tally: WindowTally) -> str:
        products = [*tally.lost] or self.scope.ad_products
        window = self.account.id, day
        return digest_window(self.connection, self.scope.dataset, *window, products)

    def _silent_days(self) -> frozenset[date]:
        """Return the never-loaded days that should have rows.

        If the report has any row of the account, return no days.
        """
        new = [window.window_date for window in self.windows if window.data_as_of is None]
        if not new or self.bad or any(tally.total("rows") for tally in self.tallies.values()):
            return frozenset()
        first = find_first_deliverable_day(self.connection, self.account, self.scope.ad_products)
        return frozenset(
            day for day in new if first is not None and first <= day and self._age(day) > 0
        )

    def finish(self, merged: Mapping[int, MergeCounts]) -> LoadResult:
        account = self.account.id
        result = LoadResult(
            quarantined=sum(bad.total() for bad in (*self.bad.values(), self.without_country)),
            foreign=self.counter.foreign(account),
            other_products=self.counter.other_products(account),
            rows_read=self.counter.total,
            merge=merged.get(account, MergeCounts()),
        )
        for day, verdict in self.verdicts.items():
            result.take(day, self.tallies[day], verdict)
        place = self.connection, self.scope, self.account
        tallies = {day: self.tallies[day] for day in result.loaded}
        bad_rows = {day: bad.total() for day, bad in self.bad.items() if day is not None}
        update_loaded_windows(*place, tallies, bad_rows)
        quarantine_rows(*place, list(self.verdicts), result.loaded)
        insert_removals(*place, [(day, name) for day in tallies for name in tallies[day].lost])
        release_windows(self.connection, self.scope.request_id, map(self._ended, self.windows))
        return result

    def _ended(self, window: ReportWindow) -> ReportWindow:
        day, as_of, rules = window.window_date, self.scope.data_as_of, self.rules
        match verdict := self.verdicts[day]:
            case Accept():
                of = self.scope.dataset, day, self.account.time_zone
                return loaded(window, as_of, next_refresh_at(*of, as_of))
            case Suspicious(cause=cause) | NeedsDecision(cause=cause) | Unconfirmed(cause=cause):
                again_at, new = None, self.tallies[day].totals
                if not isinstance(verdict, NeedsDecision):
                    again_at = rules.now + suspicious_pause(window.suspicious_count)
                kept = put_back(window, again_at)
                is_silent = isinstance(verdict, Unconfirmed)
                return kept.with_changes(
                    status="unconfirmed" if is_silent else kept.status,
                    cause=cause,
                    suspicious_digest=self.digests[day],
                    suspicious_rows=new.rows,
                    suspicious_spend=new.spend,
                    suspicious_count=window.suspicious_count + 1,
                    **UNDECIDED,
                )
            case Refuse(cause=cause):
                kept = window if awaits_decision(window) else window.with_changes(**NOT_SUSPICIOUS)
                return rules.refused(self.account, kept, cause)
