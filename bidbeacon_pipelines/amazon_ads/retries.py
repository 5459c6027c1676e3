"""Retries of calls: bounded, reported, and never earlier than Amazon asks."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception

from bidbeacon_pipelines.amazon_ads.clock import Clock
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
from bidbeacon_pipelines.amazon_ads.ledger import Tries

T = TypeVar("T")

draw_between: Callable[[float, float], float] = random.SystemRandom().uniform


@dataclass(frozen=True)
class Waiting:
    """A wait before a call, reported when it begins.

    Attributes:
        seconds: Its length.
        reason: What happened, in words.
        operation: The operation, such as "create a report".
        attempt: The attempt that failed, from 1; 0 for a wait in our own queue, before anything was
            sent.
        cause: A short name of the reason, to group by: "HTTP 429", "our own queue".
    """

    seconds: float
    reason: str
    operation: str
    attempt: int
    cause: str


@dataclass(frozen=True)
class RetryPolicy:
    """How often a call is retried, and how long to wait.

    Without a `Retry-After`, the wait is drawn from 0 to min(cap, base·2^(attempt-1)): "full
    jitter", by the AWS Architecture Blog's "Exponential Backoff And Jitter". A wait over a limit
    isn't shortened: the error is raised instead, with its `retry_after`.

    Attributes:
        attempts: Calls made in all, at least 1.
        base_seconds: Upper bound of the first wait.
        cap_seconds: Upper bound of every wait that Amazon didn't ask for.
        longest_wait_seconds: Longest single wait, between attempts and in our own queue.
        total_wait_seconds: Longest wait of one call in all.
        run_wait_seconds: Longest wait of all calls of a run together.
        draw: Returns a random number between two; uniform by default.
    """

    attempts: int = 5
    base_seconds: float = 1.0
    cap_seconds: float = 20.0
    longest_wait_seconds: float = 60.0
    total_wait_seconds: float = 180.0
    run_wait_seconds: float = math.inf
    draw: Callable[[float, float], float] = draw_between

    def pause(self, error: BaseException | None, attempt: int) -> float:
        """Return the seconds to wait after this attempt: exactly what Amazon asked, else a backoff."""
        if isinstance(error, AdsApiError) and error.retry_after is not None:
            return error.retry_after
        doublings = min(attempt - 1, 32)
        return self.draw(0, min(self.cap_seconds, self.base_seconds * 2**doublings))

    def longest_wait(self, waited_in_run: float) -> float:
        """Return how many seconds the next wait may take, in a run that has waited for so many."""
        return max(0.0, min(self.longest_wait_seconds, self.run_wait_seconds - waited_in_run))

    def gives_up(self, attempt: int, waited: float, pause: float, waited_in_run: float = 0) -> bool:
        """Return whether this attempt was the last one.

        Args:
            attempt: Its number, from 1.
            waited: Seconds that its call has waited.
            pause: Seconds to wait before the next attempt.
            waited_in_run: Seconds that all calls of the run have waited.
        """
        return (
            attempt >= self.attempts
            or pause > self.longest_wait(waited_in_run)
            or waited + pause > self.total_wait_seconds
        )


SHORT_WAITS = RetryPolicy(longest_wait_seconds=5.0, total_wait_seconds=5.0, run_wait_seconds=5.0)
"""For jobs: a run waits for Amazon for five seconds in all. The time to go on after a longer wait is stored."""


class Retries:
    """Makes calls again while their errors are transient, as the policy says, and reports each wait.

    Args:
        policy: The retry policy.
        clock: Sleeps.
        on_wait: Called when a wait begins.
        waited_in_run: Returns how many seconds all calls of the run have waited.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        clock: Clock,
        on_wait: Callable[[Waiting], None],
        waited_in_run: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._on_wait = on_wait
        self._waited_in_run = waited_in_run

    def run(self, attempt: Callable[[], T], *, operation: str, tries: Tries | None = None) -> T:
        """Call until it succeeds or the policy gives up; raises the last error.

        Args:
            attempt: Makes the call once.
            operation: The operation, for messages.
            tries: Counts each wait, for the record of the next exchange.
        """
        retrying = Retrying(
            sleep=self._clock.sleep,
            retry=retry_if_exception(_is_transient),
            wait=lambda state: self._policy.pause(_error_of(state), state.attempt_number),
            stop=lambda state: self._policy.gives_up(
                state.attempt_number,
                state.idle_for,
                state.upcoming_sleep,
                self._waited_in_run(),
            ),
            before_sleep=lambda state: self._report(state, operation, tries or Tries()),
            reraise=True,
        )
        return retrying(attempt)

    def _report(self, state: RetryCallState, operation: str, tries: Tries) -> None:
        error = _error_of(state)
        if isinstance(error, AdsApiError):
            tries.waited += state.upcoming_sleep
            self._on_wait(
                Waiting(
                    state.upcoming_sleep,
                    error.reason,
                    operation,
                    state.attempt_number,
                    error.cause_word,
                )
            )


def _is_transient(error: BaseException | None) -> bool:
    return isinstance(error, AdsApiError) and error.transient


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
