"""The session around a command's work: its actions are printed as they happen, and a signal ends it as cancelled."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.status import Status
from rich.text import Text

from bidbeacon_pipelines.cli.errors import stop_at_signals
from bidbeacon_pipelines.cli.output import console, print_hanging
from bidbeacon_pipelines.cli.session_output import get_session, print_actions, session_line
from bidbeacon_sessions import SessionRecorder, SessionStore, Subject, with_job_session
from bidbeacon_sessions.presentation import action_json, load_labels
from bidbeacon_sessions.queries import list_actions

TakeJson = Callable[[dict[str, Any]], None]

_POLL_SECONDS: Final = 0.2


@contextmanager
def recorded(
    store: SessionStore,
    job_name: str,
    given: dict[str, Any],
    account: Subject | None = None,
    take_json: TakeJson | None = None,
) -> Iterator[tuple[SessionRecorder, Status]]:
    """Record everything inside as one session and print it as it happens; yield the session, and the line of its status.

    Ctrl-C, SIGTERM and the end of the terminal end it as cancelled (`stop_at_signals`).

    Args:
        store: where sessions are kept.
        job_name: what this work is called.
        given: what the command was given.
        account: the account it works for, where it is just one.
        take_json: called with the whole session at its end, instead of printing anything.
    """
    shown_on = console if take_json is None else Console(quiet=True)
    given, session_id = {**given, "via": "command line"}, None
    stop_at_signals()
    try:
        with (
            with_job_session(job_name, input=given, store=store, account=account) as session,
            shown_on.status("running", spinner_style="cyan") as status,
            _printed(shown_on, store, session, account),
        ):
            session_id = session.session_id
            yield session, status
    finally:
        if session_id is not None:
            ended = get_session(store, session_id)
            if take_json is None:
                print_hanging(console, Text(), session_line(ended), indent=2)
            else:
                take_json(ended)


@contextmanager
def _printed(
    shown_on: Console,
    store: SessionStore,
    session: SessionRecorder,
    account: Subject | None,
) -> Iterator[None]:
    """Print a session's actions as they are committed, until the block ends."""
    stop = threading.Event()
    own = None if account is None else account.key

    def follow() -> None:
        last, ended = 0, False
        while not ended:
            ended = stop.wait(_POLL_SECONDS)  # once more after the end, for what came last
            with store.begin() as connection:
                rows = list_actions(connection, session.session_id, after=last)
                labels = load_labels(connection, rows)
            last = rows[-1]["ord"] if rows else last
            print_actions(shown_on, [action_json(row, labels) for row in rows], own)

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join(timeout=10)
