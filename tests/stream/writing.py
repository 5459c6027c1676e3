"""Sessions as other processes write them, in transactions of the test's own, and steps of the log."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import Cursor, head, poll, read_changes, step
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.session import SessionFinalized
from bidbeacon_sessions.writes import (
    NewAction,
    NewSession,
    close_session,
    insert_action,
    insert_session,
)


def start_session(connection: Connection, *, job: str = "job", **given: Any) -> UUID:
    """Write a session in an open transaction; return its id."""
    session = NewSession(id=uuid4(), job_name=job, **{"started_at": utc_now()} | given)
    insert_session(connection, session)
    return session.id


def write_action(connection: Connection, session_id: UUID, ord_: int) -> None:
    """Write an action of a known type in an open transaction."""
    payload = SessionFinalized(status="crashed", reason=f"no {ord_}").model_dump(mode="json")
    action = NewAction(ord_, "session-finalized", "neutral", utc_now(), payload)
    assert insert_action(connection, session_id, action)


def commit_session(store: SessionStore, *, job: str = "job") -> UUID:
    """Write a session and commit; return its id."""
    with store.begin() as connection:
        return start_session(connection, job=job)


def commit_sessions(store: SessionStore, count: int) -> set[UUID]:
    """Write sessions, each in a transaction of its own; return their ids."""
    return {commit_session(store) for _ in range(count)}


def commit_end(store: SessionStore, session_id: UUID) -> None:
    """Close a session and commit."""
    with store.begin() as connection:
        close_session(connection, session_id, status="succeeded", finished_at=utc_now())


def take_step(store: SessionStore) -> int | None:
    """Take a step in a transaction of its own."""
    with store.begin() as connection:
        return step(connection)


def is_step_due(store: SessionStore) -> bool:
    """Return whether a step would find something to do."""
    with store.begin() as connection:
        return poll(connection)[0]


def epoch_of(store: SessionStore) -> UUID:
    """Return the log's epoch."""
    with store.begin() as connection:
        return head(connection).epoch


def published(store: SessionStore) -> list[tuple[UUID, int]]:
    """Return the session and `ord` of all changes in the log, in order."""
    with store.begin() as connection:
        start = Cursor(head(connection).epoch, 0)
        return [
            (change.session_id, change.ord) for change in read_changes(connection, start, 10_000)
        ]
