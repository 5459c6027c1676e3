"""Whatever a report has: good rows are stored to the last decimal, bad ones are set aside as they came, and a broken file changes nothing."""

import gzip
import json
import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS, Dataset
from bidbeacon_pipelines.loading.load import LoadResult
from bidbeacon_pipelines.values.decode import BrokenPartError, read_object
from tests.faults.ingest.report_strategies import DATASETS, DAYS, Row, reports, summed
from tests.postgres.load_world import LoadWorld, many_rows
from tests.support.truth import Key, Metrics
from tests.support.written_tables import digest_tables, empty_tables

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
any_report = settings(
    max_examples=int(os.environ.get("INGEST_EXAMPLES", "400")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def shelf(engine: Engine, tmp_path: Path) -> LoadWorld:
    """Return a database with one account."""
    return LoadWorld(engine, tmp_path)


def load(shelf: LoadWorld, dataset: Dataset, rows: Sequence[Row], age: int = 0) -> LoadResult:
    """Load a report, however many of its rows are bad."""
    raw = [row.raw for row in rows]
    return shelf.load(raw, dataset=dataset, days=DAYS, age=age, bad_row_share=1.0)


def stored(shelf: LoadWorld, dataset: Dataset) -> dict[Key, Metrics]:
    """Return what the table has."""
    hour = "hour_at" if dataset.is_hourly else "CAST(NULL AS timestamptz)"
    keys, metrics = ([one.column for one in some] for some in (dataset.keys, dataset.metrics))
    columns = ["window_date", f"{hour} AS hour_at", "currency_code", *keys, *metrics]
    rows = shelf.query(f"SELECT {', '.join(columns)} FROM {dataset.name}")
    split = 3 + len(keys)
    found = {tuple(row.values())[:split]: tuple(row.values())[split:] for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
@any_report
@given(data=st.data())
def test_rows_are_stored_exactly_or_set_aside(
    shelf: LoadWorld, dataset: Dataset, data: st.DataObject
) -> None:
    """A first report, and a second over it; restatements lead from one to the other."""
    empty_tables(shelf.engine)
    before, after = data.draw(reports(dataset)), data.draw(reports(dataset))
    load(shelf, dataset, before)
    first = stored(shelf, dataset)
    assert summed(before) == first
    result = load(shelf, dataset, after, age=2)
    kept = {key: row for key, row in first.items() if key[0] in result.suspicious}
    new = {key: row for key, row in summed(after).items() if key[0] not in result.suspicious}
    assert kept | new == stored(shelf, dataset)
    assert restated(shelf, dataset, first) == kept | new
    aside = shelf.query(
        "SELECT row_number, raw FROM quarantined_rows WHERE request_id = (SELECT max(id) FROM report_requests) ORDER BY row_number"
    )
    assert [n for n, row in enumerate(after) if row.is_bad] == [row["row_number"] for row in aside]
    for row in aside:
        assert repr(after[row["row_number"]].raw) == repr(read_object(row["raw"]))
    assert len(after) == result.rows_read
    assert sum(row.key is not None for row in after) == (
        result.rows + result.summed + result.withheld
    )


def restated(shelf: LoadWorld, dataset: Dataset, rows: dict[Key, Metrics]) -> dict[Key, Metrics]:
    """Return rows as the restatements change them."""
    changed = dict(rows)
    columns = "window_date, hour_at, currency_code, dimensions, old_values::text, new_values::text"
    for row in shelf.query(f"SELECT {columns} FROM restatements ORDER BY id"):
        dimensions = (row["dimensions"][one.column] for one in dataset.keys)
        key = (row["window_date"], row["hour_at"], row["currency_code"], *dimensions)
        assert changed.pop(key, None) == _values(dataset, row["old_values"])
        if (new := _values(dataset, row["new_values"])) is not None:
            changed[key] = new
    return changed


def _values(dataset: Dataset, values: str | None) -> Metrics | None:
    if values is None:
        return None
    told = json.loads(values, parse_float=Decimal)
    return tuple(told[one.column] for one in dataset.metrics)


def cut(packed: bytes, place: float) -> bytes:
    """Return a file without its end."""
    return packed[: int(len(packed) * place)]


def flip(packed: bytes, place: float) -> bytes:
    """Return a file with one bit changed."""
    at = int((len(packed) - 1) * place)
    return packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :]


def lengthen(packed: bytes, place: float) -> bytes:
    """Return a file with something behind its end."""
    return packed + (b"\0x" if place < 0.5 else gzip.compress(b"[]"))


def open_array(packed: bytes, place: float) -> bytes:
    """Return a whole gzip file of an array that is cut."""
    return gzip.compress(cut(gzip.decompress(packed), place))


def loaded_tables(shelf: LoadWorld) -> list[Any]:
    """Return digests of the tables but those of what is asked for."""
    asked = {"report_requests", "report_windows"}
    return [row for row in digest_tables(shelf.engine) if row.name not in asked]


@any_report
@example(damage=cut, place=0.999, count=2)
@given(
    damage=st.sampled_from([cut, flip, lengthen, open_array]),
    place=st.floats(0, 1, exclude_max=True),
    count=st.integers(1, 300),
)
def test_a_broken_file_changes_nothing(
    shelf: LoadWorld, damage: Any, place: float, count: int
) -> None:
    """A damage that the file's own checks can't see, in its name or time of change, leaves all rows."""
    empty_tables(shelf.engine)
    part = shelf.write_part(many_rows(count))
    part.write_bytes(damage(part.read_bytes(), place))
    before = loaded_tables(shelf)
    try:
        result = shelf.load_parts([part], days=DAYS, dataset=DAILY_TARGETS)
    except BrokenPartError:
        assert before == loaded_tables(shelf)
    else:
        assert damage is flip
        assert count == result.rows
