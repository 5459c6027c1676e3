"""The largest share of first refreshes that any order of creation could make on time.

A steady day is divided into half hours. A dataset of an ads account can have a report in none, one
or two of them. The bound is that of Lagrangian duality: each half hour has a price, and each ads
account makes the choice that is worth most to it, its first refreshes on time, less the prices of
its reports. At any prices, no order makes more first refreshes on time than these choices are worth
plus the prices of all that Amazon makes. The search lowers that bound. It assumes that the future
is known, and that no account may demand its turn.
"""

from collections.abc import Sequence
from datetime import timedelta
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bidbeacon_pipelines.windows.rules import start_of_day
from tests.support.simulation import ACCOUNTS, START, time_zone

SLOTS = 48
"""Half hours of a day, in UTC."""
_STEPS = 8_000
_CHOICES = [(), *combinations(range(SLOTS), 1), *combinations(range(SLOTS), 2)]
_REPORTS = np.array([[slot in choice for slot in range(SLOTS)] for choice in _CHOICES], dtype=float)


def most_on_time(reports_a_day: float, tolerance: timedelta) -> float:
    """Return the largest share of first refreshes on time.

    Args:
        reports_a_day: Reports that Amazon makes, for each dataset of each ads account.
        tolerance: How long after it fell due a refresh is on time.
    """
    late = tolerance // timedelta(minutes=30)
    worth = np.array([_worth(countries, late) for countries in ACCOUNTS.values()])
    reports = reports_a_day * len(ACCOUNTS) / SLOTS
    prices, lowest = np.zeros(SLOTS), float("inf")
    for step in range(_STEPS):
        gains = worth - _REPORTS @ prices
        lowest = min(lowest, float(reports * prices.sum() + gains.max(axis=1).sum()))
        softness = 4.0 * 0.999**step
        weights = np.exp((gains - gains.max(axis=1, keepdims=True)) / softness)
        wanted = (weights / weights.sum(axis=1, keepdims=True) @ _REPORTS).sum(axis=0)
        prices = np.maximum(prices + softness * (wanted - reports), 0.0)
    return min(lowest / sum(map(len, ACCOUNTS.values())), 1.0)


def _worth(countries: Sequence[str], late: int) -> NDArray[np.float64]:
    midnights = [start_of_day(START, time_zone(country)) for country in countries]
    due = [at.hour * 2 + at.minute // 30 for at in midnights]
    return np.array(
        [
            sum(any((slot - at) % SLOTS < late for slot in choice) for at in due)
            for choice in _CHOICES
        ],
        dtype=float,
    )
