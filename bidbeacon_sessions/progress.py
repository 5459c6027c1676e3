"""Which session this thread works for, and when that work last moved: a heartbeat does not vouch for work that hangs.

Work moves when a statement ends, an action is recorded, or bytes arrive. An intended wait is
announced with its length.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID


class Progress:
    """When the work of one session last moved."""

    def __init__(self, session_id: UUID) -> None:
        self.session_id = session_id
        self._moved_at = time.monotonic()

    def moved(self, *, still_for: float = 0.0) -> None:
        """Note that the work moves, and that nothing will be heard of it for the given number of seconds."""
        self._moved_at = time.monotonic() + still_for

    @property
    def still_seconds(self) -> float:
        """For how long the work has not moved; negative during an announced wait."""
        return time.monotonic() - self._moved_at


_current: ContextVar[Progress | None] = ContextVar("progress", default=None)


@contextmanager
def working(progress: Progress) -> Iterator[None]:
    """Work for a session inside the block.

    A thread started there works for it only in a copy of the context.
    """
    before = _current.get()
    _current.set(progress)
    try:
        yield
    finally:
        _current.set(before)  # no token: an exit may come from another context than the entry


def find_session_id() -> UUID | None:
    """Return the id of the session that this thread works for, or None."""
    progress = _current.get()
    return None if progress is None else progress.session_id


def note_progress(*, still_for: float = 0.0) -> None:
    """Note that the work of this thread's session, if it has one, moves; see `Progress.moved`."""
    progress = _current.get()
    if progress is not None:
        progress.moved(still_for=still_for)


def pause(seconds: float) -> None:
    """Sleep for the given number of seconds, which is no stall."""
    note_progress(still_for=seconds)
    time.sleep(seconds)
