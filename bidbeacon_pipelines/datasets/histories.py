"""How far back Amazon serves an ad product of a dataset, where that is less than the registry says: learned from reports. Pure.

Amazon documents neither the limit nor an error code for it, and the words of a refusal may mean
something else. So a refusal is only a suspicion. It counts once the same ads account was refused
older days both before and after it was served younger ones. The boundary is then found by binary
search between a report that was served and one that was refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from bidbeacon_pipelines.datasets.fields import SPONSORED_PRODUCTS

SURELY_SERVED_DAYS = 31
"""Every ad product is served for at least so long; a younger day that is refused says nothing about its history."""
TRIED_AGAIN_AFTER = timedelta(days=7)
"""Older days are requested again this long after a limit was learned; older evidence is ignored."""
_OVER_BEYOND_DAYS = 2
"""A history is over where a report reached further back than what was refused by so many days: calendars of accounts differ by one."""
_WITHOUT_OLDEST_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class History:
    """How many days back the reports of an ad product reached.

    Attributes:
        served: The most that was served.
        refused: The fewest that was refused as too old; more than `served`.
        is_on_trial: Whether it was learned so long ago that an older day is tried again. It sets no
            bound meanwhile.
    """

    served: int
    refused: int
    is_on_trial: bool = False

    @property
    def reach(self) -> int:
        """How many days back the next report may reach: half of the way to what was refused."""
        return (self.served + self.refused) // 2


Histories = Mapping[str, History]
"""By ad product; one that is served as long as the registry says has none."""


@dataclass(frozen=True)
class Outcome:
    """A report of one ad product that Amazon refused as too old, or that was loaded; `days_back` is how many days ago its first day was."""

    days_back: int
    is_refused: bool


def can_be_short(ad_products: Sequence[str], days_back: int) -> bool:
    """Return whether a refusal as too old may mean that the history of a report's ad product is short.

    It can't for several ad products, of which any may be meant, for Sponsored Products, whose
    history is documented, or for days that are served of every ad product.
    """
    is_documented = list(ad_products) == [SPONSORED_PRODUCTS]
    return len(ad_products) == 1 and not is_documented and days_back > SURELY_SERVED_DAYS


def soon_after_refusal(
    day: date, start: date, now: datetime, *, is_at_edge: bool
) -> datetime | None:
    """Return when a day is asked for again, sooner than after another failure, whose report was refused as too old; None where it isn't.

    At the edge of what Amazon serves, that is without the report's oldest day. Otherwise it is
    without all days but those that are surely served: they show whether the refusal is about age.

    Args:
        day: The day.
        start: The first day of the report.
        now: The instant, UTC.
        is_at_edge: Whether the report begins near the oldest day that Amazon serves.
    """
    if is_at_edge:
        return None if day == start else now + _WITHOUT_OLDEST_AFTER
    return now if day >= now.date() - timedelta(days=SURELY_SERVED_DAYS) else None


def learn(outcomes: Iterable[Outcome]) -> History | None:
    """Return what the reports of an ad product of one ads account show about its history; None where that is nothing.

    Only a refusal that follows a served report counts, and that report has to follow a refusal:
    an account that was refused everything, and is served again, shows nothing.

    Args:
        outcomes: Its reports of the last days, oldest first.
    """
    suspected, served, refused = False, 0, None
    for one in outcomes:
        if not one.is_refused:
            if refused is not None and one.days_back >= refused:
                suspected, served, refused = False, 0, None
            served = max(served, one.days_back) if suspected else 0
        elif one.days_back <= max(served, SURELY_SERVED_DAYS):  # the younger days are refused too
            suspected, served, refused = one.days_back > SURELY_SERVED_DAYS, 0, None
        elif served:
            refused = min(refused or one.days_back, one.days_back)
        else:
            suspected = True
    return None if refused is None else History(max(served, SURELY_SERVED_DAYS), refused)


def was_served(outcomes: Iterable[Outcome]) -> bool:
    """Return whether the last report that is surely served, or was at all, was not refused: the ads account is not refused everything."""
    served = False
    for one in outcomes:
        served = not one.is_refused or (served and one.days_back > SURELY_SERVED_DAYS)
    return served


def after_loaded(before: History, days_back: int) -> History | None:
    """Return what a completed report shows, which reached so many days back; None where the history no longer holds."""
    if days_back >= before.refused + _OVER_BEYOND_DAYS:
        return None
    return replace(before, served=min(max(before.served, days_back), before.refused - 1))


def oldest_days(
    groups: Sequence[tuple[str, ...]], histories: Histories, today: date
) -> dict[tuple[str, ...], date]:
    """Return the oldest day that each report may ask for, where that was learned; one of several ad products is served as long as one of them."""
    bounds = {product: one for product, one in histories.items() if not one.is_on_trial}
    return {
        group: today - timedelta(days=max(bounds[product].reach for product in group))
        for group in groups
        if all(product in bounds for product in group)
    }
