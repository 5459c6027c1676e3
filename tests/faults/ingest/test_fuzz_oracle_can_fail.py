"""The oracle of the fuzzed loads is no yes-man: whatever a load does wrong on purpose, it finds."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from bidbeacon_pipelines.datasets.registry import HOURLY_TARGETS
from bidbeacon_pipelines.loading.load import LoadResult, load_report
from bidbeacon_pipelines.values.decode import BrokenPartError
from tests.faults.ingest.fuzz_documents import FIRST_DAYS, Document, Number, valid_rows, written
from tests.faults.ingest.fuzz_shrinking import shrunk
from tests.faults.ingest.fuzz_verdict import find_fault
from tests.faults.ingest.fuzz_world import FuzzWorld, Load

pytestmark = pytest.mark.faults

KEY = "window_date, hour_at, row_key"
ONE_ROW = f"({KEY}) = (SELECT {KEY} FROM hourly_target_performance WHERE spend > 0 ORDER BY {KEY} LIMIT 1)"
BREAKAGES = {
    "a row dropped": f"DELETE FROM hourly_target_performance WHERE {ONE_ROW}",
    "a cent more": f"UPDATE hourly_target_performance SET spend = spend + 0.01 WHERE {ONE_ROW}",
    "a millionth less": f"UPDATE hourly_target_performance SET spend = spend - 0.000001 WHERE {ONE_ROW}",
    "no value for a number": f"UPDATE hourly_target_performance SET clicks = NULL WHERE {ONE_ROW}",
    "another hour": f"UPDATE hourly_target_performance SET hour_at = hour_at + interval '15 minutes' WHERE {ONE_ROW}",
    "another target": f"UPDATE hourly_target_performance SET target_value = '1' WHERE {ONE_ROW}",
    "a bad row dropped": "DELETE FROM quarantined_rows",
    "a bad row's cause without its field": "UPDATE quarantined_rows SET cause = '{}'",
    "a bad row kept otherwise than it came": "UPDATE quarantined_rows SET raw = replace(raw, 'adGroup.id', 'id')",
    "a change not told": "DELETE FROM restatements WHERE id = (SELECT max(id) FROM restatements)",
    "a window's count": "UPDATE report_windows SET row_count = row_count + 1",
}
"""What a load does to the tables besides, by what it is."""


def document() -> Document:
    """Return a report that is loaded over another one, with one bad row."""
    rng, days, [report] = Random(7), FIRST_DAYS[:1], HOURLY_TARGETS.reports
    rows = valid_rows(rng, HOURLY_TARGETS, report, days, 30)
    before = tuple(map(written, valid_rows(rng, HOURLY_TARGETS, report, days, 30)))
    bad = [(name, Number("-1") if name == "metric.clicks" else value) for name, value in rows[3]]
    bad = [(name, "US" if name == "campaign.country" else value) for name, value in bad]
    texts = [*map(written, rows), written(bad)]
    return Document(HOURLY_TARGETS, report, days, before, None, ()).with_rows(
        [texts[:20], texts[20:]]
    )


def cut_document() -> Document:
    """Return the same report, its last part without its end."""
    whole = document()
    return replace(whole, rows=None, parts=(whole.parts[0], whole.parts[1][:-20]))


def loading_with(statement: str) -> Load:
    """Return a load that does something besides."""

    def load(connection: Connection, *args: Any, **kwargs: Any) -> Mapping[str, LoadResult]:
        result = load_report(connection, *args, **kwargs)
        connection.execute(text(statement))
        return result

    return load


def raising(make: Callable[[], Exception]) -> Load:
    """Return a load that fails."""

    def load(connection: Connection, *args: Any, **kwargs: Any) -> Mapping[str, LoadResult]:
        load_report(connection, *args, **kwargs)
        raise make()

    return load


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> FuzzWorld:
    """Return a world."""
    return FuzzWorld(engine, tmp_path)


@pytest.mark.faults
def test_it_says_nothing_of_a_load_that_does_nothing_wrong(world: FuzzWorld) -> None:
    """Neither of one that loads, nor of one that refuses a file that is cut short."""
    assert find_fault(world, document()) is None
    assert find_fault(world, cut_document()) is None


@pytest.mark.faults
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_it_finds_whatever_a_load_changes(world: FuzzWorld, breakage: str) -> None:
    """A row dropped, a cent changed, a word untrue: each by itself is found."""
    assert find_fault(world, document(), loading_with(BREAKAGES[breakage])) is not None


@pytest.mark.faults
def test_it_finds_an_error_that_is_not_ours(world: FuzzWorld) -> None:
    """A KeyError out of a load is told with where it came from."""
    found = find_fault(world, document(), raising(lambda: KeyError("ad.id")))
    assert found is not None
    assert found.startswith("an error that is not ours")
    assert "KeyError: 'ad.id'" in found


@pytest.mark.faults
def test_it_finds_a_report_refused_without_cause(world: FuzzWorld) -> None:
    """Our own error is no excuse where every part can be read."""
    found = find_fault(world, document(), raising(lambda: BrokenPartError("part-0", 0, "nothing")))
    assert found is not None
    assert found.startswith("a report that can be read was refused")


@pytest.mark.faults
def test_it_finds_a_broken_file_that_is_loaded(world: FuzzWorld) -> None:
    """Loading what comes before the fault is loading half a report."""

    def load(connection: Connection, *args: Any, **kwargs: Any) -> Mapping[str, LoadResult]:
        scope, waiting, parts = args
        return load_report(connection, scope, waiting, parts[:1], **kwargs)

    found = find_fault(world, cut_document(), load)
    assert found is not None
    assert found.startswith("a broken file was loaded")


@pytest.mark.faults
def test_it_finds_what_a_failed_load_leaves(world: FuzzWorld) -> None:
    """A transaction of its own outlives the one that is rolled back."""

    def load(connection: Connection, *args: Any, **kwargs: Any) -> Mapping[str, LoadResult]:
        with world.engine.begin() as other:
            other.execute(text(f"DELETE FROM hourly_target_performance WHERE {ONE_ROW}"))
        return load_report(connection, *args, **kwargs)

    found = find_fault(world, cut_document(), load)
    assert found is not None
    assert found.startswith("a load failed and yet changed the tables")


@pytest.mark.faults
def test_a_fault_is_shown_by_the_smallest_document(world: FuzzWorld) -> None:
    """Of 31 rows and an earlier report only the row at fault is left."""
    small = shrunk(
        document(),
        lambda one: any('"metric.clicks":-1' in row for part in one.rows or () for row in part),
    )
    assert small.before is None
    assert [1] == [len(part) for part in small.rows or ()]
