"""Compares what is stored with what the sandbox delivered, with the truth, and with the days that the sandbox serves by its own calendar."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import products_of
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.windows.rules import due_at, local_date, oldest_served
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct
from bidbeacon_sandbox.fields import datasets_of
from bidbeacon_sandbox.names import dataset_names
from bidbeacon_sandbox.report_request import first_day_of
from bidbeacon_sandbox.reports import Report
from bidbeacon_sandbox.rulebook import read_rules
from bidbeacon_sandbox.rules import History
from tests.faults.ads.delivered import BadRow, Delivery, ReportReader, canonical, targets_of
from tests.faults.ads.month_faults import HISTORY_NAMES
from tests.support.truth import (
    AD_PRODUCT,
    CURRENCY,
    DayRows,
    Key,
    Metrics,
    Rows,
    differences,
    of_products,
    stored_days,
    total,
)
from tests.support.world import World

DATASET = get_dataset("daily_targets")
GivenUp = dict[tuple[str, str, date, str], datetime]
"""When each day was first seen `expired`, or `not_served` without a load, by account key, dataset, day and report."""
LEAVES_ROWS_TRUE = frozenset(
    (
        *("report failed", "report cancelled", "report expired", "report pending", "odd status"),
        *("more parts", "part twice", "single url", "number ids", "text ids", "old names"),
        *("foreign", "spellings", "filter ignored", "too large later", "slow reports"),
        *HISTORY_NAMES,
    )
)
"""Names of rules of a report that change when, how and whether it comes, and not what its rows say; every other one may."""
GIVEN_UP_AHEAD = timedelta(days=2)
"""The product may give a day up so long before Amazon does: it leaves a day unused, and another country's day may begin a day earlier."""
PATIENCE = timedelta(hours=8)
"""A refresh may be under way for so long: six hours it waits for other countries."""


class Oracle:
    """Knows what the tables should say of one dataset of an account."""

    def __init__(self, world: World, account: Account, dataset: Dataset = DATASET) -> None:
        self._world = world
        self._account = account
        self._dataset = dataset
        is_alone = len(world.owner(account.account_id).countries) == 1
        catalogs = [world.catalog(account, product) for product in AD_PRODUCTS]
        self._knows_targets = self._has_targets()
        targets = targets_of(catalogs if self._knows_targets else ())
        self._reader = ReportReader(account, dataset, is_alone, targets)
        requests = world.query(
            "SELECT id, report_id FROM report_requests WHERE account_id = :id",
            id=account.account_id,
        )
        self._report_ids = {row["id"]: row["report_id"] for row in requests}
        self._loads, self._loaded_by = self._list_loads()
        self._deliveries: dict[int, Delivery] = {}
        told = world.sandbox.state.rules.overview()
        rules = [one["rule"] for one in told if one["on"] and one["rule"]["rule"] == "history"]
        self._histories = [rule for one in rules for rule in read_rules(one)]

    def windows(self) -> Sequence[Mapping[str, Any]]:
        """Return the windows, by day."""
        return self._rows(
            "SELECT * FROM report_windows WHERE {} AND dataset = :dataset ORDER BY window_date"
        )

    def compare_with_delivered(self) -> Iterator[str]:
        """Compare each loaded window with the reports it was last loaded from, the quarantine with their bad rows, and each load's counts with its report."""
        stored = self._stored()
        for window in self.windows():
            delivered: dict[Key, Metrics] = {}
            for product, request in self._sources(window).items():
                rows = self._delivery(request).days.get(window["window_date"], {})
                delivered |= of_products(rows, {product})
            held = of_products(stored[window["window_date"]], products_of(window["report"]))
            yield from self._compare(window, delivered, held)
            yield from self._compare_window(window, held)
        yield from self._compare_quarantine()
        yield from self._compare_counts()

    def compare_with_truth(self) -> Iterator[str]:
        """Compare each window that Amazon still serves with the truth, as of when its report was asked for; ad products that it did not serve then have no rows."""
        stored = self._stored()
        for window in self.windows():
            if window["load_count"] and self.is_served(window):
                held = of_products(stored[window["window_date"]], products_of(window["report"]))
                yield from self._compare(window, self._truth(window, *self._served(window)), held)

    def false_zeros(self) -> Iterator[str]:
        """Find each ad product of a loaded window that is not called not served, though the report lacked its rows for their age and in truth there are some."""
        for window in self.windows():
            if window["status"] != "not_served":
                doubtful = self._sources(window).keys() - self._served(window)
                for product in sorted(doubtful - set(window["not_served"])):
                    if self._truth(window, product):
                        yield self._mismatch(window["window_date"], f"a zero of {product} is false")

    def doubted_though_delivered(self) -> Iterator[str]:
        """Find each ad product that is called not served, and that has rows."""
        stored = self._stored()
        for window in self.windows():
            day, is_none_served = window["window_date"], window["status"] == "not_served"
            products = products_of(window["report"]) if is_none_served else window["not_served"]
            if held := {key[AD_PRODUCT] for key in of_products(stored[day], products)}:
                yield self._mismatch(day, f"rows of {sorted(held)}, called not served")

    def _served(self, window: Mapping[str, Any]) -> list[AdProduct]:
        """Return the ad products of which the sandbox had rows of so old a day when the report was made that a window was last loaded from."""
        return [
            product
            for product, request in self._sources(window).items()
            if self._was_served(window["window_date"], product, self._report(request))
        ]

    def _was_served(self, day: date, product: AdProduct, report: Report) -> bool:
        today = self._world.owner(self._account.account_id).first_day(report.created_at)
        histories, hourly = report.rules_of(History), self._dataset.is_hourly
        return day >= first_day_of(product, today, histories, hourly=hourly)

    def _truth(self, window: Mapping[str, Any], *products: AdProduct) -> Rows:
        world, day = self._world, window["window_date"]
        asked = DayRows(world.engine, world.sandbox.state, self._account, self._dataset, day)
        return asked.true(window["data_as_of"], products, knows_targets=self._knows_targets)

    def _sources(self, window: Mapping[str, Any]) -> dict[AdProduct, int]:
        """Return the request that each ad product of a window was last loaded from; none where it was never loaded."""
        if not window["load_count"]:
            return {}
        loaded_by, products = self._loaded_by[window["window_date"]], products_of(window["report"])
        return {product: loaded_by[product] for product in loaded_by if product in products}

    def _compare_counts(self) -> Iterator[str]:
        """Compare what each load says became of the rows of its report with the report itself."""
        loads = self._rows("SELECT * FROM report_loads WHERE {} AND dataset = :dataset")
        for load in loads:
            delivery = self._delivery(load["request_id"])
            taken = load["rows_loaded"] + load["rows_summed"] + load["rows_withheld"]
            told = (load["rows_read"], taken, load["rows_quarantined"], load["rows_ignored"])
            elsewhere = delivery.rows - delivery.good - len(delivery.bad)
            expected = (delivery.rows, delivery.good, len(delivery.bad), elsewhere)
            if told != expected:
                what = f"request {load['request_id']}: expected read, good, bad, elsewhere {expected}, got {told}"
                yield self._mismatch(None, what)
        missing = self._loads.keys() - {load["request_id"] for load in loads}
        for request in sorted(missing):
            yield self._mismatch(None, f"request {request}: its load has no counts")

    def windows_not_true(self) -> list[date]:
        """Return the days whose last report said something else than the truth, and that Amazon still serves."""
        return sorted(
            {
                window["window_date"]
                for window in self.windows()
                if self.is_served(window)
                and any(map(_changes_rows, map(self._report, self._sources(window).values())))
            }
        )

    def is_served(self, window: Mapping[str, Any]) -> bool:
        """Return whether Amazon still serves a window: all ad products of which the window was loaded with rows that Amazon had."""
        day, now = window["window_date"], self._world.context.now()
        today, report = local_date(now, self._account.time_zone), window["report"]
        firsts = self._first_days(self._served(window), now, self._histories_of(report))
        oldest = oldest_served(self._dataset, today)
        return bool(firsts) and max(oldest, *firsts) <= day <= today

    def days_without_data(self, end: datetime) -> list[tuple[str, date]]:
        """Return the days that were over at an instant in the account's calendar, that are given now, and that no report was loaded for; each with its report."""
        now, over = self._world.context.now(), local_date(end, self._account.time_zone)
        windows = self.windows()
        loaded = {(one["report"], one["window_date"]) for one in windows if one["load_count"]}
        return [
            (report.name, day)
            for report in self._dataset.reports
            for first in (self._first_day(report.name, now),)
            for n in range((over - first).days)
            if (report.name, day := first + timedelta(days=n)) not in loaded
        ]

    def given_up_too_early(self, given_up: GivenUp) -> list[date]:
        """Return the days that the product gave up though Amazon went on giving them for longer than its margin."""
        mine = (self._account.account_key, self._dataset.name)
        return [
            day
            for (key, dataset, day, report), at in given_up.items()
            if (key, dataset) == mine and day >= self._first_day(report, at + GIVEN_UP_AHEAD)
        ]

    def not_fresh(self) -> list[tuple[date, str]]:
        """Return the served days that are over whose last report was made before their newest refresh fell due, and no cause is stated; each with its status."""
        now = self._world.context.now()
        today = local_date(now, self._account.time_zone)
        return [
            (window["window_date"], window["status"])
            for window in self.windows()
            if self._first_day(window["report"], now) <= window["window_date"] < today
            and not window["cause"]
            and not self._is_fresh(window, now)
        ]

    def _is_fresh(self, window: Mapping[str, Any], now: datetime) -> bool:
        zone, offsets = self._account.time_zone, self._dataset.refresh_offsets
        due = [due_at(window["window_date"], offset, zone) for offset in offsets]
        newest = max((at for at in due if at <= now - PATIENCE), default=None)
        return newest is None or (
            window["data_as_of"] is not None and window["data_as_of"] >= newest
        )

    def _first_day(self, report: str, at: datetime) -> date:
        """Return the oldest day that the sandbox does not refuse at an instant, and that is a window; where it answers older ones as an empty success, these are all windows."""
        histories = self._histories_of(report)
        products = [one for one in AD_PRODUCTS if one in products_of(report)]
        if any(rule.empty and any(map(rule.covers, products)) for rule in histories):
            histories = []
        return min(self._first_days(products, at, histories))

    def _first_days(
        self, products: Sequence[AdProduct], at: datetime, histories: Sequence[History]
    ) -> list[date]:
        today = self._world.owner(self._account.account_id).first_day(at)
        hourly = self._dataset.is_hourly
        return [first_day_of(one, today, histories, hourly=hourly) for one in products]

    def _histories_of(self, report: str) -> list[History]:
        """Return the sandbox's rules about how far back it serves a report of the account."""
        products, owner = products_of(report), self._world.owner(self._account.account_id)
        names = [
            name
            for one in datasets_of(self._dataset.fields_for(products), products)
            for name in dataset_names(one)
        ]
        return [
            rule
            for rule in self._histories
            if rule.region in {None, owner.region} and rule.dataset in {None, *names}
        ]

    def _mismatch(self, day: date | None, what: str) -> str:
        return f"{self._account.account_key} {self._dataset.name} {day or 'no day'}: {what}"

    def _compare(self, window: Mapping[str, Any], expected: Rows, stored: Rows) -> Iterator[str]:
        for what in differences(self._dataset, expected, stored):
            yield self._mismatch(window["window_date"], what)
        if window["load_count"] and window["row_count"] != len(stored):
            what = f"row_count: expected {len(stored)}, got {window['row_count']}"
            yield self._mismatch(window["window_date"], what)

    def _compare_window(self, window: Mapping[str, Any], stored: Rows) -> Iterator[str]:
        """Compare what a window says of itself with its rows, and with the reports that it was loaded from."""
        sources = self._sources(window)
        last = next(reversed(sources.values()), None)
        if window["loaded_by_request"] != last:
            what = f"loaded_by_request: expected {last}, got {window['loaded_by_request']}"
            yield self._mismatch(window["window_date"], what)
        for product in sources:
            told = window["product_totals"][product]
            got = tuple(Decimal(str(told[name])) for name in ("rows", "spend", "sales"))
            expected = self._totals(stored, product)
            if got != expected:
                what = f"{product}: expected rows, spend, sales {expected}, got {got}"
                yield self._mismatch(window["window_date"], what)

    def _totals(self, rows: Rows, product: AdProduct) -> tuple[Decimal, ...]:
        """Return how many rows there are of an ad product, and their spend and sales in the account's currency."""
        mine, currency = of_products(rows, {product}), self._account.currency_code
        ours = [row for key, row in mine.items() if key[CURRENCY] == currency]
        sums = (total(self._dataset, name, ours) for name in ("spend", "sales"))
        return Decimal(len(mine)), *sums

    def _compare_quarantine(self) -> Iterator[str]:
        rows = self._rows(
            "SELECT request_id, row_number, window_date, raw FROM quarantined_rows WHERE {} AND dataset = :dataset"
        )
        stored = set()
        for row in rows:
            raw = canonical(json.loads(row["raw"], parse_float=Decimal))
            bad = BadRow(row["row_number"], row["window_date"], raw)
            stored.add((row["request_id"], bad))
        kept, possible = self._replay_quarantine()
        for request, bad in sorted(kept - stored, key=str):
            yield self._mismatch(bad.day, f"missing from quarantine: request {request}, {bad}")
        for request, bad in sorted(stored - kept - possible, key=str):
            yield self._mismatch(bad.day, f"not to be in quarantine: request {request}, {bad}")

    def _replay_quarantine(self) -> tuple[set[tuple[int, BadRow]], set[tuple[int, BadRow]]]:
        """Return the bad rows that have to be kept aside by now, and those that may be, with their requests.

        A row has to be kept while its day holds its report; one without a day, while any day does.
        It may be kept while no later report of its day was loaded, suspicious or refused.
        """
        last = {
            (day, self._products(request)): request
            for request, days in self._loads.items()
            for day in days
        }
        kept, possible = set(), set()
        for request, days in self._loads.items():
            held = {day for day in days if request in self._loaded_by[day].values()}
            newest = {day for day in days if last[day, self._products(request)] == request}
            for bad in self._delivery(request).bad:
                if bad.day in held or (bad.day is None and held):
                    kept.add((request, bad))
                elif bad.day in newest or (bad.day is None and newest):
                    possible.add((request, bad))
        return kept, possible

    def _delivery(self, request: int) -> Delivery:
        if request not in self._deliveries:
            report = self._report(request)
            texts = self._world.sandbox.state.reports.rows(report)
            self._deliveries[request] = self._reader.read(
                texts, report.request, self._loads[request]
            )
        return self._deliveries[request]

    def _products(self, request: int) -> frozenset[AdProduct]:
        return frozenset(self._report(request).request.products)

    def _report(self, request: int) -> Report:
        report = self._world.sandbox.state.reports.find(self._report_ids[request])
        assert report is not None
        return report

    def _list_loads(self) -> tuple[dict[int, set[date]], dict[date, dict[AdProduct, int]]]:
        """Return which days each load dealt with, in the order of the loads, and which request each ad product of a day was last loaded from.

        A load deals with a day whether the day took its report, was suspicious, unconfirmed or
        refused.
        """
        told = self._world.query(
            """SELECT type, payload FROM session_actions
                WHERE (payload ->> 'account' = :key OR payload -> 'accounts' ? :key) AND payload ->> 'dataset' = :dataset
                  AND (type IN ('report-processed', 'report-suspicious', 'windows-unconfirmed')
                       OR type = 'report-failed' AND payload -> 'cause' ->> 'code' IN ('rows-invalid', 'rows-undated'))
                ORDER BY at, ord""",
            key=self._account.account_key,
            dataset=self._dataset.name,
        )
        loads: dict[int, set[date]] = defaultdict(set)
        loaded_by: dict[date, dict[AdProduct, int]] = defaultdict(dict)
        for row in told:
            request, accounts = row["payload"]["request_id"], row["payload"].get("accounts") or {}
            days = accounts.get(self._account.account_key, row["payload"]["windows"])
            loads[request].update(map(date.fromisoformat, days))
            if row["type"] == "report-processed":
                for day in map(date.fromisoformat, days):
                    for product in self._products(request):
                        loaded_by[day].pop(product, None)  # the last one comes last
                        loaded_by[day][product] = request
        return loads, loaded_by

    def _has_targets(self) -> bool:
        """Return whether an export of targets was loaded."""
        exports = "SELECT 1 FROM entity_exports WHERE {} AND kind = 'targets' AND status = 'loaded'"
        return bool(self._rows(exports))

    def _stored(self) -> Mapping[date, Rows]:
        found = stored_days(self._world.engine, self._account, self._dataset)
        return defaultdict(dict, found)

    def _rows(self, statement: str) -> Sequence[Mapping[str, Any]]:
        mine = "account_id = :account_id AND country_code = :country_code"
        values = self._account.identity | {"dataset": self._dataset.name}
        return self._world.query(statement.format(mine), **values)


def _changes_rows(report: Report) -> bool:
    return any(rule.name not in LEAVES_ROWS_TRUE for rule in report.rules)
