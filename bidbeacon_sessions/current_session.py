"""The session that this thread works for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

_current: ContextVar[tuple[UUID, ...]] = ContextVar("sessions", default=())
"""The session is the last one; its work is part of the sessions before it."""


@contextmanager
def working_for(session_id: UUID) -> Iterator[None]:
    """Work for a session inside the block; its threads do so only in a copy of the context."""
    outer = _current.get()
    mine = (*outer, session_id)
    _current.set(mine)
    try:
        yield
    finally:
        # A generator abandoned in the block leaves it when it is collected: perhaps in another
        # context, or after the enclosing block has ended. Then nothing changes.
        if _current.get()[: len(mine)] == mine:
            _current.set(outer)


def find_session_id() -> UUID | None:
    """Return the id of the session that this thread works for, or None."""
    return next(reversed(_current.get()), None)
