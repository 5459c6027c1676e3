"""The sandbox's clock: it can be set, moved on and stopped."""

import time
from datetime import UTC, datetime, timedelta


class SandboxClock:
    """An aware UTC clock that starts at `start` (now, if absent); a frozen one stands still until it is moved on."""

    def __init__(self, start: datetime | None, *, is_frozen: bool) -> None:
        self.is_frozen = is_frozen
        self.set(start or datetime.now(UTC))

    def now(self) -> datetime:
        """Return the sandbox's present instant, UTC."""
        elapsed = 0.0 if self.is_frozen else time.monotonic() - self._since
        return (self._base + timedelta(seconds=elapsed)).astimezone(UTC)

    def set(self, instant: datetime) -> None:
        """Jump to an instant (aware)."""
        self._base, self._since = instant, time.monotonic()

    def advance(self, seconds: float) -> None:
        """Jump forward (or back) by a number of seconds."""
        self.set(self.now() + timedelta(seconds=seconds))

    def freeze(self, *, is_frozen: bool) -> None:
        """Stop the clock, or let it run on from where it stands."""
        now = self.now()
        self.is_frozen = is_frozen
        self.set(now)
