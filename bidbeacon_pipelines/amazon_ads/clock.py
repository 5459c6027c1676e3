"""The client's clock; a simulated one in tests."""

from datetime import UTC, datetime
from typing import Protocol

from bidbeacon_sessions.progress import pause


class Clock(Protocol):
    """Returns the time and sleeps."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Sleep; a keyboard interrupt ends it."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Sleep; a keyboard interrupt ends it."""
        pause(seconds)
