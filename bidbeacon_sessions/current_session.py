"""Which session this thread works for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple
from uuid import UUID


class _Work(NamedTuple):
    """Work for a session, inside that for another one."""

    session_id: UUID
    outer: "_Work | None"


_current: ContextVar[_Work | None] = ContextVar("session", default=None)


@contextmanager
def working_for(session_id: UUID) -> Iterator[None]:
    """Work for a session inside the block.

    A thread started there works for it only in a copy of the context.
    """
    mine = _Work(session_id, _current.get())
    _current.set(mine)
    try:
        yield
    finally:
        # A generator that was left in the block ends it when it is collected: perhaps in another
        # context, or after the work around it. Then nothing changes.
        here = _current.get()
        while here is not None and here is not mine:
            here = here.outer
        if here is mine:
            _current.set(mine.outer)


def find_session_id() -> UUID | None:
    """Return the id of the session that this thread works for, or None."""
    work = _current.get()
    return None if work is None else work.session_id
