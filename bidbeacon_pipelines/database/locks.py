"""SQL for advisory locks, for exclusive work that has no row to lock."""

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from bidbeacon_sessions.leases import end_dead_connections

_TRY = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
_WAIT = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


class LockTakenError(RuntimeError):
    """Another job held the lock longer than `lock_timeout`. Roll back the transaction."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"Another job has been holding the lock on {name!r} for too long. Try again later."
        )


def try_lock_until_commit(connection: Connection, name: str) -> bool:
    """Take a lock until the transaction ends; return False if another transaction holds it."""
    if connection.execute(_TRY, {"name": name}).scalar_one():
        return True
    end_dead_connections(connection)
    return bool(connection.execute(_TRY, {"name": name}).scalar_one())


def lock_until_commit(connection: Connection, name: str) -> None:
    """Take a lock until the transaction ends; wait at most as long as `lock_timeout`.

    Raises:
        LockTakenError: The lock was not available in time.
    """
    if try_lock_until_commit(connection, name):
        return
    try:
        connection.execute(_WAIT, {"name": name})
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise LockTakenError(name) from error
        raise
