"""A database's sessions, and all SQL that reads them. What writes them is in `writes.py`.

The change log has its own module of SQL (`change_log.py`), and so have leases (`leases.py`).
"""

import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, cast
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec
import psycopg
from sqlalchemy import Connection, Engine, RowMapping, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from bidbeacon_sessions.connections import is_named, name_connections
from bidbeacon_sessions.database import connect_args, parse_database_url
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.tables import OUTCOME
from bidbeacon_sessions.text_search import suited_to

_IDLE_SECONDS = 1.0
_USED_AT = "used_at"


class SessionStore:
    """The sessions of one database.

    Args:
        engine: an SQLAlchemy engine on PostgreSQL with the psycopg 3 driver; the store only borrows it.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._appending = _appending_on(engine)

    @classmethod
    def connect(cls, database_url: str) -> "SessionStore":
        """Make a store with a small pool of its own on `postgresql://…`."""
        url = parse_database_url(database_url)
        return cls(
            create_engine(
                url,
                pool_size=2,
                max_overflow=6,
                pool_pre_ping=True,
                connect_args=connect_args(url),
                json_deserializer=msgspec.json.decode,
            )
        )

    def begin(self) -> AbstractContextManager[Connection]:
        """Open a transaction."""
        return self.engine.begin()

    @contextmanager
    def each(self) -> Iterator[Connection]:
        """Open a connection on which each statement is a transaction of its own: one round trip, also for its commit."""
        with self._appending.engine.connect() as connection:
            yield connection

    @contextmanager
    def appending(self) -> Iterator[psycopg.Connection[Any]]:
        """Open the driver's connection behind one of `each`, for the few statements that are sent very often."""
        pooled = self._appending.take()
        try:
            yield cast("psycopg.Connection[Any]", pooled.driver_connection)
        except BaseException as error:
            if isinstance(error, psycopg.OperationalError):
                pooled.invalidate()
            pooled.close()
            raise
        self._appending.give_back(pooled)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open a read-only transaction whose statements all see the same moment of the database."""
        with self.engine.connect() as connection:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            yield connection.execution_options(**options)

    def dispose(self) -> None:
        """Close the pooled connections."""
        self._appending.dispose()
        self.engine.dispose()


class _Appending:
    """What sends single statements to one database, for all stores on an engine.

    Its connections stay as they are between two statements, and the one that appended last is kept at hand, out of the pool: an append takes its job
    a twelfth of a millisecond, of which looking after a connection would be a good part.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = create_engine(
            engine.url.set(drivername="postgresql+psycopg"),
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_size=2,  # one for whoever appends, one for the heartbeat
            max_overflow=6,
            pool_use_lifo=True,
            pool_reset_on_return=None,
            connect_args=connect_args(engine.url),
        )
        event.listen(self.engine, "checkin", _note_use)
        event.listen(self.engine, "checkout", _ping_after_a_pause)
        for each in (engine, self.engine):
            name_connections(each)
        self._at_hand: PoolProxiedConnection | None = None
        self._used_at = 0.0
        self._taking = threading.Lock()

    def take(self) -> PoolProxiedConnection:
        """Return the connection at hand, or one of the pool where it is in use, may be dead, or belongs to another session."""
        with self._taking:
            found, self._at_hand = self._at_hand, None
        if found is not None and time.monotonic() - self._used_at < _IDLE_SECONDS and is_named(found):
            return found
        if found is not None:
            self._put_back(found)
        return self.engine.raw_connection()

    def give_back(self, used: PoolProxiedConnection) -> None:
        """Keep it at hand, unless another one is."""
        with self._taking:
            if self._at_hand is None:
                self._at_hand, self._used_at = used, time.monotonic()
                return
        used.close()

    def dispose(self) -> None:
        """Close all connections that nobody uses."""
        with self._taking:
            found, self._at_hand = self._at_hand, None
        if found is not None:
            found.close()
        self.engine.dispose()

    def _put_back(self, found: PoolProxiedConnection) -> None:
        info = found.info
        found.close()
        info[_USED_AT] = self._used_at  # it was not used just now, so it is asked whether it lives


_appending: WeakKeyDictionary[Engine, _Appending] = WeakKeyDictionary()
_making = threading.Lock()


def _appending_on(engine: Engine) -> _Appending:
    """Give what all stores on an engine append with."""
    with _making:
        if engine not in _appending:
            _appending[engine] = _Appending(engine)
        return _appending[engine]


def _note_use(_: object, record: ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _ping_after_a_pause(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
    """Ask whether a connection still lives only where it lay idle: in the middle of work this would double what an append costs."""
    if time.monotonic() - record.info.get(_USED_AT, time.monotonic()) < _IDLE_SECONDS:
        return
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SELECT 1")
    except psycopg.Error as error:
        raise DisconnectionError from error


_ACTION_ROWS = text("""
    SELECT ord, type, schema_version, tone, at, payload
      FROM session_actions WHERE session_id = :id AND ord > :after ORDER BY ord LIMIT :limit""")


def list_actions(
    connection: Connection, session_id: UUID, *, after: int = 0, limit: int = 10_000
) -> list[dict[str, Any]]:
    """Give a session's actions in order, from `ord` on: session_id, ord, type, schema_version, tone, at, payload."""
    rows = connection.execute(_ACTION_ROWS, {"id": session_id, "after": after, "limit": limit})
    names = ("session_id", *rows.keys())
    return [
        dict(zip(names, (session_id, *row), strict=True)) for row in rows.all()
    ]  # all at once: one by one takes twice as long


HEADER_COLUMNS = f"""
    h.id, h.job_name, h.run_id, h.step_key, h.retry_number, h.account_key, h.status, {OUTCOME} AS outcome,
    (SELECT n.label FROM session_subjects n WHERE n.key = h.account_key) AS account_label,
    h.started_at, h.finished_at, h.error, h.input, h.labels, counted.action_count,
    h.revision + counted.action_count AS revision,
    h.status = 'succeeded' AND counted.action_count > 0
      AND NOT EXISTS (SELECT FROM session_actions s WHERE s.session_id = h.id AND s.type NOT LIKE '%-skipped') AS skipped_only"""

ACTIONS_COUNTED = "(SELECT count(*) AS action_count FROM session_actions s WHERE s.session_id = h.id) counted"
HEADERS_WITH_COUNTS = f"session_headers h CROSS JOIN LATERAL {ACTIONS_COUNTED}"


# What a filter finds differs a hundredfold from one value to the next: a plan is made for each, never kept for all. It reads little.
_PLAN_EACH = text("""
    SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('max_parallel_workers_per_gather', '0', true)""")


def list_sessions(connection: Connection, wanted: SessionFilter, *, limit: int = 50) -> list[RowMapping]:
    """Give the headers of matching sessions, newest first: HEADER_COLUMNS."""
    newest = suited_to(connection, wanted.text, wanted.newest())
    statement = text(f"""
        WITH chosen AS MATERIALIZED ({newest})
        SELECT {HEADER_COLUMNS} FROM chosen c JOIN session_headers h ON h.id = c.id
         CROSS JOIN LATERAL {ACTIONS_COUNTED} ORDER BY h.started_at DESC, h.id DESC""")
    connection.execute(_PLAN_EACH)
    return list(connection.execute(statement, wanted.__dict__ | {"limit": limit}).mappings())


def list_sessions_by_id(
    connection: Connection, ids: Sequence[UUID], wanted: SessionFilter
) -> list[RowMapping]:
    """Give the headers of those of the given sessions that match."""
    statement = text(f"""
        SELECT {HEADER_COLUMNS} FROM {HEADERS_WITH_COUNTS}
         WHERE h.id = ANY(:ids) AND {wanted.conditions()}""")
    return list(connection.execute(statement, wanted.__dict__ | {"ids": list(ids)}).mappings())


def find_matching_ids(connection: Connection, ids: Sequence[UUID], wanted: SessionFilter) -> set[UUID]:
    """Tell which of the given sessions match."""
    statement = text(f"SELECT h.id FROM session_headers h WHERE h.id = ANY(:ids) AND {wanted.conditions()}")
    return set(connection.execute(statement, wanted.__dict__ | {"ids": list(ids)}).scalars())


def find_session(connection: Connection, session_id: UUID) -> RowMapping | None:
    """Give one session's header, or None."""
    return next(iter(list_sessions_by_id(connection, [session_id], SessionFilter())), None)


_LAST_ACTIONS = text("""
    SELECT a.session_id, a.ord, a.type, a.schema_version, a.tone, a.at, a.payload
      FROM unnest(CAST(:ids AS uuid[])) AS wanted(id)
     CROSS JOIN LATERAL (SELECT * FROM session_actions s WHERE s.session_id = wanted.id ORDER BY s.ord DESC LIMIT :per_session) a
     ORDER BY a.session_id, a.ord""")


def list_last_actions(connection: Connection, ids: Sequence[UUID], *, per_session: int) -> list[RowMapping]:
    """Give the newest actions of several sessions, each session's in order."""
    return list(connection.execute(_LAST_ACTIONS, {"ids": list(ids), "per_session": per_session}).mappings())


_ACTIONS_AT = text("""
    SELECT a.session_id, a.ord, a.type, a.schema_version, a.tone, a.at, a.payload
      FROM unnest(CAST(:ids AS uuid[]), CAST(:ords AS bigint[])) AS wanted(session_id, ord)
      JOIN session_actions a ON a.session_id = wanted.session_id AND a.ord = wanted.ord""")


def list_actions_at(connection: Connection, places: Sequence[tuple[UUID, int]]) -> list[RowMapping]:
    """Give the actions at the given places (session id, ord), in any order."""
    values = {"ids": [place[0] for place in places], "ords": [place[1] for place in places]}
    return list(connection.execute(_ACTIONS_AT, values).mappings())


_EXCERPTS = text("""
    SELECT a.session_id, a.ord, a.type, a.schema_version, a.tone, a.at, a.payload
      FROM unnest(CAST(:ids AS uuid[])) AS wanted(id)
     CROSS JOIN LATERAL (
           (SELECT ord FROM session_actions s WHERE s.session_id = wanted.id ORDER BY ord LIMIT :first)
           UNION
           (SELECT ord FROM session_actions s WHERE s.session_id = wanted.id ORDER BY ord DESC LIMIT :last)
           UNION
           (SELECT ord FROM session_actions s WHERE s.session_id = wanted.id AND s.tone = 'error'
             ORDER BY ord DESC LIMIT :last)) shown
      JOIN session_actions a ON a.session_id = wanted.id AND a.ord = shown.ord
     ORDER BY a.session_id, a.ord""")


def list_excerpts(connection: Connection, ids: Sequence[UUID], *, first: int, last: int) -> list[RowMapping]:
    """Return the first and last actions of several sessions, and the last errors, each session's in order.

    Args:
        connection: an open transaction.
        ids: whose actions.
        first: how many from a session's beginning.
        last: how many from its end, and how many errors.
    """
    values = {"ids": list(ids), "first": first, "last": last}
    return list(connection.execute(_EXCERPTS, values).mappings())


_LABELS = text("SELECT key, label FROM session_subjects WHERE key = ANY(:keys)")


def find_labels(connection: Connection, keys: Collection[str]) -> dict[str, str]:
    """Return what people call subjects, by key; those without a label are missing."""
    if not keys:
        return {}
    return {row.key: row.label for row in connection.execute(_LABELS, {"keys": list(keys)})}


_SESSIONS_OF_RUN = text("SELECT id, status FROM session_headers WHERE run_id = :run_id ORDER BY started_at")


def list_sessions_of_run(connection: Connection, run_id: str) -> list[RowMapping]:
    """Give id and status of all sessions of one run, oldest first."""
    return list(connection.execute(_SESSIONS_OF_RUN, {"run_id": run_id}).mappings())
