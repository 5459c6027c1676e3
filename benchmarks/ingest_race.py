"""Lets the contenders load the same reports turn by turn, and keeps what each turn took once its result has been found true."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from benchmarks.ingest_floor import Floor
from benchmarks.ingest_load import Cost
from benchmarks.ingest_naive import Naive
from benchmarks.ingest_ours import OF_A_JOB, Ours
from benchmarks.ingest_reports import Report
from benchmarks.ingest_world import Contender

ROUNDS = 5
T = TypeVar("T")


class Race:
    """Three contenders on one server.

    A turn begins with a checkpoint, as a rule, so that whichever page it touches first is written
    to the WAL as a whole: each pays for page images as much as it ever would. Contenders begin a
    round in turn.
    """

    def __init__(self, ours: Ours, naive: Naive, floor: Floor) -> None:
        self.ours, self.naive, self.floor = ours, naive, floor
        self._contenders: tuple[Contender, ...] = (ours, naive, floor)
        self._took: dict[tuple[Contender, str], list[float]] = defaultdict(list)

    def start(self, *reports: Report) -> None:
        """Make everything ready for rounds with these reports, and forget what was measured before."""
        self._took.clear()
        for one in self._contenders:
            one.place.take_stock(reports[0])
        for report in reports:
            self.floor.pack(report)

    def index(self) -> None:
        """Add the five indexes to everybody's table."""
        for one in self._contenders:
            one.place.empty()
            one.place.index()

    def unindex(self) -> None:
        """Take them away, and forget what was measured with them."""
        self._took.clear()
        for one in self._contenders:
            one.place.unindex()

    def run(
        self, first: Report, restated: Report, rounds: int = ROUNDS, *, naive: bool = True
    ) -> None:
        """Run so many rounds, after one that warms up and whose tables are compared in every column; `naive` may stay out."""
        taking_part = self._contenders if naive else (self.ours, self.floor)
        self._round(first, restated, taking_part)
        self._compare(*taking_part)
        self._took.clear()
        for number in range(1, rounds + 1):
            self._round(first, restated, _turned(taking_part, number))
            self._refresh_more(first, restated)
            self._say(number, rounds, "first", "refresh", "unchanged")

    def run_large(self, report: Report, rounds: int = ROUNDS) -> list[Cost]:
        """Let the product, in a process of its own each time, and the floor load a report into an empty table."""
        costs: list[Cost] = []
        for number in range(1, rounds + 1):
            for one in _turned(self._contenders[::2], number):
                one.place.empty()
                if isinstance(one, Ours):
                    self._turn(
                        one,
                        "large",
                        report,
                        lambda: costs.append(self.ours.load_alone(report, OF_A_JOB)),
                    )
                    self._took[one, "large"][-1] = costs[-1].seconds
                else:
                    self._turn(one, "large", report, lambda: self.floor.load(report))
            self._say(number, rounds, "large")
        self._compare(self.ours, self.floor)
        return costs

    def median(self, one: Contender, what: str) -> float:
        """Return the median of what one's turns took: seconds; CPU seconds of this process; bytes of WAL."""
        return statistics.median(self._took[one, what])

    def _round(self, first: Report, restated: Report, contenders: Sequence[Contender]) -> None:
        """Let each load a report into an empty table, then let each refresh it."""
        for one in contenders:
            one.place.empty()
            self._turn(one, "first", first, partial(one.load, first))
        for one in contenders:
            one.place.tidy()
            self._turn(one, "refresh", restated, partial(one.refresh, restated))

    def _refresh_more(self, first: Report, restated: Report) -> None:
        """Let the product refresh twice more with no checkpoint between, and once for nothing."""
        ours = self.ours
        self._turn(ours, "back", first, partial(ours.refresh, first))
        self._turn(ours, "soon again", restated, partial(ours.refresh, restated), checkpoint=False)
        ours.place.tidy()
        self._turn(ours, "unchanged", restated, partial(ours.refresh, restated))

    def _turn(
        self,
        one: Contender,
        what: str,
        truth: Report,
        load: Callable[[], object],
        *,
        checkpoint: bool = True,
    ) -> None:
        if isinstance(one, Ours):
            one.request()
        if checkpoint:
            one.place.checkpoint()
        wal, cpu, began = one.place.wal_position(), time.process_time(), time.perf_counter()
        load()
        self._took[one, what].append(time.perf_counter() - began)
        self._took[one, f"{what}: CPU"].append(time.process_time() - cpu)
        self._took[one, f"{what}: WAL"].append(one.place.wal_position() - wal)
        one.place.check(truth)

    def _compare(self, *contenders: Contender) -> None:
        """Refuse to go on where two tables differ in any column of any row."""
        digests = {one.name: one.place.digest() for one in contenders}
        assert len(set(digests.values())) == 1, f"the contenders' tables differ: {digests}"

    def _say(self, number: int, rounds: int, *cases: str) -> None:
        told = [f"{case} {self._shown(case)}" for case in cases]
        print(f"  round {number} of {rounds}, seconds: {'; '.join(told)}", flush=True)

    def _shown(self, case: str) -> str:
        return ", ".join(
            f"{one.name} {self._took[one, case][-1]:.2f}"
            for one in self._contenders
            if (one, case) in self._took
        )


def _turned(items: Sequence[T], by: int) -> list[T]:
    """Let another one begin in each round."""
    by %= len(items)
    return [*items[by:], *items[:by]]
