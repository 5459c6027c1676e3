"""Sessions that look dead, as after a kill or a freeze."""

from uuid import UUID

from sqlalchemy import Engine, text

from tests.dagster.world import wait_until

_END_LEASE = text("""
    UPDATE session_leases SET expires_at = clock_timestamp() - interval '1 second'
     WHERE session_id = CAST(:id AS uuid) OR CAST(:id AS uuid) IS NULL""")
_PAST_GRACE = text("SELECT pg_postmaster_start_time() < clock_timestamp() - interval '2 seconds'")


def end_lease(engine: Engine, session_id: UUID | None = None) -> None:
    """End the lease of a session, or of all. A server that has just been started takes nobody for dead: wait for that as well."""
    with engine.begin() as connection:
        connection.execute(_END_LEASE, {"id": session_id})

    def is_past_grace() -> bool:
        with engine.connect() as connection:
            return bool(connection.execute(_PAST_GRACE).scalar_one())

    wait_until(is_past_grace, "the server was not just started")
