"""Finds how far back and for how many days at once Amazon makes a report, with few reports. Pure.

A refusal alone shows nothing. A limit is what is refused, and then given for a day less or half of the days.
An answer without rows shows nothing either: Amazon may give days that it no longer serves as an empty success.
"""

from collections.abc import Callable
from typing import Final

PUBLISHED: Final = (456, 459, 95, 96, 65, 66, 60, 61)
"""Histories that public sources name, in days, each with one that is too long: 15 months, and those of the older API."""
LONGEST_PUBLISHED: Final = 730
"""The longest history that a public source names, in days: 24 months."""


def find_history(is_given: Callable[[int], bool], *, given: int, refused: int) -> int:
    """Return how many days ago the oldest day is that Amazon gives.

    Args:
        is_given: Asks for a day that was so many days ago.
        given: One that is given.
        refused: One that is refused.
    """
    while refused - given > 1:
        between = (days for days in PUBLISHED if given < days < refused)
        days = next(between, (given + refused) // 2)
        if is_given(days):
            given = days
        else:
            refused = days
    return given


def find_longest(is_given: Callable[[int], bool], *, refused: int) -> int | None:
    """Return the most days that one report may span, by halving; None if not even one day is given.

    Args:
        is_given: Asks for a report of so many days.
        refused: A number of days that is refused.
    """
    days = refused
    while days > 1:
        days = (days + 1) // 2
        if is_given(days):
            return days
    return None
