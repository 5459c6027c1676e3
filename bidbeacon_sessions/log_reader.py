"""Read the change log, and encode changes as messages; blocking, for use in threads."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row

from bidbeacon_sessions.change_log import Cursor, Position, head, poll, read_changes, step, trim
from bidbeacon_sessions.connections import make_engine
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.messages import Frame, Message, ResetReason, to_json
from bidbeacon_sessions.presentation import action_json, read_labels, session_json
from bidbeacon_sessions.queries import list_actions_at, list_sessions_by_id, match_sessions
from bidbeacon_sessions.settings import get_session_settings

MOST_CHANGES = 500
STATEMENT_SECONDS = 30
EVERYTHING = SessionFilter()


class LogReader:
    """Reads the log for several threads, with its own connections to the engine's database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = make_engine(
            engine.url,
            options=f"-c statement_timeout={STATEMENT_SECONDS}s",
            pool_timeout=5,
            pool_use_lifo=True,
        )
        # Without BEGIN and COMMIT around each statement there are half as many round trips.
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    def advance(self) -> tuple[Position, bool]:
        """Publish committed changes; return the log's position, and whether it has all changes.

        The log may lack changes if another process is publishing at the same time.
        """
        with self._reading.connect() as connection:
            is_due, position = poll(connection)
        if not is_due:
            return position, True
        with self._engine.begin() as connection:
            published = step(connection)
        with self._reading.connect() as connection:
            return head(connection), published is not None

    def read(self, after: Cursor, newest: Position, wanted: SessionFilter, sent: Cursor) -> Frame:
        """Read up to `MOST_CHANGES` next changes; return messages about the sessions that match.

        If `after` has another epoch than the log or a higher position, or if changes after it were
        deleted, the frame is a `reset` without a cursor. The readers must then reload the list.

        Args:
            after: the cursor after the last change that was read.
            newest: the log's position.
            wanted: the filter.
            sent: the cursor up to which all changes have been sent to the reader.
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
            return Frame(_describe(connection, changes, wanted, sent, upto), upto)

    def trim(self) -> int:
        """Delete all but the newest `change_log_rows` changes; return the number deleted."""
        with self._engine.begin() as connection:
            return trim(connection, rows=get_session_settings().change_log_rows)

    def dispose(self) -> None:
        """Close idle connections now, and others after their current use; later reads reconnect."""
        self._engine.dispose()


def _reset(reason: ResetReason, newest: Position) -> Frame:
    data = {"reason": reason, "cursor": str(newest.cursor)}
    return Frame([Message("reset", None, to_json(data))], None)


def _describe(
    connection: Connection,
    changes: Sequence[Row[Any]],
    wanted: SessionFilter,
    sent: Cursor,
    upto: Cursor,
) -> list[Message]:
    """Return a message per changed session that matches, with its state and new actions.

    If a session matches the filter except for its status or outcome, its message is `gone`. Only
    the last message moves the reader's cursor: after a broken connection, messages are repeated,
    never skipped.
    """
    last = {change.session_id: change.position for change in changes}
    ids = sorted(last, key=last.__getitem__)
    kept = dict.fromkeys(ids, True)
    if wanted != EVERYTHING:
        kept = match_sessions(connection, ids, wanted)
    headers = {row["id"]: row for row in list_sessions_by_id(connection, list(kept))}
    places = {(change.session_id, change.ord) for change in changes if change.ord > 0}
    actions = _new_actions(connection, {place for place in places if kept.get(place[0])})
    covers = f'"from":{sent.position + 1},"to":{upto.position}'
    found = [id_ for id_ in ids if id_ in kept]
    cursors = [*[str(sent)] * (len(found) - 1), str(upto)]
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
    rows = list_actions_at(connection, places) if places else ()
    labels = read_labels(connection, rows)
    actions: dict[UUID, list[str]] = {}
    for row in rows:
        actions.setdefault(row["session_id"], []).append(to_json(action_json(row, labels)))
    return actions
