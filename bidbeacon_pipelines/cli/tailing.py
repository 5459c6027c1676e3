"""Follows sessions in the database, and prints them: a line per action with a status line below, or JSON lines."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, Self, TextIO
from uuid import UUID

from rich.console import Console
from rich.live import Live
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_pipelines.cli.output import safe_json
from bidbeacon_pipelines.cli.session_output import TONES, account_of, action_sentence, dated_line
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import Cursor, parse_cursor, step
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.following import Follower
from bidbeacon_sessions.listing import load_session, load_sessions
from bidbeacon_sessions.messages import Message
from bidbeacon_sessions.presentation import error_text, whose
from bidbeacon_sessions.sentences import format_duration

_AWAY_SECONDS = 1.0
_MOST_REMEMBERED = 2_000
_MOST_LOADED = 200
_MOST_RUNNING = 4


class Shown(Protocol):
    """Shows sessions and actions."""

    def session(self, session: Mapping[str, Any]) -> None:
        """Show a session that began, or changed its status."""

    def action(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> None:
        """Show an action, once."""

    def gone(self, session_id: str) -> None:
        """A session does not match any more."""

    def notice(self, text: str) -> None:
        """Show a notice about the stream itself."""


class Tail:
    """Follows the sessions that match a filter until it is interrupted."""

    def __init__(self, store: SessionStore, wanted: SessionFilter, shown: Shown) -> None:
        self._store = store
        self._wanted = wanted
        self._shown = shown
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
            known = self._seen.get(session["id"])
            shown = known.count if known else 0
            has_more = len(session["actions"]) < session["action_count"]
            if not is_first and has_more and shown < session["action_count"]:
                self._take(session, self._load_actions(session["id"]))
            else:
                self._take(session, session["actions"])
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
                self._shown.gone(data["session_id"])
            case "sync":
                self._note_database(is_away=data["database"] == "away")
            case "reset":
                reason = data["reason"]
                self._shown.notice(f"The log restarted ({reason}): loading what was missed.")

    def _take(self, session: Mapping[str, Any], actions: Iterable[Mapping[str, Any]]) -> None:
        """Show what is new of a session; its end only after its last action, since a message about a session may be ahead of its actions."""
        seen = self._seen.setdefault(session["id"], _Seen())
        self._seen.move_to_end(session["id"])
        if len(self._seen) > _MOST_REMEMBERED:
            self._seen.popitem(last=False)
        if seen.status is None:
            begun = {"status": "running", "mark": "running", "duration": None, "finished_at": None}
            self._shown.session({**session, **begun})
            seen.status = "running"
        for action in actions:
            if seen.is_new(action["ord"]) and self._is_wanted(session, action):
                self._shown.action(session, action)
        if session["status"] != seen.status and seen.highest >= session["action_count"]:
            seen.status = session["status"]
            self._shown.session(session)

    def _is_wanted(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> bool:
        """Return whether an action concerns a requested account; in its own sessions all do."""
        if self._wanted.account is None or session["account"] in self._accounts:
            return True
        return any(account["key"] in self._accounts for account in action["accounts"])

    def _note_database(self, *, is_away: bool) -> None:
        if is_away and not self._is_away:
            self._shown.notice("The database does not answer; waiting for it.")
        elif self._is_away and not is_away:
            self._shown.notice("The database answers again.")
        self._is_away = is_away


class _Seen:
    """What of a session was shown already: its status, and its actions up to the one with the highest place."""

    def __init__(self) -> None:
        self.status: str | None = None
        self.highest = 0
        self._ords: set[int] = set()

    @property
    def count(self) -> int:
        """How many of its actions were shown."""
        return len(self._ords)

    def is_new(self, place: int) -> bool:
        """Return whether an action was not shown yet, and remember it."""
        if place in self._ords:
            return False
        self._ords.add(place)
        self.highest = max(self.highest, place)
        return True


class TerminalTail:
    """Shows sessions and actions as lines; while the console is a terminal, the last line says what runs and for how long."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: dict[str, Mapping[str, Any]] = {}
        self._live = Live(
            console=console, get_renderable=self._running_line, refresh_per_second=2, transient=True
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def session(self, session: Mapping[str, Any]) -> None:
        """Show a session that began or ended."""
        if session["status"] == "running":
            self._running[session["id"]] = session
        else:
            self._running.pop(session["id"], None)
        self._print(dated_line(session))
        if session["error"] and session["status"] != "running":
            self._print(Text(f"          {error_text(session['error'])}", style="bold red"))

    def action(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> None:
        """Show an action with whose it is."""
        at = datetime.fromisoformat(action["at"]).astimezone()
        line = Text(f"{at:%Y-%m-%d %H:%M:%S} ", style="dim")
        line.append(f"{session['job_name']} ", style="bold")
        if session["account"]:
            line.append(f"{account_of(session)} ", style="blue")
        line.append("│ ", style=TONES[action["tone"]])
        if others := whose(action, session["account"]):
            line.append(f"{others} ", style="blue")
        self._print(line.append_text(action_sentence(action)))

    def gone(self, session_id: str) -> None:
        """A session does not match any more, so it is no longer among those that run."""
        self._running.pop(session_id, None)

    def notice(self, text: str) -> None:
        """Show a notice about the stream itself."""
        self._print(Text(text, style="yellow"))

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)

    def _running_line(self) -> Text:
        if not self._running:
            return Text("No session is running. Press Ctrl-C to stop.", style="dim")
        line = Text(f"● {len(self._running)} running", style="cyan")
        now = datetime.now(UTC)
        for session in list(self._running.values())[:_MOST_RUNNING]:
            ran = (now - datetime.fromisoformat(session["started_at"])).total_seconds()
            line.append(
                f" · {session['job_name']} {session['account_label'] or session['account'] or ''} {format_duration(max(ran, 0))}",
                style="dim",
            )
        return line


class JsonTail:
    """Shows each action and each state of a session as a line of JSON."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def session(self, session: Mapping[str, Any]) -> None:
        """Show a session that began or ended."""
        self._write(
            {"session": {name: value for name, value in session.items() if name != "actions"}}
        )

    def action(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> None:
        """Show an action with whose it is."""
        self._write(
            {"action": {**action, "job_name": session["job_name"], "account": session["account"]}}
        )

    def gone(self, session_id: str) -> None:
        """A session does not match any more."""
        self._write({"gone": session_id})

    def notice(self, text: str) -> None:
        """Show a notice about the stream itself."""
        self._write({"notice": text})

    def _write(self, line: dict[str, Any]) -> None:
        self._out.write(safe_json(line) + "\n")
        self._out.flush()
