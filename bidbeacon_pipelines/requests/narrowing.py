"""Which days of a refused report are requested again, and what Amazon's answers show about its limits. Pure.

A refusal alone shows nothing: its words may mean something else. So the same report is requested
again for fewer days. Only where it is refused for more days and then given for fewer, that is a
limit: of the days that one report may span, or of how far back Amazon serves it.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from bidbeacon_pipelines.requests.rules import Failure, FailureKind

SURELY_SERVED_DAYS = 31
"""Every report is served for at least so long; a younger day that is refused says nothing about its history."""
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


def parts_of_too_large(start: date, end: date) -> list[Days]:
    """Return the two halves of a report, the younger one first; none of a single day."""
    if start == end:
        return []
    middle = start + timedelta(days=((end - start).days + 1) // 2)
    return [(middle, end), (start, middle - timedelta(days=1))]


def parts_of_too_old(
    start: date, end: date, *, today: date, is_at_edge: bool, is_next_day_loaded: bool
) -> list[Days]:
    """Return the days to request again where Amazon called a report too old: its younger half, or after a single day the next one.

    Nothing is requested again if no younger day is known to be served: the report of that one is
    narrowed instead.

    Args:
        start: The report's first day.
        end: Its last day.
        today: The date, UTC.
        is_at_edge: Whether the report begins near the oldest day that Amazon is documented to
            serve: then only its oldest day is left out.
        is_next_day_loaded: Whether the day after its last one has been loaded.
    """
    next_day = end + timedelta(days=1)
    if is_at_edge:
        return [(start + timedelta(days=1), end)] if start < end else []
    if today - start <= timedelta(days=SURELY_SERVED_DAYS):
        return []
    if not is_next_day_loaded and today - end > timedelta(days=SURELY_SERVED_DAYS):
        return []
    if start < end:
        return parts_of_too_large(start, end)[:1]
    return [(next_day, next_day)] if is_next_day_loaded else []


def days_to_ask(refused_start: date, given_start: date, *, is_sure: bool) -> Days | None:
    """Return the days to request next between a report that was too old and a younger one that came.

    Where the two begin on adjacent days, the refused one is requested once more, alone: a refusal
    by chance must not cost the data of all older days. None where that has been done (`is_sure`).
    """
    middle = refused_start + timedelta(days=((given_start - refused_start).days + 1) // 2)
    last = given_start - timedelta(days=1)
    if refused_start < middle <= last:
        return middle, last
    return None if is_sure else (refused_start, refused_start)


def should_be_apart(failure: Failure | None, ad_products: Sequence[str], *, days: int) -> bool:
    """Return whether the ad products of a refused report may come in reports of their own."""
    if failure is None or len(ad_products) == 1:
        return False
    is_refused = failure.cause["code"] == "fields-refused-together"
    return is_refused or (failure.kind is FailureKind.TOO_LARGE and days == 1)
