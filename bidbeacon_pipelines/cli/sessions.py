"""The commands on job sessions; they are filtered in the words of the page: `job:load-windows since:6h throttled`."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from pydantic import ValidationError
from rich.text import Text
from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.names import list_named_accounts
from bidbeacon_pipelines.accounts.rules import BadCadenceError, parse_every
from bidbeacon_pipelines.cli.database import open_store
from bidbeacon_pipelines.cli.errors import BadOptionError
from bidbeacon_pipelines.cli.options import complete_account, parse_day
from bidbeacon_pipelines.cli.output import Json, console, print_hanging, print_json, print_line
from bidbeacon_pipelines.cli.session_output import (
    action_sentence,
    get_session,
    local_time,
    print_session,
    session_line,
)
from bidbeacon_pipelines.cli.tailing import JsonTail, Tail, TerminalTail
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_sessions.actions import action_classes
from bidbeacon_sessions.clock import read_instant
from bidbeacon_sessions.filters import SessionFilter, expectation_of
from bidbeacon_sessions.listing import load_sessions
from bidbeacon_sessions.queries import find_accounts
from bidbeacon_sessions.sentences import format_duration
from bidbeacon_sessions.tables import SESSION_OUTCOMES, SESSION_STATUSES

_NAMES: Final = tuple(name for name in SessionFilter.model_fields if name != "text")


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
        show_default=False,
    ),
]


def sessions_list(
    terms: Terms = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """Show sessions with when they began, newest first; running ones with their duration and last action."""
    wanted, store = read_filter(terms or ()), open_store()
    found = load_sessions(store, wanted, limit)["sessions"]
    if not found:
        with store.begin() as connection:
            _check_names(connection, wanted)
    if as_json:
        print_json(found)
        return
    for session in found:
        began = local_time(session["started_at"])
        print_hanging(console, began, session_line(session), indent=2)
        if session["status"] == "running":
            print_hanging(console, Text(" " * (began.cell_len + 2)), _progress(session))
    if not found:
        print_line("No session matches.")


def _progress(session: dict[str, Any]) -> Text:
    """Return how long a session has been running, and its last action."""
    ran = (datetime.now(UTC) - datetime.fromisoformat(session["started_at"])).total_seconds()
    count = session["action_count"]
    line = Text(f"running for {format_duration(max(ran, 0))}", "cyan")
    line.append(f", {count:,} action{'' if count == 1 else 's'} so far", "dim")
    if session["actions"]:
        line.append(": ", "dim").append_text(action_sentence(session["actions"][-1]))
    return line


def _check_names(connection: Connection, wanted: SessionFilter) -> None:
    """Raise if nothing can match, since the account or action is unknown."""
    if wanted.type is not None and wanted.type not in action_classes():
        raise BadOptionError(
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
        print_session(console, session)


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
    wanted, store = read_filter(terms or ()), open_store()
    with JsonTail(sys.stdout) if as_json else TerminalTail(console) as shown:
        asyncio.run(Tail(store, wanted, shown).follow(last))


def read_filter(terms: Sequence[str]) -> SessionFilter:
    """Return the filter of some terms: `name:value`, and words that are looked for.

    Raises:
        BadOptionError: an unknown name, status or outcome, a value that is too long, or a day or time that can't be read.
        UnknownDatasetError: an unknown dataset.
    """
    found: dict[str, Any] = {}
    for name, colon, value in (term.partition(":") for term in terms):
        if not colon:
            found["text"] = f"{found.get('text', '')} {name}".strip()
        elif name not in _NAMES:
            expected = ", ".join(f"{one}:…" for one in _NAMES)
            raise BadOptionError(f"Expected one of {expected}, got: {f'{name}:{value}'!r}.")
        else:
            found[name] = _read_value(name, value, datetime.now(UTC))
    try:
        return SessionFilter(**found)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        raise BadOptionError(f"{name}: {expectation_of(problem)}, got: {found[name]!r}.") from None


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
        BadOptionError: it is none of these.
    """
    try:
        instant = read_instant(value)
    except ValueError:
        try:
            return now - parse_every(value)
        except BadCadenceError:
            raise BadOptionError(
                f"{name}: expected 2h, 3d, 2026-11-23 or 2026-11-23T05:00:00Z, got: {value!r}."
            ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
