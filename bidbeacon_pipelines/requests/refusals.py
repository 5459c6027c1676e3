"""Which refusals of a report are believed at once, and which of its days are requested again. Pure.

A faulty gateway may refuse what Amazon would accept, and a believed refusal postpones the data by a
day. So an implausible one has to be confirmed: the report is requested once more, later. The words
of a confirmed one may mean something else, so the report is requested again for fewer days.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from bidbeacon_pipelines.requests.rules import Failure, FailureKind

Days = tuple[date, date]
"""The first and last day of a report."""

_REFUSED_FIELDS = frozenset({"field-refused", "fields-refused-together"})
"""The report names fields that Amazon doesn't know, that exclude each other or lack a companion: that stays true."""


def doubted(failure: Failure) -> Failure:
    """Return a refusal as one that is to be confirmed: the report is requested again, later."""
    return replace(failure, kind=FailureKind.NO_REPORT)


def weighed(failure: Failure, before: Failure | None, *, is_part: bool) -> Failure:
    """Return a failure to create a report; an implausible one is to be confirmed, unless the attempt before failed for the same cause.

    With `is_part`, the report is a part of one that was refused.
    """
    is_same = before is not None and before.cause["code"] == failure.cause["code"]
    is_believed = is_same or not _is_doubtful(failure, is_part=is_part)
    return failure if is_believed else doubted(failure)


def _is_doubtful(failure: Failure, *, is_part: bool) -> bool:
    if failure.kind is FailureKind.REJECTED:
        return failure.cause["code"] not in _REFUSED_FIELDS
    return failure.kind is FailureKind.TOO_OLD and not is_part


def is_too_large(failure: Failure, *, days: int, longest_days: int) -> bool:
    """Return whether a report of so many days failed because it was too large.

    A report of the longest period that failed in every attempt counts as too large: Amazon doesn't
    always say so.
    """
    fails_always = failure.kind is FailureKind.REPORT_FAILED and days >= longest_days
    return failure.kind is FailureKind.TOO_LARGE or fails_always


def halves(start: date, end: date) -> list[Days]:
    """Return the two halves of a report, the younger one first; none of a single day."""
    if start == end:
        return []
    middle = start + timedelta(days=((end - start).days + 1) // 2)
    return [(middle, end), (start, middle - timedelta(days=1))]


def should_be_apart(failure: Failure, ad_products: Sequence[str], *, days: int) -> bool:
    """Return whether the ad products of a refused report may come in reports of their own."""
    if len(ad_products) == 1:
        return False
    is_refused = failure.cause["code"] == "fields-refused-together"
    return is_refused or (failure.kind is FailureKind.TOO_LARGE and days == 1)
