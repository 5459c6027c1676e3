"""Where loads are measured: a durable server of its own, and on it a database for each contender, all with the same account and targets; and the product as a contender."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import Engine, make_url, text

from benchmarks.ingest_load import DATASET, NOW, Cost, load_parts
from benchmarks.ingest_reports import DAYS, Report
from bidbeacon_pipelines.accounts.queries import get_account, upsert_account, upsert_ads_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.schema import upgrade
from bidbeacon_pipelines.datasets.partitions import ensure_partitions
from bidbeacon_pipelines.entities.queries import merge_entities, name_targets
from bidbeacon_pipelines.requests.queries import insert_request
from bidbeacon_pipelines.windows.queries import WindowTimes, attach_windows, create_windows
from tools.temporary_postgres import temporary_postgres

TABLE = DATASET.table
FIVE_INDEXES: Mapping[str, str] = {
    "campaign": "account, campaign_id, window_date",
    "ad_group": "account, ad_group_id, window_date",
    "text": "account, target_value, window_date",
    "target": "account, target_match, window_date",
    "hour": "hour_at, account",
}
"""Indexes that queries by campaign, ad group, text, target or hour would need besides the table's own."""
_WRITTEN = (
    TABLE,
    "report_windows",
    "report_requests",
    "restatements",
    "quarantined_rows",
    "report_loads",
    "row_removals",
)
_DIGEST = text(f"""
    SELECT count(*), coalesce(sum(hashtextextended(ROW(
           window_date, extract(epoch FROM hour_at), row_key, ad_product, currency_code, campaign_id, ad_group_id, target_value, match_type,
           target_match, impressions, clicks, orders, units, sales, spend)::text, 0)::numeric), 0) FROM {TABLE}""")


@dataclass
class Place:
    """One contender's database."""

    url: str
    engine: Engine
    accounts: list[Account]

    @property
    def account(self) -> Account:
        """The account of most reports."""
        return self.accounts[0]

    def add_countries(self, countries: Sequence[str]) -> None:
        """Add the ads account in more countries."""
        with self.engine.begin() as connection:
            self.accounts += [_add_account(connection, country) for country in countries]

    def take_stock(self, report: Report) -> None:
        """Empty it, and store the targets of a report's account."""
        with self.engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {', '.join(_WRITTEN)}, targets, target_names"))
            merge_entities(connection, self.account, "targets", report.targets)
            name_targets(connection, self.account)
            name_targets(connection, self.account)
        self.tidy("targets, target_names")

    def empty(self) -> None:
        """Forget all rows, windows and requests."""
        with self.engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {', '.join(_WRITTEN)}"))

    def tidy(self, tables: str = ", ".join(_WRITTEN)) -> None:
        """Do what autovacuum, which is off on these tables, would do at some moment."""
        self._alone(f"VACUUM (ANALYZE) {tables}")

    def checkpoint(self) -> None:
        """Begin with no dirty pages and a fresh checkpoint, so that every measurement pays for the same page images."""
        self._alone("CHECKPOINT")

    def index(self) -> None:
        """Add the five indexes."""
        for name, columns in FIVE_INDEXES.items():
            self._alone(f"CREATE INDEX bench_{name} ON {TABLE} ({columns})")

    def check(self, report: Report) -> None:
        """Refuse a result that isn't the report's truth: rows, spend and sales, to the last digit."""
        found = self._row(f"SELECT count(*), sum(spend), sum(sales) FROM {TABLE}")
        assert found == report.truth, f"expected rows, spend, sales {report.truth}, got: {found}"

    def digest(self) -> tuple[int, Decimal]:
        """Return the number of rows, and one for all that they say, whatever their order."""
        with self.engine.begin() as connection:
            rows, digest = connection.execute(_DIGEST).one()
        return rows, digest

    def wal_position(self) -> int:
        """Return how many bytes of WAL the server has written."""
        return int(self._row("SELECT pg_current_wal_insert_lsn() - '0/0'")[0])

    def _row(self, statement: str) -> tuple[Any, ...]:
        with self.engine.begin() as connection:
            return tuple(connection.execute(text(statement)).one())

    def _alone(self, statement: str) -> None:
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))


class Contender:
    """What loads reports of the place's account."""

    name: str

    def __init__(self, place: Place) -> None:
        self.place = place

    def load(self, report: Report) -> None:
        """Load a report into the empty table."""
        raise NotImplementedError

    def refresh(self, report: Report) -> None:
        """Load a report into the table that holds an earlier one of the same days."""
        raise NotImplementedError


class Ours(Contender):
    """Loads reports with the product, in this process or in one of its own."""

    name = "ours"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._requests = 0

    def load(self, report: Report) -> None:
        """Load a report that waits since `request`."""
        [result] = load_parts(self.place.engine, self.request_id, report.parts)
        counts = result.quarantined, result.unresolved
        assert counts == (report.bad, report.unresolved), f"bad, unresolved: {counts}"

    refresh = load

    def load_alone(self, report: Report) -> Cost:
        """Load it in a process of its own, and return what that cost."""
        arguments = self.place.url, str(self.request_id), *map(str, report.parts)
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.ingest_load", *arguments]
        return Cost(
            **json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        )

    def request(self) -> None:
        """Let the windows wait for one more report, a day after the last; that is no part of a load."""
        self._requests += 1
        sent_at = NOW + timedelta(days=self._requests)
        times = dict.fromkeys(DAYS, WindowTimes(NOW, NOW + timedelta(days=700)))
        with self.place.engine.begin() as connection:
            for account in self.place.accounts:
                create_windows(connection, account, DATASET.name, "SP", times)
            self.request_id = insert_request(
                connection,
                account_id=self.place.account.account_id,
                dataset=DATASET.name,
                report="SP",
                start_date=DAYS[0],
                end_date=DAYS[-1],
                by_hand=False,
                requested_by=uuid4(),
                created_at=sent_at,
            )
            attach_windows(connection, self.request_id, now=sent_at)


@contextmanager
def places(names: Sequence[str]) -> Iterator[list[Place]]:
    """Yield a database for each name, on one durable server that is deleted at the end."""
    with (
        TemporaryDirectory(prefix="bidbeacon-bench-") as folder,
        temporary_postgres(Path(folder), durable=True) as url,
    ):
        made = [_make_place(url, name) for name in names]
        yield made
        for place in made:
            place.engine.dispose()


def _make_place(server_url: str, name: str) -> Place:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    upgrade(url)
    return place_at(url)


def place_at(url: str) -> Place:
    """Return the place that a migrated, empty database is; autovacuum leaves its tables alone, lest it strikes one turn and not another."""
    engine = make_engine(url)
    months = ensure_partitions(engine, DATASET, DAYS[0], DAYS[-1]) or [f"{TABLE}_{DAYS[0]:%Y_%m}"]
    with engine.begin() as connection:
        for table in (*months, *(one for one in _WRITTEN if one != TABLE)):
            connection.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = off)"))
        account = _add_account(connection, "US")
    return Place(url, engine, [account])


def _add_account(connection: Any, country: str) -> Account:
    key = f"{country}.bench"
    values = {
        "account_id": "amzn1.ads-account.g.bench000000000000000000",
        "country_code": country,
        "account_key": key,
        "name": "Bench",
        "amazon_status": "CREATED",
        "profile_id": "1",
        "entity_id": None,
        "region": "NA",
        "currency_code": "USD",
        "time_zone": "America/Los_Angeles",
        "marketplace_id": None,
        "account_type": None,
        "trusted": True,
    }
    upsert_ads_account(connection, values | {"client_id": "bench"}, now=NOW)
    upsert_account(connection, values, now=NOW)
    return get_account(connection, key)
