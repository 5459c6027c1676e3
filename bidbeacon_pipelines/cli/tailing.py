"""The command `sessions tail`: follows sessions in the database, and prints them, as lines or as JSON."""

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
    TONES,
    Terms,
    action_sentence,
    local_time,
    read_filter,
    session_line,
)
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import Cursor, parse_cursor, step
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.following import Follower
from bidbeacon_sessions.listing import load_session, load_sessions
from bidbeacon_sessions.messages import Message
from bidbeacon_sessions.presentation import error_text, whose

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
    show = _write_json if as_json else print_line
    asyncio.run(Tail(open_store(), read_filter(terms or ()), show).follow(last))


def _write_json(line: Mapping[str, Any]) -> None:
    sys.stdout.write(safe_json(line) + "\n")
    sys.stdout.flush()


def print_line(line: Mapping[str, Any]) -> None:
    """Print what `Tail` shows as a line."""
    match line:
        case {"session": session}:
            at = local_time(session["finished_at"] or session["started_at"])
            console.print(at.append_text(session_line(session)), soft_wrap=True)
            if session["error"] and session["status"] != "running":
                said = Text(f"          {error_text(session['error'])}", "bold red")
                console.print(said, soft_wrap=True)
        case {"action": action}:
            console.print(_action_line(action), soft_wrap=True)
        case {"notice": notice}:
            console.print(Text(notice, "yellow"), soft_wrap=True)


def _action_line(action: Mapping[str, Any]) -> Text:
    """Return an action as a line: when, its session's job and account, other accounts, sentence."""
    line = local_time(action["at"]).append(f"{action['job_name']} ", "bold")
    if action["account"]:
        line.append(f"{action['account_label'] or action['account']} ", "blue")
    line.append("│ ", TONES[action["tone"]])
    if others := whose(action, action["account"]):
        line.append(f"{others} ", "blue")
    return line.append_text(action_sentence(action))


@dataclass
class _Seen:
    """What of a session was shown already: its status, and the places of its actions."""

    status: str | None = None
    places: set[int] = field(default_factory=set)


class Tail:
    """Follows the sessions that match a filter until it is interrupted.

    Each thing to show is one of `{"session": …}` (one that began or changed its status),
    `{"action": …}` (shown once), `{"gone": id}` (a session that matches no more), and
    `{"notice": …}` (about the stream itself).
    """

    def __init__(
        self,
        store: SessionStore,
        wanted: SessionFilter,
        show: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._show = show
        self._accounts: frozenset[str] = frozenset()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._is_away = False

    async def follow(self, last: int) -> None:
        """Show the last sessions, then everything new, without end; wait for a database that is away.

        Raises:
            SQLAlchemyError: the database did not answer at the beginning.
        """
        async with Follower(self._store) as follower:
            cursor = self._load(last)
            while True:
                async for frame in follower.follow(cursor, self._wanted):
                    for message in frame.messages:
                        self._take_message(message)
                cursor = await self._load_again()

    async def _load_again(self) -> Cursor | None:
        """Load after a `reset`, as soon as the database answers."""
        while True:
            try:
                return self._load(_MOST_LOADED)
            except SQLAlchemyError:
                self._note_database(is_away=True)
                await asyncio.sleep(_AWAY_SECONDS)

    def _load(self, last: int) -> Cursor | None:
        """Show what the list has and was not shown; load the actions of a session that the list leaves out."""
        is_first = not self._seen
        with self._store.begin() as connection:
            step(connection)  # what nobody has published yet is in the list, and would come again
        loaded = load_sessions(self._store, self._wanted, max(last, 1))
        self._accounts = frozenset(loaded["accounts"])
        for session in reversed(loaded["sessions"][:last]):
            shown = len(self._seen.get(session["id"], _Seen()).places)
            missing = session["action_count"] - max(shown, len(session["actions"]))
            is_cut = missing > 0 and not is_first
            actions = self._load_actions(session["id"]) if is_cut else session["actions"]
            self._take(session, actions)
        return parse_cursor(loaded["cursor"])

    def _load_actions(self, session_id: str) -> list[dict[str, Any]]:
        found = load_session(self._store, UUID(session_id))
        return found["session"]["actions"] if found else []

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
            begun = {"status": "running", "mark": "running", "duration": None, "finished_at": None}
            self._show_session({**session, **begun})
            seen.status = "running"
        for action in actions:
            is_new = action["ord"] not in seen.places
            seen.places.add(action["ord"])
            if is_new and self._is_wanted(session, action):
                of = {name: session[name] for name in ("job_name", "account", "account_label")}
                self._show({"action": {**action, **of}})
        if (
            session["status"] != seen.status
            and max(seen.places, default=0) >= session["action_count"]
        ):
            seen.status = session["status"]
            self._show_session(session)

    def _show_session(self, session: Mapping[str, Any]) -> None:
        shown = {name: value for name, value in session.items() if name != "actions"}
        self._show({"session": shown})

    def _is_wanted(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> bool:
        """Return whether an action concerns a requested account; in its own sessions all do."""
        if self._wanted.account is None or session["account"] in self._accounts:
            return True
        return any(account["key"] in self._accounts for account in action["accounts"])

    def _note_database(self, *, is_away: bool) -> None:
        if is_away and not self._is_away:
            self._show({"notice": "The database does not answer; waiting for it."})
        elif self._is_away and not is_away:
            self._show({"notice": "The database answers again."})
        self._is_away = is_away
