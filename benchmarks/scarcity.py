"""What becomes of a month in which Amazon makes fewer reports than are due, by the product's own planning and order of creation.

`python -m benchmarks.scarcity` prints the table of docs/planning.md.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from benchmarks.simulation import ACCOUNTS, START, SimulatedDataset
from bidbeacon_pipelines.reports.claims import OVERDUE_AFTER
from bidbeacon_pipelines.reports.datasets import DATASETS
from bidbeacon_pipelines.reports.dispatch import Candidate, days_old, next_to_create
from bidbeacon_pipelines.reports.planning import PlannedRequest

ADS_ACCOUNTS, EMPTY = 30, 5
"""A third each of one, five and 18 countries; five of them have nothing at first, and their history to fill."""
DAYS = 30
SETTLES = timedelta(days=2)
"""Left out of the count at the beginning: everything is fresh then."""
HISTORY = START - timedelta(days=60)
Queue = tuple[int, str]
"""One dataset of one ads account."""


@dataclass
class Month:
    """What became of a month.

    Attributes:
        creates_a_day: How many reports Amazon let be created.
        first_refreshes: Windows whose first refresh was made.
        on_time: Of these, those made within the tolerance.
        could_be_on_time: Reports created while a first refresh was waiting that could still be on time.
        made_on_time: Of these, those that had one.
        history: Reports created for the history of ads accounts that were empty.
        longest_pause: The longest time between two reports of a dataset of an ads account.
        most_passed_over: Reports of the same dataset and ads account that were created before another, at most.
    """

    creates_a_day: float
    first_refreshes: int = 0
    on_time: int = 0
    could_be_on_time: int = 0
    made_on_time: int = 0
    history: int = 0
    longest_pause: timedelta = timedelta(0)
    most_passed_over: int = 0


class _World:
    """Ads accounts, and when each of their datasets was asked for last."""

    def __init__(self) -> None:
        countries = list(ACCOUNTS.values())
        self.datasets: dict[Queue, SimulatedDataset] = {
            (account, name): SimulatedDataset(dataset, countries[account % len(countries)], DAYS + 3)
            for account in range(ADS_ACCOUNTS)
            for name, dataset in DATASETS.items()
        }
        self.asked: dict[Queue, datetime] = {}
        self._passed_over: dict[tuple[Queue, date], int] = defaultdict(int)

    def load_all_but_the_empty(self, now: datetime) -> None:
        """Make everything fresh, as it is where nothing was ever scarce."""
        for (account, name), dataset in self.datasets.items():
            dataset.advance(now)
            self.asked[account, name] = now
            if account >= EMPTY:
                for request in dataset.plan(now, patience=timedelta(0)):
                    dataset.create(request, now)

    def planned(self, now: datetime) -> dict[int, tuple[Queue, PlannedRequest, Candidate]]:
        """Return all that is planned, by number."""
        found: dict[int, tuple[Queue, PlannedRequest, Candidate]] = {}
        by_account = {
            account: max(self.asked[account, name] for name in DATASETS) for account, _ in self.asked
        }
        for queue, dataset in self.datasets.items():
            dataset.advance(now)
            for request in dataset.plan(now):
                candidate = Candidate(
                    request_id=len(found),
                    account_id=str(queue[0]),
                    dataset=queue[1],
                    age=days_old(request.end, now),
                    due_since=request.due_since,
                    passed_over=self._passed_over[queue, request.end],
                    account_asked_at=by_account[queue[0]],
                    dataset_asked_at=self.asked[queue],
                )
                found[len(found)] = queue, request, candidate
        return found

    def create(
        self, chosen: int, planned: dict[int, tuple[Queue, PlannedRequest, Candidate]], now: datetime
    ) -> list[datetime]:
        """Create a report; return when each of the first refreshes that it makes fell due."""
        queue, request, _ = planned[chosen]
        for number, (other, sibling, _) in planned.items():
            if other == queue and number != chosen:
                self._passed_over[queue, sibling.end] += 1
        self._passed_over.pop((queue, request.end), None)
        self.asked[queue] = now
        return self.datasets[queue].create(request, now)


def live_month(creates_a_day: float) -> Month:
    """Live through a month in which so many reports are created a day, evenly spread."""
    world, month = _World(), Month(creates_a_day)
    start = now = datetime.combine(START, time(12), UTC)
    world.load_all_but_the_empty(start)
    while (now := now + timedelta(days=1) / creates_a_day) < start + timedelta(days=DAYS):
        planned = world.planned(now)
        candidates = [candidate for _, _, candidate in planned.values()]
        chosen = next_to_create(candidates, DATASETS, now=now, tolerance=OVERDUE_AFTER)
        if chosen is None:
            continue
        queue, request, _ = planned[chosen.request_id]
        pause = now - world.asked[queue]
        first = world.create(chosen.request_id, planned, now)
        if now >= start + SETTLES:
            month.longest_pause = max(month.longest_pause, pause)
            month.most_passed_over = max(month.most_passed_over, chosen.passed_over)
            month.history += request.end < HISTORY
            _count_first(month, candidates, [now - at <= OVERDUE_AFTER for at in first], now)
    return month


def _count_first(month: Month, candidates: list[Candidate], first_on_time: list[bool], now: datetime) -> None:
    """Count the first refreshes that a report makes, and whether it could have made one be on time."""
    month.first_refreshes += len(first_on_time)
    month.on_time += sum(first_on_time)
    if any(c.age == 1 and c.due_since is not None and now - c.due_since <= OVERDUE_AFTER for c in candidates):
        month.could_be_on_time += 1
        month.made_on_time += any(first_on_time)


def reports_due_a_day() -> int:
    """Return how many reports a steady day of all ads accounts takes where nothing is scarce: docs/planning.md counts them."""
    requests = {1: 1, 5: 1, 18: 2}
    return sum(requests[countries] for countries in list(ACCOUNTS) * (ADS_ACCOUNTS // 3)) * len(DATASETS)


def table() -> str:
    """Return the table of docs/planning.md."""
    head = "| of what is due, Amazon makes | reports a day | first refreshes on time | longest pause of a dataset | of the history | passed over, at most |"
    return "\n".join([head, "|---|---:|---:|---:|---:|---:|", *_rows()])


def _rows() -> Iterator[str]:
    due = reports_due_a_day()
    for name, share in {"twice": 2, "all": 1, "half": 0.5, "a tenth": 0.1}.items():
        month = live_month(due * share)
        yield (
            f"| {name} | {month.creates_a_day:,.0f} | {month.on_time / month.first_refreshes:.0%} | "
            f"{month.longest_pause / timedelta(days=1):.1f} days | {month.history} | {month.most_passed_over} |"
        )


if __name__ == "__main__":
    print(table())
