"""The commands on findings and alerts: list what is open, acknowledge it, send a test message."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from bidbeacon_pipelines.cli.database import database_url
from bidbeacon_pipelines.cli.errors import CommandFailedError, plain_errors
from bidbeacon_pipelines.cli.output import Json, console, print_json
from bidbeacon_pipelines.settings import Settings, get_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from bidbeacon_pipelines.problems.alert_rules import Known

alerts_app = typer.Typer(
    invoke_without_command=True,
    help="List what is wrong now and the alerts about it, acknowledge it, send a test message.",
)
_MARKS = {"waiting": ("…", "cyan"), "warning": ("!", "bold yellow"), "error": ("✖", "bold red")}
_Key = Annotated[str, typer.Argument(help="The finding's key, as `bidbeacon alerts` prints it.")]


@alerts_app.callback()
@plain_errors
def alerts(context: typer.Context, as_json: Json = False) -> None:
    """List what is wrong now, and the last alert about each."""
    if context.invoked_subcommand is None:
        _list_open(as_json=as_json)


@alerts_app.command("acknowledge")
@plain_errors
def acknowledge_finding(
    key: _Key,
    note: Annotated[str, typer.Option(help="Why, for those who read it later.")] = "",
    by: Annotated[str, typer.Option(help="Who does so.")] = "command line",
) -> None:
    """Acknowledge a finding: no alert comes until it gets worse, is twice as large, or ends."""
    from bidbeacon_pipelines.problems.alerts import acknowledge

    def change(connection: "Connection", settings: Settings, now: Any) -> None:
        acknowledge(connection, settings, now, key, by=by, note=note)

    _change(change)
    console.print(Text(f"{key} is acknowledged until it changes."))


@alerts_app.command("unacknowledge")
@plain_errors
def unacknowledge_finding(key: _Key) -> None:
    """Take an acknowledgement back."""
    from bidbeacon_pipelines.problems.alerts import unacknowledge

    def change(connection: "Connection", settings: Settings, now: Any) -> None:
        unacknowledge(connection, settings, now, key)

    _change(change)
    console.print(Text(f"{key} is not acknowledged any more."))


def _change(change: Any) -> None:
    from bidbeacon_pipelines.database.clock import read_now
    from bidbeacon_pipelines.database.engine import shared_engine
    from bidbeacon_pipelines.problems.alerts import FindingIsOverError

    settings = get_settings()
    with shared_engine(database_url(settings)).begin() as connection:
        try:
            change(connection, settings, read_now(connection, settings))
        except FindingIsOverError as error:
            raise CommandFailedError(f"{error} `bidbeacon alerts` lists what is open.") from None


def _list_open(*, as_json: bool) -> None:
    from bidbeacon_pipelines.database.clock import read_now
    from bidbeacon_pipelines.database.engine import shared_engine
    from bidbeacon_pipelines.problems.alerts import list_open
    from bidbeacon_pipelines.problems.receivers import list_receivers
    from bidbeacon_pipelines.problems.survey import survey

    settings = get_settings()
    labels = {receiver.number: receiver.label for receiver in list_receivers(settings)}
    with shared_engine(database_url(settings)).begin() as connection:
        now = read_now(connection, settings)
        known = list_open(connection, survey(connection, settings, now).findings, now)
    if as_json:
        print_json([_row(one, labels) for one in known])
        return
    for one in known:
        _print(one, labels, settings.stream_public_url)
    nobody = "" if labels else " No alerts are sent: BIDBEACON_ALERT_URLS is not set."
    said = f"{len(known)} open.{nobody}" if known else f"Nothing is wrong.{nobody}"
    console.print(Text(said, "bold"))


def _row(known: "Known", labels: dict[int, str]) -> dict[str, Any]:
    from bidbeacon_pipelines.problems.home import finding_json

    alerts = [
        {"receiver": labels.get(number), "event": told.event, "at": told.at}
        for number, told in known.told.items()
    ]
    return finding_json(known) | {"began_at": known.began_at, "alerts": alerts}


def _print(known: "Known", labels: dict[int, str], address: str) -> None:
    from bidbeacon_pipelines.cli.session_output import print_hanging

    finding = known.finding
    mark, style = _MARKS[finding.severity]
    print_hanging(console, Text(f"{mark} ", style), Text(finding.headline))
    again = f", goes on at {finding.next_at:%Y-%m-%d %H:%M} UTC" if finding.next_at else ""
    since = f"since {known.since:%Y-%m-%d %H:%M} UTC{again}"
    given = known.acknowledged
    by = f"acknowledged by {given.by} {given.at:%Y-%m-%d %H:%M} UTC. {given.note}" if given else ""
    lines = [f"{finding.key}, {since}", *(one.text for one in finding.effects), finding.advice, by]
    lines += [
        f"{labels.get(number)}: “{told.event}” sent {told.at:%Y-%m-%d %H:%M} UTC"
        for number, told in known.told.items()
    ]
    for line in filter(None, lines):
        print_hanging(console, Text("  "), Text(line, "dim"))
    console.print(Text(f"  {address}{finding.link}", "dim"), soft_wrap=True)


@alerts_app.command()
@plain_errors
def test() -> None:
    """Send a test message to each receiver, and print the result.

    Exits with 1 if one did not accept it.
    """
    from bidbeacon_pipelines.problems.alert_rules import Message
    from bidbeacon_pipelines.problems.receivers import NotSentError, list_receivers

    settings = get_settings()
    receivers = list_receivers(settings)
    if not receivers:
        raise CommandFailedError(
            "BIDBEACON_ALERT_URLS is not set, so there is no receiver: see docs/alerts.md."
        )
    body = f"This is a test.\n{settings.stream_public_url}/"
    message, failed = Message("BidBeacon: alerts arrive here", body), 0
    for receiver in receivers:
        try:
            receiver.send(message)
            console.print(Text("✔ ", "green"), Text(f"{receiver.label}: sent"), sep="")
        except NotSentError as error:
            failed += 1
            console.print(Text("✖ ", "bold red"), Text(f"{receiver.label}: {error}"), sep="")
    raise typer.Exit(1 if failed else 0)
