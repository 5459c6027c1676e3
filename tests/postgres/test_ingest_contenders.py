"""The contenders of `make bench SUITE=ingest` do the same: none is faster for doing less."""

from pathlib import Path

import pytest

from benchmarks.ingest_floor import Floor
from benchmarks.ingest_naive import Naive
from benchmarks.ingest_reports import Report, write_reports
from benchmarks.ingest_world import Contender, Ours, place_at

ROWS = 3_000


def test_all_contenders_leave_the_same_rows(database_url: str, tmp_path: Path) -> None:
    """Product, naive loader and floor: every column of every row is the same, after a first load and after a refresh."""
    place, reports = place_at(database_url), write_reports(tmp_path / "reports", ROWS)
    ours, floor = Ours(place), Floor(place)
    place.take_stock(reports[0])
    left = [digests(one, *reports) for one in (ours, Naive(place))]
    for report in reports:
        place.empty()
        ours.request()
        ours.load(report)
        floor.pack(report, place)
    left.append(digests(floor, *reports))
    assert left[0] == left[1] == left[2]
    rows = ROWS - reports[0].bad
    assert [rows, rows] == [count for count, _ in left[0]]
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


def test_a_load_in_a_process_of_its_own_tells_its_cost(database_url: str, tmp_path: Path) -> None:
    """Seconds, CPU and memory are the child's; memory of the load stands on top of what was imported. A wrong result is refused."""
    place, (report, _) = place_at(database_url), write_reports(tmp_path / "reports", ROWS)
    place.take_stock(report)
    ours = Ours(place)
    ours.request()
    cost = ours.load_alone(report)
    place.check(report)
    assert 0 < cost.cpu_seconds < cost.seconds + 0.1
    assert 20 < cost.imported_mb <= cost.peak_mb < 300
    report.spend_micros += 1
    with pytest.raises(AssertionError, match="expected rows, spend, sales"):
        place.check(report)
    place.engine.dispose()
