"""Sessions and actions as lines for a terminal.

A line is a pair of texts, head and body. If the body wraps, its further lines are indented by the
width of the head. A text is a list of pieces with their style, such as `("failed", "bold red")`,
for `rich.text.Text.assemble`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from bidbeacon_sessions.presentation import describe_status, error_text, whose
from bidbeacon_sessions.sentences import fold_windows, format_duration

StyledText = list[tuple[str, str]]
Line = tuple[StyledText, StyledText]

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
"""Icon and style of each mark of a session (see `queries.py`)."""
_TONES: Final = {
    "success": "green",
    "warning": "yellow",
    "error": "bold red",
    "progress": "cyan",
    "neutral": "",
}
_PARTS: Final = {"badge": "bold", "window": "magenta", "account": "blue", "time": "dim"}


def session_line(session: Mapping[str, Any], at: str) -> Line:
    """Return a session of `presentation.session_json` as a line that begins with a time.

    The time is the ISO instant `at`, such as the session's start, in local time.
    """
    icon, style = MARKS[session["mark"]]
    body = [(describe_status(session), style), (f"  {session['job_name']}", "bold")]
    if session["account"]:
        body.append((f"  {_account_of(session)}", "blue"))
    if session["duration"] is not None:
        body.append((f"  {format_duration(session['duration'])}", "dim"))
    body.append((f"  {session['id']}", "dim"))
    local = datetime.fromisoformat(at).astimezone()
    return [(f"{local:%Y-%m-%d %H:%M:%S} ", "dim"), (f"{icon} ", style)], body


def action_line(
    action: Mapping[str, Any],
    account: str | None,
    *,
    form: str = "%H:%M:%S",
    zone: tzinfo | None = None,
) -> Line:
    """Return an action of `presentation.action_json` as a line: time, accounts, sentence.

    `account` is the session's account, which is not shown. `form` is the format of the time, and
    `zone` its time zone (None: local time).
    """
    at, style = datetime.fromisoformat(action["at"]).astimezone(zone), _TONES[action["tone"]]
    others = whose(action, account)
    parts = [{"kind": "account", "text": others and f"{others} "}, *action["parts"]]
    body = [(one["text"], f"{style} {_PARTS.get(one['kind'], '')}") for one in fold_windows(parts)]
    return [(f"  {at:{form}}  ", "dim"), ("│ ", style)], body


def session_lines(session: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the lines of a session with its actions and its error."""
    yield session_line(session, session["started_at"])
    for action in session["actions"]:
        yield action_line(action, session["account"])
    yield from _error_lines(session)


def _error_lines(session: Mapping[str, Any]) -> Iterator[Line]:
    if session["error"]:
        yield [("  ", "")], [(error_text(session["error"]), "bold red")]


def _account_of(session: Mapping[str, Any]) -> str:
    return session["account_label"] or session["account"] or ""


class TailLines:
    """Renders the events of `tail.Tail`; a line that names the session precedes its actions."""

    def __init__(self, *, has_errors: bool = True) -> None:
        self._has_errors = has_errors
        self._named: str | None = None

    def lines_of(self, event: Mapping[str, Any]) -> Iterator[Line]:
        """Yield the lines of an event: a session, an action or a notice."""
        match event:
            case {"session": session}:
                yield session_line(session, session["finished_at"] or session["started_at"])
                if self._has_errors:
                    yield from _error_lines(session)
                self._named = session["id"]
            case {"action": action}:
                if action["session_id"] != self._named:
                    yield [], [(action["job_name"], "bold"), (f"  {_account_of(action)}", "blue")]
                yield action_line(action, action["account"])
                self._named = action["session_id"]
            case {"notice": notice}:
                yield [], [(notice, "yellow")]
