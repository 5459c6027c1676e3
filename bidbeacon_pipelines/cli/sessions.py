"""The commands on job sessions."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from bidbeacon_pipelines.cli.account_names import complete_account
from bidbeacon_pipelines.cli.database import database_url
from bidbeacon_pipelines.cli.errors import BadOptionError, CommandFailedError, plain_errors
from bidbeacon_pipelines.cli.output import Json, console, print_json
from bidbeacon_pipelines.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from bidbeacon_sessions.filters import SessionFilter

sessions_app = typer.Typer(no_args_is_help=True, help="Job sessions: each job's input and actions.")

Job = Annotated[str | None, typer.Option(help="Only this job.")]
Account = Annotated[
    str | None,
    typer.Option(
        help="Only sessions that worked for or refer to an account: its key, its name or a part of it.",
        autocompletion=complete_account,
    ),
]
Status = Annotated[
    str | None, typer.Option(help="running, succeeded, failed, cancelled or crashed.")
]
Outcome = Annotated[
    str | None,
    typer.Option(help="ok, warnings or problems; with --account, what was achieved for it."),
]
Type = Annotated[
    str | None,
    typer.Option("--type", help="Only sessions with this type of action, such as report-failed."),
]
OfDataset = Annotated[
    str | None, typer.Option("--dataset", help="Only sessions that refer to this dataset.")
]
Window = Annotated[str | None, typer.Option(help="Only sessions that refer to this day.")]
Run = Annotated[str | None, typer.Option(help="Only sessions of this Dagster run.")]
Since = Annotated[
    str | None,
    typer.Option(
        help="Only sessions started since: 2h, 3d, 2026-11-23, or 2026-11-23T05:00:00Z; days are UTC."
    ),
]


@sessions_app.command("list")
@plain_errors
def sessions_list(
    job: Job = None,
    account: Account = None,
    status: Status = None,
    outcome: Outcome = None,
    action_type: Type = None,
    dataset: OfDataset = None,
    window: Window = None,
    run: Run = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """Show sessions with when they began, newest first; running ones with their duration and last action."""
    from rich.text import Text

    import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences
    from bidbeacon_pipelines.cli.session_output import (
        local_time,
        print_hanging,
        progress_line,
        session_line,
    )
    from bidbeacon_sessions import SessionStore
    from bidbeacon_sessions.presentation import action_json, load_labels, session_json
    from bidbeacon_sessions.queries import list_excerpts, list_sessions

    store = SessionStore.connect(database_url(get_settings()))
    wanted = read_filter(
        job=job,
        account=account,
        status=status,
        outcome=outcome,
        type=action_type,
        dataset=dataset,
        window=window,
        run=run,
        since=since,
    )
    with store.snapshot() as connection:
        rows = list_sessions(connection, wanted, limit=limit)
        running = [row["id"] for row in rows if row["status"] == "running"]
        actions = list_excerpts(connection, running, last=1)
        labels = load_labels(connection, actions)
        last = {str(row["session_id"]): action_json(row, labels) for row in actions}
        if not rows:
            _check_names(connection, wanted)
    found = [session_json(row) for row in rows]
    if as_json:
        print_json(found)
        return
    for session in found:
        began = local_time(session["started_at"])
        print_hanging(console, began, session_line(session), indent=2)
        if session["status"] == "running":
            progress = progress_line(session, last.get(session["id"]), datetime.now(UTC))
            print_hanging(console, Text(" " * (began.cell_len + 2)), progress)
    if not found:
        console.print("No session matches.")


def _check_names(connection: "Connection", wanted: "SessionFilter") -> None:
    """Raise if nothing can match, since the account or action is unknown."""
    from bidbeacon_pipelines.accounts.names import list_named_accounts
    from bidbeacon_sessions.actions import action_classes
    from bidbeacon_sessions.queries import find_accounts

    if wanted.type is not None and wanted.type not in action_classes():
        raise BadOptionError(
            f"--type: expected an action of docs/actions.md, such as report-failed, got: {wanted.type!r}."
        )
    if wanted.account is not None and not find_accounts(connection, wanted.account):
        list_named_accounts(connection, wanted.account)


@sessions_app.command("show")
@plain_errors
def sessions_show(session_id: UUID, as_json: Json = False) -> None:
    """Show one session with all its actions, and the state of the work that it queued."""
    import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences
    from bidbeacon_pipelines.cli.session_output import print_session
    from bidbeacon_sessions import SessionStore

    store = SessionStore.connect(database_url(get_settings()))
    if as_json:
        print_json(session_with_actions(store, session_id))
    elif not print_session(console, store, session_id):
        raise CommandFailedError(
            f"No session {session_id}: `bidbeacon sessions list` shows the newest."
        )


@sessions_app.command("tail")
@plain_errors
def sessions_tail(
    job: Job = None,
    account: Account = None,
    status: Status = None,
    outcome: Outcome = None,
    action_type: Type = None,
    dataset: OfDataset = None,
    window: Window = None,
    run: Run = None,
    since: Since = None,
    last: Annotated[
        int, typer.Option(min=0, max=200, help="How many earlier sessions to show first.")
    ] = 3,
    as_json: Json = False,
) -> None:
    """Follow sessions live until Ctrl-C; it waits for a database that is away, and misses nothing.

    With `--json` each line is an action or the state of a session.
    """
    import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences
    from bidbeacon_pipelines.cli.tailing import JsonTail, Tail, TerminalTail
    from bidbeacon_sessions import SessionStore

    wanted = read_filter(
        job=job,
        account=account,
        status=status,
        outcome=outcome,
        type=action_type,
        dataset=dataset,
        window=window,
        run=run,
        since=since,
    )
    store = SessionStore.connect(database_url(get_settings()))
    with JsonTail(sys.stdout) if as_json else TerminalTail(console) as shown:
        asyncio.run(Tail(store, wanted, shown).follow(last))


def read_filter(*, since: str | None = None, **given: Any) -> "SessionFilter":
    """Return the filter of a command's options.

    Raises:
        BadOptionError: an unknown status or outcome, a value that is too long, or a day or time that can't be read.
        UnknownDatasetError: an unknown dataset.
    """
    from pydantic import ValidationError

    from bidbeacon_pipelines.cli.windows import parse_day
    from bidbeacon_pipelines.datasets.registry import get_dataset
    from bidbeacon_sessions.filters import SessionFilter, expectation_of

    if given["dataset"] is not None:
        get_dataset(given["dataset"])
    if given["window"] is not None:
        given["window"] = str(parse_day(given["window"]))
    try:
        return SessionFilter(
            **given, since=None if since is None else read_since(since, datetime.now(UTC))
        )
    except ValidationError as error:
        problem = error.errors()[0]
        name = problem["loc"][0]
        raise BadOptionError(
            f"--{name}: {expectation_of(problem)}, got: {given[str(name)]!r}."
        ) from None


def read_since(value: str, now: datetime) -> datetime:
    """Return the instant of `2h`, `2026-11-23` (UTC) or `2026-11-23T05:00:00Z`.

    Raises:
        BadOptionError: it is none of these.
    """
    from bidbeacon_pipelines.accounts.rules import BadCadenceError, parse_every
    from bidbeacon_sessions.clock import read_instant

    try:
        instant = read_instant(value)
    except ValueError:
        try:
            return now - parse_every(value)
        except BadCadenceError:
            raise BadOptionError(
                f"--since: expected 2h, 3d, 2026-11-23 or 2026-11-23T05:00:00Z, got: {value!r}."
            ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def session_with_actions(store: Any, session_id: UUID) -> dict[str, Any]:
    """Return a session and its actions as JSON shows them.

    Raises:
        CommandFailedError: there is no such session.
    """
    from bidbeacon_sessions.server.listing import load_session

    loaded = load_session(store, session_id)
    if loaded is None:
        raise CommandFailedError(
            f"No session {session_id}: `bidbeacon sessions list` shows the newest."
        )
    session: dict[str, Any] = loaded["session"]
    return session
