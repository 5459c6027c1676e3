"""Commands on sessions; also follows and prints the sessions of other commands.

Filters have the form of the page, such as `job:load-windows since:6h throttled`.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from pydantic import ValidationError
from rich.text import Text
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_pipelines.accounts.names import list_named_accounts
from bidbeacon_pipelines.accounts.rules import BadCadenceError, parse_every
from bidbeacon_pipelines.cli.options import complete_account, open_store, parse_day
from bidbeacon_pipelines.cli.output import (
    MARKS,
    Json,
    console,
    print_hanging,
    print_json,
    print_list,
)
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.actions import action_classes
from bidbeacon_sessions.change_log import Cursor, parse_cursor, step
from bidbeacon_sessions.clock import read_instant
from bidbeacon_sessions.errors import ExpectedError, UsageError
from bidbeacon_sessions.filters import SessionFilter, expectation_of
from bidbeacon_sessions.following import Follower
from bidbeacon_sessions.listing import read_session, read_sessions
from bidbeacon_sessions.messages import Message
from bidbeacon_sessions.presentation import describe_status, error_text, whose
from bidbeacon_sessions.queries import find_accounts
from bidbeacon_sessions.sentences import fold_windows, format_duration
from bidbeacon_sessions.tables import SESSION_OUTCOMES, SESSION_STATUSES

_TONES: Final = {
    "success": "green",
    "warning": "yellow",
    "error": "bold red",
    "progress": "cyan",
    "neutral": "",
}
_PARTS: Final = {"badge": "bold", "window": "magenta", "account": "blue", "time": "dim"}
_NAMES: Final = tuple(name for name in SessionFilter.model_fields if name != "text")
_AWAY_SECONDS = 1.0
_MOST_REMEMBERED = 2_000
_MOST_READ = 200

Line = Mapping[str, Any]


def complete_term(incomplete: str) -> list[str]:
    """Return shell completions of a filter's terms: names, statuses, outcomes and accounts."""
    name, colon, begun = incomplete.partition(":")
    if not colon:
        return [f"{one}:" for one in _NAMES if one.startswith(name)]
    known = {"status": SESSION_STATUSES, "outcome": SESSION_OUTCOMES}.get(name, ())
    values = [one for one, _ in complete_account(begun)] if name == "account" else known
    return [f"{name}:{value}" for value in values if value.startswith(begun)]


Terms = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILTER]...",
        help="As on the page: job:… account:… status:… outcome:… type:… dataset:… window:… run:… "
        "since:… before:… (2h, 3d, 2026-11-23 or 2026-11-23T05:00:00Z; days are UTC), "
        "and words to search for.",
        autocompletion=complete_term,
    ),
]


def sessions_list(
    terms: Terms = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """Show sessions, newest first; running ones with their last action."""
    wanted, store = read_filter(terms or ()), open_store()
    found = read_sessions(store, wanted, limit)["sessions"]
    if not found:
        with store.begin() as connection:
            _check_names(connection, wanted)
    print_list(found, _print_listed, as_json=as_json, if_empty="No session matches.")


def _print_listed(session: Mapping[str, Any]) -> None:
    print_session(session, session["started_at"])
    if session["status"] == "running":
        print_actions(session["actions"][-1:], session["account"])


def _check_names(connection: Connection, wanted: SessionFilter) -> None:
    """Raise if nothing can match, since the account or action is unknown."""
    if wanted.type is not None and wanted.type not in action_classes():
        raise UsageError(
            "type: expected an action of docs/actions.md, such as report-failed, "
            f"got: {wanted.type!r}."
        )
    if wanted.account is not None and not find_accounts(connection, wanted.account):
        list_named_accounts(connection, wanted.account)


def sessions_show(session_id: UUID, as_json: Json = False) -> None:
    """Show one session with all its actions."""
    session = get_session(open_store(), session_id)
    if as_json:
        print_json(session)
    else:
        print_session(session, session["started_at"])
        print_actions(session["actions"], session["account"])
        print_error(session)


def sessions_tail(
    terms: Terms = None,
    last: Annotated[
        int, typer.Option(min=0, max=200, help="How many earlier sessions to show first.")
    ] = 3,
    as_json: Json = False,
) -> None:
    """Follow sessions live until Ctrl-C; wait while the database is away, and miss nothing.

    With `--json` each line is an action or the state of a session.
    """
    show = partial(print_json, indent=None) if as_json else Printer()
    tail = Tail(open_store(), read_filter(terms or ()), show)

    async def follow() -> None:
        await tail.follow(tail.read_last(last))

    asyncio.run(follow())


def read_filter(terms: Sequence[str]) -> SessionFilter:
    """Parse the terms of a filter: `name:value`, and words to search for.

    Raises:
        UsageError: a name, status, outcome, day or time is invalid, or a value too long.
        UnknownDatasetError: the dataset is unknown.
    """
    found: dict[str, Any] = {}
    for name, colon, value in (term.partition(":") for term in terms):
        if not colon:
            found["text"] = f"{found.get('text', '')} {name}".strip()
        elif name not in _NAMES:
            expected = ", ".join(f"{one}:…" for one in _NAMES)
            raise UsageError(f"Expected one of {expected}, got: {f'{name}:{value}'!r}.")
        else:
            found[name] = _read_value(name, value, datetime.now(UTC))
    try:
        return SessionFilter(**found)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        raise UsageError(f"{name}: {expectation_of(problem)}, got: {found[name]!r}.") from None


def _read_value(name: str, value: str, now: datetime) -> object:
    match name:
        case "dataset":
            get_dataset(value)
        case "window":
            parse_day(value)
        case "since" | "before":
            return read_time(name, value, now)
    return value


def read_time(name: str, value: str, now: datetime) -> datetime:
    """Parse `2h` (ago), `2026-11-23` (UTC) or `2026-11-23T05:00:00Z`, or raise `UsageError`."""
    try:
        instant = read_instant(value)
    except ValueError:
        try:
            return now - parse_every(value)
        except BadCadenceError:
            raise UsageError(
                f"{name}: expected 2h, 3d, 2026-11-23 or 2026-11-23T05:00:00Z, got: {value!r}."
            ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def get_session(store: SessionStore, session_id: UUID) -> dict[str, Any]:
    """Return a session with its actions, as in JSON output, or raise `ExpectedError`."""
    found = read_session(store, session_id)
    if found is None:
        raise ExpectedError(f"No session {session_id}: `bidbeacon sessions list` shows the newest.")
    return dict(found["session"])


def print_session(session: Mapping[str, Any], at: str) -> None:
    """Print a session (of `presentation.session_json`) in a line, `at` in local time."""
    icon, style = MARKS[session["mark"]]
    line = Text(describe_status(session), style)
    line.append(f"  {session['job_name']}", "bold")
    if session["account"]:
        line.append(f"  {account_of(session)}", "blue")
    if session["duration"] is not None:
        line.append(f"  {format_duration(session['duration'])}", "dim")
    line.append(f"  {session['id']}", "dim")
    local = datetime.fromisoformat(at).astimezone()
    head = Text.assemble((f"{local:%Y-%m-%d %H:%M:%S} ", "dim"), (f"{icon} ", style))
    print_hanging(head, line)


def print_error(session: Mapping[str, Any]) -> None:
    """Print the error of a session, if it has one."""
    if session["error"]:
        print_hanging(Text("  "), Text(error_text(session["error"]), "bold red"))


def account_of(session: Mapping[str, Any]) -> str:
    """Return the label or, without one, the key of a session's account; empty without account."""
    return session["account_label"] or session["account"] or ""


def print_actions(
    actions: Iterable[Mapping[str, Any]],
    account: str | None,
    *,
    form: str = "%H:%M:%S",
    zone: tzinfo | None = None,
) -> None:
    """Print actions (of `presentation.action_json`): time, other accounts, sentence.

    Other accounts are those that differ from the session's `account`. `form` is the format of the
    times, `zone` their time zone (None: the local one).
    """
    for action in actions:
        at, style = datetime.fromisoformat(action["at"]).astimezone(zone), _TONES[action["tone"]]
        sentence = Text(style=style)
        if others := whose(action, account):
            sentence.append(f"{others} ", "blue")
        for part in fold_windows(action["parts"]):
            sentence.append(part["text"], _PARTS.get(part["kind"], ""))
        print_hanging(Text.assemble((f"  {at:{form}}  ", "dim"), ("│ ", style)), sentence)


@dataclass
class Printer:
    """Prints the lines of `Tail`, actions below a line with their session."""

    has_errors: bool = True
    _named: str | None = None

    def __call__(self, line: Line) -> None:
        """Print a session, an action or a notice."""
        match line:
            case {"session": session}:
                print_session(session, session["finished_at"] or session["started_at"])
                if self.has_errors:
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
    status: str | None = None
    places: set[int] = field(default_factory=set)


@dataclass
class Tail:
    """Follows the sessions that match a filter.

    Each line to show is `{"session": …}` (a session began or changed its status), `{"action": …}`
    (shown once), `{"gone": id}` (a session stopped matching), or `{"notice": …}` (about the stream
    itself).
    """

    store: SessionStore
    wanted: SessionFilter
    show: Callable[[Line], None]
    _accounts: frozenset[str] = frozenset()
    _seen: OrderedDict[str, _Seen] = field(default_factory=OrderedDict)
    _has_ended: bool = False
    _is_away: bool = False

    def read_last(self, last: int, *, is_whole: bool = False) -> Cursor:
        """Show the new part of the last sessions; return the cursor to follow from.

        `is_whole` reads all actions instead of the first and last ones.
        """
        with self.store.begin() as connection:
            step(connection)  # unpublished changes are in the list, and would be sent again
        listed = read_sessions(self.store, self.wanted, max(last, 1))
        self._accounts = frozenset(listed["accounts"])
        for session in reversed(listed["sessions"][:last]):
            found = read_session(self.store, UUID(session["id"])) if is_whole else None
            self._take(session, (found["session"] if found else session)["actions"])
        return parse_cursor(listed["cursor"])

    async def follow(self, after: Cursor, *, to_the_end: bool = False) -> None:
        """Show everything new, forever or to the end of a session; wait for an absent database."""
        async with Follower(self.store) as follower:
            while True:
                async for frame in follower.follow(after, self.wanted):
                    for message in frame.messages:
                        self._take_message(message)
                    if to_the_end and self._has_ended:
                        return
                after = await self._read_again()

    async def _read_again(self) -> Cursor:
        while True:
            try:
                return self.read_last(_MOST_READ, is_whole=True)
            except SQLAlchemyError:
                self._note_database(is_away=True)
                await asyncio.sleep(_AWAY_SECONDS)

    def _take_message(self, message: Message) -> None:
        data = json.loads(message.data)
        match message.event:
            case "job-sessions:updated":
                self._take(data["session"], data["actions"])
            case "job-sessions:gone":
                self.show({"gone": data["session_id"]})
            case "sync":
                self._note_database(is_away=data["database"] == "away")
            case "reset":
                notice = f"The log restarted ({data['reason']}): loading what was missed."
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

    def _note_database(self, *, is_away: bool) -> None:
        if is_away != self._is_away:
            change = "does not answer; waiting for it" if is_away else "answers again"
            self.show({"notice": f"The database {change}."})
        self._is_away = is_away
