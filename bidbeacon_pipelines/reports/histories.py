"""How far back Amazon serves an ad product of a dataset, where that is less than the registry says: learned from refusals. Pure.

No document says it, and a refusal says only that its first day is too old. So the boundary is found
by binary search between a report that was served and one that was refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from bidbeacon_pipelines.reports.fields import SPONSORED_PRODUCTS

SURELY_SERVED_DAYS = 31
"""Every ad product is served for at least so long; a younger day that is refused says nothing about its history."""


@dataclass(frozen=True)
class History:
    """How many days back the reports of an ad product reached.

    Attributes:
        served: The most that was served.
        refused: The fewest that was refused as too old; more than `served`.
    """

    served: int
    refused: int

    @property
    def reach(self) -> int:
        """How many days back the next report may reach: half of the way to what was refused."""
        return (self.served + self.refused) // 2


Histories = Mapping[str, History]
"""By ad product; one that is served as long as the registry says has none."""


def after_refusal(
    before: History | None, ad_products: Sequence[str], days_back: int
) -> History | None:
    """Return what a report that was too old shows about its ad product, or None.

    It shows nothing about several ad products, of which any may be meant, or about Sponsored
    Products, whose history is documented.

    Args:
        before: What was known.
        ad_products: The ad products of the report.
        days_back: How many days ago its first day was.
    """
    if (
        list(ad_products) == [SPONSORED_PRODUCTS]
        or len(ad_products) > 1
        or days_back <= SURELY_SERVED_DAYS
    ):
        return None
    if before is None or days_back <= before.served:
        return History(SURELY_SERVED_DAYS, days_back)
    return replace(before, refused=min(before.refused, days_back))


def after_loaded(before: History, days_back: int) -> History:
    """Return what a completed report shows, which reached so many days back."""
    served = max(before.served, days_back)
    return History(served, max(before.refused, served + 1))


def oldest_days(
    groups: Sequence[tuple[str, ...]], histories: Histories, today: date
) -> dict[tuple[str, ...], date]:
    """Return the oldest day that each report may ask for, where that was learned; one of several ad products is served as long as one of them."""
    return {
        group: today - timedelta(days=max(histories[product].reach for product in group))
        for group in groups
        if all(product in histories for product in group)
    }
