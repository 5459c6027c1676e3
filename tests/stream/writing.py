"""Sessions as other processes write them, in transactions of the test's own, and steps of the log."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import step
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.core_actions import SessionFinalized
from bidbeacon_sessions.writes import NewAction, NewSession, insert_session


def an_action(ord_: int) -> NewAction:
    """Return an action of a known type."""
    payload = SessionFinalized(status="crashed", reason=f"no {ord_}").model_dump(mode="json")
    return NewAction(
        ord=ord_, type="session-finalized", schema_version=1, tone="neutral", at=utc_now(), payload=payload
    )


def start_session(connection: Connection, *, job: str = "job", **given: Any) -> UUID:
    """Write a session in an open transaction; return its id."""
    session = NewSession(id=uuid4(), job_name=job, started_at=utc_now(), **given)
    insert_session(connection, session)
    return session.id


def commit_session(store: SessionStore, *, job: str = "job") -> UUID:
    """Write a session and commit; return its id."""
    with store.begin() as connection:
        return start_session(connection, job=job)


def commit_sessions(store: SessionStore, count: int) -> set[UUID]:
    """Write sessions, each in a transaction of its own; return their ids."""
    return {commit_session(store) for _ in range(count)}


def take_step(store: SessionStore) -> int | None:
    """Take a step in a transaction of its own."""
    with store.begin() as connection:
        return step(connection)
