"""All SQL that writes and reads sessions. Each function is one statement or one short transaction.

The change log has its own module of SQL (`change_log.py`), and so have leases (`leases.py`).
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping, create_engine, make_url, text

from bidbeacon_sessions.actions import Touch


@dataclass(frozen=True)
class NewSession:
    """What is known of a session when it starts."""

    id: UUID
    job_name: str
    started_at: datetime
    run_id: str | None = None
    step_key: str | None = None
    retry_number: int = 0
    account_id: str | None = None
    country_code: str | None = None
    account_key: str | None = None
    input: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    parent_session_id: UUID | None = None


@dataclass(frozen=True)
class NewAction:
    """An action ready to be stored: redacted, within bounds, with the place its recorder gave it."""

    ord: int
    type: str
    schema_version: int
    at: datetime
    payload: dict[str, Any]
    touches: Sequence[Touch] = ()


class SessionStore:
    """The sessions of one database.

    Args:
        engine: an SQLAlchemy engine on PostgreSQL with the psycopg 3 driver; the store only borrows it.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def connect(cls, database_url: str) -> "SessionStore":
        """Make a store with a small pool of its own on `postgresql://…`."""
        url = make_url(database_url).set(drivername="postgresql+psycopg")
        return cls(create_engine(url, pool_size=2, max_overflow=6, pool_pre_ping=True))

    def begin(self) -> AbstractContextManager[Connection]:
        """Open a transaction."""
        return self.engine.begin()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open a read-only transaction whose statements all see the same moment of the database."""
        with self.engine.connect() as connection:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            yield connection.execution_options(**options)

    def dispose(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()


_INSERT_HEADER = text("""
    INSERT INTO session_headers (id, job_name, run_id, step_key, retry_number, account_id, country_code, account_key,
                                 started_at, input, labels, parent_session_id)
    SELECT :id, :job_name, CAST(:run_id AS text), CAST(:step_key AS text),
           greatest(CAST(:retry_number AS bigint), (
               SELECT max(h.retry_number) + 1 FROM session_headers h
                WHERE h.run_id = CAST(:run_id AS text) AND h.step_key = CAST(:step_key AS text))),
           :account_id, :country_code, :account_key, :started_at, CAST(:input AS jsonb), CAST(:labels AS jsonb), :parent_session_id
    RETURNING retry_number""")


def insert_session(connection: Connection, session: NewSession) -> int:
    """Store a session as running; give its retry number, counted up where this attempt was recorded already."""
    values = session.__dict__ | {"input": _json(session.input), "labels": _json(session.labels)}
    return int(connection.execute(_INSERT_HEADER, values).scalar_one())


# One statement: the action is stored only while its session is running, its touches only with it.
_INSERT_ACTION = text("""
    WITH stored AS (
        INSERT INTO session_actions (session_id, ord, type, schema_version, at, payload)
        SELECT :session_id, :ord, :type, :schema_version, :at, CAST(:payload AS jsonb)
          FROM session_headers WHERE id = :session_id AND status = 'running'
        RETURNING session_id, ord),
    touched AS (
        INSERT INTO session_touches (session_id, ord, account_key, dataset, window_key, effect)
        SELECT s.session_id, s.ord, t.account, t.dataset, w.key, t.effect
          FROM stored s
         CROSS JOIN jsonb_to_recordset(CAST(:touches AS jsonb)) AS t(account text, dataset text, effect text, windows jsonb)
         CROSS JOIN LATERAL jsonb_array_elements_text(t.windows) AS w(key))
    SELECT count(*) FROM stored""")


def insert_action(connection: Connection, session_id: UUID, action: NewAction) -> bool:
    """Append an action; give False where the session is not running any more."""
    values = {
        "session_id": session_id,
        "ord": action.ord,
        "type": action.type,
        "schema_version": action.schema_version,
        "at": action.at,
        "payload": _json(action.payload),
        "touches": _json(_by_subject(action.touches)),
    }
    return bool(connection.execute(_INSERT_ACTION, values).scalar_one())


def _by_subject(touches: Sequence[Touch]) -> list[dict[str, Any]]:
    """Write touches as one entry an account, dataset and effect: an action may touch hundreds of windows of one."""
    windows: dict[tuple[str, str | None, str], list[str | None]] = {}
    for touch in touches:
        windows.setdefault((touch.account, touch.dataset, touch.effect), []).append(touch.window)
    return [
        {"account": account, "dataset": dataset, "effect": effect, "windows": keys}
        for (account, dataset, effect), keys in windows.items()
    ]


_CLOSE = text("""
    UPDATE session_headers
       SET status = :status, finished_at = greatest(:finished_at, started_at), error = CAST(:error AS jsonb),
           labels = labels || CAST(:labels AS jsonb), revision = revision + 1, changed_xid = pg_current_xact_id()
     WHERE id = :id AND status = 'running'
    RETURNING id""")


def close_session(
    connection: Connection,
    session_id: UUID,
    *,
    status: str,
    finished_at: datetime,
    error: dict[str, Any] | None = None,
    labels: dict[str, Any] | None = None,
) -> bool:
    """End a running session and its lease; give False where it had ended already."""
    values = {
        "id": session_id,
        "status": status,
        "finished_at": finished_at,
        "error": None if error is None else _json(error),
        "labels": _json(labels or {}),
    }
    closed = connection.execute(_CLOSE, values).first() is not None
    connection.execute(text("DELETE FROM session_leases WHERE session_id = :id"), {"id": session_id})
    return closed


def find_status(connection: Connection, session_id: UUID) -> str | None:
    """Give a session's status, or None where there is no such session."""
    return connection.execute(
        text("SELECT status FROM session_headers WHERE id = :id"), {"id": session_id}
    ).scalar()


def find_running_attempts(connection: Connection, run_id: str, step_key: str, *, besides: UUID) -> list[UUID]:
    """Give the sessions of the same step of the same run that are still open."""
    rows = connection.execute(
        text("""SELECT id FROM session_headers
                 WHERE run_id = :run_id AND step_key = :step_key AND status = 'running' AND id <> :besides"""),
        {"run_id": run_id, "step_key": step_key, "besides": besides},
    )
    return list(rows.scalars())


_ACTION_ROWS = text("""
    SELECT session_id, ord, type, schema_version, at, payload
      FROM session_actions WHERE session_id = :id AND ord > :after ORDER BY ord LIMIT :limit""")


def list_actions(
    connection: Connection, session_id: UUID, *, after: int = 0, limit: int = 10_000
) -> list[RowMapping]:
    """Give a session's actions in order, from `ord` on: session_id, ord, type, schema_version, at, payload."""
    rows = connection.execute(_ACTION_ROWS, {"id": session_id, "after": after, "limit": limit})
    return list(rows.mappings())


HEADER_COLUMNS = """
    h.id, h.job_name, h.run_id, h.step_key, h.retry_number, h.account_id, h.country_code, h.account_key, h.status,
    h.started_at, h.finished_at, h.error, h.input, h.labels, h.parent_session_id, counted.action_count,
    h.revision + counted.action_count AS revision"""

HEADERS_WITH_COUNTS = """
    session_headers h
    CROSS JOIN LATERAL (SELECT count(*) AS action_count FROM session_actions s WHERE s.session_id = h.id) counted"""


@dataclass(frozen=True)
class SessionFilter:
    """Which sessions are meant; a field that is None does not restrict. `since` and `before` are UTC instants of the start."""

    job: str | None = None
    account: str | None = None
    status: str | None = None
    type: str | None = None
    dataset: str | None = None
    window: str | None = None
    run: str | None = None
    since: datetime | None = None
    before: datetime | None = None

    def conditions(self) -> str:
        """Give the WHERE clause over `session_headers h`, with the fields as bound parameters."""
        given = [clause for name, clause in _FILTER_CLAUSES.items() if getattr(self, name) is not None]
        if self.dataset is not None or self.window is not None:
            given.append(_TOUCH_CLAUSE)
        return " AND ".join(given) or "true"


_FILTER_CLAUSES = {
    "job": "h.job_name = :job",
    "account": "(h.account_key = :account OR EXISTS (SELECT FROM session_touches t WHERE t.session_id = h.id AND t.account_key = :account))",
    "status": "h.status = :status",
    "type": "EXISTS (SELECT FROM session_actions f WHERE f.session_id = h.id AND f.type = :type)",
    "run": "h.run_id = :run",
    "since": "h.started_at >= :since",
    "before": "h.started_at < :before",
}
_TOUCH_CLAUSE = """EXISTS (SELECT FROM session_touches t WHERE t.session_id = h.id
    AND (CAST(:dataset AS text) IS NULL OR t.dataset = :dataset) AND (CAST(:window AS text) IS NULL OR t.window_key = :window))"""


def list_sessions(connection: Connection, wanted: SessionFilter, *, limit: int = 50) -> list[RowMapping]:
    """Give the headers of matching sessions, newest first: HEADER_COLUMNS."""
    statement = text(f"""
        SELECT {HEADER_COLUMNS} FROM {HEADERS_WITH_COUNTS}
         WHERE {wanted.conditions()} ORDER BY h.started_at DESC, h.id DESC LIMIT :limit""")
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
    SELECT a.session_id, a.ord, a.type, a.schema_version, a.at, a.payload
      FROM unnest(CAST(:ids AS uuid[])) AS wanted(id)
     CROSS JOIN LATERAL (SELECT * FROM session_actions s WHERE s.session_id = wanted.id ORDER BY s.ord DESC LIMIT :per_session) a
     ORDER BY a.session_id, a.ord""")


def list_last_actions(connection: Connection, ids: Sequence[UUID], *, per_session: int) -> list[RowMapping]:
    """Give the newest actions of several sessions, each session's in order."""
    return list(connection.execute(_LAST_ACTIONS, {"ids": list(ids), "per_session": per_session}).mappings())


_ACTIONS_AT = text("""
    SELECT a.session_id, a.ord, a.type, a.schema_version, a.at, a.payload
      FROM unnest(CAST(:ids AS uuid[]), CAST(:ords AS bigint[])) AS wanted(session_id, ord)
      JOIN session_actions a ON a.session_id = wanted.session_id AND a.ord = wanted.ord""")


def list_actions_at(connection: Connection, places: Sequence[tuple[UUID, int]]) -> list[RowMapping]:
    """Give the actions at the given places (session id, ord), in any order."""
    values = {"ids": [place[0] for place in places], "ords": [place[1] for place in places]}
    return list(connection.execute(_ACTIONS_AT, values).mappings())


_EXCERPTS = text("""
    SELECT a.session_id, a.ord, a.type, a.schema_version, a.at, a.payload
      FROM unnest(CAST(:ids AS uuid[])) AS wanted(id)
     CROSS JOIN LATERAL (
           (SELECT ord FROM session_actions s WHERE s.session_id = wanted.id ORDER BY ord LIMIT :first)
           UNION
           (SELECT ord FROM session_actions s WHERE s.session_id = wanted.id ORDER BY ord DESC LIMIT :last)
           UNION
           (SELECT ord FROM session_actions s WHERE s.session_id = wanted.id AND s.type = ANY(:always)
             ORDER BY ord DESC LIMIT :last)) shown
      JOIN session_actions a ON a.session_id = wanted.id AND a.ord = shown.ord
     ORDER BY a.session_id, a.ord""")


def list_excerpts(
    connection: Connection, ids: Sequence[UUID], *, first: int, last: int, always: Sequence[str] = ()
) -> list[RowMapping]:
    """Give the first and last actions of several sessions, each session's in order.

    Args:
        connection: an open transaction.
        ids: whose actions.
        first: how many from a session's beginning.
        last: how many from its end.
        always: action types that an excerpt never leaves out (the newest `last` of them).
    """
    values = {"ids": list(ids), "first": first, "last": last, "always": list(always)}
    return list(connection.execute(_EXCERPTS, values).mappings())


_SESSIONS_OF_RUN = text("SELECT id, status FROM session_headers WHERE run_id = :run_id ORDER BY started_at")


def list_sessions_of_run(connection: Connection, run_id: str) -> list[RowMapping]:
    """Give id and status of all sessions of one run, oldest first."""
    return list(connection.execute(_SESSIONS_OF_RUN, {"run_id": run_id}).mappings())


def _json(value: Any) -> str:
    """Give JSON text that PostgreSQL's jsonb takes: no NUL, no lone surrogates."""
    clean = _storable(value)
    return json.dumps(clean, ensure_ascii=False, separators=(",", ":"), default=str)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        if value.isascii() and "\x00" not in value:
            return value
        return value.replace("\x00", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_storable(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
