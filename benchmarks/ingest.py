"""The suite `ingest`: from gzip bytes on disk to committed rows, against a naive loader and against what the database alone needs.

All load the same reports of hourly targets, one row of 1,000 bad and one of an unknown target, on
one durable server: on the product's table as it is, and then with five indexes more.
"""

import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, at_least, at_most, told
from benchmarks.ingest_floor import Floor
from benchmarks.ingest_naive import Naive
from benchmarks.ingest_ours import OF_A_JOB, OF_A_RUN, Ours
from benchmarks.ingest_race import Race
from benchmarks.ingest_reports import Report, write_reports, write_wide_report
from benchmarks.ingest_world import FIVE_INDEXES, places

SMALL, LARGE = 100_000, 1_000_000
OWN, FIVE = "own table", "five indexes"
_CASES = {"first": f"first load, {SMALL:,} rows", "refresh": "refresh, 2 % changed"}

MOST_MB, MOST_MICROSECONDS = 150, 12
COUNTRIES, TARGETS, MOST_MB_OF_COUNTRIES = ("US", "CA", "MX", "BR", "GB", "DE"), 200_000, 200


WAL_UNCHANGED, WAL_CHANGED = 20, 350
TIMES_NAIVE = {"first": 2.5, "refresh": 7}
OF_THE_FLOOR = {"first": 1.5, "refresh": 0.7, "large": 1.5}
"""On the product's table as it is, and with five indexes more."""


def ingest() -> Iterator[Figure]:
    """Measure."""
    yield told(
        "load of the machine beforehand (processes that want a core)", os.getloadavg()[0], ""
    )
    with (
        TemporaryDirectory(prefix="bidbeacon-bench-") as folder,
        places(["ours", "naive", "floor"]) as found,
    ):
        race = Race(Ours(found[0]), Naive(found[1]), Floor(found[2]))
        _say(f"Writing reports of {SMALL:,} and {LARGE:,} rows")
        first, restated = write_reports(Path(folder) / "small", SMALL)
        [large] = write_reports(Path(folder) / "large", LARGE, restated=False)
        race.start(first, restated)
        _say("On the product's own table: its key, and an index of the few unresolved rows")
        race.run(first, restated, naive=False)
        yield from _own_table(race)
        _say(f"With five indexes more: by {', '.join(FIVE_INDEXES)}")
        race.index()
        race.run(first, restated)
        yield from _five_indexes(race)
        yield from _memory_of_a_run(race, first)
        _say(f"{LARGE:,} rows")
        race.start(large)
        yield from _large_with_five_indexes(race, large)
        race.unindex()
        yield from _large_on_own_table(race, large)
        _say(f"{TARGETS:,} targets in six countries")
        yield from _memory_of_countries(race, write_wide_report(Path(folder), COUNTRIES, TARGETS))


def _own_table(race: Race) -> Iterator[Figure]:
    for case, name in _CASES.items():
        took = race.median(race.ours, case)
        yield told(f"{OWN}: {name}", took, "s")
        part = took / race.median(race.floor, case)
        yield at_most(f"{OWN}: {name}, against the floor", part, "× its time", OF_THE_FLOOR[case])
    yield told(f"{OWN}: refresh, nothing changed", race.median(race.ours, "unchanged"), "s")
    yield from _wal(race, OWN)


def _five_indexes(race: Race) -> Iterator[Figure]:
    for case, name in _CASES.items():
        took = race.median(race.ours, case)
        yield told(f"{FIVE}: {name}", took, "s")
        times = race.median(race.naive, case) / took
        yield at_least(f"{FIVE}: {name}, against naive", times, "× as fast", TIMES_NAIVE[case])
        part = took / race.median(race.floor, case)
        yield at_most(f"{FIVE}: {name}, against the floor", part, "× its time", OF_THE_FLOOR[case])
    yield told(f"{FIVE}: refresh, nothing changed", race.median(race.ours, "unchanged"), "s")
    yield from _wal(race, FIVE)


def _wal(race: Race, table: str) -> Iterator[Figure]:
    """Tell the WAL of refreshes: with the image of every page they touch, as right after a checkpoint, and of a second one soon after."""
    for case, what, bound in (
        ("unchanged", "nothing changed", WAL_UNCHANGED),
        ("refresh", "2 % changed", WAL_CHANGED),
    ):
        written = race.median(race.ours, f"{case}: WAL") / SMALL
        yield at_most(
            f"{table}: WAL of a refresh, {what}, with all page images",
            written,
            "bytes a row",
            bound,
        )
    again = race.median(race.ours, "soon again: WAL") / SMALL
    yield told(
        f"{table}: the same, 2 % changed, when its pages were touched before", again, "bytes a row"
    )
    floors = race.median(race.floor, "refresh: WAL") / SMALL
    yield told(f"{table}: WAL of the floor's refresh", floors, "bytes a row")


def _memory_of_a_run(race: Race, report: Report) -> Iterator[Figure]:
    race.ours.place.empty()
    race.ours.request()
    cost = race.ours.load_alone(report, OF_A_RUN)
    name = f"memory of a Dagster run that loads {SMALL:,} rows"
    yield told(f"{name}: before the load", cost.imported_mb, "MB")
    yield told(f"{name}: at most", cost.peak_mb, "MB")


def _memory_of_countries(race: Race, report: Report) -> Iterator[Figure]:
    """Return the memory of a load in which each row has a target of its own, so that no target repeats."""
    race.ours.place.empty()
    race.ours.place.add_countries(COUNTRIES[1:])
    race.ours.request()
    cost = race.ours.load_alone(report, OF_A_JOB)
    name = f"a report of {len(COUNTRIES)} countries with {TARGETS:,} targets in all: memory at most"
    yield at_most(name, cost.peak_mb, "MB", MOST_MB_OF_COUNTRIES)


def _large_with_five_indexes(race: Race, report: Report) -> Iterator[Figure]:
    costs = race.run_large(report)
    took, name = race.median(race.ours, "large"), f"{FIVE}: first load, {report.rows:,} rows"
    yield told(name, took, "s")
    part = took / race.median(race.floor, "large")
    yield at_most(f"{name}, against the floor", part, "× its time", OF_THE_FLOOR["large"])
    yield at_most(f"{name}: memory at most", max(cost.peak_mb for cost in costs), "MB", MOST_MB)
    yield told(
        f"{name}: of that before the load",
        statistics.median(cost.imported_mb for cost in costs),
        "MB",
    )
    cpu = statistics.median(cost.cpu_seconds for cost in costs) / report.rows * 1e6
    yield at_most(f"{name}: CPU of the process", cpu, "µs a row", MOST_MICROSECONDS)


def _large_on_own_table(race: Race, report: Report) -> Iterator[Figure]:
    race.run_large(report, rounds=1)
    took, name = race.median(race.ours, "large"), f"{OWN}: first load, {report.rows:,} rows, once"
    yield told(name, took, "s")
    part = took / race.median(race.floor, "large")
    yield at_most(f"{name}, against the floor", part, "× its time", OF_THE_FLOOR["large"])


def _say(what: str) -> None:
    print(f"{what}.", flush=True)
