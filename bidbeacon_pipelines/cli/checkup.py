"""The command that checks the whole system, and says what to do about problems."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from bidbeacon_pipelines.cli.errors import plain_errors
from bidbeacon_pipelines.cli.output import Json, console, print_json
from bidbeacon_pipelines.settings import get_settings

if TYPE_CHECKING:
    from bidbeacon_pipelines.problems.doctor import Check

_MARKS = {
    "fine": ("✔", "green"),
    "waiting": ("…", "cyan"),
    "warning": ("!", "bold yellow"),
    "error": ("✖", "bold red"),
}


@plain_errors
def doctor(as_json: Json = False) -> None:
    """Check database and Amazon, list all findings as Home does, and print what to do.

    Exits with 1 if something is broken.
    """
    checks = []
    for check in _checks():
        checks.append(check)
        if not as_json:
            console.print(_lines(check))
    broken = sum(check.severity == "error" for check in checks)
    odd = sum(check.severity == "warning" for check in checks)
    if as_json:
        print_json({"ok": not broken, "checks": [asdict(check) for check in checks]})
    else:
        console.print(_summary(broken, odd))
    raise typer.Exit(1 if broken else 0)


def _checks() -> "Iterator[Check]":
    from bidbeacon_pipelines.database.address import find_database
    from bidbeacon_pipelines.database.engine import shared_engine
    from bidbeacon_pipelines.database.errors import DatabaseUnavailableError
    from bidbeacon_pipelines.problems.doctor import examine

    settings = get_settings()
    try:
        url = find_database(settings)
    except DatabaseUnavailableError as error:
        return examine(settings, None, str(error))
    return examine(settings, shared_engine(url))


def _lines(check: "Check") -> Table:
    """Return a check as a line, wrapped under itself, with its details and what to do below."""
    mark, style = _MARKS[check.severity]
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(overflow="fold")
    grid.add_row(Text(mark, style), Text.assemble((check.name, "bold"), ": ", check.found))
    for detail in check.details:
        grid.add_row("", Text(detail, "dim"))
    if check.to_do:
        grid.add_row("", Text(f"→ {check.to_do}", style if check.severity != "fine" else "cyan"))
    return grid


def _summary(broken: int, odd: int) -> Text:
    warnings = f"{odd} {'warning' if odd == 1 else 'warnings'}"
    if broken:
        return Text(f"{broken} broken" + (f", {warnings}." if odd else "."), "bold red")
    return Text(
        f"{warnings}, nothing broken." if odd else "All is well.", "yellow" if odd else "green"
    )
