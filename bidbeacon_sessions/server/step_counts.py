"""What the steps of one process did and how long they took, for its metrics."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

STEP_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
"""Upper bounds in seconds of the groups that steps are counted in."""


class StepCounts:
    """Counts of steps since the process started.

    Attributes:
        steps: how many were taken.
        published: how many changes they published.
        seconds: how long all of them took together, commits included.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.published = 0
        self.seconds = 0.0
        self._groups: Counter[int] = Counter()

    def note(self, published: int, seconds: float) -> None:
        """Count one step."""
        self.steps += 1
        self.published += published
        self.seconds += seconds
        self._groups[bisect_left(STEP_BOUNDS, seconds)] += 1

    def count_within(self) -> Iterator[tuple[float, int]]:
        """Give, for each bound, how many steps took no longer."""
        for group, bound in enumerate(STEP_BOUNDS):
            yield bound, sum(self._groups[earlier] for earlier in range(group + 1))
