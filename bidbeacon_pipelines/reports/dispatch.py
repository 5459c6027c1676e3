"""Which planned report is created next, where there is room for one: the order of the dispatcher. Pure.

First what somebody asked for by hand, then the first refresh of a day, then younger refreshes, then older ones. Among equals, a first
refresh that can still be on time goes before one that is late; then ads accounts take turns, and the datasets within them. No
planned report waits for more than ten others of its ads account and dataset.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bidbeacon_pipelines.reports.datasets import Dataset

WAITS_FOR_AT_MOST = 10
"""Reports of the same ads account and dataset that may be created before one that is planned."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A planned report.

    Attributes:
        request_id: Its request.
        account_id: Its ads account.
        dataset: Its dataset's name.
        age: Days from its newest day to today; 1 for yesterday.
        by_hand: Whether somebody waits for it.
        due_since: When its newest day fell due.
        passed_over: Reports of its ads account and dataset created since it was planned.
        account_asked_at: When a report of its ads account was last created; None where none ever was.
        dataset_asked_at: The same of its ads account and dataset.
    """

    request_id: int
    account_id: str
    dataset: str
    age: int
    by_hand: bool = False
    due_since: datetime | None = None
    passed_over: int = 0
    account_asked_at: datetime | None = None
    dataset_asked_at: datetime | None = None


def next_to_create(
    candidates: Sequence[Candidate],
    datasets: Mapping[str, Dataset],
    *,
    now: datetime,
    tolerance: timedelta,
) -> Candidate | None:
    """Return the planned report to create next; None where there are none.

    Args:
        candidates: All that are planned for one client id and region.
        datasets: The registry entries of their datasets.
        now: The instant, UTC.
        tolerance: How long after it fell due a refresh is on time.
    """
    if not candidates:
        return None
    first = min(candidates, key=lambda one: _urgency(one, datasets[one.dataset], now - tolerance))
    if first.by_hand:
        return first
    siblings = [one for one in candidates if _queue(one) == _queue(first)]
    siblings.sort(key=lambda one: -one.passed_over)
    is_urgent = any(one.passed_over + place >= WAITS_FOR_AT_MOST for place, one in enumerate(siblings))
    return siblings[0] if is_urgent else first


def days_old(end: date, now: datetime) -> int:
    """Return the age that counts for a report whose newest day is `end`: 1 where that day has just ended somewhere."""
    return max((now.astimezone(UTC).date() - end).days, 1)


def _urgency(one: Candidate, dataset: Dataset, late_before: datetime) -> tuple[object, ...]:
    """Return what candidates are compared by; the lowest goes first."""
    refresh = bisect_right(dataset.refresh_offsets, one.age)
    is_late = one.due_since is not None and one.due_since < late_before
    asked = one.account_asked_at or _NEVER, one.dataset_asked_at or _NEVER
    return not one.by_hand, refresh, is_late, *asked, one.age, one.request_id


def _queue(one: Candidate) -> tuple[str, str]:
    return one.account_id, one.dataset
