"""Which reports to request: covers the due days of one report of an ads account with as few requests as possible. Pure.

A request has all countries of its ads account, so a day takes one request, however many countries
are due. The cover is greedy from the newest due day: each request reaches back as far as the
longest period allows, over days that aren't due. That is the least number of requests (an interval
cover of points).
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta


@dataclass(frozen=True)
class PlannedRequest:
    """A planned request.

    Attributes:
        start: First day.
        end: Last day; it is due or wanted.
        by_hand: Whether somebody waits for it.
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

    Args:
        days: Those that are due in at least one country, or wanted, and in no report yet.
        longest_days: Most days that one report may span, both ends counted.
        alone: Those of the days that each take a request of their own.
        by_hand: Whether somebody waits for them.
    """
    covered = sorted({*days} - {*alone}, reverse=True)
    groups = [*_cover(covered, longest_days), *([day] for day in alone)]
    planned = [PlannedRequest(group[-1], group[0], by_hand) for group in groups]
    return sorted(planned, key=lambda one: one.end, reverse=True)


def should_wait_for_countries(
    first_due: datetime, next_due: datetime | None, now: datetime, patience: timedelta
) -> bool:
    """Return whether due windows wait for those of other countries, which fall due while that is worth waiting for.

    Args:
        first_due: When the first of them fell due.
        next_due: When the next window of the report falls due in any country of the ads account,
            after now.
        now: The instant, UTC.
        patience: How long a due window may wait.
    """
    deadline = first_due + patience
    return next_due is not None and now < deadline and next_due <= deadline


def _cover(targets: Sequence[date], longest_days: int) -> Iterator[list[date]]:
    """Split descending targets into the groups that one request each can cover."""
    group: list[date] = []
    for day in targets:
        if group and (group[0] - day).days >= longest_days:
            yield group
            group = []
        group.append(day)
    if group:
        yield group
