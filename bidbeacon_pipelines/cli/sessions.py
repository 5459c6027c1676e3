"""The commands on sessions, and how sessions are followed in the database and printed, for commands that record their own too.

Filters are in the words of the page, such as `job:load-windows since:6h throttled`.
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
from bidbeacon_sessions.listing import load_session, load_sessions
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
_MOST_LOADED = 200

Line = Mapping[str, Any]


def complete_term(incomplete: str) -> list[str]:
    """Return the terms of a filter that a shell can complete: their names, statuses, outcomes, accounts."""
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
        help="As on the page: job:… account:… status:… outcome:… type:… dataset:… window:… run:… since:… before:… "
        "(2h, 3d, 2026-11-23 or 2026-11-23T05:00:00Z; days are UTC), and words to look for.",
        autocompletion=complete_term,
    ),
]


def sessions_list(
    terms: Terms = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """Show sessions with when they began, newest first; running ones with their last action."""
    wanted, store = read_filter(terms or ()), open_store()
    found = load_sessions(store, wanted, limit)["sessions"]
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
            f"type: expected an action of docs/actions.md, such as report-failed, got: {wanted.type!r}."
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
    """Follow sessions live until Ctrl-C; it waits for a database that is away, and misses nothing.

    With `--json` each line is an action or the state of a session.
    """
    show = partial(print_json, indent=None) if as_json else Printer()
    tail = Tail(open_store(), read_filter(terms or ()), show)

    async def follow() -> None:
        await tail.follow(tail.load(last))

    asyncio.run(follow())


def read_filter(terms: Sequence[str]) -> SessionFilter:
    """Return the filter of some terms: `name:value`, and words that are looked for.

    Raises:
        UsageError: an unknown name, status or outcome, a value that is too long, or a day or time that can't be read.
        UnknownDatasetError: an unknown dataset.
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
    """Return the instant of `2h`, `2026-11-23` (UTC) or `2026-11-23T05:00:00Z`.

    Raises:
        UsageError: it is none of these.
    """
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
    """Return a session and its actions as JSON shows them.

    Raises:
        ExpectedError: there is no such session.
    """
    loaded = load_session(store, session_id)
    if loaded is None:
        raise ExpectedError(f"No session {session_id}: `bidbeacon sessions list` shows the newest.")
    return dict(loaded["session"])


def print_session(session: Mapping[str, Any], at: str) -> None:
    """Print one session (as `presentation.session_json`) in a line: an instant in local time, mark, status, job, account, duration, id."""
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
    """Print why a session failed, if it did."""
    if session["error"]:
        print_hanging(Text("  "), Text(error_text(session["error"]), "bold red"))


def account_of(session: Mapping[str, Any]) -> str:
    """Return the label of a session's account, or its key without a label; empty without an account."""
    return session["account_label"] or session["account"] or ""


def print_actions(
    actions: Iterable[Mapping[str, Any]],
    account: str | None,
    *,
    form: str = "%H:%M:%S",
    zone: tzinfo | None = None,
) -> None:
    """Print actions (as `presentation.action_json`) in the given order: time, other accounts than the session's, sentence.

    `account` is the session's own, `zone` that of the times (None: the local one), `form` how they are written.
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
    """Prints what `Tail` shows, each action below a line that names its session.

    Args:
        has_errors: whether the error of a session that failed is printed.
    """

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
    """The part of a session that was shown already: its status, and the places of its actions."""

    status: str | None = None
    places: set[int] = field(default_factory=set)


@dataclass
class Tail:
    """Follows the sessions that match a filter.

    Each thing to show is one of `{"session": …}` (one that began or changed its status),
    `{"action": …}` (shown once), `{"gone": id}` (a session that matches no more), and
    `{"notice": …}` (about the stream itself).
    """

    store: SessionStore
    wanted: SessionFilter
    show: Callable[[Line], None]
    _accounts: frozenset[str] = frozenset()
    _seen: OrderedDict[str, _Seen] = field(default_factory=OrderedDict)
    _has_ended: bool = False
    _is_away: bool = False

    def load(self, last: int, *, is_whole: bool = False) -> Cursor:
        """Show what was not shown of the last sessions, either of their first and last actions or the whole; return where to follow from."""
        with self.store.begin() as connection:
            step(connection)  # what nobody has published yet is in the list, and would come again
        loaded = load_sessions(self.store, self.wanted, max(last, 1))
        self._accounts = frozenset(loaded["accounts"])
        for session in reversed(loaded["sessions"][:last]):
            found = load_session(self.store, UUID(session["id"])) if is_whole else None
            self._take(session, (found["session"] if found else session)["actions"])
        return parse_cursor(loaded["cursor"])

    async def follow(self, after: Cursor, *, to_the_end: bool = False) -> None:
        """Show everything new, without end, or to the end of the first session; wait for a database that is away."""
        async with Follower(self.store) as follower:
            while True:
                async for frame in follower.follow(after, self.wanted):
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
                self.show({"gone": data["session_id"]})
            case "sync":
                self._note_database(is_away=data["database"] == "away")
            case "reset":
                notice = f"The log restarted ({data['reason']}): loading what was missed."
                self.show({"notice": notice})

    def _take(self, session: Mapping[str, Any], actions: Iterable[Mapping[str, Any]]) -> None:
        """Show what is new of a session; its end only after its last action, since a message about a session may be ahead of its actions."""
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
        is_told = max(seen.places, default=0) >= session["action_count"]
        if is_told and session["status"] != seen.status:
            self._show_session(seen, session)
            self._has_ended = True

    def _show_session(self, seen: _Seen, session: Mapping[str, Any]) -> None:
        seen.status = session["status"]
        self.show({"session": {name: session[name] for name in session if name != "actions"}})

    def _is_wanted(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> bool:
        """Return whether an action concerns a requested account; in its own sessions all do."""
        if self.wanted.account is None or session["account"] in self._accounts:
            return True
        return any(account["key"] in self._accounts for account in action["accounts"])

    def _note_database(self, *, is_away: bool) -> None:
        if is_away != self._is_away:
            said = "does not answer; waiting for it" if is_away else "answers again"
            self.show({"notice": f"The database {said}."})
        self._is_away = is_away
