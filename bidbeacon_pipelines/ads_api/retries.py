"""When a call is made again, and how long to wait before: bounded, reported, and never earlier than Amazon asks."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception

from bidbeacon_pipelines.ads_api.errors import AdsApiError

T = TypeVar("T")

draw_between: Callable[[float, float], float] = random.SystemRandom().uniform

_SECONDS = re.compile(r"\d{1,9}(\.\d{1,6})?")


class Clock(Protocol):
    """What tells the time and lets it pass."""

    def now(self) -> datetime:
        """Give the present instant, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; an interrupt from the keyboard ends it."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Give the present instant, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait; an interrupt from the keyboard ends it."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Waiting:
    """One wait before a call is made again, told when it begins; `attempt` is the one that failed, from 1."""

    seconds: float
    reason: str
    operation: str
    attempt: int


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently a call is made again.

    Without a `Retry-After`, the wait is drawn from 0 to min(cap, base·2^(attempt-1)): "full jitter", by the
    AWS Architecture Blog's "Exponential Backoff And Jitter". A wait that goes over a bound isn't shortened:
    the error is raised instead, with its `retry_after`, for the caller to plan with.

    Attributes:
        attempts: Calls made in all, at least 1.
        base_seconds: Upper bound of the first wait.
        cap_seconds: Upper bound of every wait that Amazon didn't ask for.
        longest_wait_seconds: Longest single wait that is sat out.
        total_wait_seconds: Longest wait in all.
        draw: Gives a number between two; uniform by default.
    """

    attempts: int = 5
    base_seconds: float = 1.0
    cap_seconds: float = 20.0
    longest_wait_seconds: float = 60.0
    total_wait_seconds: float = 180.0
    draw: Callable[[float, float], float] = draw_between

    def pause(self, error: BaseException | None, attempt: int) -> float:
        """Give the seconds to wait after this attempt: exactly what Amazon asked, else a backoff."""
        if isinstance(error, AdsApiError) and error.retry_after is not None:
            return error.retry_after
        doublings = min(attempt - 1, 32)
        return self.draw(0, min(self.cap_seconds, self.base_seconds * 2**doublings))

    def gives_up(self, attempt: int, waited: float, pause: float) -> bool:
        """Tell whether this attempt was the last one."""
        return (
            attempt >= self.attempts
            or pause > self.longest_wait_seconds
            or waited + pause > self.total_wait_seconds
        )


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Give the seconds that a `Retry-After` header asks for: a number or an HTTP date (RFC 9110, 10.2.3).

    A date that is past means 0; what can't be understood means None, as if the header were absent.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        instant = parsedate_to_datetime(text)
    except ValueError:
        return None
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return max(0.0, (instant - now).total_seconds())


class Retries:
    """Makes calls again while their errors are transient, as the policy says, and reports each wait."""

    def __init__(self, policy: RetryPolicy, clock: Clock, on_wait: Callable[[Waiting], None] | None) -> None:
        self._policy = policy
        self._clock = clock
        self._on_wait = on_wait

    def run(self, attempt: Callable[[], T], *, operation: str) -> T:
        """Call until it succeeds or the policy gives up; raises the last error."""
        retrying = Retrying(
            sleep=self._clock.sleep,
            retry=retry_if_exception(_is_transient),
            wait=lambda state: self._policy.pause(_error_of(state), state.attempt_number),
            stop=lambda state: self._policy.gives_up(
                state.attempt_number, state.idle_for, state.upcoming_sleep
            ),
            before_sleep=partial(self._report, operation),
            reraise=True,
        )
        return retrying(attempt)

    def _report(self, operation: str, state: RetryCallState) -> None:
        if self._on_wait is None:
            return
        error = _error_of(state)
        reason = error.reason if isinstance(error, AdsApiError) else str(error)
        self._on_wait(Waiting(state.upcoming_sleep, reason, operation, state.attempt_number))


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, AdsApiError) and error.transient


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
