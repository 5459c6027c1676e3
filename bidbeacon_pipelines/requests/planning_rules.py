"""Rules for which reports to request, and which planned report to create next. Pure.

The due days of a report are covered with as few requests as possible. A request covers all
countries of its ads account, so a day needs one request, however many countries are due. Planning
starts at the newest due day: each request reaches back as far as the longest period allows, also
over days that aren't due. This greedy interval cover needs the fewest requests.

Reports that users requested are created first, newest days first, so that all reports of a day are
completed before those of an older day. Next come the first refreshes of days, then the second ones,
and so on. Among equally urgent reports, the report with the most points is created first. It gets
one point for each first refresh that it makes on time, and two points for each day since a report
of the same kind was last requested. Reports of the same kind have the same ads account, dataset and
ad products. No planned report waits for more than ten others of the same kind.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import inf

from bidbeacon_pipelines.datasets.registry import Dataset

WAITS_FOR_AT_MOST = 10
"""The most reports of the same kind that may be created before a planned report."""
WORTH_OF_A_DAY = 2
"""How many first refreshes on time are worth one day without a report. A higher number shortens the
longest time without a report but delays more first refreshes (`python -m benchmarks.scarcity`)."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class PlannedRequest:
    """The range of days of a planned report request, and whether a user requested it.

    Attributes:
        start: First day.
        end: Last day; this day is due or requested by a user.
        by_hand: Whether a person wants its days now.
    """

    start: date
    end: date
    by_hand: bool = False

    def has(self, day: date) -> bool:
        """Return whether a day is in the request's range."""
        return self.start <= day <= self.end


def plan_requests(
    days: Collection[date],
    *,
    longest_days: int,
    alone: Collection[date] = (),
    by_hand: bool = False,
) -> list[PlannedRequest]:
    """Cover days with as few requests as possible, newest first.

    A request covers at most `longest_days`, including both ends. Each day in `alone` gets a
    separate request.
    """
    covered = sorted({*days} - {*alone}, reverse=True)
    groups = [*_cover(covered, longest_days), *([day] for day in alone)]
    planned = [PlannedRequest(group[-1], group[0], by_hand) for group in groups]
    return sorted(planned, key=lambda one: one.end, reverse=True)


def should_wait_for_countries(
    first_due: datetime, next_due: datetime | None, now: datetime, patience: timedelta
) -> bool:
    """Return whether due windows wait for windows of other countries that fall due soon.

    The first due window fell due at `first_due` and may wait for `patience`. The report's next
    window in any country falls due at `next_due`.
    """
    deadline = first_due + patience
    return next_due is not None and now < deadline and next_due <= deadline


def _cover(targets: Sequence[date], longest_days: int) -> Iterator[list[date]]:
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
    """A planned report that is compared with others to decide which one is created next.

    Attributes:
        end_date: The report's newest day.
        by_hand: Whether a person wants its days now.
        on_time: How many windows, in all countries, the report would load for the first time and on
            time if it were created now.
        passed_over: The number of reports of the same kind created since this one was planned.
        report_requested_at: When a report of the same kind was last created; None if never.
        account_requested_at: The latest `report_requested_at` of the ads account's planned reports.
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
    """Return the candidate to create next at a gate; None if there are no candidates."""
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
    """Return a report's age in days, counted from its newest day `end`; at least 1."""
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
    """Return a report's priority in points; infinity if its kind was never requested before."""
    if candidate.report_requested_at is None:
        return inf
    return candidate.on_time + WORTH_OF_A_DAY * (
        (now - candidate.report_requested_at) / timedelta(days=1)
    )


def _queue(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.account_id, candidate.dataset, candidate.report
