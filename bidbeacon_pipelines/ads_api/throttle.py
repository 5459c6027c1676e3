"""Keeps our own calls to a region apart and few at a time, within this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bidbeacon_pipelines.ads_api.credentials import REGIONS
from bidbeacon_pipelines.ads_api.retries import Clock
from bidbeacon_pipelines.settings import Region


@dataclass
class _Lane:
    places: threading.Semaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    next_start: datetime | None = None


class RegionThrottle:
    """Lets at most `places` calls run at once in a region, starting at least `interval_seconds` apart.

    The wait happens before a call is handed to the connection, so it never counts against its timeout.
    """

    def __init__(self, clock: Clock, *, interval_seconds: float = 0.05, places: int = 4) -> None:
        self._clock = clock
        self._interval = timedelta(seconds=interval_seconds)
        self._lanes: dict[Region, _Lane] = {region: _Lane(threading.Semaphore(places)) for region in REGIONS}

    @contextmanager
    def place(self, region: Region) -> Iterator[None]:
        """Hold one of the region's places, once it is free and it is our turn to start."""
        lane = self._lanes[region]
        with lane.places:
            self._wait_for_turn(lane)
            yield

    def _wait_for_turn(self, lane: _Lane) -> None:
        """Take the next start as ours, then wait for it outside the lock."""
        with lane.lock:
            now = self._clock.now()
            # A clock that was set back must not make everyone wait for the difference.
            start = (
                now if lane.next_start is None else min(max(now, lane.next_start), now + 100 * self._interval)
            )
            lane.next_start = start + self._interval
        if start > now:
            self._clock.sleep((start - now).total_seconds())
