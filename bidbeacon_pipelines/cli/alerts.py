"""The commands on alerts: open problems and their messages, and a test message."""

from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from bidbeacon_pipelines.cli.database import database_url
from bidbeacon_pipelines.cli.errors import CommandFailedError, plain_errors
from bidbeacon_pipelines.cli.output import Json, console, print_json
from bidbeacon_pipelines.settings import get_settings

if TYPE_CHECKING:
    from bidbeacon_pipelines.problems.alert_rules import Alert

alerts_app = typer.Typer(
    invoke_without_command=True,
    help="List current problems and the messages sent about them; send a test message.",
)


@alerts_app.callback()
@plain_errors
def alerts(context: typer.Context, as_json: Json = False) -> None:
    """List open problems, and the last message sent about each."""
    if context.invoked_subcommand is None:
        _list_open(as_json=as_json)


def _list_open(*, as_json: bool) -> None:
    from bidbeacon_pipelines.database.clock import read_now
    from bidbeacon_pipelines.database.engine import shared_engine
    from bidbeacon_pipelines.problems.alert_queries import list_last_messages
    from bidbeacon_pipelines.problems.alerts import list_open
    from bidbeacon_pipelines.problems.receivers import list_receivers

    settings = get_settings()
    labels = {receiver.number: receiver.label for receiver in list_receivers(settings)}
    with shared_engine(database_url(settings)).begin() as connection:
        found = list_open(connection, settings, read_now(connection, settings))
        sent = list_last_messages(connection, [alert.problem.key for alert in found])
    rows = [_row(alert, sent[alert.problem.key], labels) for alert in found]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        _print_row(row, settings.stream_public_url)
    nobody = "" if labels else " No messages are sent: BIDBEACON_ALERT_URLS is not set."
    console.print(
        Text(f"{len(rows)} open.{nobody}" if rows else f"Nothing is wrong.{nobody}", "bold")
    )


def _row(alert: "Alert", sent: Any, labels: dict[int, str]) -> dict[str, Any]:
    problem = alert.problem
    messages = [
        {"receiver": labels.get(message["receiver"], f"{message['receiver']}. removed")}
        | {name: message[name] for name in ("event", "written_at", "sent_at", "attempts", "error")}
        for message in sent
    ]
    names = ["kind", "cause", "to_do", "is_minor", "count", "noun"]
    names += ["names", "accounts", "datasets", "since", "link"]
    return {
        **{name: getattr(problem, name) for name in names},
        "extent": problem.extent,
        "whose": problem.whose,
        "began_at": alert.began_at,
        "gone_at": alert.gone_at,
        "messages": messages,
    }


def _print_row(row: dict[str, Any], address: str) -> None:
    from bidbeacon_pipelines.cli.session_output import print_hanging

    mark, style = ("!", "bold yellow") if row["is_minor"] else ("✖", "bold red")
    whose = f"{row['whose']}: " if row["whose"] else ""
    print_hanging(console, Text(f"{mark} ", style), Text(f"{whose}{row['cause']}"))
    gone = f", not seen since {row['gone_at']:%Y-%m-%d %H:%M} UTC" if row["gone_at"] else ""
    since = f"since {row['since'] or row['began_at']:%Y-%m-%d %H:%M} UTC{gone}"
    for line in filter(None, [f"{row['extent']}, {since}", row["to_do"]]):
        print_hanging(console, Text("  "), Text(line, "dim"))
    console.print(Text(f"  {address}{row['link']}", "dim"), soft_wrap=True)
    for message in row["messages"]:
        console.print(
            Text(
                f"  {message['receiver']}: {_sent(message)}",
                "dim" if message["sent_at"] else "yellow",
            )
        )


def _sent(message: dict[str, Any]) -> str:
    if message["sent_at"]:
        return f"“{message['event']}” sent {message['sent_at']:%Y-%m-%d %H:%M} UTC"
    waits = f"“{message['event']}” waits since {message['written_at']:%Y-%m-%d %H:%M} UTC"
    return (
        f"{waits}, {message['attempts']} attempts: {message['error']}"
        if message["error"]
        else waits
    )


@alerts_app.command()
@plain_errors
def test() -> None:
    """Send a test message to each receiver, and print the result.

    Exits with 1 if one did not accept it.
    """
    from bidbeacon_pipelines.problems.receivers import NotSentError, list_receivers

    settings = get_settings()
    receivers = list_receivers(settings)
    if not receivers:
        raise CommandFailedError(
            "BIDBEACON_ALERT_URLS is not set, so there is no receiver: see docs/alerts.md."
        )
    failed = 0
    for receiver in receivers:
        try:
            receiver.send(
                "BidBeacon: alerts arrive here", f"This is a test.\n{settings.stream_public_url}/"
            )
            console.print(Text("✔ ", "green"), Text(f"{receiver.label}: sent"), sep="")
        except NotSentError as error:
            failed += 1
            console.print(Text("✖ ", "bold red"), Text(f"{receiver.label}: {error}"), sep="")
    raise typer.Exit(1 if failed else 0)
