"""Which reports to ask for: the due days of one dataset of an ads account, covered with as few requests as possible. Pure.

A report holds all countries of its ads account, so a day takes one request, in however many countries it is due. The cover is greedy from
the newest due day: each request reaches back as far as the longest period allows, over days that aren't due. That is the least
number of requests (an interval cover of points).
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta


@dataclass(frozen=True)
class PlannedRequest:
    """One report to ask for.

    Attributes:
        start: First day.
        end: Last day; it is due or wanted.
        by_hand: Whether somebody waits for it.
    """

    start: date
    end: date
    by_hand: bool = False

    def covers(self, day: date) -> bool:
        """Return whether the report holds a day."""
        return self.start <= day <= self.end


def plan_requests(
    due: Collection[date], *, longest_days: int, wanted: Collection[date] = ()
) -> list[PlannedRequest]:
    """Cover what is due or wanted with as few requests as possible, the newest first.

    Args:
        due: The days that are due in at least one country and in no report yet.
        longest_days: Most days that one report may span, both ends counted.
        wanted: Days that somebody asked for by hand; they need not be due.
    """
    targets = sorted({*due, *wanted}, reverse=True)
    by_hand = set(wanted)
    return [
        PlannedRequest(
            start=group[-1],
            end=group[0],
            by_hand=not by_hand.isdisjoint(group),
        )
        for group in _cover(targets, longest_days)
    ]


def should_wait_for_countries(
    first_due: datetime, next_due: datetime | None, now: datetime, patience: timedelta
) -> bool:
    """Return whether due windows wait for those of other countries, which fall due while that is worth waiting for.

    Args:
        first_due: When the first of them fell due.
        next_due: When the next window of the dataset falls due in any country of the ads account, after now.
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
