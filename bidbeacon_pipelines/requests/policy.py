"""The retry policy: pauses between polls and between attempts, and their limits. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

_GROWTH_STEPS = 20
"""Bounds the exponent: longer pauses than this give are cut anyway."""


@dataclass(frozen=True, kw_only=True)
class LifecyclePolicy:
    """Pauses and limits of a report request.

    Attributes:
        first_poll_after: From sending to the first poll: the dataset's usual latency.
        poll_every: Pause after the first poll; each further pause is half as long again.
        longest_poll_pause: Where the pauses stop growing.
        max_pending: How long one report may stay unfinished before it is requested again.
        max_attempts: How many times a report is requested in all.
        first_retry_pause: Pause after the first failure; each further one is twice as long.
        longest_retry_pause: Where these stop growing.
        resend_grace: Pause after a request with an unknown outcome; twice as long each further
            time.
        max_loads: How many times loading one completed report is begun.
        first_suspicious_pause: Pause before a window with a suspicious report is requested again;
            each further pause is four times as long.
        longest_suspicious_pause: Where these stop growing.
    """

    first_poll_after: timedelta = timedelta(minutes=3)
    poll_every: timedelta = timedelta(seconds=60)
    longest_poll_pause: timedelta = timedelta(minutes=15)
    max_pending: timedelta = timedelta(hours=24)
    max_attempts: int = 5
    first_retry_pause: timedelta = timedelta(minutes=5)
    longest_retry_pause: timedelta = timedelta(hours=2)
    resend_grace: timedelta = timedelta(minutes=10)
    max_loads: int = 3
    first_suspicious_pause: timedelta = timedelta(minutes=15)
    longest_suspicious_pause: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        """Refuse a policy under which a request might never end."""
        if self.poll_every <= timedelta(0) or self.max_pending <= timedelta(0):
            raise ValueError("expected poll_every and max_pending above zero")
        if self.first_poll_after >= self.max_pending:
            raise ValueError("expected first_poll_after below max_pending")
        if self.max_attempts < 1 or self.max_loads < 1:
            raise ValueError("expected max_attempts and max_loads of 1 or more")

    def poll_pause(self, polls: int) -> timedelta:
        """Return the pause before the next poll, after so many polls of the same report."""
        if polls == 0:
            return self.first_poll_after
        grown = self.poll_every * 1.5 ** min(polls - 1, _GROWTH_STEPS)
        return max(self.poll_every, min(grown, self.longest_poll_pause))

    def retry_pause(self, attempts: int) -> timedelta:
        """Return the pause before a report is requested again, after so many failed attempts."""
        return min(_doubled(self.first_retry_pause, attempts), self.longest_retry_pause)

    def suspicious_pause(self, suspicious_before: int) -> timedelta:
        """Return the pause before a window is requested again, after so many earlier suspicious reports."""
        return min(
            _doubled(self.first_suspicious_pause, 2 * suspicious_before + 1),
            self.longest_suspicious_pause,
        )

    def grace(self, attempts: int) -> timedelta:
        """Return the time an attempt with an unknown outcome is left alone, where it is the attempt of this number."""
        return min(
            _doubled(self.resend_grace, attempts), max(self.resend_grace, self.longest_retry_pause)
        )


def next_poll_at(policy: LifecyclePolicy, polls_so_far: int, since: datetime) -> datetime:
    """Return the instant of a report's next poll.

    Args:
        policy: The retry policy.
        polls_so_far: Polls already made of this report.
        since: When it was sent, where it was never polled; else when it was last polled.
    """
    return since + policy.poll_pause(polls_so_far)


def _doubled(first: timedelta, times: int) -> timedelta:
    doublings: int = min(max(times - 1, 0), _GROWTH_STEPS)
    return first * (1 << doublings)
