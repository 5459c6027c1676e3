"""Which session a thread works for."""

from collections.abc import Iterator
from uuid import UUID, uuid4

from bidbeacon_sessions.current_session import find_session_id, working_for

OUTER, INNER = uuid4(), uuid4()


def working(session_id: UUID) -> Iterator[None]:
    """Work for a session, and stop in the middle, as an asset that yields a result does."""
    with working_for(session_id):
        yield


def test_blocks_follow_each_other() -> None:
    """The outer session is worked for again when the inner one has ended, and none after it."""
    with working_for(OUTER):
        with working_for(INNER):
            assert find_session_id() == INNER
        assert find_session_id() == OUTER
    assert find_session_id() is None


def test_a_generator_that_ends_late_brings_no_session_back() -> None:
    """One that was left in the middle, inside another session, ends when it is collected."""
    with working_for(OUTER):
        left = working(INNER)
        next(left)
    left.close()
    assert find_session_id() is None
