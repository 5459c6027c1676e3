"""The suite `ingest`: from gzipped reports to committed rows, against two other loaders.

All load the same reports of hourly targets, one row of 1,000 bad and one of an unknown target, into
one durable database, in turns: into the product's table as it is, and then with five indexes more.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.database import fresh_database
from benchmarks.figures import Figure, at_least, at_most, milliseconds, without_bound
from benchmarks.ingest_floor import Floor
from benchmarks.ingest_naive import Naive
from benchmarks.ingest_place import Contender, Ours, Place
from benchmarks.ingest_reports import Report, write_reports, write_wide_report

ROWS, ROUNDS = 100_000, 5
COUNTRIES, TARGETS = ("US", "CA", "MX", "BR", "GB", "DE"), 200_000
MOST_MB, MOST_MB_OF_COUNTRIES, MOST_MICROSECONDS, WAL_UNCHANGED = 150, 200, 9, 20
OF_THE_FLOOR = {"own table": (3.9, 1.7), "five indexes": (2.3, 0.95)}
"""The longest times of a first load and of a refresh, as multiples of the floor's."""
TIMES_NAIVE = 3, 7


def ingest() -> Iterator[Figure]:
    """Measure."""
    with (
        TemporaryDirectory(prefix="bidbeacon-bench-") as folder,
        fresh_database(durable=True) as engine,
    ):
        first, restated = write_reports(Path(folder), ROWS)
        place = Place(engine)
        place.add_targets(first)
        race = Race(place, first, restated)
        for table, bounds in OF_THE_FLOOR.items():
            race.run(has_indexes=table == "five indexes")
            yield from race.against_the_floor(table, bounds)
        yield from race.against_naive()
        yield from _of_the_process(race.ours, first)
        wide = write_wide_report(Path(folder), COUNTRIES, TARGETS)
        place.add_countries(COUNTRIES[1:])
        name = f"a report of {len(COUNTRIES)} countries with {TARGETS:,} targets: memory at most"
        peak, _ = _alone(race.ours, wide)
        yield at_most(name, peak, "MB", MOST_MB_OF_COUNTRIES)


class Race:
    """All contenders; each turn begins with a checkpoint, so that all write full page images."""

    def __init__(self, place: Place, first: Report, restated: Report) -> None:
        self.ours, self._naive, self._floor = Ours(place), Naive(place), Floor(place)
        self._place, self._first, self._restated = place, first, restated
        self._took: dict[tuple[str, str], list[float]] = defaultdict(list)

    def run(self, *, has_indexes: bool) -> None:
        """Let each load and refresh in each round, in changing order; naive only with indexes."""
        self._took.clear()
        contenders: list[Contender] = [self.ours, self._floor]
        if has_indexes:
            contenders.append(self._naive)
            self._place.add_indexes()
        for report in (self._first, self._restated):
            self._place.empty()
            self.ours.prepare()
            self.ours.load(report)
            self._floor.pack(report)
        for number in range(ROUNDS):
            turns = contenders[number % 2 :] + contenders[: number % 2]
            digests = {one.name: self._race(one) for one in turns}
            assert len(set(digests.values())) == 1, f"the contenders' tables differ: {digests}"

    def _race(self, one: Contender) -> object:
        """Time one's load and refresh (ours also unchanged); return a digest of the table."""
        self._place.empty()
        self._turn(one, "first", one.load, self._first)
        self._place.tidy()
        self._turn(one, "refresh", one.refresh, self._restated)
        digest = self._place.digest()
        if one is self.ours:
            self._place.tidy()
            self._wal = self._turn(one, "unchanged", one.refresh, self._restated)
        return digest

    def _turn(
        self, one: Contender, what: str, load: Callable[[Report], None], report: Report
    ) -> int:
        one.prepare()
        self._place.checkpoint()
        before = self._place.wal_position()
        self._took[one.name, what].append(milliseconds(lambda: load(report)) / 1000)
        written = self._place.wal_position() - before
        self._place.check(report)
        return written

    def against_the_floor(self, table: str, bounds: Sequence[float]) -> Iterator[Figure]:
        """Yield the times of our loads, and the WAL of a refresh that changes nothing."""
        for what, bound in zip(("first", "refresh"), bounds, strict=True):
            ours, floor = (median(self._took[name, what]) for name in ("ours", "floor"))
            yield without_bound(f"{table}: {what}, {ROWS:,} rows", ours, "s")
            yield at_most(f"{table}: {what}, against the floor", ours / floor, "× its time", bound)
        name = f"{table}: WAL of a refresh that changes nothing"
        yield at_most(name, self._wal / ROWS, "bytes a row", WAL_UNCHANGED)

    def against_naive(self) -> Iterator[Figure]:
        """Yield how much faster our loads are than naive ones."""
        for what, bound in zip(("first", "refresh"), TIMES_NAIVE, strict=True):
            naive, ours = (median(self._took[name, what]) for name in ("naive", "ours"))
            name = f"five indexes: {what}, against naive"
            yield at_least(name, naive / ours, "× as fast", bound)


def _of_the_process(ours: Ours, report: Report) -> Iterator[Figure]:
    costs = [_alone(ours, report) for _ in range(ROUNDS)]
    cpu = median(seconds for _, seconds in costs) / ROWS * 1e6
    yield at_most("CPU of the process", cpu, "CPU µs a row", MOST_MICROSECONDS)
    peak = max(peak for peak, _ in costs)
    yield at_most("memory of the process at most", peak, "MB", MOST_MB)


def _alone(ours: Ours, report: Report) -> tuple[float, float]:
    """Load a report in its own process; return its memory in MB and CPU time in seconds."""
    ours.place.empty()
    ours.prepare()
    cost = ours.load_alone(report)
    return cost.peak_mb, cost.cpu_seconds
