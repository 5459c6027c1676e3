"""Rules for which refusals of a report are final, and which days to request again. Pure.

A faulty gateway may refuse a report that Amazon would accept, and a final refusal postpones the
data by a day. So an implausible refusal has to be confirmed by requesting the report again later.
Even a confirmed refusal may have a misleading reason, so fewer days are requested next.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from bidbeacon_pipelines.requests.rules import FailureKind, RequestFailure

Days = tuple[date, date]
"""The first and last day of a report."""

_REFUSED_FIELDS = frozenset({"field-refused", "fields-refused-together"})
"""Causes that a retry can't change: Amazon doesn't know a field or doesn't combine fields."""


def doubted(failure: RequestFailure) -> RequestFailure:
    """Return a refusal with the kind `NO_REPORT`, so that the report is requested again."""
    return replace(failure, kind=FailureKind.NO_REPORT)


def weighed(
    failure: RequestFailure, before: RequestFailure | None, *, is_part: bool
) -> RequestFailure:
    """Return the failure of a create, or `doubted(failure)` if it has to be confirmed first.

    A failure is confirmed if `before`, the failure of the previous attempt, has the same cause.
    `is_part` is whether the request repeats a part of a refused report.
    """
    is_same = before is not None and before.cause["code"] == failure.cause["code"]
    is_believed = is_same or not _is_doubtful(failure, is_part=is_part)
    return failure if is_believed else doubted(failure)


def _is_doubtful(failure: RequestFailure, *, is_part: bool) -> bool:
    if failure.kind is FailureKind.REJECTED:
        return failure.cause["code"] not in _REFUSED_FIELDS
    return failure.kind is FailureKind.TOO_OLD and not is_part


def is_too_large(failure: RequestFailure, *, days: int, longest_days: int) -> bool:
    """Return whether a report of `days` days failed because it was too large.

    Amazon doesn't always state this cause. So a report of `longest_days`, the longest allowed
    period, also counts as too large if Amazon failed to generate it in every attempt.
    """
    fails_always = failure.kind is FailureKind.REPORT_FAILED and days >= longest_days
    return failure.kind is FailureKind.TOO_LARGE or fails_always


def halves(start: date, end: date) -> list[Days]:
    """Return the two halves of a period, the younger half first; no halves for a single day."""
    if start == end:
        return []
    middle = start + timedelta(days=((end - start).days + 1) // 2)
    return [(middle, end), (start, middle - timedelta(days=1))]


def should_be_apart(failure: RequestFailure, ad_products: Sequence[str], *, days: int) -> bool:
    """Return whether requesting each ad product in its own report may avoid a refusal."""
    if len(ad_products) == 1:
        return False
    is_refused = failure.cause["code"] == "fields-refused-together"
    return is_refused or (failure.kind is FailureKind.TOO_LARGE and days == 1)
