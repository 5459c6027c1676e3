"""Splits a dataset into several reports, where Amazon refuses the fields of its ad products together or a report is too large. Pure.

What is too large is split by dates first, then by ad product.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta

from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.requests.rules import Failure, FailureKind

Learned = Mapping[str, tuple[int, date]]
"""By dataset, the most days of a report that Amazon made, and the day on which it refused more."""
TRIED_AGAIN_AFTER = timedelta(days=28)
_MOST_DOUBLINGS = 10
_UNION_CODES = frozenset({"400004", "400006"})
"""Fields exclude each other, or lack a companion."""


def shorter_period(failure: Failure | None, *, days: int, longest_days: int) -> int | None:
    """Return the new longest period in days, if a request ended because it was too large; else None.

    A report of the longest period that failed in every attempt counts as too large: Amazon doesn't
    always say so.

    Args:
        failure: What the request ended with.
        days: How many days it covered.
        longest_days: The most days that a request of this dataset and ads account may cover.
    """
    if failure is None or days < 2:  # noqa: PLR2004 - one day can't be split
        return None
    is_named_too_large = failure.kind is FailureKind.TOO_LARGE
    fails_always = failure.kind is FailureKind.REPORT_FAILED and days >= longest_days
    return days // 2 if is_named_too_large or fails_always else None


def should_split_by_product(
    failure: Failure | None, *, days: int, ad_products: Sequence[str]
) -> bool:
    """Return whether a report of several ad products has to be requested by product: even one day of it was too large."""
    return (
        failure is not None
        and failure.kind is FailureKind.TOO_LARGE
        and days == 1
        and len(ad_products) > 1
    )


def is_refused_union(failure: Failure | None, ad_products: Sequence[str]) -> bool:
    """Return whether Amazon refused the fields of several ad products together, which it may accept separately."""
    return failure is not None and failure.code in _UNION_CODES and len(ad_products) > 1


def report_groups(
    dataset: Dataset, *, by_product: bool = False, without: Collection[str] = ()
) -> list[tuple[str, ...]]:
    """Return the ad products of each report that a dataset is asked for in.

    Args:
        dataset: Its registry entry.
        by_product: Whether each ad product is asked for alone.
        without: Ad products that the ads account has no campaigns of. They cost nothing in a report
            with others, so only reports of
            nothing else are left out.
    """
    groups = [report.ad_products for report in dataset.reports]
    if by_product:
        groups = [(product,) for group in groups for product in group]
    return [group for group in groups if not set(group) <= set(without)] or groups[:1]


def without_campaigns(dataset: Dataset, has: Collection[str] | None) -> set[str]:
    """Return the ad products of a dataset that an ads account has no campaigns of; none where that is not known."""
    return set() if has is None else set(dataset.ad_products) - set(has)


def products_to_request(dataset: Dataset, has: Collection[str] | None) -> list[str]:
    """Return the ad products that a dataset of an ads account is asked for; `has` are those that it has campaigns of, where that is known."""
    groups = report_groups(dataset, without=without_campaigns(dataset, has))
    return [product for group in groups for product in group]


def longest_period(dataset: Dataset, learned: Learned, today: date) -> int:
    """Return how many days one report may span: Amazon's limit, or less where that was learned of the ads account.

    What was learned doubles every four weeks: an account shrinks, and reports that failed in an
    incident were not too large.

    Args:
        dataset: Its registry entry.
        learned: What is known of the ads account.
        today: The date, UTC.
    """
    days, since = learned.get(dataset.name, (dataset.longest_period_days, today))
    doublings = min(max((today - since) // TRIED_AGAIN_AFTER, 0), _MOST_DOUBLINGS)
    return min(days << doublings, dataset.longest_period_days)
