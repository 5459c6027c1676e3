"""Reads the change log for the stream, and writes each change as messages.

Blocking: the stream calls it in threads.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, RowMapping, create_engine

from bidbeacon_sessions.change_log import Cursor, Position, head, look, read_changes, step, trim
from bidbeacon_sessions.connections import connect_args
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.presentation import action_json, load_labels, session_json
from bidbeacon_sessions.queries import find_matching_ids, list_actions_at, list_sessions_by_id
from bidbeacon_sessions.server.messages import (
    ChangedSession,
    Message,
    ResetReason,
    describe_changes,
    to_json,
)
from bidbeacon_sessions.settings import get_session_settings

MAX_CHANGES = 1_000
STATEMENT_SECONDS = 30
EVERYTHING = SessionFilter()


class CursorRefusedError(Exception):
    """A reader can't go on from its cursor and must load the list again."""

    def __init__(self, reason: ResetReason) -> None:
        self.reason: ResetReason = reason
        super().__init__(reason)


@dataclass(frozen=True)
class Part:
    """A part of the log up to a place, and what the readers of each filter are told of it.

    `ended` has the headers of the sessions whose end is in it, and maybe of others that have ended.
    """

    upto: Cursor
    messages: Mapping[SessionFilter, Sequence[Message]]
    ended: Sequence[RowMapping] = ()


class LogReader:
    """Reads the log of one database, on a few connections of its own. For use by several threads.

    Args:
        engine: on that database; only its address is used.
        note_step: is told of each step of this process how many changes it published, and how many
            seconds it took.
    """

    def __init__(self, engine: Engine, note_step: Callable[[int, float], None]) -> None:
        url = engine.url.set(drivername="postgresql+psycopg")
        arguments = connect_args(url)
        arguments["options"] += f" -c statement_timeout={STATEMENT_SECONDS}s"
        self._engine = create_engine(
            url,
            pool_size=2,
            max_overflow=6,
            pool_timeout=5,
            pool_use_lifo=True,
            connect_args=arguments,
        )
        # Without BEGIN and COMMIT around each statement a look takes half as many round trips.
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._note_step = note_step

    def advance(self) -> tuple[Position, bool]:
        """Take a step where one is due; return where the log stands then, and whether all that is committed is published."""
        with self._reading.connect() as connection:
            is_due, position = look(connection)
        if not is_due:
            return position, True
        is_published = self._step()
        with self._reading.connect() as connection:
            return head(connection), is_published

    def read(
        self,
        after: Cursor,
        newest: Position,
        told: Mapping[SessionFilter, Cursor],
        most: int = MAX_CHANGES,
    ) -> Part:
        """Return the next changes, up to `newest` and to `most` of them; `told` is up to where the readers of each filter know everything.

        Raises:
            CursorRefusedError: the cursor is of another epoch or from the future, or the log was
                trimmed in front of it.
        """
        missing = count_missing(after, newest)
        if missing == 0:
            return Part(after, dict.fromkeys(told, ()))
        with self._reading.connect() as connection:
            changes = read_changes(connection, after, min(missing, most))
            if not changes or changes[0].position != after.position + 1:
                raise CursorRefusedError("expired")
            upto = Cursor(after.epoch, changes[-1].position)
            sessions, ended = _read_sessions(connection, changes, with_actions=bool(told))
            messages = {
                wanted: describe_changes(*_matching(connection, sessions, wanted), known, upto)
                for wanted, known in told.items()
            }
        return Part(upto, messages, ended)

    def read_missed(self, after: Cursor, upto: Cursor, wanted: SessionFilter, most: int) -> Part:
        """Return the next changes that a reader of one filter missed; raises as `read` does."""
        with self._reading.connect() as connection:
            oldest = head(connection).oldest
        return self.read(after, Position(upto.epoch, upto.position, oldest), {wanted: after}, most)

    def trim(self) -> int:
        """Delete what is beyond the log's bounds; return how many changes."""
        settings = get_session_settings()
        with self._engine.begin() as connection:
            return trim(connection, rows=settings.change_log_rows, hours=settings.change_log_hours)

    def forget_connections(self) -> None:
        """Close the connections that nobody uses, and keep none that is in use: those that come next are new."""
        self._engine.dispose()

    def _step(self) -> bool:
        """Take a step; return False where another process holds the cursor."""
        began = time.perf_counter()
        with self._engine.begin() as connection:
            published = step(connection)
        if published is None:
            return False
        self._note_step(published, time.perf_counter() - began)
        return True


def count_missing(after: Cursor, newest: Position) -> int:
    """Return how many changes lie between a reader and the newest position.

    Raises:
        CursorRefusedError: the cursor is not of this log, or what comes next was trimmed away.
    """
    missing = newest.position - after.position
    if after.epoch != newest.epoch or missing < 0:
        raise CursorRefusedError("epoch")
    if after.position < newest.oldest - 1:
        raise CursorRefusedError("expired")
    return missing


def _read_sessions(
    connection: Connection, changes: Sequence[Row[Any]], *, with_actions: bool
) -> tuple[list[ChangedSession], list[RowMapping]]:
    """Return the present state of all changed sessions with their new actions, in order of each session's last change, and the headers of those that have ended."""
    last = {change.session_id: change.position for change in changes}
    ids = sorted(last, key=last.__getitem__)
    headers = {row["id"]: row for row in list_sessions_by_id(connection, ids)}
    places = [(change.session_id, change.ord) for change in changes if change.ord > 0]
    actions: dict[UUID, list[str]] = {session_id: [] for session_id in ids}
    found = list_actions_at(connection, places) if with_actions else []
    labels = load_labels(connection, found)
    for row in sorted(found, key=lambda row: row["ord"]):
        actions[row["session_id"]].append(to_json(action_json(row, labels)))
    sessions = [
        ChangedSession(
            id_, headers[id_]["status"], to_json(session_json(headers[id_])), actions[id_]
        )
        if id_ in headers
        else ChangedSession(id_, None, "", ())
        for id_ in ids
    ]
    return sessions, [header for header in headers.values() if header["finished_at"] is not None]


def _matching(
    connection: Connection, sessions: Sequence[ChangedSession], wanted: SessionFilter
) -> tuple[Sequence[ChangedSession], AbstractSet[UUID]]:
    """Return the sessions that match a filter, its status and outcome left aside, and the ids of those that match it wholly.

    Readers are told when a session has lost the status or outcome that they asked for.
    """
    ids = [session.id for session in sessions]
    anyhow = replace(wanted, status=None, outcome=None)
    if anyhow != EVERYTHING:
        matching = find_matching_ids(connection, ids, anyhow)
        sessions = [session for session in sessions if session.id in matching]
    if wanted.outcome is not None:
        return sessions, find_matching_ids(connection, ids, wanted)
    return sessions, {each.id for each in sessions if wanted.status in {None, each.status}}
