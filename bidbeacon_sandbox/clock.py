"""The sandbox's clock: it runs at a rate, and can be set, moved on and kept over a restart."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


class SandboxClock:
    """An aware UTC clock that starts at `start` (now, if absent) and runs `rate` seconds a real second.

    With a file, a clock that was changed goes on after a restart as if it had run meanwhile.
    """

    def __init__(
        self, start: datetime | None = None, rate: float = 1.0, file: Path | None = None
    ) -> None:
        self._base = start or datetime.now(UTC)
        self._since = time.monotonic()
        self._rate = rate
        self._file = file
        if file is not None and file.exists():
            kept = json.loads(file.read_text())
            away = datetime.now(UTC) - datetime.fromisoformat(kept["real"])
            self._rate = kept["rate"]
            self._base = datetime.fromisoformat(kept["now"]) + away * self._rate

    @property
    def rate(self) -> float:
        """Sandbox seconds a real second; 0 is a frozen clock."""
        return self._rate

    def now(self) -> datetime:
        """Return the sandbox's present instant, UTC."""
        elapsed = (time.monotonic() - self._since) * self._rate
        return (self._base + timedelta(seconds=elapsed)).astimezone(UTC)

    def set(self, instant: datetime) -> None:
        """Jump to an instant (aware); the rate stays."""
        self._base, self._since = instant, time.monotonic()
        if self._file is not None:
            real = datetime.now(UTC).isoformat()
            kept = {"now": instant.isoformat(), "real": real, "rate": self._rate}
            self._file.write_text(json.dumps(kept))

    def advance(self, seconds: float) -> None:
        """Jump forward (or back) by a number of seconds; the rate stays."""
        self.set(self.now() + timedelta(seconds=seconds))

    def accelerate(self, rate: float) -> None:
        """Run `rate` sandbox seconds a real second from here on."""
        now = self.now()
        self._rate = rate
        self.set(now)

    def freeze(self) -> None:
        """Stop here until `accelerate` is called; `set` and `advance` still move the clock."""
        self.accelerate(0.0)
