"""What becomes of a month in which Amazon makes fewer reports than are due, by the product's own planning and order of creation.

`python -m benchmarks.scarcity` prints the table of docs/planning.md.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from benchmarks.scarcity_bound import most_on_time
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.requests.planning_rules import (
    Candidate,
    PlannedRequest,
    next_to_create,
)
from tests.support.simulation import ACCOUNTS, START, SimulatedDataset

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


class Month:
    """A month of ads accounts, and what became of it.

    Attributes:
        creates_a_day: How many reports Amazon lets be created.
        first_refreshes: How many first refreshes fell due.
        on_time: How many of them were made within the tolerance.
        history: Reports created for the history of ads accounts that were empty.
        longest_pause: The longest time between two reports of a dataset of an ads account, or from
            the last one to the end.
        most_passed_over: Reports of the same dataset and ads account that were created before
            another, at most; it may still be waiting.
    """

    def __init__(self, creates_a_day: float) -> None:
        self.creates_a_day = creates_a_day
        self.first_refreshes = self.on_time = self.history = self.most_passed_over = 0
        self.longest_pause = timedelta(0)
        sizes = list(ACCOUNTS)
        self._datasets = {
            (account, name): SimulatedDataset(
                dataset,
                ACCOUNTS[sizes[account % len(sizes)]],
                DAYS + 3,
                since=None if account < EMPTY else HISTORY - timedelta(days=1),
            )
            for account in range(ADS_ACCOUNTS)
            for name, dataset in COUNTED.items()
        }
        self._passed_over: dict[tuple[Queue, date], int] = defaultdict(int)

    def live(self, days: int) -> None:
        """Live through so many days in which reports are created, evenly spread."""
        start = now = datetime.combine(START, time(12), UTC)
        counted, end = start + SETTLES, start + timedelta(days=days)
        self._asked = dict.fromkeys(self._datasets, start)
        for (account, _), dataset in self._datasets.items():
            dataset.advance(now)
            if account >= EMPTY:
                for request in dataset.plan(now, patience=timedelta(0)):
                    dataset.create(request, now)
        while (now := now + timedelta(days=1) / self.creates_a_day) < end:
            self._create_next(now, counted, end - TOLERANCE)
        self.longest_pause = max(self.longest_pause, *(end - at for at in self._asked.values()))
        self.first_refreshes = sum(
            dataset.count_first_due(counted, end - TOLERANCE) for dataset in self._datasets.values()
        )

    def _create_next(self, now: datetime, since: datetime, until: datetime) -> None:
        """Create the report that the product would, and count the first refreshes on time of those that fell due in a time."""
        planned = list(self._planned(now))
        candidates = [self._candidate(number, *one, now=now) for number, one in enumerate(planned)]
        chosen = next_to_create(candidates, COUNTED, now=now)
        if chosen is None:
            return
        queue, request = planned[chosen.request_id]
        due = self._datasets[queue].first_refreshes(request, max(now - TOLERANCE, since))
        self.on_time += sum(at <= until for at in due)
        self.longest_pause = max(self.longest_pause, now - self._asked[queue])
        self.history += request.end < HISTORY
        for other, sibling in planned:
            if other == queue and sibling != request:
                self._passed_over[queue, sibling.end] += 1
                times = self._passed_over[queue, sibling.end]
                self.most_passed_over = max(self.most_passed_over, times)
        self._passed_over.pop((queue, request.end), None)
        self._asked[queue] = now
        self._datasets[queue].create(request, now)

    def _planned(self, now: datetime) -> Iterator[tuple[Queue, PlannedRequest]]:
        for queue, dataset in self._datasets.items():
            dataset.advance(now)
            for request in dataset.plan(now):
                yield queue, request

    def _candidate(
        self, number: int, queue: Queue, request: PlannedRequest, *, now: datetime
    ) -> Candidate:
        account, dataset = queue
        return Candidate(
            request_id=number,
            account_id=str(account),
            dataset=dataset,
            end_date=request.end,
            on_time=len(self._datasets[queue].first_refreshes(request, now - TOLERANCE)),
            passed_over=self._passed_over[queue, request.end],
            account_requested_at=max(self._asked[account, name] for name in COUNTED),
            report_requested_at=self._asked[queue],
        )

    @property
    def share_on_time(self) -> float:
        """The share of first refreshes that were made within the tolerance."""
        return self.on_time / self.first_refreshes


def live_month(creates_a_day: float, *, days: int = DAYS) -> Month:
    """Return what became of a month, or of so many days of it."""
    month = Month(creates_a_day)
    month.live(days)
    return month


def reports_due_a_day() -> int:
    """Return how many reports a steady day of all ads accounts takes where nothing is scarce."""
    return sum(DUE_A_DAY.values()) * (ADS_ACCOUNTS // len(ACCOUNTS)) * len(COUNTED)


def possible(share: float) -> float:
    """Return the largest share of first refreshes that could be on time where Amazon makes such a share of what is due."""
    return most_on_time(share * sum(DUE_A_DAY.values()) / len(DUE_A_DAY), TOLERANCE)


def main() -> None:
    """Print the table of docs/planning.md."""
    print(
        "| of what is due, Amazon makes | reports a day | first refreshes on time | possible at most | "
        "longest pause of a dataset | of the history | passed over, at most |\n|---|" + "---:|" * 6
    )
    for name, share in SHARES.items():
        month = live_month(reports_due_a_day() * share)
        print(
            f"| {name} | {month.creates_a_day:,.0f} | {month.share_on_time:.0%} | {possible(share):.0%} | "
            f"{month.longest_pause / timedelta(days=1):.1f} days | {month.history} | {month.most_passed_over} |"
        )


if __name__ == "__main__":
    main()
