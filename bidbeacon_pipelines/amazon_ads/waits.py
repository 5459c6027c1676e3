"""Time a client has spent waiting for Amazon, by operation and cause."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class WaitCause:
    """The waits before one kind of call for one cause.

    Attributes:
        operation: The operation, such as "create a report".
        cause: Why, as "HTTP 429", "no connection" or "our own queue".
        count: How many waits.
        seconds: How long in all.
    """

    operation: str
    cause: str
    count: int
    seconds: float


@dataclass(frozen=True)
class WaitSummary:
    """Time spent waiting, by cause, longest time first."""

    causes: tuple[WaitCause, ...] = ()

    @property
    def seconds(self) -> float:
        """How long in all; threads that wait at once add up."""
        return sum(cause.seconds for cause in self.causes)

    @property
    def count(self) -> int:
        """How many waits."""
        return sum(cause.count for cause in self.causes)

    @property
    def sentence(self) -> str:
        """Return a sentence: "Waited 3 min 12 s for Amazon: 12 waits, mostly to create a report (HTTP 429)."."""
        if not self.causes:
            return "Did not wait for Amazon."
        first, waits = self.causes[0], "1 wait" if self.count == 1 else f"{self.count} waits"
        share = "to " if len(self.causes) == 1 else "mostly to "
        why = f"{share}{first.operation} ({first.cause})"
        return f"Waited {duration_text(self.seconds)} for Amazon: {waits}, {why}."


def duration_text(seconds: float) -> str:
    """Return a duration in its two largest units: "3 min 12 s", "1 h 4 min", "0.4 s"."""
    if seconds < 1:
        return "under 0.1 s" if seconds < 0.05 else f"{seconds:.1f} s"  # noqa: PLR2004 - what rounds to 0.0
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{rest} s"


class Waits:
    """Adds up the waits of a client; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[tuple[str, str], tuple[int, float]] = {}

    def add(self, operation: str, cause: str, seconds: float) -> None:
        """Add a wait that begins."""
        with self._lock:
            count, before = self._sums.get((operation, cause), (0, 0.0))
            self._sums[operation, cause] = (count + 1, before + seconds)

    @property
    def slept_seconds(self) -> float:
        """How long threads have slept."""
        with self._lock:
            return sum(seconds for _, seconds in self._sums.values())

    def summary(self) -> WaitSummary:
        """Return what was added so far."""
        with self._lock:
            sums = dict(self._sums)
        return _summary(sums)

    def take(self) -> WaitSummary:
        """Return what was added so far, and reset: for a client that serves one session after another."""
        with self._lock:
            sums, self._sums = self._sums, {}
        return _summary(sums)


def _summary(sums: Mapping[tuple[str, str], tuple[int, float]]) -> WaitSummary:
    causes = [WaitCause(*key, count, seconds) for key, (count, seconds) in sums.items()]
    return WaitSummary(tuple(sorted(causes, key=lambda cause: -cause.seconds)))
