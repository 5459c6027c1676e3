"""The commands `sessions list` and `show`, and how sessions and actions are printed; filters are in the words of the page.

Such as `job:load-windows since:6h throttled`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from pydantic import ValidationError
from rich.text import Text
from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.names import list_named_accounts
from bidbeacon_pipelines.accounts.rules import BadCadenceError, parse_every
from bidbeacon_pipelines.cli.options import complete_account, open_store, parse_day
from bidbeacon_pipelines.cli.output import Json, print_hanging, print_json, print_list
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.actions import action_classes
from bidbeacon_sessions.clock import read_instant
from bidbeacon_sessions.errors import ExpectedError, UsageError
from bidbeacon_sessions.filters import SessionFilter, expectation_of
from bidbeacon_sessions.listing import load_session, load_sessions
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
    session: dict[str, Any] = loaded["session"]
    return session


def print_session(session: Mapping[str, Any], at: str) -> None:
    """Print a session in a line, behind an instant in local time."""
    local = datetime.fromisoformat(at).astimezone()
    print_hanging(Text(f"{local:%Y-%m-%d %H:%M:%S} ", "dim"), session_line(session), indent=2)


def print_error(session: Mapping[str, Any]) -> None:
    """Print why a session failed, if it did."""
    if session["error"]:
        print_hanging(Text("  "), Text(error_text(session["error"]), "bold red"))


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
