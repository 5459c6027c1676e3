"""Waiting for our own turn: a place in the lanes, then one of the region's few calls at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bidbeacon_pipelines.amazon_ads.clock import Clock
from bidbeacon_pipelines.amazon_ads.credentials import REGIONS
from bidbeacon_pipelines.amazon_ads.errors import HeldBack
from bidbeacon_pipelines.amazon_ads.retries import Waiting
from bidbeacon_pipelines.amazon_ads.throttle import Lanes
from bidbeacon_pipelines.amazon_ads.transport import ApiCall

CALLS_AT_ONCE = 4

_REPORTED_FROM_SECONDS = 1.0
_TAKEN_AHEAD_SECONDS = 1.0


class Turns:
    """Lets calls start when their lanes say so, and few of a region run at once in this process.

    All waiting is done here, before a call is handed to the connection, so that none of it counts against a
    timeout; and outside any lock.

    Args:
        lanes: Hand out the places.
        clock: Lets the time pass.
        longest_wait: Seconds; a place further off isn't waited for.
        on_wait: Told of each wait of a second or more when it begins.
        calls_at_once: Calls of one region that run at the same time.
    """

    def __init__(
        self,
        lanes: Lanes,
        clock: Clock,
        *,
        longest_wait: float,
        on_wait: Callable[[Waiting], None],
        calls_at_once: int = CALLS_AT_ONCE,
    ) -> None:
        self._lanes = lanes
        self._clock = clock
        self._longest_wait = longest_wait
        self._on_wait = on_wait
        self._running = {region: threading.Semaphore(calls_at_once) for region in REGIONS}

    @contextmanager
    def turn(self, call: ApiCall) -> Iterator[float]:
        """Wait until the call may start, and count it as running inside the block; gives the seconds it took.

        Raises:
            HeldBack: No place within the time that may be waited; none was taken.
        """
        came_at = self._clock.now()
        self._wait_for_place(call)
        with self._running[call.region]:
            yield max(0.0, (self._clock.now() - came_at).total_seconds())

    def hold_back(self, call: ApiCall, seconds: float) -> None:
        """Keep everyone's calls out of this call's lane for so long."""
        self._lanes.hold_back(call.lane, seconds)

    def _wait_for_place(self, call: ApiCall) -> None:
        """Sleep until a place is near, then take it: one taken far ahead would keep its whole region waiting."""
        left = self._longest_wait
        while True:
            near = min(_TAKEN_AHEAD_SECONDS, left)
            seconds = self._lanes.reserve(call.lane, longest_wait=near)
            if seconds > left:
                raise self._held_back(call, seconds)
            self._sit_out(call, seconds)
            if seconds <= near:
                return
            left -= seconds

    def _sit_out(self, call: ApiCall, seconds: float) -> None:
        if seconds >= _REPORTED_FROM_SECONDS:
            reason = "calls before this one, or Amazon's wish to wait, fill our own queue"
            self._on_wait(Waiting(seconds, reason, call.operation, 0, "our own queue"))
        if seconds > 0:
            self._clock.sleep(seconds)

    def _held_back(self, call: ApiCall, seconds: float) -> HeldBack:
        return HeldBack(
            f"our own queue is another {seconds:.0f} s long, and {self._longest_wait:.0f} s may be waited",
            operation=call.operation,
            about=call.about,
            retry_after=seconds,
        )
