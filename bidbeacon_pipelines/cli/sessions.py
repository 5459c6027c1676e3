"""Commands for sessions, filtered as on the page: `job:load-windows since:6h words`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.names import list_named_accounts
from bidbeacon_pipelines.cli.days import parse_day
from bidbeacon_pipelines.cli.options import complete_account, open_store
from bidbeacon_pipelines.cli.output import Json, print_json, print_lines, print_list
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.actions import action_classes
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.errors import ExpectedError, UsageError
from bidbeacon_sessions.filters import SessionFilter, complete_term, parse_terms
from bidbeacon_sessions.listing import read_session, read_sessions
from bidbeacon_sessions.queries import find_accounts
from bidbeacon_sessions.sentences import did_you_mean
from bidbeacon_sessions.tail import Event, Tail
from bidbeacon_sessions.terminal import TailLines, action_line, session_line, session_lines


def complete_filter(incomplete: str) -> list[str]:
    """Return completions of a term of a filter: names, statuses, outcomes and accounts."""
    name, colon, begun = incomplete.partition(":")
    if name == "account" and colon:
        return [f"account:{one}" for one, _ in complete_account(begun)]
    return complete_term(incomplete)


Terms = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILTER]...",
        help="Filters as on the page: job:… account:… status:… outcome:… type:… dataset:… window:… "
        "run:… since:… before:… (2h, 3d, today, yesterday, 2026-11-23 or 2026-11-23T05:00:00Z; "
        "days are UTC), and words to search for.",
        autocompletion=complete_filter,
    ),
]


def sessions_list(
    terms: Terms = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """Show sessions, newest first. A running session is shown with its last action."""
    wanted, store = _read_filter(terms), open_store()
    found = read_sessions(store, wanted, limit)["sessions"]
    if not found:
        with store.begin() as connection:
            _check_names(connection, wanted)
    print_list(found, _print_listed, as_json=as_json, if_empty="No session matches.")


def _print_listed(session: Mapping[str, Any]) -> None:
    print_lines([session_line(session, session["started_at"])])
    if session["status"] == "running":
        last = session["actions"][-1:]
        print_lines(action_line(action, session["account"]) for action in last)


def _check_names(connection: Connection, wanted: SessionFilter) -> None:
    """Raise `UsageError` if the filter's account or type of action is unknown."""
    if wanted.type is not None and wanted.type not in action_classes():
        raise UsageError(
            "type: expected an action of docs/reference/actions.md, such as report-failed, "
            f"got: {wanted.type!r}.{did_you_mean(wanted.type, action_classes())}"
        )
    if wanted.account is not None and not find_accounts(connection, wanted.account):
        list_named_accounts(connection, wanted.account)


def sessions_show(session_id: UUID, as_json: Json = False) -> None:
    """Show one session with all its actions."""
    session = get_session(open_store(), session_id)
    if as_json:
        print_json(session)
    else:
        print_lines(session_lines(session))


def sessions_tail(
    terms: Terms = None,
    last: Annotated[
        int, typer.Option(min=0, max=200, help="How many earlier sessions to show first.")
    ] = 3,
    as_json: Json = False,
) -> None:
    """Print sessions live until Ctrl-C. No action is missed if the database fails for a while.

    With `--json` each line is an action or the state of a session.
    """
    show = partial(print_json, indent=None) if as_json else event_printer()
    asyncio.run(Tail(open_store(), _read_filter(terms), show).follow(last))


def event_printer(*, has_errors: bool = True) -> Callable[[Event], None]:
    """Return a function that prints the events of a `Tail`, which follows sessions live.

    If `has_errors` is false, the errors of sessions are left out.
    """
    lines = TailLines(has_errors=has_errors)
    return lambda event: print_lines(lines.lines_of(event))


def _read_filter(terms: Sequence[str] | None) -> SessionFilter:
    wanted = parse_terms(terms or (), utc_now())
    if wanted.dataset is not None:
        get_dataset(wanted.dataset)
    if wanted.window is not None:
        parse_day(wanted.window)
    return wanted


def get_session(store: SessionStore, session_id: UUID) -> dict[str, Any]:
    """Return a session with its actions as JSON data, or raise `ExpectedError`."""
    loaded = read_session(store, session_id)
    if loaded is None:
        raise ExpectedError(f"No session {session_id}: `bidbeacon sessions list` shows the newest.")
    return dict(loaded["session"])
