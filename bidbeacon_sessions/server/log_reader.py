"""Follows the change log: one step, one read, one rendering for all clients. Blocking; the hub calls it in a thread."""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from bidbeacon_sessions.change_log import Cursor, Position, head, is_due, read_changes, step, trim
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.server.batch import EVERYTHING, Batch
from bidbeacon_sessions.server.log_connections import LogConnections
from bidbeacon_sessions.server.messages import ResetReason
from bidbeacon_sessions.server.rendering import render_changes
from bidbeacon_sessions.server.step_counts import StepCounts
from bidbeacon_sessions.settings import get_session_settings
from bidbeacon_sessions.store import SessionStore, find_matching_ids

MAX_CHANGES = 1_000


class CursorRefusedError(Exception):
    """A reader can't go on from its cursor and must load the list again."""

    def __init__(self, reason: ResetReason) -> None:
        self.reason: ResetReason = reason
        super().__init__(reason)


class Tailer:
    """Reads the log of one store from its newest position on. Not for use by several threads at once.

    Attributes:
        cursor: up to where it has read; None until the first `pull`.
        waits_for_another: whether there was something to publish at the last look, and another process is at it.
    """

    def __init__(self, store: SessionStore) -> None:
        self.cursor: Cursor | None = None
        self.counts = StepCounts()
        self.waits_for_another = False
        self._connections = LogConnections(store.engine)

    def pull(self, filters: Collection[SessionFilter]) -> Batch:
        """Take a step where one is due, and give what is new in the log.

        Raises:
            CursorRefusedError: a new epoch began, or the log was trimmed in front of this reader; it goes on from the newest position.
        """
        position = self._step_if_due()
        if self.cursor is None:
            self.cursor = position.cursor
        if self.cursor == position.cursor:
            return Batch(self.cursor, self.cursor)
        try:
            missing = _count_missing(self.cursor, position)
            batch = self._read(self.cursor, min(missing, MAX_CHANGES), filters)
        except CursorRefusedError:
            self.cursor = position.cursor
            raise
        self.cursor = batch.upto
        return replace(batch, more=batch.upto.position < position.position)

    def catch_up(self, cursor: Cursor, newest: Cursor, wanted: SessionFilter, most: int) -> Batch:
        """Give the next changes that a reader with this cursor has missed, `most` of them, up to the place that this tailer has read to.

        Raises:
            CursorRefusedError: the cursor is of another epoch or from the future, or the log was trimmed in front of it.
        """
        if cursor == newest:
            return Batch(cursor, cursor)
        with self._connections.begin() as connection:
            oldest = head(connection).oldest
        missing = _count_missing(cursor, Position(newest.epoch, newest.position, oldest))
        return self._read(cursor, min(missing, most), [wanted])

    def trim(self) -> int:
        """Drop what is beyond the log's bounds; give how many changes."""
        settings = get_session_settings()
        with self._connections.begin() as connection:
            return trim(connection, rows=settings.change_log_rows, hours=settings.change_log_hours)

    def break_off_silent(self) -> int:
        """Have a call fail that waits for a server which has fallen silent; give how many connections were broken off."""
        return self._connections.break_off_silent()

    def close(self) -> None:
        """Close the connections; a call that is under way fails."""
        self._connections.close()

    def _step_if_due(self) -> Position:
        with self._connections.begin() as connection:
            due = is_due(connection)
            position = head(connection)
        self.waits_for_another = due and not self._step()
        if not due:
            return position
        with self._connections.begin() as connection:
            return head(connection)

    def _step(self) -> bool:
        """Take a step; give False where another process holds the cursor."""
        began = time.perf_counter()
        with self._connections.begin() as connection:
            done = step(connection)
        if done.led:
            self.counts.note(done.published, time.perf_counter() - began)
        return done.led

    def _read(self, after: Cursor, count: int, filters: Collection[SessionFilter]) -> Batch:
        with self._connections.begin() as connection:
            changes = read_changes(connection, after, count)
            if not changes or changes[0].position != after.position + 1:
                raise CursorRefusedError("expired")
            sessions = render_changes(connection, changes)
            matches = _match(connection, [session.session_id for session in sessions], filters)
        return Batch(after, Cursor(after.epoch, changes[-1].position), sessions, matches)


def _count_missing(after: Cursor, position: Position) -> int:
    """Give how many changes lie between a reader and the newest position."""
    missing = position.position - after.position
    if after.epoch != position.epoch or missing < 0:
        raise CursorRefusedError("epoch")
    if after.position < position.oldest - 1:
        raise CursorRefusedError("expired")
    return missing


def _match(
    connection: Connection, ids: Sequence[UUID], filters: Collection[SessionFilter]
) -> dict[SessionFilter, set[UUID]]:
    wanted = {replace(one, status=None) for one in filters} - {EVERYTHING}
    return {one: find_matching_ids(connection, ids, one) for one in wanted}
