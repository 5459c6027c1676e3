"""How many reports planning asks for, counted by living through an account's days with the pure functions alone.

`python -m benchmarks.simulation` prints the table of docs/planning.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bidbeacon_pipelines.reports.datasets import DAILY_TARGETS, HOURLY_TARGETS, Dataset
from bidbeacon_pipelines.reports.planning import PlannableWindow, PlannedRequest, plan_requests
from bidbeacon_pipelines.reports.windows import local_date, next_refresh_at, start_of_day, window_dates

DAILY = DAILY_TARGETS
HOURLY = HOURLY_TARGETS
ZONES = {
    "US": "America/Los_Angeles",
    "DE": "Europe/Paris",
    "GB": "Europe/London",
    "JP": "Asia/Tokyo",
    "IN": "Asia/Kolkata",
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
}
FREE_SLOTS = 2
REPORT_TAKES = timedelta(minutes=5)
START = date(2026, 2, 10)
"""Sixty days from here have a change of the clocks in the US, in Europe and in Australia."""


@dataclass(frozen=True)
class DayOfReports:
    """What one local day took.

    Attributes:
        day: The day.
        requests: How many reports were asked for.
        windows: How many refreshes were due: how many reports one a window would take.
    """

    day: date
    requests: int
    windows: int


class SimulatedAccount:
    """One dataset of one account: which windows it has, and as of when their data are. Amazon takes five minutes a report."""

    def __init__(self, dataset: Dataset, time_zone: str) -> None:
        self._dataset = dataset
        self._zone = time_zone
        self._as_of: dict[date, datetime | None] = {}

    def catch_up(self, now: datetime) -> DayOfReports:
        """Ask, two reports at a time, until nothing is due."""
        today = local_date(now, self._zone)
        for day in window_dates(self._dataset, today):
            self._as_of.setdefault(day, None)
        due_at_first = len(self._due(now, today))
        requests = 0
        while asked := self._ask(now, today):
            requests += len(asked)
            now += REPORT_TAKES
        return DayOfReports(today, requests, due_at_first)

    def _ask(self, now: datetime, today: date) -> Sequence[PlannedRequest]:
        due = self._due(now, today)
        windows = [PlannableWindow(day, due=True, in_flight=False, due_since=at) for day, at in due.items()]
        asked = plan_requests(self._dataset, windows, today=today, free_slots=FREE_SLOTS).requests
        for request in asked:
            self._as_of |= dict.fromkeys(request.windows, now)
        return asked

    def _due(self, now: datetime, today: date) -> dict[date, datetime]:
        falls_due = {
            day: next_refresh_at(self._dataset, day, self._zone, self._as_of[day])
            for day in window_dates(self._dataset, today)
        }
        return {day: at for day, at in falls_due.items() if at is not None and at <= now}


def fill(dataset: Dataset, time_zone: str) -> DayOfReports:
    """Count what fills an account that has nothing."""
    return SimulatedAccount(dataset, time_zone).catch_up(start_of_day(START, time_zone))


def live(dataset: Dataset, time_zone: str, days: int, *, every: int = 1) -> list[DayOfReports]:
    """Count what each day takes that an account, full to begin with, is looked at; `every` so many days, just after midnight."""
    account = SimulatedAccount(dataset, time_zone)
    account.catch_up(start_of_day(START, time_zone))
    instants = [start_of_day(START + timedelta(days=n), time_zone) for n in range(every, days + 1, every)]
    return [account.catch_up(now + timedelta(seconds=30)) for now in instants]


def table() -> str:
    """Give the table of docs/planning.md."""
    return "\n".join(["| | reports, planned | one a window |", "|---|---:|---:|", *_rows()])


def _rows() -> Iterator[str]:
    names = {"daily": DAILY, "hourly": HOURLY}
    fills = {name: fill(dataset, ZONES["US"]) for name, dataset in names.items()}
    for name, filled in fills.items():
        yield _row(f"filling an empty account, {name} dataset", filled.requests, filled.windows)
    account = _of_five({name: filled.requests for name, filled in fills.items()})
    yield _row(
        "filling an empty account, all five", account, _of_five({n: f.windows for n, f in fills.items()})
    )
    lived = {name: live(dataset, ZONES["US"], 60) for name, dataset in names.items()}
    for name, days in lived.items():
        yield _row(f"a day of a steady account, {name} dataset", *_most(days))
    requests, windows = ({n: _most(d)[place] for n, d in lived.items()} for place in (0, 1))
    yield _row("a day of a steady account, all five", _of_five(requests), _of_five(windows))
    for name, dataset in names.items():
        yield _row(
            f"a week without any refresh, {name} dataset", *_most(live(dataset, ZONES["US"], 56, every=7))
        )


def _most(days: Sequence[DayOfReports]) -> tuple[int, int]:
    return max(day.requests for day in days), max(day.windows for day in days)


def _of_five(counts: dict[str, int]) -> int:
    """Add up three daily datasets and two hourly ones."""
    return 3 * counts["daily"] + 2 * counts["hourly"]


def _row(what: str, planned: int, one_a_window: int) -> str:
    return f"| {what} | {planned:,} | {one_a_window:,} |"


if __name__ == "__main__":
    print(table())
