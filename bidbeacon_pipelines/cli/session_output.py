"""Prints sessions in a terminal: a line for each, and the sentences of actions in colour, runs of the same one as one line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from rich.console import Console
from rich.text import Text

from bidbeacon_pipelines.cli.errors import CommandFailedError
from bidbeacon_pipelines.cli.output import print_hanging
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.listing import load_session
from bidbeacon_sessions.presentation import describe_status, error_text, whose
from bidbeacon_sessions.sentences import Part, fold_windows, format_duration

TONES: Final = {
    "success": "green",
    "warning": "yellow",
    "error": "bold red",
    "progress": "cyan",
    "neutral": "default",
}
MARKS: Final = {
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
_SHORTEST_RUN = 3
_MOST_ACCOUNTS = 3


def get_session(store: SessionStore, session_id: UUID) -> dict[str, Any]:
    """Return a session and its actions as JSON shows them.

    Raises:
        CommandFailedError: there is no such session.
    """
    loaded = load_session(store, session_id)
    if loaded is None:
        raise CommandFailedError(
            f"No session {session_id}: `bidbeacon sessions list` shows the newest."
        )
    session: dict[str, Any] = loaded["session"]
    return session


def print_session(console: Console, session: Mapping[str, Any]) -> None:
    """Print a session with all its actions and its error."""
    print_hanging(console, Text(), session_line(session), indent=2)
    print_actions(console, session["actions"], session["account"])
    if session["error"]:
        console.print(Text(f"  {error_text(session['error'])}", style="bold red"))


def session_line(session: Mapping[str, Any]) -> Text:
    """Return one session (as `presentation.session_json`) as a line: mark, status, job, account, duration, id."""
    icon, style = MARKS[session["mark"]]
    line = Text(f"{icon} {describe_status(session)}", style)
    line.append(f"  {session['job_name']}", "bold")
    if session["account"]:
        line.append(f"  {account_of(session)}", "blue")
    if session["duration"] is not None:
        line.append(f"  {format_duration(session['duration'])}", "dim")
    return line.append(f"  {session['id']}", "dim")


def account_of(session: Mapping[str, Any]) -> str:
    """Return the label of a session's account, or its key without a label; empty without an account."""
    return session["account_label"] or session["account"] or ""


def dated_line(session: Mapping[str, Any]) -> Text:
    """Return one session as a line that begins with the local time at which it ended, or began where it runs."""
    at = local_time(session["finished_at"] or session["started_at"])
    return at.append_text(session_line(session))


def local_time(instant: str) -> Text:
    """Return an instant of ISO 8601 in local time, with a blank behind it."""
    return Text(f"{datetime.fromisoformat(instant).astimezone():%Y-%m-%d %H:%M:%S} ", "dim")


def print_actions(
    console: Console,
    actions: Iterable[Mapping[str, Any]],
    account: str | None = None,
    *,
    form: str = "%H:%M:%S",
    zone: tzinfo | None = None,
) -> None:
    """Print actions (as `presentation.action_json`) in the given order: time, other accounts than the session's, sentence.

    Args:
        console: where to print.
        actions: of one session.
        account: the key of the session's account.
        form: how a time is written.
        zone: of the times; None is the local one.
    """
    for action, count in fold_runs(actions):
        at = datetime.fromisoformat(action["at"]).astimezone(zone)
        head = Text.assemble((f"  {at:{form}}  ", "dim"), ("│ ", TONES[action["tone"]]))
        others = whose(action, account)
        sentence = Text(f"{others} " if others else "", "blue").append_text(action_sentence(action))
        if count > 1:
            sentence.append(f" ({count} ×)", "dim")
        print_hanging(console, head, sentence)


def fold_runs(actions: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Yield actions and how many each stands for: three and more equal ones in a row are the first one. Errors never fold.

    The page folds by the same rules, in `web/folding.js`.
    """
    for _, group in groupby(actions, key=_kind):
        run = list(group)
        if len(run) >= _SHORTEST_RUN:
            yield run[0], len(run)
        else:
            yield from ((action, 1) for action in run)


def _kind(action: Mapping[str, Any]) -> Any:
    """Return what the actions of a run share; of an error, its place."""
    if action["tone"] == "error":
        return action["ord"]
    payload = action["payload"]
    code = (payload.get("cause") or {}).get("code")
    return action["type"], action["tone"], payload.get("reason"), code


def action_sentence(action: Mapping[str, Any]) -> Text:
    """Return one action's sentence, in its tone's colour."""
    style = TONES[action["tone"]]
    sentence = Text(style="" if style == "default" else style)
    for part in _with_few_accounts(fold_windows(action["parts"])):
        sentence.append(part["text"], _PARTS.get(part["kind"], ""))
    return sentence


def _with_few_accounts(parts: Sequence[Part]) -> Sequence[Part]:
    """Return the parts of a sentence; of many accounts the first three, and how many more."""
    places = [place for place, part in enumerate(parts) if part["kind"] == "account"]
    if len(places) <= _MOST_ACCOUNTS + 1:
        return parts
    first, last = places[_MOST_ACCOUNTS - 1], places[-1]
    more: Part = {"kind": "text", "text": f" and {len(places) - _MOST_ACCOUNTS:,} more"}
    return [*parts[: first + 1], more, *parts[last + 1 :]]
