"""The commands on job sessions."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from bidbeacon_pipelines.cli.frame import (
    BadOptionError,
    Json,
    console,
    database_url,
    plain_errors,
    print_json,
)
from bidbeacon_pipelines.settings import get_settings

sessions_app = typer.Typer(
    no_args_is_help=True, help="Job sessions: what every job was given and what it did."
)


@sessions_app.command("list")
@plain_errors
def sessions_list(
    job: Annotated[str | None, typer.Option(help="Only this job.")] = None,
    account: Annotated[str | None, typer.Option(help="Only what touched this account.")] = None,
    status: Annotated[
        str | None, typer.Option(help="running, succeeded, failed, cancelled or crashed.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="Only what touched this day.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """Show sessions, newest first."""
    import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences
    from bidbeacon_pipelines.terminal import session_line
    from bidbeacon_sessions import SessionStore
    from bidbeacon_sessions.presentation import session_json
    from bidbeacon_sessions.search import SessionFilter
    from bidbeacon_sessions.store import list_sessions

    store = SessionStore.connect(database_url(get_settings()))
    wanted = SessionFilter(job=job, account=account, status=status, window=window)
    with store.begin() as connection:
        found = [session_json(row) for row in list_sessions(connection, wanted, limit=limit)]
    if as_json:
        print_json(found)
        return
    for session in found:
        started = datetime.fromisoformat(session["started_at"]).astimezone()
        console.print(f"[dim]{started:%Y-%m-%d %H:%M:%S}[/dim]", session_line(session))
    if not found:
        console.print("No session matches.")


@sessions_app.command("show")
@plain_errors
def sessions_show(session_id: UUID, as_json: Json = False) -> None:
    """Show one session with all its actions."""
    import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences
    from bidbeacon_pipelines.terminal import print_session
    from bidbeacon_sessions import SessionStore

    store = SessionStore.connect(database_url(get_settings()))
    if as_json:
        print_json(session_with_actions(store, session_id))
    elif not print_session(console, store, session_id):
        raise BadOptionError(f"No session {session_id}: `bidbeacon sessions list` shows the newest.")


def session_with_actions(store: Any, session_id: UUID) -> dict[str, Any]:
    """Give a session and its actions as JSON shows them.

    Raises:
        BadOptionError: there is no such session.
    """
    from bidbeacon_sessions.presentation import action_json, session_json
    from bidbeacon_sessions.store import find_session, list_actions

    with store.begin() as connection:
        header = find_session(connection, session_id)
        actions = list_actions(connection, session_id)
    if header is None:
        raise BadOptionError(f"No session {session_id}: `bidbeacon sessions list` shows the newest.")
    return session_json(header) | {"actions": [action_json(action) for action in actions]}
