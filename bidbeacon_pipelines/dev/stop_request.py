"""Turns Ctrl-C, SIGTERM and a closed terminal into a question that a loop can ask; a second one means: at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Counts the signals that ask this process to end."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def requested(self) -> bool:
        """Whether we were asked to end."""
        return self._count > 0

    def hurried(self) -> bool:
        """Return whether a stop was requested twice."""
        return self._count > 1

    def request(self) -> None:
        """Ask to end, as a signal does."""
        self._count += 1

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals until the block ends, even where a shell had them ignored; the main thread's only."""
        before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        self.request()
