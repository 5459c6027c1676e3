"""Prints sessions in a terminal: coloured sentences of actions, live while a job runs."""

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bidbeacon_pipelines.cli.folding import fold_runs, shorten_names
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.presentation import (
    action_json,
    describe_status,
    error_text,
    load_labels,
    whose,
)
from bidbeacon_sessions.queries import list_actions
from bidbeacon_sessions.sentences import Part, fold_windows, format_duration
from bidbeacon_sessions.server.listing import load_session

TONES = {
    "success": "green",
    "warning": "yellow",
    "error": "bold red",
    "progress": "cyan",
    "neutral": "default",
}
MARKS = {
    "running": ("●", "cyan"),
    "succeeded": ("✔", "green"),
    "skipped": ("»", "dim"),
    "warnings": ("▲", "yellow"),
    "problems": ("✘", "red"),
    "failed": ("✘", "bold red"),
    "retried": ("↻", "dim"),
    "crashed": ("✖", "bold red"),
    "cancelled": ("■", "yellow"),
}
"""The icon and style of a session's mark (see `queries.find_session`)."""
_PARTS = {
    "badge": "bold",
    "window": "magenta",
    "account": "blue",
    "time": "dim",
}
_POLL_SECONDS = 0.2
_REPORT_EVERY_SECONDS = 60
_NARROWEST = 24


def print_action(console: Console, action: Mapping[str, Any], account: str | None = None) -> None:
    """Print one action (as `presentation.action_json`): local time, other accounts than the session's, sentence.

    Lines after the first are indented below the sentence.
    """
    at = datetime.fromisoformat(action["at"]).astimezone()
    line = Text(f"  {at:%H:%M:%S}  ", style="dim")
    line.append("│ ", style=TONES[action["tone"]])
    sentence = Text()
    if others := whose(action, account):
        sentence.append(f"{others} ", style="blue")
    sentence.append_text(action_sentence(action))
    if count := action.get("folded"):
        sentence.append(f" ({count} ×)", style="dim")
    print_hanging(console, line, sentence)


def print_hanging(console: Console, head: Text, body: Text, *, indent: int = 0) -> None:
    """Print a text behind a head, with its later lines below its beginning, and further by an indent."""
    margin = head.cell_len + indent
    lines = body.wrap(console, max(_NARROWEST, console.width - margin))
    for line in lines:
        line.rstrip()
    console.print(Text.assemble(head, Text("\n" + " " * margin).join(lines)), soft_wrap=True)


def action_sentence(action: Mapping[str, Any]) -> Text:
    """Return one action's sentence, in its tone's colour."""
    return _sentence(action["parts"], TONES[action["tone"]])


def session_line(session: Mapping[str, Any]) -> Text:
    """Return one session (as `presentation.session_json`) as a line: mark, status, job, account, duration."""
    icon, style = MARKS[session["mark"]]
    line = Text(f"{icon} {describe_status(session)}", style=style)
    line.append(f"  {session['job_name']}", style="bold")
    if session["account"]:
        line.append(f"  {account_of(session)}", style="blue")
    if session["duration"] is not None:
        line.append(f"  {format_duration(session['duration'])}", style="dim")
    line.append(f"  {session['id']}", style="dim")
    return line


def account_of(session: Mapping[str, Any]) -> str:
    """Return the label of a session's account, or its key without a label; empty without an account."""
    return session["account_label"] or session["account"] or ""


def dated_line(session: Mapping[str, Any]) -> Text:
    """Return one session as a line that begins with the local time at which it ended, or began where it runs."""
    return local_time(session["finished_at"] or session["started_at"]).append_text(
        session_line(session)
    )


def local_time(instant: str) -> Text:
    """Return an instant of ISO 8601 in local time, with a blank behind it."""
    return Text(f"{datetime.fromisoformat(instant).astimezone():%Y-%m-%d %H:%M:%S} ", style="dim")


def progress_line(
    session: Mapping[str, Any], last: Mapping[str, Any] | None, now: datetime
) -> Text:
    """Return how long a session has been running, and its last action."""
    ran = (now - datetime.fromisoformat(session["started_at"])).total_seconds()
    line = Text(f"running for {format_duration(max(ran, 0))}", style="cyan")
    count = session["action_count"]
    line.append(f", {count:,} action{'' if count == 1 else 's'} so far", style="dim")
    return (
        line.append_text(Text(": ", style="dim")).append_text(action_sentence(last))
        if last
        else line
    )


class StatusLine:
    """The status line while a command runs: for how long, and what it waits for."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._printed_at = self._started
        self.text = ""

    def __rich__(self) -> Text:
        ran = format_duration(int(time.monotonic() - self._started))
        return Text(f"  ● running for {ran}{': ' if self.text else ''}{self.text}", style="cyan")

    def print_regularly(self, console: Console) -> None:
        """Print the line once a minute: for a console that is a file or a pipe."""
        if time.monotonic() - self._printed_at >= _REPORT_EVERY_SECONDS:
            self._printed_at = time.monotonic()
            console.print(self, soft_wrap=True)


@contextmanager
def following(
    console: Console,
    store: SessionStore,
    session_id: UUID,
    *,
    account: str | None = None,
    hidden: Collection[str] = (),
    status: StatusLine | None = None,
) -> Iterator[None]:
    """Print a session's actions as they are committed, but for those of the `hidden` types, and its status, until the block ends.

    Each line names the accounts that it is about, but for `account`, the key of the session's own.
    """
    stop = threading.Event()
    status = status or StatusLine()
    live = Live(
        console=console, get_renderable=lambda: status, refresh_per_second=2, transient=True
    )
    follower = threading.Thread(
        target=_follow,
        args=(console, store, session_id, account, stop, hidden, status),
        daemon=True,
    )
    with live if console.is_terminal and not console.quiet else nullcontext():
        follower.start()
        try:
            yield
        finally:
            stop.set()
            follower.join(timeout=10)


def _follow(
    console: Console,
    store: SessionStore,
    session_id: UUID,
    account: str | None,
    stop: threading.Event,
    hidden: Collection[str],
    status: StatusLine,
) -> None:
    last, ended = 0, False
    while not ended:
        ended = stop.wait(_POLL_SECONDS)  # one more look after the end, for what came last
        with store.begin() as connection:
            rows = list_actions(connection, session_id, after=last)
            labels = load_labels(connection, rows)
        last = rows[-1]["ord"] if rows else last
        shown = [action_json(row, labels) for row in rows if row["type"] not in hidden]
        for action in fold_runs(shown):
            print_action(console, action, account)
        if not console.is_terminal:
            status.print_regularly(console)


def print_session(console: Console, store: SessionStore, session_id: UUID) -> bool:
    """Print a session with all its actions and its error; return False if there is no such session."""
    loaded = load_session(store, session_id)
    if loaded is None:
        return False
    shown = loaded["session"]
    print_hanging(console, Text(), session_line(shown), indent=2)
    for action in fold_runs(shown["actions"]):
        print_action(console, action, shown["account"])
    if shown["error"]:
        console.print(Text(f"  {error_text(shown['error'])}", style="bold red"))
    return True


def table_of(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Return a table of plain values; what is None shows as a dash.

    The first column is never broken: it is what people copy.
    """
    table = Table(title=title, title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text("–" if value is None else str(value)) for value in row))
    return table


def _sentence(parts: Sequence[Part], style: str) -> Text:
    text = Text(style=style if style != "default" else "")
    for part in shorten_names(fold_windows(parts)):
        text.append(part["text"], style=_PARTS.get(part["kind"], ""))
    return text
