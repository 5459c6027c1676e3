"""The suite `ingest`: from gzip bytes on disk to committed rows, against a naive loader and against what the database alone needs.

All load the same reports of hourly targets, one row of 1,000 bad and one of an unknown target, on
one durable server, in turns: on the product's table as it is, and then with five indexes more.
"""

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, at_least, at_most, told
from benchmarks.ingest_floor import Floor
from benchmarks.ingest_naive import Naive
from benchmarks.ingest_reports import Report, write_reports, write_wide_report
from benchmarks.ingest_world import Contender, Ours, places

ROWS, ROUNDS = 100_000, 5
COUNTRIES, TARGETS = ("US", "CA", "MX", "BR", "GB", "DE"), 200_000
MOST_MB, MOST_MB_OF_COUNTRIES, MOST_MICROSECONDS, WAL_UNCHANGED = 150, 200, 9, 20
OF_THE_FLOOR = {"own table": (3.9, 1.7), "five indexes": (2.3, 0.95)}
"""The most that a first load and a refresh take, in the floor's times."""
TIMES_NAIVE = 3, 7


def ingest() -> Iterator[Figure]:
    """Measure."""
    yield told(
        "load of the machine beforehand (processes that want a core)", os.getloadavg()[0], ""
    )
    with (
        TemporaryDirectory(prefix="bidbeacon-bench-") as folder,
        places(["ours", "naive", "floor"]) as found,
    ):
        first, restated = write_reports(Path(folder) / "reports", ROWS)
        ours, naive, floor = found
        race = Race(Ours(ours), Naive(naive), Floor(floor), first, restated)
        for table, bounds in OF_THE_FLOOR.items():
            has_indexes = table == "five indexes"
            race.start(has_indexes=has_indexes)
            for number in range(ROUNDS):
                race.run(number, naive=has_indexes)
            yield from race.against_the_floor(table, bounds)
        yield from race.against_naive()
        yield from _of_the_process(race.ours, first)
        wide = write_wide_report(Path(folder), COUNTRIES, TARGETS)
        yield from _of_countries(race.ours, wide)


class Race:
    """All contenders on one server, whose turns each begin with a checkpoint: each pays for page images as much as it ever would."""

    def __init__(
        self, ours: Ours, naive: Naive, floor: Floor, first: Report, restated: Report
    ) -> None:
        self.ours, self.naive, self.floor = ours, naive, floor
        self._reports = first, restated
        self._took: dict[tuple[str, str], list[float]] = defaultdict(list)

    def start(self, *, has_indexes: bool) -> None:
        """Make everything ready, and forget what was measured before."""
        for one in (self.ours, self.naive, self.floor):
            one.place.take_stock(self._reports[0])
            if has_indexes:
                one.place.index()
        for report in self._reports:
            self.ours.place.empty()
            self.ours.request()
            self.ours.load(report)
            self.floor.pack(report, self.ours.place)
        self._took.clear()

    def run(self, number: int, *, naive: bool) -> None:
        """Let each load and refresh, another one first in each round; `naive` may stay out."""
        contenders: list[Contender] = [self.ours, self.floor, *([self.naive] if naive else [])]
        contenders = contenders[number % 2 :] + contenders[: number % 2]
        first, restated = self._reports
        for one in contenders:
            one.place.empty()
            self._turn(one, "first", first, one.load)
        for one in contenders:
            one.place.tidy()
            self._turn(one, "refresh", restated, one.refresh)
        digests = {one.name: one.place.digest() for one in contenders}
        assert len(set(digests.values())) == 1, f"the contenders' tables differ: {digests}"
        self.ours.place.tidy()
        self._turn(self.ours, "unchanged", restated, self.ours.refresh)
        shown = (f"{name} {what} {took[-1]:.2f}" for (name, what), took in self._took.items())
        print(f"  round {number + 1} of {ROUNDS}, seconds: {'; '.join(shown)}", flush=True)

    def _turn(
        self, one: Contender, what: str, truth: Report, load: Callable[[Report], None]
    ) -> None:
        if isinstance(one, Ours):
            one.request()
        one.place.checkpoint()
        wal, began = one.place.wal_position(), time.perf_counter()
        load(truth)
        self._took[one.name, what].append(time.perf_counter() - began)
        self._wal = one.place.wal_position() - wal
        one.place.check(truth)

    def against_the_floor(self, table: str, bounds: Sequence[float]) -> Iterator[Figure]:
        """Return what our loads took, and the WAL of a refresh that changes nothing, which was the last turn."""
        for what, bound in zip(("first", "refresh"), bounds, strict=True):
            yield told(f"{table}: {what}, {ROWS:,} rows", self._median("ours", what), "s")
            part = self._median("ours", what) / self._median("floor", what)
            yield at_most(f"{table}: {what}, against the floor", part, "× its time", bound)
        name = f"{table}: WAL of a refresh that changes nothing"
        yield at_most(name, self._wal / ROWS, "bytes a row", WAL_UNCHANGED)

    def against_naive(self) -> Iterator[Figure]:
        """Return how much faster ours is than the naive way."""
        for what, bound in zip(("first", "refresh"), TIMES_NAIVE, strict=True):
            times = self._median("naive", what) / self._median("ours", what)
            yield at_least(f"five indexes: {what}, against naive", times, "× as fast", bound)

    def _median(self, name: str, what: str) -> float:
        return statistics.median(self._took[name, what])


def _of_the_process(ours: Ours, report: Report) -> Iterator[Figure]:
    """Return CPU and memory of a process that loads one report."""
    costs = []
    for _ in range(ROUNDS):
        ours.place.empty()
        ours.request()
        costs.append(ours.load_alone(report))
    cpu = statistics.median(cost.cpu_seconds for cost in costs) / ROWS * 1e6
    yield at_most("CPU of the process", cpu, "µs a row", MOST_MICROSECONDS)
    imported = statistics.median(cost.imported_mb for cost in costs)
    yield told("memory of the process before the load", imported, "MB")
    peak = max(cost.peak_mb for cost in costs)
    yield at_most("memory of the process at most", peak, "MB", MOST_MB)


def _of_countries(ours: Ours, report: Report) -> Iterator[Figure]:
    """Return the memory of a load in which each row has a target of its own, so that no target repeats."""
    ours.place.empty()
    ours.place.add_countries(COUNTRIES[1:])
    ours.request()
    peak = ours.load_alone(report).peak_mb
    name = f"a report of {len(COUNTRIES)} countries with {TARGETS:,} targets: memory at most"
    yield at_most(name, peak, "MB", MOST_MB_OF_COUNTRIES)
