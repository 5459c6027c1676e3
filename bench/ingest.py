"""The suite `ingest`: from gzip bytes on disk to committed rows, against a naive loader and against what the database alone needs.

All load the same reports of hourly targets, one row of 1,000 bad and one of an unknown target, on one durable server: on the product's table
as it is, and then with five indexes more.
"""

import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure, at_least, at_most, told
from bench.ingest_floor import Floor
from bench.ingest_naive import Naive
from bench.ingest_ours import OF_A_RUN, Cost, Ours
from bench.ingest_race import Race
from bench.ingest_reports import Report, write_reports
from bench.ingest_world import FIVE_INDEXES, places

SMALL, LARGE = 100_000, 1_000_000
MOST_MB, MOST_MICROSECONDS = 130, 7


@dataclass(frozen=True)
class Bounds:
    """What must hold on one form of the table.

    Attributes:
        table: Which form it is.
        first: A first load, how many times faster than naive at least, and at most what part of the floor's time.
        refresh: The same of a refresh.
        large: A first load of a million rows, at most what part of the floor's time.
    """

    table: str
    first: tuple[float, float]
    refresh: tuple[float, float]
    large: float


OWN = Bounds("own table", first=(2.5, 1.4), refresh=(7, 0.4), large=1.0)
FIVE = Bounds("five indexes", first=(2.5, 1.4), refresh=(7, 0.4), large=1.0)
WAL_UNCHANGED, WAL_CHANGED = 20, 350


def ingest() -> Iterator[Figure]:
    """Measure."""
    yield told("load of the machine beforehand (processes that want a core)", os.getloadavg()[0], "")
    with TemporaryDirectory(prefix="bidbeacon-bench-") as folder, places(["ours", "naive", "floor"]) as found:
        race = Race(Ours(found[0]), Naive(found[1]), Floor(found[2]))
        _say(f"Writing reports of {SMALL:,} and {LARGE:,} rows")
        first, restated = write_reports(Path(folder) / "small", SMALL)
        [large] = write_reports(Path(folder) / "large", LARGE, restated=False)
        race.start(first, restated)
        _say("On the product's own table: its key, and an index of the few unresolved rows")
        yield from _small(race, first, restated, OWN)
        _say(f"With five indexes more: by {', '.join(FIVE_INDEXES)}")
        race.index()
        yield from _small(race, first, restated, FIVE)
        yield from _memory_of_a_run(race, first)
        race.start(large)
        yield from _large(race, large)


def _small(race: Race, first: Report, restated: Report, bounds: Bounds) -> Iterator[Figure]:
    race.run(first, restated)
    yield from _against(race, "first", f"{bounds.table}: first load, {SMALL:,} rows", bounds.first)
    yield from _against(race, "refresh", f"{bounds.table}: refresh, 2 % changed", bounds.refresh)
    yield told(f"{bounds.table}: refresh, nothing changed", race.median(race.ours, "unchanged"), "s")
    yield from _wal(race, bounds.table)


def _against(race: Race, case: str, name: str, bounds: tuple[float, float]) -> Iterator[Figure]:
    """Tell what a case took, and how that compares."""
    took = race.median(race.ours, case)
    yield told(name, took, "s")
    yield at_least(f"{name}, against naive", race.median(race.naive, case) / took, "× as fast", bounds[0])
    yield at_most(f"{name}, against the floor", took / race.median(race.floor, case), "× its time", bounds[1])


def _wal(race: Race, table: str) -> Iterator[Figure]:
    """Tell the WAL of refreshes: with the image of every page they touch, as right after a checkpoint, and of a second one soon after."""
    for case, what, bound in (
        ("unchanged", "nothing changed", WAL_UNCHANGED),
        ("refresh", "2 % changed", WAL_CHANGED),
    ):
        written = race.median(race.ours, f"{case}: WAL") / SMALL
        yield at_most(
            f"{table}: WAL of a refresh, {what}, with all page images", written, "bytes a row", bound
        )
    again = race.median(race.ours, "soon again: WAL") / SMALL
    yield told(f"{table}: the same, 2 % changed, when its pages were touched before", again, "bytes a row")
    floors = race.median(race.floor, "refresh: WAL") / SMALL
    yield told(f"{table}: WAL of the floor's refresh", floors, "bytes a row")


def _memory_of_a_run(race: Race, report: Report) -> Iterator[Figure]:
    race.ours.place.empty()
    race.ours.request()
    cost = race.ours.load_alone(report, OF_A_RUN)
    name = f"memory of a Dagster run that loads {SMALL:,} rows"
    yield told(f"{name}: before the load", cost.imported_mb, "MB")
    yield told(f"{name}: at most", cost.peak_mb, "MB")


def _large(race: Race, report: Report) -> Iterator[Figure]:
    """Load a million rows; the own table comes last, since an index is taken away faster than it is made."""
    yield from _large_times(race, report, FIVE, race.run_large(report))
    race.unindex()
    yield from _large_times(race, report, OWN, race.run_large(report))


def _large_times(race: Race, report: Report, bounds: Bounds, costs: list[Cost]) -> Iterator[Figure]:
    name = f"{bounds.table}: first load, {report.rows:,} rows"
    took = race.median(race.ours, "large")
    yield told(name, took, "s")
    yield at_most(
        f"{name}, against the floor", took / race.median(race.floor, "large"), "× its time", bounds.large
    )
    peak = max(cost.peak_mb for cost in costs)
    yield at_most(f"{name}: memory of the process at most", peak, "MB", MOST_MB)
    yield told(
        f"{name}: of that before the load", statistics.median(cost.imported_mb for cost in costs), "MB"
    )
    cpu = statistics.median(cost.cpu_seconds for cost in costs) / report.rows * 1e6
    yield at_most(f"{name}: CPU of the process", cpu, "µs a row", MOST_MICROSECONDS)


def _say(what: str) -> None:
    print(f"{what}.", flush=True)
