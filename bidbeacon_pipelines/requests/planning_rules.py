"""Which reports to request, and which planned one is created next. Pure.

The due days of one report of an ads account are covered with as few requests as possible. A request
has all countries of its ads account, so a day takes one request, however many countries are due.
The cover is greedy from the newest due day: each request reaches back as far as the longest period
allows, over days that aren't due. That is the least number of requests (an interval cover of
points).

Reports by hand are created first, those of the newest days before others, so that a day is
completed in all its reports before an older one. Then come first refreshes of a day, then younger
refreshes, then older ones. Among equals the report that is worth most goes first: one point for
each first refresh that it makes on time, two for each day since it was last requested. No planned
report waits for more than ten others of the same kind: of its ads account, dataset and ad products.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import inf

from bidbeacon_pipelines.datasets.registry import Dataset

WAITS_FOR_AT_MOST = 10
"""Reports of the same kind that may be created before one that is planned."""
WORTH_OF_A_DAY = 2
"""First refreshes on time that are worth as much as one day without a report. A higher number
shortens the longest pause but delays more first refreshes (`python -m benchmarks.scarcity`)."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class PlannedRequest:
    """A planned request.

    Attributes:
        start: First day.
        end: Last day; it is due or wanted.
        by_hand: Whether its days are wanted.
    """

    start: date
    end: date
    by_hand: bool = False

    def has(self, day: date) -> bool:
        """Return whether a day is in its range."""
        return self.start <= day <= self.end


def plan_requests(
    days: Collection[date],
    *,
    longest_days: int,
    alone: Collection[date] = (),
    by_hand: bool = False,
) -> list[PlannedRequest]:
    """Cover days with as few requests as possible, newest first.

    A request spans at most `longest_days`, both ends counted; days in `alone` have one of their
    own.
    """
    covered = sorted({*days} - {*alone}, reverse=True)
    groups = [*_cover(covered, longest_days), *([day] for day in alone)]
    planned = [PlannedRequest(group[-1], group[0], by_hand) for group in groups]
    return sorted(planned, key=lambda one: one.end, reverse=True)


def should_wait_for_countries(
    first_due: datetime, next_due: datetime | None, now: datetime, patience: timedelta
) -> bool:
    """Return whether due windows wait for those of other countries that fall due soon.

    The first of them fell due at `first_due` and may wait for `patience`; the report's next window
    in any country falls due at `next_due`.
    """
    deadline = first_due + patience
    return next_due is not None and now < deadline and next_due <= deadline


def _cover(targets: Sequence[date], longest_days: int) -> Iterator[list[date]]:
    """Split descending days into groups that one request each can cover."""
    group: list[date] = []
    for day in targets:
        if group and (group[0] - day).days >= longest_days:
            yield group
            group = []
        group.append(day)
    if group:
        yield group


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A planned report.

    Attributes:
        end_date: Its newest day.
        by_hand: Whether its days are wanted.
        on_time: How many windows, in all countries, it would load for the first time and on time if
            it were created now.
        passed_over: Reports of its kind created since it was planned.
        report_requested_at: When a report of its kind was last created; None if none ever was.
        account_requested_at: The same for all kinds of the ads account that have a planned report.
    """

    request_id: int
    account_id: str
    dataset: str
    end_date: date
    report: str = ""
    by_hand: bool = False
    on_time: int = 0
    passed_over: int = 0
    report_requested_at: datetime | None = None
    account_requested_at: datetime | None = None


def next_to_create(
    candidates: Sequence[Candidate], datasets: Mapping[str, Dataset], *, now: datetime
) -> Candidate | None:
    """Return the planned report of a client id and region to create next, if there is any."""
    if not candidates:
        return None
    first = min(
        candidates, key=lambda candidate: _urgency(candidate, datasets[candidate.dataset], now)
    )
    if first.by_hand:
        return first
    siblings = [candidate for candidate in candidates if _queue(candidate) == _queue(first)]
    siblings.sort(key=lambda candidate: -candidate.passed_over)
    is_urgent = any(
        candidate.passed_over + place >= WAITS_FOR_AT_MOST
        for place, candidate in enumerate(siblings)
    )
    return siblings[0] if is_urgent else first


def days_old(end: date, now: datetime) -> int:
    """Return a report's age in days by its newest day `end`, at least 1."""
    return max((now.astimezone(UTC).date() - end).days, 1)


def _urgency(candidate: Candidate, dataset: Dataset, now: datetime) -> tuple[object, ...]:
    """Return the sort key of a candidate; the lowest is created first."""
    age = days_old(candidate.end_date, now)
    if candidate.by_hand:
        return (False, age, candidate.request_id)
    refresh = bisect_right(dataset.refresh_offsets, age)
    return (
        True,
        refresh,
        -_worth(candidate, now),
        candidate.account_requested_at or _NEVER,
        age,
        candidate.request_id,
    )


def _worth(candidate: Candidate, now: datetime) -> float:
    """Return the worth of a report created now; infinite if its kind was never requested."""
    if candidate.report_requested_at is None:
        return inf
    return candidate.on_time + WORTH_OF_A_DAY * (
        (now - candidate.report_requested_at) / timedelta(days=1)
    )


def _queue(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.account_id, candidate.dataset, candidate.report
