"""Changed sessions as JSON text: made once per change, however many clients read it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from sqlalchemy import Connection

from bidbeacon_sessions.change_log import Change
from bidbeacon_sessions.presentation import action_json, session_json
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.server.messages import to_json
from bidbeacon_sessions.store import list_actions_at, list_sessions_by_id


@dataclass(frozen=True)
class RenderedSession:
    """The newest state of a changed session, with the actions that are new.

    Args:
        session_id: whose.
        header: JSON text of the header; None where the session was deleted.
        status: the header's status.
        actions: JSON text of each new action by its `ord`.
    """

    session_id: UUID
    header: str | None
    status: str | None
    actions: Mapping[int, str]

    @property
    def size(self) -> int:
        """How many characters a client holds on to while this waits to be sent."""
        return len(self.header or "") + sum(map(len, self.actions.values()))

    def after(self, earlier: Self | None) -> "RenderedSession":
        """Give this newer state together with the actions of an earlier one that was not sent yet."""
        if earlier is None:
            return self
        actions = {**earlier.actions, **self.actions}
        return RenderedSession(self.session_id, self.header, self.status, actions)


def render_changes(connection: Connection, changes: Sequence[Change]) -> list[RenderedSession]:
    """Read the present state of all changed sessions and their new actions, in order of each session's last change."""
    ids = _in_order_of_last_change(changes)
    headers = {row["id"]: row for row in list_sessions_by_id(connection, ids, SessionFilter())}
    places = [(change.session_id, change.ord) for change in changes if change.ord > 0]
    actions: dict[UUID, dict[int, str]] = {session_id: {} for session_id in ids}
    for row in sorted(list_actions_at(connection, places), key=lambda row: row["ord"]):
        actions[row["session_id"]][row["ord"]] = to_json(action_json(row))
    return [
        RenderedSession(
            session_id=session_id,
            header=to_json(session_json(headers[session_id])) if session_id in headers else None,
            status=headers[session_id]["status"] if session_id in headers else None,
            actions=actions[session_id],
        )
        for session_id in ids
    ]


def _in_order_of_last_change(changes: Iterable[Change]) -> list[UUID]:
    last = {change.session_id: change.position for change in changes}
    return sorted(last, key=last.__getitem__)
