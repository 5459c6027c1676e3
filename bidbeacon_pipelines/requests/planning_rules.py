"""Which reports to request: covers the due days of one dataset of an ads account with as few requests as possible. Pure.

A report has all countries of its ads account, so a day takes one request, however many countries
are due. The cover is greedy from the newest due day: each request reaches back as far as the
longest period allows, over days that aren't due. That is the least number of requests (an interval
cover of points).

A window may need several reports, one for each group of ad products. It waits for one at a time, so
the next one is planned.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import MappingProxyType


@dataclass(frozen=True)
class PlannedRequest:
    """A planned report.

    Attributes:
        start: First day.
        end: Last day; it is due or wanted.
        by_hand: Whether somebody waits for it.
        ad_products: Those whose rows it holds; empty where there is one group only.
    """

    start: date
    end: date
    by_hand: bool = False
    ad_products: tuple[str, ...] = ()

    def covers(self, day: date) -> bool:
        """Return whether the report holds a day."""
        return self.start <= day <= self.end


def plan_requests(
    due: Collection[date], *, longest_days: int, wanted: Collection[date] = ()
) -> list[PlannedRequest]:
    """Cover due and wanted days with as few requests as possible, newest first.

    Args:
        due: The days that are due in at least one country and in no report yet.
        longest_days: Most days that one report may span, both ends counted.
        wanted: Manually requested days; they need not be due.
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


@dataclass(frozen=True)
class DueDay:
    """A day on which windows of some countries need the same ad products.

    Attributes:
        day: The day.
        products: The ad products that are due, or wanted; None for all of the dataset.
        is_due: Whether they are due.
        is_wanted: Whether they were requested manually.
    """

    day: date
    products: frozenset[str] | None
    is_due: bool = True
    is_wanted: bool = False


def plan_reports(
    days: Collection[DueDay],
    groups: Sequence[tuple[str, ...]],
    *,
    longest_days: int,
    oldest: Mapping[tuple[str, ...], date] = MappingProxyType({}),
) -> list[PlannedRequest]:
    """Cover the next report of every due window with as few requests as possible, newest first.

    Args:
        days: What is due or wanted; a day may come several times, with different ad products.
        groups: The ad products of each report that the dataset is asked for in, in the order they
            are asked for.
        longest_days: Most days that one report may span, both ends counted.
        oldest: The oldest day that reports of these ad products may ask for, while it is searched
            how far back they are served. The
            newest older day is requested once no younger one is.
    """
    by_group: defaultdict[tuple[str, ...], list[DueDay]] = defaultdict(list)
    for day in days:
        within = [group for group in groups if day.day >= oldest.get(group, date.min)]
        if (group := next_group(day.products, within)) is not None:
            by_group[group].append(day)
    for group in oldest.keys() - by_group.keys():
        older = [day for day in days if next_group(day.products, [group]) is not None]
        by_group[group] = [day for day in older if day.day == max(day.day for day in older)]
    planned = [
        replace(request, ad_products=group)
        for group, alike in by_group.items()
        for request in plan_requests(
            {day.day for day in alike if day.is_due},
            longest_days=longest_days,
            wanted={day.day for day in alike if day.is_wanted},
        )
    ]
    return sorted(
        planned, key=lambda planned: (planned.end, -groups.index(planned.ad_products)), reverse=True
    )


def next_group(
    products: Collection[str] | None, groups: Sequence[tuple[str, ...]]
) -> tuple[str, ...] | None:
    """Return the ad products of the next report for a window; None where no report has any that it needs."""
    return next(
        (group for group in groups if products is None or not set(group).isdisjoint(products)), None
    )


def should_wait_for_countries(
    first_due: datetime, next_due: datetime | None, now: datetime, patience: timedelta
) -> bool:
    """Return whether due windows wait for those of other countries, which fall due while that is worth waiting for.

    Args:
        first_due: When the first of them fell due.
        next_due: When the next window of the dataset falls due in any country of the ads account,
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
