"""Reads the change log, and writes each change as a message. It blocks: `following.py` calls it in threads."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row

from bidbeacon_sessions.change_log import Cursor, Position, head, look, read_changes, step, trim
from bidbeacon_sessions.connections import make_engine
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.messages import Frame, Message, ResetReason, to_json
from bidbeacon_sessions.presentation import action_json, load_labels, session_json
from bidbeacon_sessions.queries import list_actions_at, list_sessions_by_id, match_sessions
from bidbeacon_sessions.settings import get_session_settings

MOST_CHANGES = 500
STATEMENT_SECONDS = 30
EVERYTHING = SessionFilter()


class LogReader:
    """Reads the log of one database, on a few connections of its own, for use by several threads.

    Args:
        engine: an engine on that database; only its address is used.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = make_engine(
            engine.url,
            options=f"-c statement_timeout={STATEMENT_SECONDS}s",
            pool_timeout=5,
            pool_use_lifo=True,
        )
        # Without BEGIN and COMMIT around each statement it takes half as many round trips.
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    def advance(self) -> tuple[Position, bool]:
        """Take a step if one is due; return the log's position then, and whether everything committed is published."""
        with self._reading.connect() as connection:
            is_due, position = look(connection)
        if not is_due:
            return position, True
        with self._engine.begin() as connection:
            published = step(connection)
        with self._reading.connect() as connection:
            return head(connection), published is not None

    def read(self, after: Cursor, newest: Position, wanted: SessionFilter, told: Cursor) -> Frame:
        """Return what readers of a filter are told of the next changes, of which it reads up to `MOST_CHANGES`.

        Args:
            after: up to where was read.
            newest: where the log stands.
            wanted: the filter.
            told: up to where the readers were told: their last message covered all before it.

        If the cursor is of another epoch or from the future, or the log was trimmed in front of it,
        that is a `reset`: they must load the list again, and the frame has no cursor.
        """
        missing = newest.position - after.position
        if after.epoch != newest.epoch or missing < 0:
            return _reset("epoch", newest)
        if after.position < newest.oldest - 1:
            return _reset("expired", newest)
        if missing == 0:
            return Frame((), after)
        with self._reading.connect() as connection:
            changes = read_changes(connection, after, min(missing, MOST_CHANGES))
            if not changes or changes[0].position != after.position + 1:
                return _reset("expired", newest)
            upto = Cursor(after.epoch, changes[-1].position)
            return Frame(_describe(connection, changes, wanted, told, upto), upto)

    def trim(self) -> int:
        """Delete what is beyond the log's bound; return how many changes."""
        with self._engine.begin() as connection:
            return trim(connection, rows=get_session_settings().change_log_rows)

    def dispose(self) -> None:
        """Close the connections that nobody uses; those in use are closed afterwards, and later reads reconnect."""
        self._engine.dispose()


def _reset(reason: ResetReason, newest: Position) -> Frame:
    data = {"reason": reason, "cursor": str(newest.cursor)}
    return Frame([Message("reset", None, to_json(data))], None)


def _describe(
    connection: Connection,
    changes: Sequence[Row[Any]],
    wanted: SessionFilter,
    told: Cursor,
    upto: Cursor,
) -> list[Message]:
    """Return a message for each changed session that matches, with its present state and its new actions.

    Only the last one moves the reader's cursor: a connection that breaks in between repeats, and
    never skips. Who loses a session from its filter is told; a silent drop would leave ghosts.
    """
    last = {change.session_id: change.position for change in changes}
    ids = sorted(last, key=last.__getitem__)
    kept = dict.fromkeys(ids, True)
    if wanted != EVERYTHING:
        kept = match_sessions(connection, ids, wanted)
    headers = {row["id"]: row for row in list_sessions_by_id(connection, list(kept))}
    places = {(change.session_id, change.ord) for change in changes if change.ord > 0}
    actions = _new_actions(connection, {place for place in places if kept.get(place[0])})
    covers = f'"from":{told.position + 1},"to":{upto.position}'
    found = [id_ for id_ in ids if id_ in kept]
    cursors = [*[str(told)] * (len(found) - 1), str(upto)]
    messages = []
    for id_, cursor in zip(found, cursors, strict=False):
        if kept[id_] and id_ in headers:
            header = to_json(session_json(headers[id_]))
            data = f'{{"session":{header},"actions":[{",".join(actions.get(id_, ()))}],{covers}}}'
            messages.append(Message("job-sessions:updated", cursor, data))
        else:
            data = f'{{"session_id":"{id_}",{covers}}}'
            messages.append(Message("job-sessions:gone", cursor, data))
    return messages


def _new_actions(connection: Connection, places: set[tuple[UUID, int]]) -> dict[UUID, list[str]]:
    """Return the actions at these places as JSON text, in order, by session."""
    rows = list_actions_at(connection, places) if places else ()
    labels = load_labels(connection, rows)
    actions: dict[UUID, list[str]] = {}
    for row in rows:
        actions.setdefault(row["session_id"], []).append(to_json(action_json(row, labels)))
    return actions
