"""Follow the sessions that match a filter; show each action once, even after an outage."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_sessions.change_log import Cursor, parse_cursor, step
from bidbeacon_sessions.connections import SessionStore
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.following import AWAY_SECONDS, Follower
from bidbeacon_sessions.listing import read_session, read_sessions
from bidbeacon_sessions.messages import Message

_MOST_REMEMBERED = 2_000
_MOST_READ = 200

Event = Mapping[str, Any]


@dataclass
class _Seen:
    status: str | None = None
    places: set[int] = field(default_factory=set)


@dataclass
class Tail:
    """Follows the sessions that match a filter, and calls `show` with each event.

    An event is `{"session": …}` (a session began or changed its status), `{"action": …}` (shown
    once), `{"gone": id}` (a session stopped matching), or `{"notice": …}` (about the stream).
    """

    store: SessionStore
    wanted: SessionFilter
    show: Callable[[Event], None]
    _accounts: frozenset[str] = frozenset()
    _seen: OrderedDict[str, _Seen] = field(default_factory=OrderedDict)
    _has_ended: bool = False
    _is_away: bool = False

    async def follow(self, last: int, *, to_the_end: bool = False) -> None:
        """Show the `last` newest sessions, and then each new session, action and status.

        If `to_the_end`, stop when a session ends. If the database does not answer, wait for it.
        """
        async with Follower(self.store) as follower:
            after = await self._read(last, is_whole=to_the_end)
            while True:
                async for frame in follower.follow(after, self.wanted):
                    for message in frame.messages:
                        self._take_message(message)
                    if to_the_end and self._has_ended:
                        return
                after = await self._read(_MOST_READ, is_whole=True)

    async def _read(self, last: int, *, is_whole: bool) -> Cursor:
        while True:
            try:
                return self._read_once(last, is_whole=is_whole)
            except SQLAlchemyError:
                self._show_database(is_away=True)
                await asyncio.sleep(AWAY_SECONDS)

    def _read_once(self, last: int, *, is_whole: bool) -> Cursor:
        """Show what changed in the `last` newest sessions; return the cursor to follow from.

        If `is_whole`, read all actions of each session instead of an excerpt.
        """
        with self.store.begin() as connection:
            step(connection)  # unpublished changes are in the list, and would be sent again
        loaded = read_sessions(self.store, self.wanted, max(last, 1))
        self._accounts = frozenset(loaded["accounts"])
        for session in reversed(loaded["sessions"][:last]):
            found = read_session(self.store, UUID(session["id"])) if is_whole else None
            self._take(session, (found["session"] if found else session)["actions"])
        return parse_cursor(loaded["cursor"])

    def _take_message(self, message: Message) -> None:
        data = json.loads(message.data)
        match message.event:
            case "job-sessions:updated":
                self._take(data["session"], data["actions"])
            case "job-sessions:gone":
                self.show({"gone": data["session_id"]})
            case "sync":
                self._show_database(is_away=data["database"] == "away")
            case "reset":
                notice = f"The change log lacks changes ({data['reason']}): loading sessions again."
                self.show({"notice": notice})

    def _take(self, session: Mapping[str, Any], actions: Iterable[Mapping[str, Any]]) -> None:
        # A message about a session may precede its actions: its end is shown after the last one.
        seen = self._seen.setdefault(session["id"], _Seen())
        self._seen.move_to_end(session["id"])
        if len(self._seen) > _MOST_REMEMBERED:
            self._seen.popitem(last=False)
        if seen.status is None:
            begun = dict.fromkeys(("status", "mark", "status_text"), "running")
            unknown = dict.fromkeys(("duration", "finished_at", "error"))
            self._show_session(seen, {**session, **begun, **unknown})
        for action in actions:
            is_new = action["ord"] not in seen.places
            seen.places.add(action["ord"])
            if is_new and self._is_wanted(session, action):
                of = {name: session[name] for name in ("job_name", "account", "account_label")}
                self.show({"action": {**action, **of}})
        is_complete = max(seen.places, default=0) >= session["action_count"]
        if is_complete and session["status"] != seen.status:
            self._show_session(seen, session)
            self._has_ended = True

    def _show_session(self, seen: _Seen, session: Mapping[str, Any]) -> None:
        seen.status = session["status"]
        self.show({"session": {name: session[name] for name in session if name != "actions"}})

    def _is_wanted(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> bool:
        if self.wanted.account is None or session["account"] in self._accounts:
            return True
        return any(account["key"] in self._accounts for account in action["accounts"])

    def _show_database(self, *, is_away: bool) -> None:
        if is_away != self._is_away:
            change = "does not answer; waiting for it" if is_away else "answers again"
            self.show({"notice": f"The database {change}."})
        self._is_away = is_away
