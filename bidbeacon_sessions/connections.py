"""Connections to PostgreSQL: the store of sessions, and connections named after a session.

`application_name` contains the session's id, so that the connections of a dead session can be
ended. If a process freezes or its network fails, its transaction stays open and keeps its locks. No
timeout helps: during COPY the connection counts as active, and the kernel answers keepalives. So
the server must end the connection. If the process wakes up after its session was closed, it gets no
new connection, so it can no longer write.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final, cast
from uuid import UUID

import msgspec
import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from bidbeacon_sessions.errors import SessionClosedError, SettingsError

logger = logging.getLogger(__name__)

_DRIVER: Final = "postgresql+psycopg"

# Both sides notice within half a minute, not within hours, that the other host is gone. Work and
# heartbeat have the same limits, so that neither outlives the other.
_CLIENT_LIMITS: Final = {
    "fallback_application_name": "bidbeacon",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_SERVER_OPTIONS: Final = {
    "timezone": "UTC",
    # The role's own search path may name Dagster's schema first.
    "search_path": "public",
    # A killed client is noticed while its statement runs, not at its end: the locks it holds block
    # the next run.
    "client_connection_check_interval": "2000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
    # Longer than nearly every load (the longest that a lock is held), and shorter than a lease.
    "lock_timeout": "30s",
    # No transaction of ours pauses for a minute.
    "idle_in_transaction_session_timeout": "60s",
}


def parse_database_url(database_url: str) -> URL:
    """Parse a `postgresql://`, `postgres://` or `postgresql+driver://` address for psycopg 3.

    Raises:
        SettingsError: the address has another form. The message contains no part of the address,
            which may contain a password.
    """
    with suppress(ArgumentError, ValueError):
        url = make_url(database_url.strip())
        is_postgres = url.drivername.partition("+")[0] in {"postgres", "postgresql"}
        # A second @ is part of the password: the text after the first one would be taken for the
        # host, and be shown.
        if is_postgres and database_url.count("@") <= 1:
            return url.set(drivername=_DRIVER)
    raise SettingsError(
        "Expected a database address of the form postgresql://user:password@host:port/database, "
        "with special characters in user name and password percent-encoded (/ is %2F, @ is %40)."
    )


def client_args(url: URL) -> dict[str, Any]:
    """Return the client-side arguments of a connection, all of which PgBouncer accepts.

    The encoding is UTF-8, regardless of `PGCLIENTENCODING`. Each other argument is left out if the
    address already sets it.
    """
    limits = {name: value for name, value in _CLIENT_LIMITS.items() if name not in url.query}
    return {**limits, "client_encoding": "utf8"}


def connect_args(url: URL) -> dict[str, Any]:
    """Return the arguments of a direct connection, for `create_engine(connect_args=…)`.

    Adds server options to `client_args`: time zone UTC, schema `public`, and timeouts. These
    options come after the `options` in the address, and so override them.
    """
    given = url.query.get("options", ())
    ours = (f"-c {name}={value}" for name, value in _SERVER_OPTIONS.items())
    options = [*([given] if isinstance(given, str) else given), *ours]
    return {**client_args(url), "options": " ".join(options)}


def make_engine(url: URL, *, options: str = "", **pool: Any) -> Engine:
    """Return an engine with a small connection pool.

    `options` are further server options such as `-c name=value`. The arguments `pool` are passed to
    `create_engine`.
    """
    arguments = connect_args(url)
    return create_engine(
        url,
        pool_size=2,
        max_overflow=6,
        connect_args=arguments | {"options": f"{arguments['options']} {options}"},
        json_deserializer=msgspec.json.decode,
        **pool,
    )


class SessionStore:
    """The sessions of one database; the caller owns the engine, which uses psycopg 3."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        if not event.contains(engine, "checkout", _name_at_checkout):
            event.listen(engine, "checkout", _name_at_checkout)

    @classmethod
    def connect(cls, database_url: str) -> "SessionStore":
        """Create a store for an address `postgresql://…`, with a small connection pool."""
        return cls(make_engine(parse_database_url(database_url), pool_pre_ping=True))

    def begin(self) -> AbstractContextManager[Connection]:
        """Open a transaction."""
        return self.engine.begin()

    def open_connection(self) -> psycopg.Connection[Any]:
        """Open a psycopg connection outside of the pool, in autocommit mode."""
        pooled = self.engine.raw_connection()
        driver = cast("psycopg.Connection[Any]", pooled.driver_connection)
        pooled.detach()
        driver.autocommit = True
        return driver

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open a read-only transaction whose statements all see the same snapshot."""
        with self.engine.connect() as connection:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            yield connection.execution_options(**options)

    def ping(self) -> None:
        """Run a statement that needs no table, to check that the database answers."""
        with self.begin() as connection:
            connection.execute(text("SELECT 1"))

    def dispose(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()


_current: ContextVar[tuple[UUID, ...]] = ContextVar("sessions", default=())
"""The ids of the `working_for` blocks around the current code, the innermost last."""


@contextmanager
def working_for(session_id: UUID) -> Iterator[None]:
    """Put the session's id into `application_name` of the connections that the block uses.

    In other threads this works only if they run in a copy of the block's `contextvars` context.
    """
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


_Driver = psycopg.Connection[Any]
_OWN_NAME = "own_name"

# This lock and the one that closes a session exclude each other. So a connection is either named
# before the session is closed, and ended then, or it is refused. A session that is not stored yet
# has no header, and without a session the id is null. The lock need not survive a crash, so the
# commit does not wait for the disk.
_NAME = """
    WITH header AS MATERIALIZED (
        SELECT
          FROM session_headers
         WHERE id = %(id)s AND status = 'running'
           FOR KEY SHARE)
    SELECT CASE WHEN EXISTS (SELECT FROM header)
                  OR NOT EXISTS (SELECT FROM session_headers WHERE id = %(id)s)
                THEN set_config('application_name', %(name)s, false) END,
           set_config('synchronous_commit', 'off', true)"""
_STATUS = "SELECT status FROM session_headers WHERE id = %(id)s"

# A connection is usually gone within milliseconds after it was ended; the wait is bounded to a
# second.
_END = text("""
    SELECT a.pid, a.application_name, r.rolname,
           CASE WHEN current_setting('is_superuser') = 'on'
                  OR NOT r.rolsuper AND (pg_has_role(r.oid, 'USAGE')
                                         OR pg_has_role('pg_signal_backend', 'USAGE'))
                THEN pg_terminate_backend(a.pid, 1000) END AS ended
      FROM pg_stat_activity a
      JOIN pg_roles r ON r.oid = a.usesysid
     WHERE a.datname = current_database()
       AND a.pid <> pg_backend_pid()
       AND a.application_name = ANY(:names)""")


def end_connections(connection: Connection, session_ids: Sequence[UUID]) -> int:
    """End the connections of these sessions, even busy ones; return the number of connections.

    Their open transactions are rolled back. `connection` itself is never ended.
    """
    if not session_ids:
        return 0
    found = connection.execute(_END, {"names": [_name_of(each) for each in session_ids]}).all()
    for row in found:
        if row.ended is None:
            logger.error(
                "%s sends no heartbeat, and its connection (process %d, role %s) may hold locks "
                "that others need. This process's database role may not end that connection: "
                "grant the role %s or pg_signal_backend to it.",
                row.application_name,
                row.pid,
                row.rolname,
                row.rolname,
            )
        else:
            logger.warning("Ended a connection of a dead session (%s)", row.application_name)
    return len(found)


def _name_at_checkout(driver: _Driver, entry: ConnectionPoolEntry, _: object) -> None:
    """Set a connection's `application_name` for the current session, or restore the original."""
    session_id = next(reversed(_current.get()), None)
    # The server reports each change, so this sends no query.
    shown = driver.info.parameter_status("application_name") or ""
    own_name: str = entry.info.setdefault(_OWN_NAME, shown)
    wanted = own_name if session_id is None else _name_of(session_id)
    if shown == wanted:
        return
    own, driver.autocommit = driver.autocommit, True
    try:
        _rename(driver, wanted, session_id)
    except psycopg.Error as error:
        if driver.closed:
            raise DisconnectionError from error  # the pool makes a new one
        raise
    driver.autocommit = own


def _rename(driver: _Driver, name: str, session_id: UUID | None) -> None:
    """Set `application_name`; raise SessionClosedError if the connection's session is closed."""
    values = {"name": name, "id": session_id}
    named = driver.execute(_NAME, values, prepare=False).fetchone()
    if named is None or named[0] is None:
        found = driver.execute(_STATUS, values, prepare=False).fetchone()
        raise SessionClosedError(str(session_id), found[0] if found else None)


def _name_of(session_id: UUID) -> str:
    return f"bidbeacon {session_id}"
