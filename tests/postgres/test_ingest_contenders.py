"""The contenders of `make bench SUITE=ingest` do the same: none is faster for doing less."""

from pathlib import Path

import pytest

from benchmarks.ingest_floor import Floor
from benchmarks.ingest_naive import Naive
from benchmarks.ingest_ours import OF_A_JOB, Ours
from benchmarks.ingest_reports import Report, write_reports
from benchmarks.ingest_world import Contender, Place, place_at

ROWS = 3_000


def test_all_contenders_leave_the_same_rows(database_url: str, tmp_path: Path) -> None:
    """Product, naive loader and floor: every column of every row is the same, after a first load and after a refresh."""
    place, (first, restated) = place_at(database_url), write_reports(tmp_path / "reports", ROWS)
    floor = Floor(place)
    place.take_stock(first)
    for report in (first, restated):
        floor.pack(report)
    left = [digests(one, first, restated) for one in (Ours(place), Naive(place), floor)]
    assert left[0] == left[1] == left[2]
    assert (ROWS - first.bad, ROWS - first.bad) == (left[0][0][0], left[0][1][0])
    place.engine.dispose()


def digests(one: Contender, first: Report, restated: Report) -> list[tuple[int, object]]:
    """Let one load a report and refresh it; return what the table held each time."""
    one.place.empty()
    found = []
    for load, report in ((one.load, first), (one.refresh, restated)):
        if isinstance(one, Ours):
            one.request()
        load(report)
        one.place.check(report)
        found.append(one.place.digest())
    return found


def test_a_wrong_result_is_not_measured(database_url: str, tmp_path: Path) -> None:
    """One millionth too much, and the context stops."""
    place, [report] = (
        place_at(database_url),
        write_reports(tmp_path / "reports", ROWS, restated=False),
    )
    place.take_stock(report)
    Naive(place).load(report)
    place.check(report)
    change(
        place,
        "UPDATE hourly_target_performance SET spend = spend + 0.000001 WHERE spend = (SELECT max(spend) FROM hourly_target_performance)",
    )
    with pytest.raises(AssertionError, match="expected rows, spend, sales"):
        place.check(report)
    place.engine.dispose()


def change(place: Place, statement: str) -> None:
    """Run a statement."""
    with place.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_a_load_in_a_process_of_its_own_tells_its_cost(database_url: str, tmp_path: Path) -> None:
    """Seconds, CPU and memory are the child's; memory of the load stands on top of what was imported."""
    place, [report] = (
        place_at(database_url),
        write_reports(tmp_path / "reports", ROWS, restated=False),
    )
    place.take_stock(report)
    ours = Ours(place)
    ours.request()
    cost = ours.load_alone(report, OF_A_JOB)
    place.check(report)
    assert 0 < cost.cpu_seconds < cost.seconds + 0.1
    assert 20 < cost.imported_mb <= cost.peak_mb < 300
    place.engine.dispose()
