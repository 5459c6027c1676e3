"""Sessions as the view shows them, and what others do to a session whose process is killed or frozen."""

from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Row, text

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.session import ClosedStatus, finalize_session
from tests.postgres.flickering import wait_until

_END_LEASE = text("""
    UPDATE session_leases SET expires_at = clock_timestamp() - interval '1 second'
     WHERE session_id = CAST(:id AS uuid) OR CAST(:id AS uuid) IS NULL""")
_PAST_GRACE = text("SELECT pg_postmaster_start_time() < clock_timestamp() - interval '2 seconds'")


def recorded(store: SessionStore) -> list[Row[Any]]:
    """Return all sessions as `job_sessions` shows them, oldest first."""
    with store.begin() as connection:
        return list(connection.execute(text("SELECT * FROM job_sessions ORDER BY started_at")))


def close_from_outside(
    store: SessionStore,
    session_id: UUID,
    status: ClosedStatus = "crashed",
    *,
    has_successor: bool = False,
) -> bool:
    """Close a session as another process does that found it silent; return whether it was still open."""
    with store.begin() as connection:
        return finalize_session(
            connection,
            session_id,
            status=status,
            reason="it was silent.",
            now=utc_now(),
            has_successor=has_successor,
        )


def end_lease(engine: Engine, session_id: UUID | None = None) -> None:
    """End the lease of a session, or of all, where the server takes somebody for dead."""
    with engine.begin() as connection:
        connection.execute(_END_LEASE, {"id": session_id})
    wait_past_grace(engine)


def wait_past_grace(engine: Engine) -> None:
    """Wait while the server has just been started, since it takes nobody for dead."""

    def is_past_grace() -> bool:
        with engine.connect() as connection:
            return bool(connection.execute(_PAST_GRACE).scalar_one())

    wait_until(is_past_grace, "the server was not just started")
