"""How many reports planning asks for, counted by living through the days of ads accounts with the product's own pure functions."""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from itertools import takewhile

from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS, DATASETS, HOURLY_TARGETS, Dataset
from bidbeacon_pipelines.requests.planning_rules import (
    PlannedRequest,
    plan_requests,
    should_wait_for_countries,
)
from bidbeacon_pipelines.values.countries import get_country
from bidbeacon_pipelines.windows.rules import due_at, local_date, oldest_served, start_of_day

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
EUROPE = (
    "AE",
    "BE",
    "DE",
    "EG",
    "ES",
    "FR",
    "GB",
    "IE",
    "IN",
    "IT",
    "NL",
    "PL",
    "SA",
    "SE",
    "TR",
    "ZA",
)
ACCOUNTS = {1: ("US",), 5: ("DE", "ES", "FR", "GB", "IT"), 18: (*EUROPE, "CA", "US")}
"""Ads accounts by their number of countries; that of 18 is in all of Amazon's European region, in the US and in Canada."""
WORLDWIDE = (*EUROPE, "AU", "BR", "CA", "JP", "MX", "SG", "US")
PATIENCE = timedelta(hours=6)
LOOK_AFTER = timedelta(seconds=30)
START = date(2026, 2, 10)
"""Sixty days from here have a change of the clocks in the US, in Europe and in Australia."""
DAYS = 60


@dataclass(frozen=True)
class Count:
    """What one day, or one catching up, took.

    Attributes:
        requests: How many reports were asked for.
        windows: How many refreshes were due: how many reports one a window would take.
    """

    requests: int
    windows: int


class SimulatedDataset:
    """One dataset of an ads account: when each window falls due next, and which are due.

    A report holds what was true when it was created.

    Args:
        dataset: Which.
        countries: Of the ads account.
        days: How many days its windows are followed for, from `START` on.
        since: The oldest window; as old as Amazon serves by default.
    """

    def __init__(
        self,
        dataset: Dataset,
        countries: Sequence[str],
        days: int = DAYS,
        *,
        since: date | None = None,
    ) -> None:
        self.dataset = dataset
        self._zones = {country: time_zone(country) for country in countries}
        self._next_due: dict[tuple[str, date], datetime] = {}
        self._falling_due: list[tuple[datetime, str, date]] = []
        self.due: dict[tuple[str, date], datetime] = {}
        self._fell_due: list[tuple[datetime, str, date]] = []
        self._plan: list[PlannedRequest] | None = None
        oldest = max(oldest_served(dataset, START), since or date.min)
        for n in range((START - oldest).days + days):
            for country in countries:
                self._refresh(country, oldest + timedelta(days=n), None)

    def advance(self, now: datetime) -> int:
        """Let time pass; return how many windows fell due meanwhile."""
        fell_due = 0
        while self._falling_due and self._falling_due[0][0] <= now:
            at, country, day = heapq.heappop(self._falling_due)
            if self._next_due[country, day] == at and (country, day) not in self.due:
                self.due[country, day] = at
                self._fell_due.append((at, country, day))
                fell_due += 1
        if fell_due:
            self._plan = None
            oldest = min(
                oldest_served(self.dataset, local_date(now, zone))
                for zone in set(self._zones.values())
            )
            for key in [key for key in self.due if key[1] < oldest]:
                del self.due[key]
        return fell_due

    def plan(self, now: datetime, *, patience: timedelta = PATIENCE) -> list[PlannedRequest]:
        """Cover what is due, the newest first; nothing where that waits for other countries."""
        if self._plan is None:  # nothing changes it but what falls due, or is created
            self._plan = self._plan_anew(now, patience)
        return self._plan

    def _plan_anew(self, now: datetime, patience: timedelta) -> list[PlannedRequest]:
        first_due = min(self.due.values(), default=None)
        if first_due is None:
            return []
        if len(self._zones) > 1 and should_wait_for_countries(
            first_due, self.next_due(), now, patience
        ):
            return []
        return plan_requests(
            {day for _, day in self.due}, longest_days=self.dataset.longest_period_days
        )

    def first_refreshes(self, request: PlannedRequest, since: datetime) -> list[datetime]:
        """Return when each of the first refreshes fell due that a report would make, of those since an instant."""
        recent = takewhile(lambda one: one[0] >= since, reversed(self._fell_due))
        return [
            at
            for at, country, day in recent
            if self.due.get((country, day)) == at
            and request.start <= day <= request.end
            and at == _instants(self.dataset.refresh_offsets, day, self._zones[country])[0]
        ]

    def create(self, request: PlannedRequest, now: datetime) -> None:
        """Make all windows in a report's period whose day is over wait for it."""
        self._plan = None
        for country, zone in self._zones.items():
            today = local_date(now, zone)
            for n in range((request.end - request.start).days + 1):
                day = request.start + timedelta(days=n)
                if day < today and (country, day) in self._next_due:
                    self.due.pop((country, day), None)
                    self._refresh(country, day, now)

    def count_first_due(self, start: datetime, end: datetime) -> int:
        """Return how many windows fall due for the first time between two instants."""
        return sum(
            start <= _instants(self.dataset.refresh_offsets, day, self._zones[country])[0] <= end
            for country, day in self._next_due
        )

    def next_due(self) -> datetime | None:
        """Return when the next window falls due."""
        while self._falling_due:
            at, country, day = self._falling_due[0]
            if self._next_due[country, day] == at and (country, day) not in self.due:
                return at
            heapq.heappop(self._falling_due)
        return None

    def _refresh(self, country: str, day: date, as_of: datetime | None) -> None:
        """Note from when a window's data is, and when it falls due next."""
        instants = _instants(self.dataset.refresh_offsets, day, self._zones[country])
        at = next((one for one in instants if as_of is None or one > as_of), None)
        if at is None:
            self._next_due[country, day] = datetime.max.replace(tzinfo=instants[0].tzinfo)
            return
        self._next_due[country, day] = at
        heapq.heappush(self._falling_due, (at, country, day))


@cache
def time_zone(country: str) -> str:
    """Return the time zone of a country's marketplace."""
    return get_country(country, region="EU").time_zone


@cache
def _instants(offsets: tuple[int, ...], day: date, zone: str) -> tuple[datetime, ...]:
    return tuple(due_at(day, offset, zone) for offset in offsets)


def fill(dataset: Dataset, countries: Sequence[str]) -> Count:
    """Count what fills an ads account that has nothing."""
    account = SimulatedDataset(dataset, countries)
    return _catch_up(account, noon(countries, 0))


def live(
    dataset: Dataset, countries: Sequence[str], *, days: int = DAYS, patience: timedelta = PATIENCE
) -> list[Count]:
    """Count what each day takes of an ads account that is full to begin with and planned whenever a window falls due."""
    account = SimulatedDataset(dataset, countries, days)
    _catch_up(account, noon(countries, 0))
    return [_live_until(account, noon(countries, n), patience) for n in range(1, days + 1)][1:]


def miss(dataset: Dataset, countries: Sequence[str], every: int) -> list[Count]:
    """Count what an ads account takes that is full to begin with and planned every so many days only."""
    account = SimulatedDataset(dataset, countries)
    _catch_up(account, noon(countries, 0))
    return [_catch_up(account, noon(countries, n)) for n in range(every, DAYS + 1, every)]


def noon(countries: Sequence[str], day: int) -> datetime:
    """Return noon of a day of the simulation, in the first country."""
    return start_of_day(START + timedelta(days=day), time_zone(countries[0])) + timedelta(hours=12)


def _catch_up(account: SimulatedDataset, now: datetime) -> Count:
    windows = account.advance(now)
    requests = account.plan(now, patience=timedelta(0))
    for request in requests:
        account.create(request, now)
    return Count(len(requests), windows)


def _live_until(account: SimulatedDataset, end: datetime, patience: timedelta) -> Count:
    requests = windows = 0
    while (at := account.next_due()) is not None and at <= end:
        now = at + LOOK_AFTER
        windows += account.advance(now)
        for request in account.plan(now, patience=patience):
            account.create(request, now)
            requests += 1
    return Count(requests, windows)


def kinds() -> list[list[Dataset]]:
    """Return the registry's datasets, those together that are planned alike: same history, longest period and offsets."""
    alike: dict[object, list[Dataset]] = {}
    for one in DATASETS.values():
        schedule = (
            one.history_months,
            one.history_days,
            one.longest_period_days,
            one.refresh_offsets,
        )
        alike.setdefault(schedule, []).append(one)
    return list(alike.values())


def table() -> str:
    """Return the table of docs/explanation/planning.md: reports by countries, and at 18 how many one a window would take."""
    heads = [f"{n} {'country' if n == 1 else 'countries'}" for n in ACCOUNTS]
    lines = [
        f"| reports | {' | '.join(heads)} | 18 countries, one report per window |",
        "|---|---:|---:|---:|---:|",
    ]
    return "\n".join([*lines, *_rows()])


def _rows() -> Iterator[str]:
    counts: Mapping[str, Callable[[Dataset, Sequence[str]], Count]] = {
        "filling an empty ads account": fill,
        "a normal day": lambda dataset, who: _most(live(dataset, who)),
        "after a week without refreshes": lambda dataset, who: _most(miss(dataset, who, 7)),
    }
    for what, count in counts.items():
        total = [Count(0, 0)] * len(ACCOUNTS)
        for alike in kinds():
            counted = [count(alike[0], who) for who in ACCOUNTS.values()]
            yield _row(f"{what}, {_named(alike)}", counted)
            times = sum(len(one.reports) for one in alike)
            total = [
                Count(before.requests + times * one.requests, before.windows + times * one.windows)
                for before, one in zip(total, counted, strict=True)
            ]
        reports = sum(len(one.reports) for one in DATASETS.values())
        yield _row(f"{what}, all {len(DATASETS)} datasets in {reports} reports", total)


def _named(alike: Sequence[Dataset]) -> str:
    """Return what datasets of a kind are called: by their grain, or by their names where the grain has several kinds."""
    grain = alike[0].grain
    if len([one for one in kinds() if one[0].grain == grain]) == 1:
        return "daily dataset" if grain == "day" else "hourly dataset"
    return ", ".join(f"`{one.name}`" for one in alike)


def _row(what: str, by_account: Sequence[Count]) -> str:
    return f"| {what} | {' | '.join(f'{one.requests:,}' for one in by_account)} | {by_account[-1].windows:,} |"


def _most(days: Sequence[Count]) -> Count:
    return Count(max(day.requests for day in days), max(day.windows for day in days))
