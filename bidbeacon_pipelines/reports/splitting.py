"""Into how long periods days are split whose report is too large for Amazon. Pure.

Days are all that is split by: each dataset asks for one ad product so far.
"""

from collections.abc import Mapping
from datetime import date, timedelta

from bidbeacon_pipelines.reports.datasets import Dataset
from bidbeacon_pipelines.reports.lifecycle import Failure, FailureKind

Learned = Mapping[str, tuple[int, date]]
"""By dataset, the most days of a report that Amazon made, and the day on which it refused more."""
TRIED_AGAIN_AFTER = timedelta(days=28)
_MOST_DOUBLINGS = 10


def shorter_period(failure: Failure | None, *, days: int, longest_days: int) -> int | None:
    """Return the most days to ask for at a time from now on, where a request ended because it was too large; else None.

    A report of the longest period that failed in every attempt counts as too large: Amazon doesn't always say so.

    Args:
        failure: What the request ended with.
        days: How many days it covered.
        longest_days: The most days that a request of this dataset and ads account may cover.
    """
    if failure is None or days < 2:  # noqa: PLR2004 - one day can't be split
        return None
    says_so = failure.kind is FailureKind.TOO_LARGE
    fails_always = failure.kind is FailureKind.REPORT_FAILED and days >= longest_days
    return days // 2 if says_so or fails_always else None


def longest_period(dataset: Dataset, learned: Learned, today: date) -> int:
    """Return how many days one report may span: Amazon's limit, or less where that was learned of the ads account.

    What was learned doubles every four weeks: an account shrinks, and reports that failed in an incident were not too large.

    Args:
        dataset: Its registry entry.
        learned: What is known of the ads account.
        today: The date, UTC.
    """
    days, since = learned.get(dataset.name, (dataset.longest_period_days, today))
    doublings = min(max((today - since) // TRIED_AGAIN_AFTER, 0), _MOST_DOUBLINGS)
    return min(days << doublings, dataset.longest_period_days)
