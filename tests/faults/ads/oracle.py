"""Compares every stored window, row by row and to the last decimal, with what the sandbox delivered, or with the truth."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from bidbeacon_pipelines.reports.datasets import get_dataset
from bidbeacon_pipelines.reports.windows import is_served, local_date
from bidbeacon_pipelines.sandbox.faults import FaultName
from bidbeacon_pipelines.sandbox.reports import Report
from bidbeacon_pipelines.sandbox.truth import day_truth
from bidbeacon_pipelines.store.accounts import Account
from tests.faults.ads.delivered import (
    BadRow,
    DayRows,
    Delivery,
    KnownTargets,
    canonical,
    read_report,
    read_truth,
    unknown_name,
)
from tests.faults.ads.simulated_office import Office

DATASET = get_dataset("daily_targets")
LEAVES_ROWS_TRUE: frozenset[FaultName] = frozenset(
    (
        *("report_failed", "report_cancelled", "report_expired", "report_pending", "odd_status"),
        *("more_parts", "single_url", "number_ids", "string_ids"),
    )
)
"""Faults of a report that change when, how and whether it comes, and not what its rows say; every other one may."""


@dataclass(frozen=True)
class Mismatch:
    """One thing that is not as it should be."""

    account: str
    day: date | None
    what: str


class Oracle:
    """Knows what one account's tables should say."""

    def __init__(self, office: Office, account: Account) -> None:
        self._office = office
        self._account = account
        self._targets = KnownTargets(office.catalog(account), self._exported_on())
        self._loads = self._list_loads()
        self._deliveries: dict[int, Delivery] = {}

    def windows(self) -> Sequence[Mapping[str, Any]]:
        """Give the account's windows, by day."""
        return self._rows("SELECT * FROM report_windows WHERE {} ORDER BY window_date")

    def report_of(self, window: Mapping[str, Any]) -> Report:
        """Give the report that a window was last loaded from."""
        return self._report(window["loaded_by_request"])

    def compare_with_delivered(self) -> Iterator[Mismatch]:
        """Compare each loaded window with the report it was last loaded from, and what is quarantined with what was bad."""
        stored = self._stored()
        for window in self.windows():
            day = window["window_date"]
            delivered = (
                self._delivery(window["loaded_by_request"]).days.get(day, {}) if window["load_count"] else {}
            )
            yield from self._compare(window, delivered, stored[day])
        yield from self._compare_quarantine()

    def compare_with_truth(self) -> Iterator[Mismatch]:
        """Compare each window that Amazon still serves with the truth as of when its report was asked for."""
        stored = self._stored()
        catalog = self._office.catalog(self._account)
        for window in self.windows():
            if window["load_count"] and self.is_served(window):
                truth = day_truth(catalog, window["window_date"], window["data_as_of"])
                expected = read_truth(truth, self._account.currency_code, self._targets)
                yield from self._compare(window, expected, stored[window["window_date"]])

    def windows_not_true(self) -> list[date]:
        """Give the days whose last report said something else than the truth, and that Amazon still serves."""
        return [
            window["window_date"]
            for window in self.windows()
            if window["load_count"] and self.is_served(window) and _changes_rows(self.report_of(window))
        ]

    def is_served(self, window: Mapping[str, Any]) -> bool:
        """Tell whether Amazon still serves a window."""
        today = local_date(self._office.clock.now(), self._account.time_zone)
        return is_served(DATASET, window["window_date"], today)

    def _compare(self, window: Mapping[str, Any], expected: DayRows, stored: DayRows) -> Iterator[Mismatch]:
        for key in sorted(expected.keys() | stored.keys()):
            if expected.get(key) != stored.get(key):
                what = f"{key}: expected {expected.get(key)}, got {stored.get(key)}"
                yield Mismatch(self._account.account_key, window["window_date"], what)
        if window["load_count"] and window["row_count"] != len(stored):
            what = f"row_count: expected {len(stored)}, got {window['row_count']}"
            yield Mismatch(self._account.account_key, window["window_date"], what)

    def _compare_quarantine(self) -> Iterator[Mismatch]:
        expected = {
            (request, bad) for request, all_bad in self._replay_quarantine().items() for bad in all_bad
        }
        rows = self._rows("SELECT request_id, row_number, window_date, raw FROM quarantined_rows WHERE {}")
        stored = {
            (
                row["request_id"],
                BadRow(
                    row["row_number"],
                    row["window_date"],
                    canonical(json.loads(row["raw"], parse_float=Decimal)),
                ),
            )
            for row in rows
        }
        for request, bad in sorted(expected ^ stored, key=str):
            found = "missing from" if (request, bad) in expected else "not to be in"
            yield Mismatch(
                self._account.account_key, bad.day, f"{found} quarantine: request {request}, {bad}"
            )

    def _replay_quarantine(self) -> dict[int, list[BadRow]]:
        """Give the bad rows that should be kept aside by now, by request: a later report of a day replaces the earlier one's."""
        kept: dict[int, list[BadRow]] = {}
        for request, days in self._loads.items():
            first, last = min(days), max(days)
            for other, bad in kept.items():
                is_within = first <= min(self._loads[other]) and max(self._loads[other]) <= last
                kept[other] = [
                    row for row in bad if row.day not in days and not (row.day is None and is_within)
                ]
            kept[request] = list(self._delivery(request).bad)
        return kept

    def _delivery(self, request: int) -> Delivery:
        if request not in self._deliveries:
            texts = self._office.sandbox.state.reports.rows(self._report(request))
            country, days = self._account.country_code, self._loads[request]
            self._deliveries[request] = read_report(texts, country, days, self._targets)
        return self._deliveries[request]

    def _report(self, request: int) -> Report:
        report_id = self._office.value("SELECT report_id FROM report_requests WHERE id = :id", id=request)
        report = self._office.sandbox.state.reports.find(report_id)
        assert report is not None
        return report

    def _list_loads(self) -> dict[int, set[date]]:
        """Give the days that each load dealt with, whether loaded, held or refused, by request, in the order of the loads."""
        told = self._office.rows(
            """SELECT payload FROM session_actions WHERE payload ->> 'account' = :key
                  AND (type IN ('report-processed', 'report-held') OR type = 'report-failed' AND payload ->> 'code' = 'refused')
                ORDER BY at, ord""",
            key=self._account.account_key,
        )
        loads: dict[int, set[date]] = defaultdict(set)
        for row in told:
            loads[row["payload"]["request_id"]].update(map(date.fromisoformat, row["payload"]["windows"]))
        return loads

    def _exported_on(self) -> set[date]:
        """Give the account-local days of the first and the last export of targets that was loaded: the first has the oldest targets."""
        rows = self._rows(
            "SELECT export_id FROM entity_exports WHERE {} AND kind = 'targets' AND status = 'loaded'"
        )
        exports = [self._office.sandbox.state.exports.find(row["export_id"]) for row in rows]
        ready = [export.ready_at for export in exports if export is not None]
        return (
            {local_date(at, self._account.time_zone) for at in (min(ready), max(ready))} if ready else set()
        )

    def _stored(self) -> dict[date, dict[Any, Any]]:
        stored: dict[date, dict[Any, Any]] = defaultdict(dict)
        for row in self._rows("SELECT * FROM performance_daily WHERE {}"):
            unknown = unknown_name(row["ad_group_id"], row["match_type"], row["target_value"])
            target = row["entity_id"] if row["resolved"] else unknown
            metrics = tuple(row[name] for name in ("impressions", "clicks", "orders", "sales", "spend"))
            stored[row["window_date"]][row["ad_id"], target, row["currency_code"]] = metrics
        return stored

    def _rows(self, statement: str) -> Sequence[Mapping[str, Any]]:
        mine = "account_id = :account_id AND country_code = :country_code"
        return self._office.rows(statement.format(mine), **self._account.identity)


def _changes_rows(report: Report) -> bool:
    return any(rule.fault not in LEAVES_ROWS_TRUE for rule in report.faults)
