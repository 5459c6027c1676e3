"""Write sessions: open one, append to it, close it.

One statement is one round trip and, outside of a transaction, one commit.
"""

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from sqlalchemy import Connection, RowMapping, text

from bidbeacon_sessions.actions import CUT_MARK, Subject, Tone
from bidbeacon_sessions.masking import mask_text
from bidbeacon_sessions.settings import get_session_settings
from bidbeacon_sessions.tables import OUTCOME_SO_FAR


@dataclass(frozen=True)
class NewSession:
    """The data of a session when it starts."""

    id: UUID
    job_name: str
    started_at: datetime
    run_id: str | None = None
    step_key: str | None = None
    retry_number: int = 0
    account: Subject | None = None
    input: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)


class NewAction(NamedTuple):
    """An action ready to be stored: masked, within the size limit, with its `ord`."""

    ord: int
    type: str
    tone: Tone
    at: datetime
    payload: dict[str, Any]
    references: Sequence[Mapping[str, str | None]] = ()


# Locks a row only if a label is new, so that sessions of one subject don't wait for each other.
_NAME_SUBJECTS = text("""
    INSERT INTO session_subjects (key, label)
    SELECT n.key, n.label
      FROM unnest(CAST(:keys AS text[]), CAST(:labels AS text[])) AS n(key, label)
     WHERE n.label IS NOT NULL
       AND NOT EXISTS (SELECT FROM session_subjects s WHERE s.key = n.key AND s.label = n.label)
     ORDER BY n.key
        ON CONFLICT (key) DO UPDATE SET label = excluded.label""")


def name_subjects(connection: Connection, subjects: Iterable[Subject]) -> None:
    """Store the labels of subjects; earlier sessions show the new labels too."""
    named = {each.key: each.label for each in subjects}
    values = {
        "keys": list(named),
        "labels": [label and mask_text(label) for label in named.values()],
    }
    connection.execute(_NAME_SUBJECTS, values)


# A retry of this statement, whose first response was lost, changes nothing.
_OPEN = text("""
    WITH header AS (
        INSERT INTO session_headers (id, job_name, run_id, step_key, retry_number, account_key,
                                     started_at, input, labels)
        SELECT :id, :job_name, CAST(:run_id AS text), CAST(:step_key AS text),
               greatest(CAST(:retry_number AS bigint), (
                   SELECT max(h.retry_number) + 1
                     FROM session_headers h
                    WHERE h.run_id = CAST(:run_id AS text)
                      AND h.step_key = CAST(:step_key AS text)
                      AND h.id <> :id)),
               :key, :started_at, CAST(:input AS jsonb), CAST(:labels AS jsonb)
        ON CONFLICT (id) DO NOTHING
        RETURNING id),
    lease AS (
        INSERT INTO session_leases (session_id, holder, heartbeat_at, expires_at)
        SELECT id, :holder, clock_timestamp(),
               clock_timestamp() + make_interval(secs => :lease_seconds)
          FROM header)
    SELECT h.id
      FROM session_headers h
     WHERE h.run_id = CAST(:run_id AS text)
       AND h.step_key = CAST(:step_key AS text)
       AND h.status = 'running'
       AND h.id <> :id""")


def insert_session(connection: Connection, session: NewSession) -> list[UUID]:
    """Store a running session of this process with its lease.

    If the run's step has earlier sessions, the retry number is higher than theirs. Returns the ids
    of other attempts of the same step that are still running.
    """
    if session.account is not None:
        name_subjects(connection, [session.account])
    values = session.__dict__ | {
        "key": session.account and session.account.key,
        "input": json_text(session.input),
        "labels": json_text(session.labels),
        "holder": f"{socket.gethostname()}:{os.getpid()}",
        "lease_seconds": get_session_settings().lease_seconds,
    }
    return list(connection.execute(_OPEN, values).scalars())


# The header gets the lock that its foreign key takes anyway, but before it is read: a statement
# that waits here for another process to close the session finds it closed. An existing row with
# this `ord` was written by a try whose response was lost. `IS TRUE` keeps a plan from searching the
# session by the index on the status, among all that run or ran recently.
_APPEND: LiteralString = """
    WITH alive AS MATERIALIZED (
        SELECT id, started_at
          FROM session_headers
         WHERE id = CAST(%(session_id)s AS uuid) AND (status = 'running') IS TRUE
           FOR KEY SHARE),
    stored AS (
        INSERT INTO session_actions (session_id, ord, type, tone, at, payload)
        SELECT id, CAST(%(ord)s AS bigint), CAST(%(type)s AS text), CAST(%(tone)s AS text),
               CAST(%(at)s AS timestamptz), CAST(%(payload)s AS jsonb)
          FROM alive
        ON CONFLICT (session_id, ord) DO NOTHING
        RETURNING session_id, ord),
    referred AS (
        INSERT INTO session_references (session_id, ord, account_key, dataset, window_key, effect,
                                        started_at)
        SELECT s.session_id, s.ord, t.account, t.dataset, t."window", t.effect, a.started_at
          FROM stored s, alive a,
               jsonb_to_recordset(CAST(%(references)s AS jsonb))
                   AS t(account text, dataset text, effect text, "window" text))
    SELECT count(*) FROM alive"""


def insert_action(connection: Connection, session_id: UUID, action: NewAction) -> bool:
    """Append an action and its references; return False if the session has ended.

    An action that is already stored is not stored again.
    """
    return bool(connection.exec_driver_sql(_APPEND, _values_of(session_id, action)).scalar_one())


def append_action(connection: psycopg.Connection[Any], session_id: UUID, action: NewAction) -> bool:
    """Append an action as `insert_action` does, on a psycopg connection with autocommit."""
    found = connection.execute(_APPEND, _values_of(session_id, action), prepare=True).fetchone()
    return found is not None and found[0] > 0


def _values_of(session_id: UUID, action: NewAction) -> dict[str, str]:
    return {
        "session_id": str(session_id),
        "ord": str(action.ord),
        "type": action.type,
        "tone": action.tone,
        "at": action.at.isoformat(),
        "payload": json_text(action.payload),
        "references": json_text(action.references),
    }


_CLOSE = text(f"""
    WITH closed AS (
        UPDATE session_headers h
           SET status = :status, finished_at = greatest(:finished_at, started_at),
               outcome = CASE WHEN :status IN ('failed', 'crashed') AND NOT :has_successor
                              THEN 'problems'
                              WHEN :status = 'cancelled'
                              THEN coalesce(nullif({OUTCOME_SO_FAR}, 'ok'), 'warnings')
                              ELSE {OUTCOME_SO_FAR} END,
               error = CAST(:error AS jsonb), revision = revision + 1,
               changed_xid = pg_current_xact_id()
         WHERE id = :id AND status = 'running'
        RETURNING id),
    ended AS (DELETE FROM session_leases WHERE session_id = :id)
    SELECT count(*) FROM closed""")


# Once an attempt of a step succeeds, earlier failed ones have only the outcome of their actions:
# attempts in the same run, or in the run of the label `retry_of`.
_RECOVER = text(f"""
    WITH RECURSIVE runs(run_id, step_key) AS (
        SELECT run_id, step_key FROM session_headers WHERE id = :id
         UNION
        SELECT h.labels ->> 'retry_of', r.step_key
          FROM runs r
          JOIN session_headers h USING (run_id, step_key)
         WHERE h.labels ? 'retry_of')
    UPDATE session_headers h
       SET outcome = {OUTCOME_SO_FAR}, recovered_by = :id, revision = revision + 1,
           changed_xid = pg_current_xact_id()
      FROM runs r
     WHERE h.run_id = r.run_id AND h.step_key = r.step_key AND h.id <> :id
       AND h.status IN ('failed', 'crashed') AND h.recovered_by IS NULL""")


def close_session(
    connection: Connection,
    session_id: UUID,
    *,
    status: str,
    finished_at: datetime,
    error: dict[str, Any] | None = None,
    has_successor: bool = False,
) -> bool:
    """End a running session and its lease; return False if the session had already ended.

    The outcome of a failed or crashed session is `problems`, unless a successor took over its work.
    The outcome of a cancelled session is at least `warnings`. If the session succeeds, the failure
    of earlier attempts of its step no longer counts: only their actions decide their outcome.
    """
    values = {
        "id": session_id,
        "status": status,
        "finished_at": finished_at,
        "error": None if error is None else json_text(error),
        "has_successor": has_successor,
    }
    was_running = bool(connection.execute(_CLOSE, values).scalar_one())
    if was_running and status == "succeeded":
        connection.execute(_RECOVER, {"id": session_id})
    return was_running


_LOCK = text("""
    SELECT h.id, l.heartbeat_at
      FROM session_headers h
      LEFT JOIN session_leases l ON l.session_id = h.id
     WHERE h.id = :id AND h.status = 'running'
       FOR UPDATE OF h SKIP LOCKED""")


def lock_session(connection: Connection, session_id: UUID) -> RowMapping | None:
    """Lock a running session without waiting; return its id and heartbeat_at.

    Return None if the session is not running, or if another transaction has locked it.
    """
    return connection.execute(_LOCK, {"id": session_id}).mappings().first()


def find_status(connection: Connection, session_id: UUID) -> str | None:
    """Return a session's status, or None if there is no such session."""
    return connection.execute(
        text("SELECT status FROM session_headers WHERE id = :id"), {"id": session_id}
    ).scalar()


# Actions and references are deleted with their header; few at once, since a session may have five
# thousand actions.
_DELETE_ENDED = text("""
    WITH old AS (
        SELECT id
          FROM session_headers
         WHERE started_at < :before AND finished_at < :before
         ORDER BY started_at
         LIMIT :most)
    DELETE FROM session_headers h USING old WHERE h.id = old.id""")


def delete_ended_sessions(connection: Connection, before: datetime, most: int) -> int:
    """Delete the oldest sessions that ended before an instant, up to `most`; return how many."""
    return connection.execute(_DELETE_ENDED, {"before": before, "most": most}).rowcount


_encode = msgspec.json.Encoder(enc_hook=str).encode


def json_text(value: Any) -> str:
    """Return plain data as JSON text for jsonb: NUL and lone surrogates are replaced."""
    try:
        encoded = _encode(value)
    except UnicodeEncodeError:  # a lone surrogate
        encoded = _encode(_storable(value))
    if b"\\u0000" in encoded:
        encoded = _encode(_storable(value))
    return encoded.decode()


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_storable(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value


def within(value: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    """Shorten a JSON object until its JSON text has at most `max_bytes`.

    Large texts and lists are halved, other large values removed. The key `cut` lists the shortened
    fields with their original length.
    """
    small = dict(value)
    cut: dict[str, int] = {}
    while small and _size(small | ({CUT_MARK: cut} if cut else {})) > max_bytes:
        key = max(small, key=lambda k: _size(small[k]))
        long = small.pop(key)
        cut.setdefault(key, len(long) if isinstance(long, str | list | dict) else 1)
        if isinstance(long, str | list) and len(long) > 1:
            small[key] = long[: len(long) // 2]
    return small | {CUT_MARK: cut} if cut else small


def _size(value: Any) -> int:
    return len(json_text(value).encode())
