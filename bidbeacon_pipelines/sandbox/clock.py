"""The sandbox's own clock: it can be set, frozen, advanced and made to run faster than the real one."""

import time
from datetime import UTC, datetime, timedelta


class SandboxClock:
    """An aware UTC clock that starts at `start` (now, if absent) and runs `rate` seconds a real second."""

    def __init__(self, start: datetime | None = None, rate: float = 1.0) -> None:
        self._base = start or datetime.now(UTC)
        self._since = time.monotonic()
        self._rate = rate

    @property
    def rate(self) -> float:
        """Sandbox seconds a real second; 0 is a frozen clock."""
        return self._rate

    def now(self) -> datetime:
        """Give the sandbox's present instant, UTC."""
        elapsed = (time.monotonic() - self._since) * self._rate
        return (self._base + timedelta(seconds=elapsed)).astimezone(UTC)

    def set(self, instant: datetime) -> None:
        """Jump to an instant (aware); the rate stays."""
        self._base, self._since = instant, time.monotonic()

    def advance(self, seconds: float) -> None:
        """Jump forward (or back) by a number of seconds; the rate stays."""
        self.set(self.now() + timedelta(seconds=seconds))

    def accelerate(self, rate: float) -> None:
        """Run `rate` sandbox seconds a real second from here on."""
        self.set(self.now())
        self._rate = rate

    def freeze(self) -> None:
        """Stop here until `accelerate` is called; `set` and `advance` still move the clock."""
        self.accelerate(0.0)
