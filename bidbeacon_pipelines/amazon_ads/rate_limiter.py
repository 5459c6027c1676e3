"""Waits until a call may start: for a slot in the rate limits, then until few enough calls of the region are running."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bidbeacon_pipelines.amazon_ads.clock import Clock
from bidbeacon_pipelines.amazon_ads.credentials import REGIONS
from bidbeacon_pipelines.amazon_ads.errors import RateLimited
from bidbeacon_pipelines.amazon_ads.rate_limits import RateLimits
from bidbeacon_pipelines.amazon_ads.retries import Waiting
from bidbeacon_pipelines.amazon_ads.transport import ApiCall

CALLS_AT_ONCE = 4

_REPORTED_FROM_SECONDS = 1.0
_RESERVED_AHEAD_SECONDS = 1.0


class RateLimiter:
    """Limit how often calls start, and how many of a region run at once in this process.

    All waiting is done here, before a call is handed to the connection, so that none of it counts
    against a timeout; and outside any lock.

    Args:
        rate_limits: Reserves the slots.
        clock: Sleeps.
        longest_wait: Returns how many seconds to wait for a slot at most. A second is always
            allowed, since calls of our own are that far apart.
        on_wait: Called when a wait of a second or more begins.
        calls_at_once: Calls of one region that run at the same time.
    """

    def __init__(
        self,
        rate_limits: RateLimits,
        clock: Clock,
        *,
        longest_wait: Callable[[], float],
        on_wait: Callable[[Waiting], None],
        calls_at_once: int = CALLS_AT_ONCE,
    ) -> None:
        self._rate_limits = rate_limits
        self._clock = clock
        self._longest_wait = longest_wait
        self._on_wait = on_wait
        self._running = {region: threading.Semaphore(calls_at_once) for region in REGIONS}

    @contextmanager
    def slot(self, call: ApiCall) -> Iterator[float]:
        """Wait until the call may start, and count it as running inside the block; yield the seconds waited.

        Raises:
            RateLimited: the wait would exceed `longest_wait`. Nothing was reserved.
        """
        came_at = self._clock.now()
        self._wait_for_slot(call)
        with self._running[call.region]:
            yield max(0.0, (self._clock.now() - came_at).total_seconds())

    def pause(self, call: ApiCall, seconds: float) -> None:
        """Stop all calls under this call's rate limit for so long."""
        self._rate_limits.pause(call.scope, seconds)

    def _wait_for_slot(self, call: ApiCall) -> None:
        """Sleep until a slot is near, then reserve it: one reserved far ahead would keep its whole region waiting."""
        left = longest = max(_RESERVED_AHEAD_SECONDS, self._longest_wait())
        while True:
            near = min(_RESERVED_AHEAD_SECONDS, left)
            seconds = self._rate_limits.reserve(call.scope, longest_wait=near)
            if seconds > left:
                raise self._rate_limited(call, seconds, longest)
            self._wait(call, seconds)
            if seconds <= near:
                return
            left -= seconds

    def _wait(self, call: ApiCall, seconds: float) -> None:
        if seconds >= _REPORTED_FROM_SECONDS:
            reason = "earlier calls, or a pause that Amazon asked for, fill our own queue"
            self._on_wait(Waiting(seconds, reason, call.operation, 0, "our own queue"))
        if seconds > 0:
            self._clock.sleep(seconds)

    def _rate_limited(self, call: ApiCall, seconds: float, longest: float) -> RateLimited:
        return RateLimited(
            f"calls of this kind are paused for another {seconds:.0f} s, since Amazon asked for it or "
            f"many are queued, and the longest wait is {longest:.0f} s",
            operation=call.operation,
            about=call.about,
            retry_after=seconds,
        )
