"""Sessions of a bakery, what the view shows of them, and what others do to one whose process is killed or frozen."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from itertools import chain, repeat
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Engine, Row, text

from bidbeacon_sessions import Action, Reference, SessionStore, Subject, with_job_session
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.session import finalize_session
from tests.support.waiting import wait_until

NOON = datetime(2026, 7, 25, 12, tzinfo=UTC)


class _Loaf(Action):
    what: str = "bread"
    about: tuple[tuple[str, str | None, date | None], ...] = ()

    def references(self) -> list[Reference]:
        """Return one for each account, dataset and window."""
        return [
            Reference(account, "baked", dataset, None if day is None else str(day))
            for account, dataset, day in self.about
        ]


class LoafBaked(_Loaf):
    """Some bread is ready."""

    sentence = "Baked {what}"
    tone = "success"


class LoafDropped(_Loaf):
    """Some bread is on the floor."""

    sentence = "Dropped {what}"
    tone = "warning"


class LoafBurnt(_Loaf):
    """Some bread is black."""

    sentence = "Burnt {what}"
    tone = "error"


def record(
    store: SessionStore,
    job: str = "job",
    *actions: Action,
    since: datetime = NOON,
    minute: float = 0,
    seconds: float = 0,
    fails: bool = False,
    **options: Any,
) -> str:
    """Record a whole session that began some minutes after an instant and took some seconds; return its id."""
    begins = since + timedelta(minutes=minute)
    times = chain([begins], repeat(begins + timedelta(seconds=seconds)))
    usual: dict[str, Any] = {"account": Subject("US.a", "Shop A"), "clock": lambda: next(times)}
    with suppress(OSError), with_job_session(job, store=store, **usual | options) as session:
        for action in actions:
            session.add(action)
        if fails:
            raise OSError("the disk is full")
    return str(session.session_id)


_END_LEASE = """
    UPDATE session_leases SET expires_at = clock_timestamp() - interval '1 second'
     WHERE session_id = CAST(:id AS uuid) OR CAST(:id AS uuid) IS NULL"""
_PAST_GRACE = "SELECT pg_postmaster_start_time() < clock_timestamp() - interval '2 seconds'"


def execute(store: SessionStore, statement: str, **values: object) -> list[Row[Any]]:
    """Execute a statement in a transaction of its own; return its rows, if any."""
    with store.begin() as connection:
        result = connection.execute(text(statement), values)
        return list(result) if result.returns_rows else []


def recorded(store: SessionStore) -> list[Row[Any]]:
    """Return all sessions as `job_sessions` shows them, oldest first."""
    return execute(store, "SELECT * FROM job_sessions ORDER BY started_at")


def told(store: SessionStore) -> tuple[str, list[str]]:
    """Return the only session's status, and the loaves that its actions tell of."""
    [row] = recorded(store)
    return row.status, [action["what"] for action in row.actions if "what" in action]


def count_waiting(store: SessionStore, table: str) -> int:
    """Return how many statements wait for a lock of a table."""
    waiting = """
        SELECT FROM pg_locks WHERE NOT granted AND relation = CAST(:name AS regclass)
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    return len(execute(store, waiting, name=table))


@contextmanager
def database_away(store: SessionStore) -> Iterator[None]:
    """Let nobody connect to a store's database inside the block, and throw everybody out of it."""
    url = store.engine.url
    maintenance = url.set(drivername="postgresql", database="postgres")
    alter = f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS"
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    address = maintenance.render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"{alter} false".encode())
        connection.execute(end, [url.database])
        try:
            yield
        finally:
            connection.execute(f"{alter} true".encode())


def close_from_outside(store: SessionStore, session_id: UUID) -> bool:
    """Close a session as another process does that found it silent; return whether it was still open."""
    why = "it was silent."
    with store.begin() as connection:
        return finalize_session(connection, session_id, status="crashed", reason=why, now=utc_now())


def end_lease(engine: Engine, session_id: UUID | None = None) -> None:
    """End the lease of a session, or of all."""
    execute(SessionStore(engine), _END_LEASE, id=session_id)
    wait_past_grace(engine)


def wait_past_grace(engine: Engine) -> None:
    """Wait while the server takes nobody for dead, as one that has just been started does."""
    store = SessionStore(engine)
    wait_until(lambda: execute(store, _PAST_GRACE)[0][0], "the server was not just started")
