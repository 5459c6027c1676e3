"""Simulation of a month in which Amazon makes fewer reports than are due.

`python -m benchmarks.scarcity` prints the figures of docs/explanation/planning.md.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from benchmarks.scarcity_bound import most_on_time
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.requests.planning_rules import Candidate, PlannedRequest, next_to_create
from tests.support.simulation import ACCOUNTS, START, SimulatedDataset

ADS_ACCOUNTS, EMPTY = 30, 5
"""A third each of one, five and 18 countries; five start empty, with history to fill."""
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
"""Five datasets, each as one report a period; more of their kinds would not change shares."""
DUE_A_DAY = {1: 1, 5: 1, 18: 2}
"""Reports a day of one dataset, by number of countries, without scarcity."""
DAYS = 30
SETTLES = timedelta(days=2)
"""Not counted at the beginning, when everything is fresh."""
TOLERANCE = timedelta(hours=12)
HISTORY = START - timedelta(days=60)
SHARES = {"twice": 2, "a quarter more": 1.25, "all": 1, "half": 0.5, "a tenth": 0.1}
Queue = tuple[int, str]
"""One dataset of one ads account."""


class Month:
    """A simulated month of ads accounts, and its results.

    Attributes:
        creates_a_day: The number of reports that Amazon allows.
        first_refreshes: The number of first refreshes that fell due.
        on_time: The number of them that were made within the tolerance.
        history: Reports created for the history of ads accounts that were empty.
        longest_pause: The longest time between two reports of a dataset of an ads account, or from
            the last one to the end.
        most_passed_over: The most times that a report, perhaps still waiting, was passed over by
            another one of the same dataset and ads account.
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
        """Simulate some days in which reports are created, evenly spread."""
        start = now = datetime.combine(START, time(12), UTC)
        counted, end = start + SETTLES, start + timedelta(days=days)
        self._last_created = dict.fromkeys(self._datasets, start)
        for (account, _), dataset in self._datasets.items():
            dataset.advance(now)
            if account >= EMPTY:
                for request in dataset.plan(now, patience=timedelta(0)):
                    dataset.create(request, now)
        while (now := now + timedelta(days=1) / self.creates_a_day) < end:
            self._create_next(now, counted, end - TOLERANCE)
        pauses = (end - at for at in self._last_created.values())
        self.longest_pause = max(self.longest_pause, *pauses)
        self.first_refreshes = sum(
            dataset.count_first_due(counted, end - TOLERANCE) for dataset in self._datasets.values()
        )

    def _create_next(self, now: datetime, since: datetime, until: datetime) -> None:
        """Create the report that the product would; count first refreshes on time in a period."""
        planned = list(self._planned(now))
        candidates = [self._candidate(number, *one, now=now) for number, one in enumerate(planned)]
        chosen = next_to_create(candidates, COUNTED, now=now)
        if chosen is None:
            return
        queue, request = planned[chosen.request_id]
        due = self._datasets[queue].first_refreshes(request, max(now - TOLERANCE, since))
        self.on_time += sum(at <= until for at in due)
        self.longest_pause = max(self.longest_pause, now - self._last_created[queue])
        self.history += request.end < HISTORY
        for other, sibling in planned:
            if other == queue and sibling != request:
                self._passed_over[queue, sibling.end] += 1
                times = self._passed_over[queue, sibling.end]
                self.most_passed_over = max(self.most_passed_over, times)
        self._passed_over.pop((queue, request.end), None)
        self._last_created[queue] = now
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
            account_requested_at=max(self._last_created[account, name] for name in COUNTED),
            report_requested_at=self._last_created[queue],
        )

    @property
    def share_on_time(self) -> float:
        """The share of first refreshes that were made within the tolerance."""
        return self.on_time / self.first_refreshes


def live_month(creates_a_day: float, *, days: int = DAYS) -> Month:
    """Return a simulated month, or some days of one."""
    month = Month(creates_a_day)
    month.live(days)
    return month


def reports_due_a_day() -> int:
    """Return the reports of all ads accounts on a day without scarcity."""
    return sum(DUE_A_DAY.values()) * (ADS_ACCOUNTS // len(ACCOUNTS)) * len(COUNTED)


def possible(share: float) -> float:
    """Return the largest possible share on time if Amazon makes a share of the due reports."""
    return most_on_time(share * sum(DUE_A_DAY.values()) / len(DUE_A_DAY), TOLERANCE)


def main() -> None:
    """Print the figures of docs/explanation/planning.md."""
    print(
        "| of what is due, Amazon makes | reports a day | first refreshes on time | "
        "possible at most | longest pause of a dataset | of the history | passed over, at most |\n"
        "|---|" + "---:|" * 6
    )
    for name, share in SHARES.items():
        month = live_month(reports_due_a_day() * share)
        print(
            f"| {name} | {month.creates_a_day:,.0f} | {month.share_on_time:.0%} | "
            f"{possible(share):.0%} | {month.longest_pause / timedelta(days=1):.1f} days | "
            f"{month.history} | {month.most_passed_over} |"
        )


if __name__ == "__main__":
    main()
