"""All SQL that writes sessions: opening one, appending to it, closing it.

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
    """What is known of a session when it starts."""

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
    """An action ready to be stored: masked, within bounds, with the place its recorder gave it."""

    ord: int
    type: str
    tone: Tone
    at: datetime
    payload: dict[str, Any]
    references: Sequence[Mapping[str, str | None]] = ()


# Locks a row only where a label is new: sessions of one subject don't wait for each other.
_NAME = """INSERT INTO session_subjects (key, label)
        SELECT n.key, n.label FROM {given} AS n(key, label)
         WHERE n.label IS NOT NULL AND NOT EXISTS (SELECT FROM session_subjects s WHERE s.key = n.key AND s.label = n.label)
         ORDER BY n.key
            ON CONFLICT (key) DO UPDATE SET label = excluded.label"""
_NAME_SUBJECTS = text(_NAME.format(given="unnest(CAST(:keys AS text[]), CAST(:labels AS text[]))"))


def name_subjects(connection: Connection, subjects: Iterable[Subject]) -> None:
    """Store what subjects are called from now on: sessions of before are shown with the new label as well."""
    named = {each.key: each.label for each in subjects}
    values = {
        "keys": list(named),
        "labels": [label and mask_text(label) for label in named.values()],
    }
    connection.execute(_NAME_SUBJECTS, values)


# A second try of the same session, whose first answer was lost on the way, changes nothing.
_OPEN = text(f"""
    WITH header AS (
        INSERT INTO session_headers (id, job_name, run_id, step_key, retry_number, account_key,
                                     started_at, input, labels)
        SELECT :id, :job_name, CAST(:run_id AS text), CAST(:step_key AS text),
               greatest(CAST(:retry_number AS bigint), (
                   SELECT max(h.retry_number) + 1 FROM session_headers h
                    WHERE h.run_id = CAST(:run_id AS text) AND h.step_key = CAST(:step_key AS text) AND h.id <> :id)),
               :key, :started_at, CAST(:input AS jsonb), CAST(:labels AS jsonb)
        ON CONFLICT (id) DO NOTHING
        RETURNING id),
    named AS ({_NAME.format(given="(VALUES (CAST(:key AS text), CAST(:label AS text)))")}),
    lease AS (
        INSERT INTO session_leases (session_id, holder, heartbeat_at, expires_at)
        SELECT id, :holder, clock_timestamp(), clock_timestamp() + make_interval(secs => :lease_seconds) FROM header)
    SELECT h.id FROM session_headers h
     WHERE h.run_id = CAST(:run_id AS text) AND h.step_key = CAST(:step_key AS text) AND h.status = 'running' AND h.id <> :id""")


def insert_session(connection: Connection, session: NewSession) -> list[UUID]:
    """Store a session of this process as running, with its first sign of life; return older attempts of the same step that are still open.

    Its retry number is counted up where that attempt was recorded already.
    """
    account = session.account
    values = session.__dict__ | {
        "key": account and account.key,
        "label": account and account.label and mask_text(account.label),
        "input": json_text(session.input),
        "labels": json_text(session.labels),
        "holder": f"{socket.gethostname()}:{os.getpid()}",
        "lease_seconds": get_session_settings().lease_seconds,
    }
    return list(connection.execute(_OPEN, values).scalars())


# The header is locked as its foreign key locks it anyway, but before it is read: whoever waits here
# for somebody who closes the session finds it closed. A place that is taken was written by a try
# whose answer was lost. `IS TRUE` keeps a plan from looking for the session among all that run, or
# ran until lately, by the index on the status.
_APPEND: LiteralString = """
    WITH alive AS MATERIALIZED (
        SELECT id, started_at FROM session_headers
         WHERE id = CAST(%(session_id)s AS uuid) AND (status = 'running') IS TRUE FOR KEY SHARE),
    stored AS (
        INSERT INTO session_actions (session_id, ord, type, tone, at, payload)
        SELECT id, CAST(%(ord)s AS bigint), CAST(%(type)s AS text), CAST(%(tone)s AS text),
               CAST(%(at)s AS timestamptz), CAST(%(payload)s AS jsonb) FROM alive
        ON CONFLICT (session_id, ord) DO NOTHING
        RETURNING session_id, ord),
    referred AS (
        INSERT INTO session_references (session_id, ord, account_key, dataset, window_key, effect, started_at)
        SELECT s.session_id, s.ord, t.account, t.dataset, t."window", t.effect, a.started_at
          FROM stored s, alive a,
               jsonb_to_recordset(CAST(%(references)s AS jsonb)) AS t(account text, dataset text, effect text, "window" text))
    SELECT count(*) FROM alive"""


def insert_action(connection: Connection, session_id: UUID, action: NewAction) -> bool:
    """Append an action with its references; return False where the session is not running any more.

    Appending it a second time changes nothing.
    """
    return bool(connection.exec_driver_sql(_APPEND, _values_of(session_id, action)).scalar_one())


def append_action(connection: psycopg.Connection[Any], session_id: UUID, action: NewAction) -> bool:
    """Do the same on a connection that commits by itself, by a statement that the driver prepares at its first use."""
    found = connection.execute(_APPEND, _values_of(session_id, action), prepare=True).fetchone()
    return found is not None and found[0] > 0


def _values_of(session_id: UUID, action: NewAction) -> dict[str, str]:
    """Return a statement's values as text."""
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
               outcome = CASE WHEN :status IN ('failed', 'crashed') AND NOT :has_successor THEN 'problems'
                              WHEN :status = 'cancelled' THEN coalesce(nullif({OUTCOME_SO_FAR}, 'ok'), 'warnings')
                              ELSE {OUTCOME_SO_FAR} END,
               error = CAST(:error AS jsonb), revision = revision + 1, changed_xid = pg_current_xact_id()
         WHERE id = :id AND status = 'running'
        RETURNING id),
    ended AS (DELETE FROM session_leases WHERE session_id = :id)
    SELECT count(*) FROM closed""")


# Failed attempts have no problems any more whose step another one did in the end: sessions of the
# same step, in the same run or in the one that the label `retry_of` names. What their actions say
# stays.
_RECOVER = text(f"""
    WITH RECURSIVE runs(run_id, step_key) AS (
        SELECT run_id, step_key FROM session_headers WHERE id = :id
         UNION
        SELECT h.labels ->> 'retry_of', r.step_key FROM runs r JOIN session_headers h USING (run_id, step_key)
         WHERE h.labels ? 'retry_of')
    UPDATE session_headers h
       SET outcome = {OUTCOME_SO_FAR}, recovered_by = :id, revision = revision + 1, changed_xid = pg_current_xact_id()
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
    """End a running session and its lease, and store its outcome; return False where it had ended already.

    One that failed or crashed has problems, unless a successor took up its work; one that was
    cancelled has at least warnings, since it did not finish. Earlier attempts of one that succeeded
    have no problems any more.
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
    SELECT h.id, l.heartbeat_at FROM session_headers h LEFT JOIN session_leases l ON l.session_id = h.id
     WHERE h.id = :id AND h.status = 'running' FOR UPDATE OF h SKIP LOCKED""")


def lock_session(connection: Connection, session_id: UUID) -> RowMapping | None:
    """Lock a running session without waiting; return its id and heartbeat_at, or None where it can't be done."""
    return connection.execute(_LOCK, {"id": session_id}).mappings().first()


def find_status(connection: Connection, session_id: UUID) -> str | None:
    """Return a session's status, or None where there is no such session."""
    return connection.execute(
        text("SELECT status FROM session_headers WHERE id = :id"), {"id": session_id}
    ).scalar()


# A header takes its actions and references with it; few at once, since one may have five
# thousand actions.
_DELETE_ENDED = text("""
    WITH old AS (
        SELECT id FROM session_headers WHERE started_at < :before AND finished_at < :before ORDER BY started_at LIMIT :most)
    DELETE FROM session_headers h USING old WHERE h.id = old.id""")


def delete_ended_sessions(connection: Connection, before: datetime, most: int) -> int:
    """Delete sessions that ended before an instant, with all they tell, oldest first, `most` at most; return how many."""
    return connection.execute(_DELETE_ENDED, {"before": before, "most": most}).rowcount


_encode = msgspec.json.Encoder(enc_hook=str).encode


def json_text(value: Any) -> str:
    """Return plain data as JSON text that PostgreSQL's jsonb takes: without NUL and lone surrogates, which are rare."""
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
    """Return a JSON object that is no larger than `max_bytes` as JSON text.

    The largest lists and texts are shortened by halves, and named under `cut` with their length.
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
