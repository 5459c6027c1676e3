"""The sandbox's clock: it runs at a rate, and can be set, moved on and kept over a restart."""

import json
import time
from datetime import UTC, datetime, timedelta

from bidbeacon_sandbox.store import Store


class SandboxClock:
    """An aware UTC clock that starts at `start` (now, if absent) and runs `rate` seconds a real second.

    One that was changed goes on after a restart as if it had run meanwhile.
    """

    def __init__(self, start: datetime | None, rate: float, store: Store) -> None:
        self._base = start or datetime.now(UTC)
        self._since = time.monotonic()
        self.rate = rate
        """Sandbox seconds a real second; 0 is a frozen clock."""
        self._store = store
        for kept in map(json.loads, store.read("clock")):
            away = datetime.now(UTC) - datetime.fromisoformat(kept["real"])
            self.rate = kept["rate"]
            self._base = datetime.fromisoformat(kept["now"]) + away * self.rate

    def now(self) -> datetime:
        """Return the sandbox's present instant, UTC."""
        elapsed = (time.monotonic() - self._since) * self.rate
        return (self._base + timedelta(seconds=elapsed)).astimezone(UTC)

    def set(self, instant: datetime) -> None:
        """Jump to an instant (aware); the rate stays."""
        self._base, self._since = instant, time.monotonic()
        real = datetime.now(UTC).isoformat()
        kept = {"now": instant.isoformat(), "real": real, "rate": self.rate}
        self._store.put("clock", "", json.dumps(kept))

    def advance(self, seconds: float) -> None:
        """Jump forward (or back) by a number of seconds; the rate stays."""
        self.set(self.now() + timedelta(seconds=seconds))

    def accelerate(self, rate: float) -> None:
        """Run `rate` sandbox seconds a real second from here on; 0 stops the clock."""
        now = self.now()
        self.rate = rate
        self.set(now)
