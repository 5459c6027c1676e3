"""Commands for findings and alerts: check, list, acknowledge, send a test message."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.cli.options import open_store
from bidbeacon_pipelines.cli.output import Json, console, print_entry, print_json
from bidbeacon_pipelines.database.address import get_database
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.database.engine import DatabaseUnavailableError, shared_engine
from bidbeacon_pipelines.problems import alerts
from bidbeacon_pipelines.problems.alert_rules import AlertMessage, KnownFinding
from bidbeacon_pipelines.problems.doctor import as_checked, examine
from bidbeacon_pipelines.problems.findings import Finding, counted
from bidbeacon_pipelines.problems.home import finding_json
from bidbeacon_pipelines.problems.receivers import NotSentError, list_receivers
from bidbeacon_pipelines.problems.survey import survey
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.errors import ExpectedError, UsageError

_Key = Annotated[
    str, typer.Argument(help="The finding's key, as `bidbeacon alerts list` prints it.")
]


def doctor(as_json: Json = False) -> None:
    """Check the database and the access to Amazon, and list all findings with what to do.

    Exits with 1 if a check fails or a finding is an error.
    """
    settings = get_settings()
    found: list[Finding | KnownFinding] = []
    try:
        examined = examine(settings, shared_engine(get_database(settings)))
    except DatabaseUnavailableError as error:
        examined = examine(settings, None, str(error))
    for one in examined:
        found.append(one)
        if not as_json:
            _print_check(as_checked(one))
    severities = [as_checked(one).severity for one in found]
    broken, odd = severities.count(Severity.ERROR), severities.count(Severity.WARNING)
    if as_json:
        print_json({"ok": not broken, "checks": list(map(_check_json, found))})
    else:
        warnings = f", {counted(odd, 'warning')}" if odd else ""
        summary = f"{counted(broken, 'error')}{warnings}." if broken or odd else "All is well."
        console.print(summary, style="bold red" if broken else "yellow" if odd else "green")
    raise typer.Exit(1 if broken else 0)


def _check_json(found: Finding | KnownFinding) -> Any:
    return finding_json(found) if isinstance(found, KnownFinding) else msgspec.to_builtins(found)


def _print_check(check: Finding, *more: str) -> None:
    head = Text.assemble((check.code, "bold"), ": ", check.headline)
    details = [effect.text for effect in check.effects]
    to_do = f"→ {check.advice}" if check.advice else None
    link = f"{get_settings().stream_public_url}{check.link}" if check.link else None
    print_entry(check.severity, head, [*details, *more, to_do], link)


def alerts_list(as_json: Json = False) -> None:
    """List the findings that `bidbeacon doctor` lists, with their keys and last alerts."""
    settings = get_settings()
    labels = {receiver.number: receiver.label for receiver in list_receivers(settings)}
    with open_store().begin() as connection:
        now = read_now(connection, settings)
        known = alerts.list_open(connection, survey(connection, settings, now).findings, now)
    listed = [_finding_json(one, labels) for one in known]
    if as_json:
        print_json(listed)
        return
    for one, shown in zip(known, listed, strict=True):
        again = f", BidBeacon tries again at {_minute(at)}" if (at := one.finding.next_at) else ""
        sent = [
            f"{alert['receiver']}: “{alert['event']}” sent {_minute(alert['at'])}"
            for alert in shown["alerts"]
        ]
        _print_check(
            as_checked(one), f"{one.finding.key}, since {_minute(one.since)}{again}", *sent
        )
    unsent = "" if labels else " No alerts are sent: BIDBEACON_ALERT_URLS is not set."
    summary = (
        f"{counted(len(known), 'open finding')}.{unsent}" if known else f"Nothing is wrong.{unsent}"
    )
    console.print(summary, style="bold")


def _finding_json(known: KnownFinding, labels: dict[int, str]) -> dict[str, Any]:
    sent = [
        {"receiver": labels.get(number), "event": alert.event, "at": alert.at}
        for number, alert in known.last_alerts.items()
    ]
    return finding_json(known) | {"began_at": known.began_at, "alerts": sent}


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def alerts_acknowledge(
    key: _Key,
    note: Annotated[str, typer.Option(help="The reason, for later readers.")] = "",
    by: Annotated[str, typer.Option(help="Your name.")] = "command line",
) -> None:
    """Acknowledge a finding, so that no alerts about the finding are sent.

    This lasts until the severity of the finding rises, its count doubles, or the finding ends.
    Exits with 2 if there is no such finding.
    """
    _change(alerts.acknowledge, key, by=by, note=note)
    console.print(
        f"{key} is acknowledged: no alerts until its severity rises, its count doubles or it ends."
    )


def alerts_unacknowledge(key: _Key) -> None:
    """Remove the acknowledgement of a finding, so that alerts of it are sent again."""
    _change(alerts.unacknowledge, key)
    console.print(f"{key} is not acknowledged any more.")


def _change(change: Callable[..., KnownFinding], key: str, **facts: str) -> None:
    settings = get_settings()
    with open_store().begin() as connection:
        try:
            change(connection, settings, read_now(connection, settings), key, **facts)
        except alerts.FindingIsOverError as error:
            keys = ", ".join(error.keys) or "there are no findings now"
            raise UsageError(f"Expected the key of a finding ({keys}), got: {key!r}.") from None


def alerts_test() -> None:
    """Send a test message to each receiver of alerts, and print the results.

    Exits with 1 if a receiver did not accept the message.
    """
    settings = get_settings()
    receivers = list_receivers(settings)
    if not receivers:
        raise ExpectedError(
            "BIDBEACON_ALERT_URLS is not set, so there is no receiver: "
            "see docs/how-to/set-up-alerts.md."
        )
    body = f"This is a test.\n{settings.stream_public_url}/"
    message, failed = AlertMessage("BidBeacon: alerts arrive here", body), 0
    for receiver in receivers:
        try:
            receiver.send(message)
            print_entry("fine", Text(f"{receiver.label}: sent"))
        except NotSentError as error:
            failed += 1
            print_entry("error", Text(f"{receiver.label}: {error}"))
    raise typer.Exit(1 if failed else 0)
