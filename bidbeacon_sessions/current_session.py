"""Which session this thread works for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

_current: ContextVar[tuple[UUID, ...]] = ContextVar("sessions", default=())
"""The session, last, behind those that its work is a part of."""


@contextmanager
def working_for(session_id: UUID) -> Iterator[None]:
    """Work for a session inside the block.

    A thread started there works for it only in a copy of the context.
    """
    outer = _current.get()
    mine = (*outer, session_id)
    _current.set(mine)
    try:
        yield
    finally:
        # A generator that was left in the block ends it when it is collected: perhaps in another
        # context, or after the work around it. Then nothing changes.
        if _current.get()[: len(mine)] == mine:
            _current.set(outer)


def find_session_id() -> UUID | None:
    """Return the id of the session that this thread works for, or None."""
    return next(reversed(_current.get()), None)
