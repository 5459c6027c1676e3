"""A small world for tests of the load: one account with a few targets, and reports made by hand."""

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, func, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.digests import digest_of_target
from bidbeacon_pipelines.datasets.partitions import ensure_partitions
from bidbeacon_pipelines.datasets.registry import Dataset, DatasetReport, get_dataset
from bidbeacon_pipelines.loading.load import LoadResult, LoadRules, load_report
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_pipelines.requests.queries import attach_windows
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.queries import (
    WindowTimes,
    create_windows,
    list_windows,
    list_windows_of_request,
)
from bidbeacon_pipelines.windows.rules import failed
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_pipelines.windows.wanted_queries import want_windows
from tests.support.report_rows import to_json, with_target_ids
from tests.support.rows import add_account, add_entities, add_request, change_requests
from tests.support.world import execute, query

DATASET = get_dataset("daily_targets")
DAY = date(2026, 1, 10)
AS_OF = datetime(2026, 1, 12, tzinfo=UTC)
ASKED_AGAIN_AT = AS_OF + timedelta(minutes=15)
NEXT_AT = datetime(2026, 1, 13, 8, tzinfo=UTC)
"""Midnight in Los Angeles, three days after the day."""
EXPIRES_AT = AS_OF + timedelta(days=700)
CAMPAIGN, GROUP = "1001", "2001"
KEYWORD, PRODUCT, NEGATIVE = "4001", "4002", "3999"
Raw = dict[str, Any]


def target(target_id: str, **changes: Any) -> Raw:
    """Give a target's columns: an enabled EXACT keyword of the one ad group, unless changed."""
    values: Raw = {
        "target_id": target_id,
        "ad_group_id": GROUP,
        "campaign_id": CAMPAIGN,
        "state": "ENABLED",
        "negative": False,
        "match_type": "EXACT",
        "keyword": "dog shirt",
        "asin": None,
        "expression": None,
        "bid": Decimal("0.75"),
    }
    values |= changes
    named = {name: values[name] for name in ("keyword", "asin", "expression")}
    return values | {"match_digest": digest_of_target(values["match_type"], **named)}


def report_row(value: str = "dog shirt", day: date | str = DAY, **changes: Any) -> Raw:
    """Give a row as Amazon writes it; a change `clicks=3` is of `metric.clicks`, one with a dot is of the field itself."""
    row: Raw = {
        "date.value": str(day),
        "budgetCurrency.value": "USD",
        "adProduct.value": "Sponsored Products",
        "campaign.id": int(CAMPAIGN),
        "campaign.name": "Dog shirts",
        "campaign.country": "US",
        "adGroup.id": GROUP,
        "target.value": value,
        "target.matchType": "EXACT",
        "metric.impressions": 100,
        "metric.clicks": 5,
        "metric.purchases": 1,
        "metric.sales": Decimal("19.99"),
        "metric.unitsSold": 2,
        "metric.totalCost": Decimal("1.234567"),
        "metric.purchasesPromoted": 1,
        "metric.salesPromoted": Decimal("19.99"),
        "metric.unitsSoldPromoted": 1,
        "metric.salesHalo": Decimal(0),
        "metric.unitsSoldHalo": 1,
    }
    return row | {key if "." in key else f"metric.{key}": value for key, value in changes.items()}


def many_rows(count: int, day: date = DAY) -> list[Raw]:
    """Return so many rows of different campaigns."""
    return [report_row(day=day) | {"campaign.id": 5_000 + number} for number in range(count)]


class LoadWorld:
    """One account, and reports that are loaded into it as the jobs do."""

    def __init__(self, engine: Engine, folder: Path, account: Account | None = None) -> None:
        self.engine = engine
        self._folder = folder
        self.account = account or add_account(engine)

    def add_targets(self, *targets: Raw) -> None:
        """Store targets; by default a keyword, its negative twin and a product."""
        twin = target(NEGATIVE, negative=True)
        product = target(PRODUCT, match_type="PRODUCT_EXACT", keyword=None, asin="B000000001")
        usual = (target(KEYWORD), twin, product)
        add_entities(self.engine, self.account, "targets", *(targets or usual))

    def write_part(self, rows: Sequence[Raw], *, cut: bool = False) -> Path:
        """Write one part of a report; `cut` leaves out the second half of its bytes."""
        path = self._folder / f"{uuid4().hex}.json.gz"
        packed = gzip.compress(to_json(list(rows)).encode())
        path.write_bytes(packed[: len(packed) // 2] if cut else packed)
        return path

    def load(self, rows: Sequence[Raw], **options: Any) -> LoadResult:
        """Load one report of these rows; `options` are those of `load_parts`."""
        return self.load_parts([self.write_part(rows)], **options)

    def load_parts(
        self,
        parts: Sequence[Path],
        *,
        days: Sequence[date] = (DAY,),
        age: float = 0,
        dataset: Dataset = DATASET,
        ad_products: Sequence[str] = ("SPONSORED_PRODUCTS",),
        bad_row_share: float = 0.02,
        period: tuple[date, date] | None = None,
    ) -> LoadResult:
        """Load a report's files, for these days, whose data is as of so many days after `AS_OF`."""
        ensure_partitions(self.engine, dataset, min(days), max(days))
        report = DatasetReport(dataset, tuple(ad_products))
        with self.engine.begin() as connection:
            scope = self.ask(connection, report, days, AS_OF + timedelta(days=age))
            if period is not None:
                scope = replace(scope, period=period)
            return self.load_scope(connection, scope, parts, bad_row_share)

    def ask(
        self, connection: Connection, report: DatasetReport, days: Sequence[date], as_of: datetime
    ) -> ReportScope:
        """Store a request for these days, which wait for it from then on."""
        name, first, last = report.dataset.name, min(days), max(days)
        times = dict.fromkeys(days, WindowTimes(AS_OF, EXPIRES_AT))
        create_windows(connection, self.account, name, report.name, times)
        of = {"end_date": last, "created_at": as_of, "by_hand": True}
        request_id = add_request(
            connection, self.account.account_id, first, name, report.name, **of
        )
        want_windows(connection, self.account, name, days, "maria", now=as_of)
        attach_windows(connection, request_id, now=as_of)
        return ReportScope(report, request_id, as_of, (first, last), uuid4())

    def load_scope(
        self,
        connection: Connection,
        scope: ReportScope,
        parts: Sequence[Path],
        bad_row_share: float = 0.02,
    ) -> LoadResult:
        """Load the files of a report that was asked for."""
        rules = LoadRules(
            now=AS_OF,
            bad_row_share=bad_row_share,
            refused=lambda _, window, cause: failed(window, cause, NEXT_AT),
        )
        windows = list_windows_of_request(connection, scope.request_id)[self.account.account_key]
        waiting = [(self.account, windows)]
        [result] = load_report(connection, scope, waiting, parts, rules).values()
        change_requests(
            connection,
            ReportRequest.id == scope.request_id,
            status="loaded",
            finished_at=func.now(),
        )
        return result

    def window(self, day: date = DAY, dataset: Dataset = DATASET) -> ReportWindow:
        """Give the only window of a day as stored."""
        [window] = self.windows(day, dataset)
        return window

    def windows(self, day: date = DAY, dataset: Dataset = DATASET) -> list[ReportWindow]:
        """Give the windows of a day as stored, by report."""
        with self.engine.begin() as connection:
            return list_windows(connection, self.account, dataset.name, [day])

    def rows(self, columns: str = "*", day: date = DAY) -> list[Mapping[str, Any]]:
        """Give the stored rows of a day, in order."""
        return query(
            self.engine,
            f"SELECT {columns} FROM {with_target_ids(DATASET)} WHERE window_date = :day ORDER BY campaign_id, target_value",
            day=day,
        )

    def rows_as_written(self) -> list[Mapping[str, Any]]:
        """Give the stored rows, with what changes whenever one is written, in order."""
        return self.query(
            f"SELECT *, xmin, ctid FROM {DATASET.name} ORDER BY campaign_id, target_value"
        )

    def row(self, columns: str = "*") -> Mapping[str, Any]:
        """Give the only stored row of the day."""
        [row] = self.rows(columns)
        return row

    def query(self, statement: str) -> list[Mapping[str, Any]]:
        """Give the rows of a query."""
        return query(self.engine, statement)

    def execute(self, statement: str) -> None:
        """Run one statement."""
        execute(self.engine, statement)


def run(connection: Connection, statement: str, **values: Any) -> None:
    """Run one statement on a connection."""
    connection.execute(text(statement), values)
