"""The command `sessions tail`, and how sessions are followed in the database and printed: those of a filter, or a command's own."""

import asyncio
import json
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_pipelines.cli.options import open_store
from bidbeacon_pipelines.cli.output import Json, console, safe_json
from bidbeacon_pipelines.cli.sessions import (
    Terms,
    account_of,
    print_actions,
    print_error,
    print_session,
    read_filter,
)
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import Cursor, parse_cursor, step
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.following import Follower
from bidbeacon_sessions.listing import load_session, load_sessions
from bidbeacon_sessions.messages import Message

Line = Mapping[str, Any]

_AWAY_SECONDS = 1.0
_MOST_REMEMBERED = 2_000
_MOST_LOADED = 200


def sessions_tail(
    terms: Terms = None,
    last: Annotated[
        int, typer.Option(min=0, max=200, help="How many earlier sessions to show first.")
    ] = 3,
    as_json: Json = False,
) -> None:
    """Follow sessions live until Ctrl-C; it waits for a database that is away, and misses nothing.

    With `--json` each line is an action or the state of a session.
    """
    show = _write_json if as_json else Printer()
    tail = Tail(open_store(), read_filter(terms or ()), show)
    asyncio.run(tail.follow(tail.load(last)))


def _write_json(line: Line) -> None:
    sys.stdout.write(safe_json(line) + "\n")
    sys.stdout.flush()


class Printer:
    """Prints what `Tail` shows, each action below a line that names its session.

    Args:
        has_errors: whether the error of a session that failed is printed.
    """

    def __init__(self, *, has_errors: bool = True) -> None:
        self._has_errors = has_errors
        self._named: str | None = None

    def __call__(self, line: Line) -> None:
        """Print a session, an action or a notice."""
        match line:
            case {"session": session}:
                print_session(session, session["finished_at"] or session["started_at"])
                if self._has_errors:
                    print_error(session)
                self._named = session["id"]
            case {"action": action}:
                if action["session_id"] != self._named:
                    job, account = (action["job_name"], "bold"), (account_of(action), "blue")
                    console.print(Text.assemble(job, "  ", account))
                print_actions([action], action["account"])
                self._named = action["session_id"]
            case {"notice": notice}:
                console.print(Text(notice, "yellow"))


@dataclass
class _Seen:
    """What of a session was shown already: its status, and the places of its actions."""

    status: str | None = None
    places: set[int] = field(default_factory=set)


class Tail:
    """Follows the sessions that match a filter.

    Each thing to show is one of `{"session": …}` (one that began or changed its status),
    `{"action": …}` (shown once), `{"gone": id}` (a session that matches no more), and
    `{"notice": …}` (about the stream itself).
    """

    def __init__(
        self, store: SessionStore, wanted: SessionFilter, show: Callable[[Line], None]
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._show = show
        self._accounts: frozenset[str] = frozenset()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._has_ended = self._is_away = False

    def load(self, last: int, *, is_whole: bool = False) -> Cursor:
        """Show what was not shown of the last sessions, either of their first and last actions or the whole; return where to follow from."""
        with self._store.begin() as connection:
            step(connection)  # what nobody has published yet is in the list, and would come again
        loaded = load_sessions(self._store, self._wanted, max(last, 1))
        self._accounts = frozenset(loaded["accounts"])
        for session in reversed(loaded["sessions"][:last]):
            found = load_session(self._store, UUID(session["id"])) if is_whole else None
            self._take(session, (found["session"] if found else session)["actions"])
        return parse_cursor(loaded["cursor"])

    async def follow(self, after: Cursor, *, to_the_end: bool = False) -> None:
        """Show everything new, without end, or to the end of the first session; wait for a database that is away."""
        async with Follower(self._store) as follower:
            while True:
                async for frame in follower.follow(after, self._wanted):
                    for message in frame.messages:
                        self._take_message(message)
                    if to_the_end and self._has_ended:
                        return
                after = await self._load_again()

    async def _load_again(self) -> Cursor:
        """Load after a `reset`, as soon as the database answers."""
        while True:
            try:
                return self.load(_MOST_LOADED, is_whole=True)
            except SQLAlchemyError:
                self._note_database(is_away=True)
                await asyncio.sleep(_AWAY_SECONDS)

    def _take_message(self, message: Message) -> None:
        data = json.loads(message.data)
        match message.event:
            case "job-sessions:updated":
                self._take(data["session"], data["actions"])
            case "job-sessions:gone":
                self._show({"gone": data["session_id"]})
            case "sync":
                self._note_database(is_away=data["database"] == "away")
            case "reset":
                notice = f"The log restarted ({data['reason']}): loading what was missed."
                self._show({"notice": notice})

    def _take(self, session: Mapping[str, Any], actions: Iterable[Mapping[str, Any]]) -> None:
        """Show what is new of a session; its end only after its last action, since a message about a session may be ahead of its actions."""
        seen = self._seen.setdefault(session["id"], _Seen())
        self._seen.move_to_end(session["id"])
        if len(self._seen) > _MOST_REMEMBERED:
            self._seen.popitem(last=False)
        if seen.status is None:
            begun = {"status": "running", "mark": "running", "duration": None}
            self._show_session(seen, {**session, **begun, "finished_at": None, "error": None})
        for action in actions:
            is_new = action["ord"] not in seen.places
            seen.places.add(action["ord"])
            if is_new and self._is_wanted(session, action):
                of = {name: session[name] for name in ("job_name", "account", "account_label")}
                self._show({"action": {**action, **of}})
        is_told = max(seen.places, default=0) >= session["action_count"]
        if is_told and session["status"] != seen.status:
            self._show_session(seen, session)
            self._has_ended = True

    def _show_session(self, seen: _Seen, session: Mapping[str, Any]) -> None:
        seen.status = session["status"]
        self._show({"session": {name: session[name] for name in session if name != "actions"}})

    def _is_wanted(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> bool:
        """Return whether an action concerns a requested account; in its own sessions all do."""
        if self._wanted.account is None or session["account"] in self._accounts:
            return True
        return any(account["key"] in self._accounts for account in action["accounts"])

    def _note_database(self, *, is_away: bool) -> None:
        if is_away != self._is_away:
            said = "does not answer; waiting for it" if is_away else "answers again"
            self._show({"notice": f"The database {said}."})
        self._is_away = is_away
