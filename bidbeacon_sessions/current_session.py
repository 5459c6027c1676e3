"""Which session this thread works for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

_current: ContextVar[UUID | None] = ContextVar("session", default=None)


@contextmanager
def working_for(session_id: UUID) -> Iterator[None]:
    """Work for a session inside the block.

    A thread started there works for it only in a copy of the context.
    """
    before = _current.get()
    _current.set(session_id)
    try:
        yield
    finally:
        _current.set(before)  # no token: an exit may come from another context than the entry


def find_session_id() -> UUID | None:
    """Return the id of the session that this thread works for, or None."""
    return _current.get()
