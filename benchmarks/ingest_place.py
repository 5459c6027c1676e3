"""The place of loads: a database with one account, for all contenders; the product is one."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, text

from benchmarks.database import alone, url_of
from benchmarks.ingest_load import DATASET, NOW, Cost, load_parts
from benchmarks.ingest_reports import DAYS, Report
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.partitions import ensure_partitions
from bidbeacon_pipelines.entities.queries import merge_entities, name_targets
from bidbeacon_pipelines.requests.queries import attach_windows
from bidbeacon_pipelines.windows.queries import WindowTimes, create_windows
from tests.support.rows import add_account, add_request

TABLE = DATASET.name
FIVE_INDEXES = (
    "account, campaign_id, window_date",
    "account, ad_group_id, window_date",
    "account, target_value, window_date",
    "account, target_match, window_date",
    "hour_at, account",
)
"""Indexes for queries by campaign, ad group, text, target or hour, beside the table's own."""
_WRITTEN = (
    "report_windows",
    "report_requests",
    "restatements",
    "quarantined_rows",
    "report_loads",
    "row_removals",
)
_TABLES = ", ".join((TABLE, *_WRITTEN))
_DIGEST = f"""
    SELECT count(*), coalesce(sum(hashtextextended(ROW(
           window_date, extract(epoch FROM hour_at), row_key, ad_product, currency_code,
           campaign_id, ad_group_id, target_value, match_type, target_match, impressions, clicks,
           orders, units, sales, spend)::text, 0)::numeric), 0)
      FROM {TABLE}"""


class Place:
    """The database; autovacuum is off, since it would slow down some turns only."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.accounts: list[Account] = []
        self.add_countries(["US"])
        for table in (*ensure_partitions(engine, DATASET, DAYS[0], DAYS[-1]), *_WRITTEN):
            alone(engine, f"ALTER TABLE {table} SET (autovacuum_enabled = off)")

    @property
    def account(self) -> Account:
        """The account of most reports."""
        return self.accounts[0]

    def add_countries(self, countries: Sequence[str]) -> None:
        """Add countries to the ads account, all in one time zone."""
        usual = {"time_zone": "America/Los_Angeles", "region": "NA", "currency_code": "USD"}
        self.accounts += [add_account(self.engine, country, **usual) for country in countries]

    def add_targets(self, report: Report) -> None:
        """Store the targets of a report's account."""
        with self.engine.begin() as connection:
            merge_entities(connection, self.account, "targets", report.targets)
            name_targets(connection, self.account)
            name_targets(connection, self.account)
        alone(self.engine, "VACUUM (ANALYZE) targets, target_names")

    def add_indexes(self) -> None:
        """Add the five indexes."""
        for columns in FIVE_INDEXES:
            alone(self.engine, f"CREATE INDEX ON {TABLE} ({columns})")

    def empty(self) -> None:
        """Delete all rows, windows and requests."""
        alone(self.engine, f"TRUNCATE {_TABLES}")

    def tidy(self) -> None:
        """Vacuum and analyze the tables, in place of autovacuum."""
        alone(self.engine, f"VACUUM (ANALYZE) {_TABLES}")

    def checkpoint(self) -> None:
        """Checkpoint, so that every measurement writes the same page images."""
        alone(self.engine, "CHECKPOINT")

    def check(self, report: Report) -> None:
        """Assert that number of rows, spend and sales are exactly those of the report."""
        found = self._row(f"SELECT count(*), sum(spend), sum(sales) FROM {TABLE}")
        assert found == report.truth, f"expected rows, spend, sales {report.truth}, got: {found}"

    def digest(self) -> tuple[int, Decimal]:
        """Return the number of rows, and a digest of their values in any order."""
        rows, digest = self._row(_DIGEST)
        return rows, digest

    def wal_position(self) -> int:
        """Return the bytes of WAL that the server has written."""
        return int(self._row("SELECT pg_current_wal_insert_lsn() - '0/0'")[0])

    def _row(self, statement: str) -> tuple[Any, ...]:
        with self.engine.begin() as connection:
            return tuple(connection.execute(text(statement)).one())


@dataclass
class Contender:
    """A way to load reports of the account."""

    place: Place
    name = ""

    def prepare(self) -> None:
        """Prepare a load, outside of its measurement."""

    def load(self, report: Report) -> None:
        """Load a report into the empty table."""
        raise NotImplementedError

    def refresh(self, report: Report) -> None:
        """Load a report into the table that holds an earlier one of the same days."""
        self.load(report)


@dataclass
class Ours(Contender):
    """Loads reports with the product, in this process or in one of its own."""

    name = "ours"
    requests = 0

    def prepare(self) -> None:
        """Request another report for the windows, a day after the last one."""
        self.requests += 1
        sent_at = NOW + timedelta(days=self.requests)
        times = dict.fromkeys(DAYS, WindowTimes(NOW, NOW + timedelta(days=700)))
        request = {"end_date": DAYS[-1], "created_at": sent_at}
        with self.place.engine.begin() as connection:
            for account in self.place.accounts:
                create_windows(connection, account, DATASET.name, "SP", times)
            self._request_id = add_request(
                connection, account.account_id, DAYS[0], DATASET.name, "SP", **request
            )
            attach_windows(connection, self._request_id, now=sent_at)

    def load(self, report: Report) -> None:
        """Load a report that windows wait for."""
        [result] = load_parts(self.place.engine, self._request_id, report.parts)
        counts = result.quarantined, result.unresolved
        assert counts == (report.bad, report.unresolved), f"bad, unresolved: {counts}"

    def load_alone(self, report: Report) -> Cost:
        """Load it in a process of its own, and return the cost."""
        arguments = url_of(self.place.engine), str(self._request_id), *map(str, report.parts)
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.ingest_load", *arguments]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        return Cost(**json.loads(done.stdout))
