"""The clock that the client tells time by and waits with; a simulated one in tests."""

from datetime import UTC, datetime
from typing import Protocol

from bidbeacon_sessions.progress import pause


class Clock(Protocol):
    """What tells the time and lets it pass."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; an interrupt from the keyboard ends it."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait; an interrupt from the keyboard ends it."""
        pause(seconds)
