"""Which days of a refused report are requested again. Pure.

A refusal alone shows nothing: its words may mean something else. So the same report is requested
again for fewer days.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from bidbeacon_pipelines.requests.rules import Failure, FailureKind

Days = tuple[date, date]
"""The first and last day of a report."""


def is_too_large(failure: Failure | None, *, days: int, longest_days: int) -> bool:
    """Return whether a report of so many days failed because it was too large.

    A report of the longest period that failed in every attempt counts as too large: Amazon doesn't
    always say so.
    """
    if failure is None:
        return False
    fails_always = failure.kind is FailureKind.REPORT_FAILED and days >= longest_days
    return failure.kind is FailureKind.TOO_LARGE or fails_always


def halves(start: date, end: date) -> list[Days]:
    """Return the two halves of a report, the younger one first; none of a single day."""
    if start == end:
        return []
    middle = start + timedelta(days=((end - start).days + 1) // 2)
    return [(middle, end), (start, middle - timedelta(days=1))]


def should_be_apart(failure: Failure | None, ad_products: Sequence[str], *, days: int) -> bool:
    """Return whether the ad products of a refused report may come in reports of their own."""
    if failure is None or len(ad_products) == 1:
        return False
    is_refused = failure.cause["code"] == "fields-refused-together"
    return is_refused or (failure.kind is FailureKind.TOO_LARGE and days == 1)
