"""What becomes of a month in which Amazon makes fewer reports than are due, by the product's own planning and order of creation.

`python -m benchmarks.scarcity` prints the table of docs/planning.md.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from benchmarks.scarcity_bound import most_on_time
from benchmarks.simulation import ACCOUNTS, PATIENCE, START, SimulatedDataset
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.requests.dispatch_rules import Candidate, days_old, next_to_create
from bidbeacon_pipelines.requests.planning_rules import PlannedRequest

ADS_ACCOUNTS, EMPTY = 30, 5
"""A third each of one, five and 18 countries; five of them have nothing at first, and their history to fill."""
COUNTED = {
    name: DATASETS[name]
    for name in (
        "daily_targets",
        "hourly_targets",
        "daily_products",
        "hourly_products",
        "daily_search_terms",
    )
}
"""Five are enough, each as one report a period: with more of the same kinds the shares stay and the count takes longer."""
DUE_A_DAY = {1: 1, 5: 1, 18: 2}
"""Reports that a steady day of one dataset takes where nothing is scarce, by the number of countries: docs/planning.md counts them."""
DAYS = 30
SETTLES = timedelta(days=2)
"""Left out of the count at the beginning: everything is fresh then."""
TOLERANCE = timedelta(hours=12)
HISTORY = START - timedelta(days=60)
SHARES = {"twice": 2, "a quarter more": 1.25, "all": 1, "half": 0.5, "a tenth": 0.1}
Queue = tuple[int, str]
"""One dataset of one ads account."""


@dataclass
class Month:
    """What became of a month.

    Attributes:
        creates_a_day: How many reports Amazon let be created.
        first_refreshes: How many first refreshes fell due.
        on_time: How many of them were made within the tolerance, by the number of countries of
            their ads account.
        history: Reports created for the history of ads accounts that were empty.
        longest_pause: The longest time between two reports of a dataset of an ads account, or from
            the last one to the end.
        most_passed_over: Reports of the same dataset and ads account that were created before
            another, at most.
    """

    creates_a_day: float
    first_refreshes: int = 0
    on_time: dict[int, int] = field(default_factory=lambda: dict.fromkeys(ACCOUNTS, 0))
    history: int = 0
    longest_pause: timedelta = timedelta(0)
    most_passed_over: int = 0

    @property
    def share_on_time(self) -> float:
        """The share of first refreshes that were made within the tolerance."""
        return sum(self.on_time.values()) / self.first_refreshes


class _World:
    """Ads accounts, and when each of their datasets had its last report."""

    def __init__(self, start: datetime, patience: timedelta) -> None:
        sizes = list(ACCOUNTS)
        self.countries = {account: sizes[account % len(sizes)] for account in range(ADS_ACCOUNTS)}
        self.datasets: dict[Queue, SimulatedDataset] = {
            (account, name): SimulatedDataset(
                dataset,
                ACCOUNTS[self.countries[account]],
                DAYS + 3,
                since=None if account < EMPTY else HISTORY - timedelta(days=1),
            )
            for account in range(ADS_ACCOUNTS)
            for name, dataset in COUNTED.items()
        }
        self.asked = dict.fromkeys(self.datasets, start)
        self._patience = patience
        self._passed_over: dict[tuple[Queue, date], int] = defaultdict(int)
        self._load_all_but_the_empty(start)

    def _load_all_but_the_empty(self, now: datetime) -> None:
        """Make everything fresh, as it is where nothing was ever scarce."""
        for (account, _), dataset in self.datasets.items():
            dataset.advance(now)
            if account >= EMPTY:
                for request in dataset.plan(now, patience=timedelta(0)):
                    dataset.create(request, now)

    def planned(self, now: datetime) -> dict[int, tuple[Queue, PlannedRequest, Candidate]]:
        """Return all that is planned, by number."""
        found: dict[int, tuple[Queue, PlannedRequest, Candidate]] = {}
        by_account = {
            account: max(self.asked[account, name] for name in COUNTED)
            for account in self.countries
        }
        for queue, dataset in self.datasets.items():
            dataset.advance(now)
            for request in dataset.plan(now, patience=self._patience):
                candidate = Candidate(
                    request_id=len(found),
                    account_id=str(queue[0]),
                    dataset=queue[1],
                    age=days_old(request.end, now),
                    on_time=len(dataset.first_refreshes(request, now - TOLERANCE)),
                    passed_over=self._passed_over[queue, request.end],
                    account_requested_at=by_account[queue[0]],
                    report_requested_at=self.asked[queue],
                )
                found[len(found)] = queue, request, candidate
        return found

    def create(
        self,
        chosen: int,
        planned: dict[int, tuple[Queue, PlannedRequest, Candidate]],
        now: datetime,
    ) -> None:
        """Create a report."""
        queue, request, _ = planned[chosen]
        for number, (other, sibling, _) in planned.items():
            if other == queue and number != chosen:
                self._passed_over[queue, sibling.end] += 1
        self._passed_over.pop((queue, request.end), None)
        self.asked[queue] = now
        self.datasets[queue].create(request, now)


def live_month(creates_a_day: float, *, days: int = DAYS, patience: timedelta = PATIENCE) -> Month:
    """Live through a month, or so many days of it, in which so many reports are created a day, evenly spread."""
    start = now = datetime.combine(START, time(12), UTC)
    counted, end = start + SETTLES, start + timedelta(days=days)
    world, month = _World(start, patience), Month(creates_a_day)
    while (now := now + timedelta(days=1) / creates_a_day) < end:
        planned = world.planned(now)
        chosen = next_to_create(
            [candidate for _, _, candidate in planned.values()], COUNTED, now=now
        )
        if chosen is None:
            continue
        queue, request, _ = planned[chosen.request_id]
        on_time = world.datasets[queue].first_refreshes(request, max(now - TOLERANCE, counted))
        month.on_time[world.countries[queue[0]]] += sum(at <= end - TOLERANCE for at in on_time)
        month.longest_pause = max(month.longest_pause, now - world.asked[queue])
        month.most_passed_over = max(month.most_passed_over, chosen.passed_over)
        month.history += request.end < HISTORY
        world.create(chosen.request_id, planned, now)
    month.longest_pause = max(month.longest_pause, *(end - at for at in world.asked.values()))
    month.first_refreshes = sum(
        dataset.count_first_due(counted, end - TOLERANCE) for dataset in world.datasets.values()
    )
    return month


def reports_due_a_day() -> int:
    """Return how many reports a steady day of all ads accounts takes where nothing is scarce."""
    return sum(DUE_A_DAY.values()) * (ADS_ACCOUNTS // len(ACCOUNTS)) * len(COUNTED)


def possible(share: float) -> float:
    """Return the largest share of first refreshes that could be on time where Amazon makes such a share of what is due."""
    return most_on_time(share * sum(DUE_A_DAY.values()) / len(DUE_A_DAY), TOLERANCE)


def table() -> str:
    """Return the table of docs/planning.md."""
    head = "| of what is due, Amazon makes | reports a day | first refreshes on time | possible at most | longest pause of a dataset | of the history | passed over, at most |"
    return "\n".join([head, "|---|---:|---:|---:|---:|---:|---:|", *_rows()])


def _rows() -> Iterator[str]:
    due = reports_due_a_day()
    for name, share in SHARES.items():
        month = live_month(due * share)
        yield (
            f"| {name} | {month.creates_a_day:,.0f} | {month.share_on_time:.0%} | {possible(share):.0%} | "
            f"{month.longest_pause / timedelta(days=1):.1f} days | {month.history} | {month.most_passed_over} |"
        )


if __name__ == "__main__":
    print(table())
