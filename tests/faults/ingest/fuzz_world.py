"""Loads documents into a real database, each into a fresh one, and compares what is there with what the oracle says."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, text

from bidbeacon_pipelines.accounts.queries import lock_rows
from bidbeacon_pipelines.datasets.partitions import ensure_partitions
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.entities.queries import merge_entities
from bidbeacon_pipelines.loading.load import LoadResult, LoadRules, Waiting, load_report
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_pipelines.requests.queries import insert_request
from bidbeacon_pipelines.windows.queries import (
    WindowTimes,
    attach_windows,
    create_windows,
    list_windows_of_request,
    want_windows,
)
from tests.faults.ingest.fuzz_documents import TARGETS, Document, packed
from tests.faults.ingest.fuzz_oracle import Key, Metrics, target_columns
from tests.faults.ingest.written_tables import TABLES, digest_tables
from tests.postgres.load_world import add_account

AS_OF = datetime(2026, 12, 1, tzinfo=UTC)
VACUUM_EVERY = 500
SHOWN_FRAMES = 8
Load = Callable[..., Mapping[str, LoadResult]]


@dataclass(frozen=True)
class Attempt:
    """What came of a load: its result, or what it raised; and what the tables held before and after."""

    request_id: int
    result: LoadResult | None
    error: Exception | None
    rows_before: Mapping[Key, Metrics]
    unchanged: bool

    @property
    def trace(self) -> str:
        """What was raised, and where in our own code."""
        frames = traceback.extract_tb(self.error.__traceback__) if self.error else []
        ours = [
            f"{Path(one.filename).name}:{one.lineno} {one.name}"
            for one in frames
            if "bidbeacon_" in one.filename
        ]
        return f"{type(self.error).__name__}: {self.error}\nfrom {' > '.join(ours[-SHOWN_FRAMES:])}"


class FuzzWorld:
    """One account with a few targets, and a folder for files."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self._folder = folder
        self._emptied = 0
        with engine.begin() as connection:
            self.account = add_account(connection)
            merge_entities(connection, self.account, "targets", list(map(target_columns, TARGETS)))

    def attempt(self, document: Document, load: Load = load_report) -> Attempt:
        """Load a document into an empty database, or over the rows it says were there; a load that fails is rolled back."""
        self._empty()
        if document.before is not None:
            earlier = self._request(document, AS_OF)
            self._load(document, earlier, self._write([packed(document.before)]), load_report)
        request_id = self._request(document, AS_OF + timedelta(days=1))
        paths, before = self._write(document.parts), digest_tables(self.engine)
        rows, result, error = self.rows(document.dataset), None, None
        try:
            result = self._load(document, request_id, paths, load)
        except Exception as raised:  # noqa: BLE001 - which errors are ours is what is asked here
            error = raised
        return Attempt(request_id, result, error, rows, before == digest_tables(self.engine))

    def load_again(self, document: Document) -> LoadResult:
        """Load a document once more, as of a later day."""
        request_id = self._request(document, AS_OF + timedelta(days=2))
        return self._load(document, request_id, self._write(document.parts), load_report)

    def rows(self, dataset: Dataset) -> dict[Key, Metrics]:
        """Return the stored rows by their keys."""
        hour = "hour_at" if dataset.is_hourly else "CAST(NULL AS timestamptz)"
        keys, metrics = (
            [one.column for one in dataset.keys],
            [one.column for one in dataset.metrics],
        )
        found = self.query(
            f"""SELECT window_date, {hour}, currency_code, ad_product, {", ".join(keys + metrics)} FROM {dataset.table}"""
        )
        split = 4 + len(keys)
        rows = {tuple(row[:split]): tuple(row[split:]) for row in found}
        assert len(rows) == len(found), "two stored rows have one key"
        return rows

    def query(self, statement: str, **values: Any) -> Sequence[Any]:
        """Return the rows of a query."""
        with self.engine.begin() as connection:
            return connection.execute(text(statement), values).all()

    def _empty(self) -> None:
        self._emptied += 1
        with self.engine.begin() as connection:
            if self._emptied % VACUUM_EVERY == 0:
                connection.execute(text(f"TRUNCATE {', '.join(TABLES)}"))
            for table in TABLES:
                connection.execute(text(f"DELETE FROM {table}"))

    def _write(self, parts: Sequence[bytes]) -> list[Path]:
        paths = [self._folder / f"part-{number}.json.gz" for number in range(len(parts))]
        for path, part in zip(paths, parts, strict=True):
            path.write_bytes(part)
        return paths

    def _request(self, document: Document, as_of: datetime) -> int:
        """Let the document's windows wait for a report."""
        name, days = document.dataset.name, document.days
        ensure_partitions(self.engine, document.dataset, min(days), max(days))
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "UPDATE report_requests SET status = 'failed', finished_at = now(), locked_by = NULL WHERE finished_at IS NULL"
                )
            )
            report = document.report.name
            times = dict.fromkeys(days, WindowTimes(AS_OF, AS_OF + timedelta(days=700)))
            create_windows(connection, self.account, name, report, times)
            request_id = insert_request(
                connection,
                self.account.account_id,
                name,
                report,
                min(days),
                max(days),
                by_hand=True,
                session_id=uuid4(),
                created_at=as_of,
            )
            want_windows(connection, self.account, name, days, "maria")
            attach_windows(connection, request_id, now=as_of)
        return request_id

    def _load(
        self, document: Document, request_id: int, paths: Sequence[Path], load: Load
    ) -> LoadResult:
        with self.engine.begin() as connection:
            lock_rows(connection, self.account)
            windows = list_windows_of_request(connection, request_id)[self.account.account_key]
            days = document.days
            scope = ReportScope(
                document.report,
                request_id,
                _as_of(connection, request_id),
                (min(days), max(days)),
            )
            waiting = [Waiting(self.account, windows, _rules(document))]
            [result] = load(connection, scope, waiting, paths).values()
            return result


def _as_of(connection: Connection, request_id: int) -> datetime:
    statement = text("SELECT created_at FROM report_requests WHERE id = :id")
    created_at: datetime = connection.execute(statement, {"id": request_id}).scalar_one()
    return created_at


def _rules(document: Document) -> LoadRules:
    return LoadRules(
        bad_row_share=document.bad_row_share,
        suspicious_again_at=lambda _: AS_OF,
        next_refresh_at=lambda _: AS_OF,
        refused_again_at=lambda _day, _has_data: AS_OF,
    )
