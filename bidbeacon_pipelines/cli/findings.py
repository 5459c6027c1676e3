"""The commands on what is wrong: check the whole system, list findings and alerts, acknowledge, send a test message."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from bidbeacon_pipelines.cli.database import open_store
from bidbeacon_pipelines.cli.errors import CommandFailedError
from bidbeacon_pipelines.cli.output import (
    SEVERITIES,
    Json,
    console,
    print_hanging,
    print_json,
    print_line,
)
from bidbeacon_pipelines.database.address import find_database
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.database.errors import DatabaseUnavailableError
from bidbeacon_pipelines.problems import alerts
from bidbeacon_pipelines.problems.alert_rules import Known, Message
from bidbeacon_pipelines.problems.doctor import Check, examine
from bidbeacon_pipelines.problems.findings import counted
from bidbeacon_pipelines.problems.home import finding_json
from bidbeacon_pipelines.problems.receivers import NotSentError, list_receivers
from bidbeacon_pipelines.problems.survey import survey
from bidbeacon_pipelines.settings import get_settings

_Key = Annotated[
    str, typer.Argument(help="The finding's key, as `bidbeacon alerts list` prints it.")
]


def doctor(as_json: Json = False) -> None:
    """Check database and Amazon, list all findings as Home does, and print what to do.

    Exits with 1 if something is broken.
    """
    checks = []
    for check in _checks():
        checks.append(check)
        if not as_json:
            head = Text.assemble((check.name, "bold"), ": ", check.found)
            to_do = [f"→ {check.to_do}"] if check.to_do else []
            _print_entry(check.severity, head, [*check.details, *to_do])
            _print_link(check.facts.get("link"))
    broken = sum(check.severity == "error" for check in checks)
    odd = sum(check.severity == "warning" for check in checks)
    if as_json:
        print_json({"ok": not broken, "checks": [asdict(check) for check in checks]})
    else:
        console.print(_summary(broken, odd))
    raise typer.Exit(1 if broken else 0)


def _checks() -> Iterator[Check]:
    settings = get_settings()
    try:
        url = find_database(settings)
    except DatabaseUnavailableError as error:
        return examine(settings, None, str(error))
    return examine(settings, shared_engine(url))


def _print_entry(severity: str, head: Text, lines: Sequence[str]) -> None:
    """Print a mark and a line, with the others below it."""
    mark, style = SEVERITIES[severity]
    print_hanging(console, Text(f"{mark} ", style), head)
    for line in lines:
        print_hanging(console, Text("  "), Text(line, "dim"))


def _print_link(path: str | None) -> None:
    """Print the address of a page on one line, however long it is, so that it can be opened and copied."""
    if path is not None:
        line = Text(f"  {get_settings().stream_public_url}{path}", "dim")
        console.print(line, soft_wrap=True)


def _summary(broken: int, odd: int) -> Text:
    warnings = counted(odd, "warning")
    if broken:
        return Text(f"{broken} broken" + (f", {warnings}." if odd else "."), "bold red")
    return Text(f"{warnings}, nothing broken.", "yellow") if odd else Text("All is well.", "green")


def alerts_list(as_json: Json = False) -> None:
    """List what is wrong now, and the last alert about each."""
    settings = get_settings()
    labels = {receiver.number: receiver.label for receiver in list_receivers(settings)}
    with open_store().begin() as connection:
        now = read_now(connection, settings)
        known = alerts.list_open(connection, survey(connection, settings, now).findings, now)
    if as_json:
        print_json([_finding_json(one, labels) for one in known])
        return
    for one in known:
        _print_entry(one.finding.severity, Text(one.finding.headline), list(_facts(one, labels)))
        _print_link(one.finding.link)
    nobody = "" if labels else " No alerts are sent: BIDBEACON_ALERT_URLS is not set."
    said = f"{len(known)} open.{nobody}" if known else f"Nothing is wrong.{nobody}"
    console.print(Text(said, "bold"))


def _finding_json(known: Known, labels: dict[int, str]) -> dict[str, Any]:
    sent = [
        {"receiver": labels.get(number), "event": told.event, "at": told.at}
        for number, told in known.told.items()
    ]
    return finding_json(known) | {"began_at": known.began_at, "alerts": sent}


def _facts(known: Known, labels: dict[int, str]) -> Iterator[str]:
    finding, given = known.finding, known.acknowledged
    again = f", continues at {_minute(finding.next_at)}" if finding.next_at else ""
    yield f"{finding.key}, since {_minute(known.since)}{again}"
    yield from (effect.text for effect in finding.effects)
    if finding.advice:
        yield finding.advice
    if given:
        yield f"acknowledged by {given.by} {_minute(given.at)}. {given.note}"
    for number, told in known.told.items():
        yield f"{labels.get(number)}: “{told.event}” sent {_minute(told.at)}"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def alerts_acknowledge(
    key: _Key,
    note: Annotated[str, typer.Option(help="Why, for those who read it later.")] = "",
    by: Annotated[str, typer.Option(help="Who does so.")] = "command line",
) -> None:
    """Acknowledge a finding: no alert comes until it gets worse, is twice as large, or ends."""
    _change(alerts.acknowledge, key, by=by, note=note)
    print_line(f"{key} is acknowledged until it changes.")


def alerts_unacknowledge(key: _Key) -> None:
    """Take an acknowledgement back."""
    _change(alerts.unacknowledge, key)
    print_line(f"{key} is not acknowledged any more.")


def _change(change: Callable[..., Known], key: str, **facts: str) -> None:
    settings = get_settings()
    with open_store().begin() as connection:
        change(connection, settings, read_now(connection, settings), key, **facts)


def alerts_test() -> None:
    """Send a test message to each receiver, and print the result.

    Exits with 1 if one did not accept it.
    """
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
            _print_entry("fine", Text(f"{receiver.label}: sent"), [])
        except NotSentError as error:
            failed += 1
            _print_entry("error", Text(f"{receiver.label}: {error}"), [])
    raise typer.Exit(1 if failed else 0)
