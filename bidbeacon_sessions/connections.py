"""Connections carry the id of the session they work for in `application_name`, so that those of a dead session can be ended.

A process that is frozen, or behind a network that has fallen silent, keeps its transaction and its locks: in the middle of
COPY its connection counts as active, and its kernel answers keepalives. The server has to end such a connection. When the
process wakes up, it needs new connections. It gets none once its session is closed, so it cannot write any more.
"""

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from bidbeacon_sessions.errors import SessionClosedError
from bidbeacon_sessions.progress import find_session_id, note_progress

logger = logging.getLogger(__name__)

_Driver = psycopg.Connection[Any]
_OWN_NAME = "own_name"
_NAME = "SELECT set_config('application_name', %(name)s, false)"

# This lock and the one that closes a session exclude each other. So a connection is either named before the session is closed,
# and ended then, or it is refused. A session that is not stored yet has no header. The lock need not survive a crash, so the
# commit does not wait for the disk.
_NAME_WHILE_RUNNING = """
    WITH header AS MATERIALIZED (
        SELECT FROM session_headers WHERE id = %(id)s AND status = 'running' FOR KEY SHARE)
    SELECT CASE WHEN EXISTS (SELECT FROM header) OR NOT EXISTS (SELECT FROM session_headers WHERE id = %(id)s)
                THEN set_config('application_name', %(name)s, false) END,
           set_config('synchronous_commit', 'off', true)"""
_STATUS = "SELECT status FROM session_headers WHERE id = %(id)s"

# A connection is usually gone within milliseconds after it was ended; waiting for that is bounded to a second.
_END = text("""
    SELECT a.pid, a.application_name, r.rolname,
           CASE WHEN current_setting('is_superuser') = 'on'
                  OR NOT r.rolsuper AND (pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))
                THEN pg_terminate_backend(a.pid, 1000) END AS ended
      FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
     WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.application_name = ANY(:names)""")


def name_connections(engine: Engine) -> None:
    """Name each connection after its thread's session when it leaves the pool, and count each statement as progress.

    A connection is renamed only where the session is another one than before. Its first use outside of a session restores the
    name it was made with.
    """
    event.listen(engine, "checkout", _name_at_checkout)
    event.listen(engine, "after_cursor_execute", lambda *_: note_progress())


def is_named(pooled: PoolProxiedConnection) -> bool:
    """Return whether a pooled connection carries this thread's session."""
    driver: Any = pooled.driver_connection
    return _shown_name(driver) == _wanted_name(driver, pooled.info)


def end_connections(connection: Connection, session_ids: Sequence[UUID]) -> int:
    """End the connections that work for these sessions, whatever they are doing; return how many there were.

    What they had not committed is rolled back. Never ends the connection it is asked on.
    """
    if not session_ids:
        return 0
    found = connection.execute(_END, {"names": [_name_of(each) for each in session_ids]}).all()
    for row in found:
        if row.ended is None:
            logger.error(
                "%s gives no sign of life, and its connection (process %d, role %s) may hold locks that others need. This role "
                "may not end it: grant it %s or pg_signal_backend.",
                row.application_name,
                row.pid,
                row.rolname,
                row.rolname,
            )
        else:
            logger.warning("Ended a connection of a dead session (%s)", row.application_name)
    return len(found)


def _name_at_checkout(driver: _Driver, entry: ConnectionPoolEntry, _: object) -> None:
    wanted = _wanted_name(driver, entry.info)
    if _shown_name(driver) == wanted:
        return
    own, driver.autocommit = driver.autocommit, True
    try:
        _rename(driver, wanted, find_session_id())
    except psycopg.Error as error:
        if driver.closed:
            raise DisconnectionError from error  # the pool makes a new one
        raise
    driver.autocommit = own


def _rename(driver: _Driver, name: str, session_id: UUID | None) -> None:
    """Name a connection; refuse that of a session that is closed."""
    values = {"name": name, "id": session_id}
    statement = _NAME if session_id is None else _NAME_WHILE_RUNNING
    named = driver.execute(statement, values, prepare=False).fetchone()
    if named is None or named[0] is None:
        found = driver.execute(_STATUS, values, prepare=False).fetchone()
        raise SessionClosedError(str(session_id), found[0] if found else None)


def _wanted_name(driver: _Driver, info: dict[Any, Any]) -> str:
    own: str = info.setdefault(_OWN_NAME, _shown_name(driver))
    session_id = find_session_id()
    return own if session_id is None else _name_of(session_id)


def _shown_name(driver: _Driver) -> str:
    """Return the name that the server shows; it reports each change, so this asks nobody."""
    return driver.info.parameter_status("application_name") or ""


def _name_of(session_id: UUID) -> str:
    return f"bidbeacon {session_id}"
