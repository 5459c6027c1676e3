"""The command `bidbeacon`: everything that can be done without Dagster's UI.

Each subcommand is a function in one of the modules of this package.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from bidbeacon_pipelines.cli import (
    accounts,
    contract,
    credentials,
    findings,
    loading,
    probe,
    services,
    sessions,
    windows,
)
from bidbeacon_pipelines.cli.output import report, safe_output, safe_text
from bidbeacon_pipelines.cli.signals import resend_lost_signals
from bidbeacon_pipelines.private_files import make_new_files_private

__all__ = ["app", "main"]


class _Root(TyperGroup):
    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override] # the group's own type has typer's copy of click
        try:
            return super().invoke(ctx)
        except (TyperException, typer.Abort, typer.Exit):
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is reported
            raise typer.Exit(report(error)) from None


app = typer.Typer(
    cls=_Root,
    help="Everything that can be done without Dagster's UI.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes the option's value
    if wanted:
        typer.echo(f"bidbeacon {version('bidbeacon')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and exit."
        ),
    ] = False,
) -> None:
    pass


_MODULES = (accounts, contract, credentials, findings, services, sessions, windows, loading)
_GROUPS = {
    "accounts": "Advertiser accounts; each is an Amazon ads account in one country.",
    "alerts": "List findings and alerts about them, acknowledge a finding, send a test message.",
    "contract": "Overrides of the registry of datasets, learned from Amazon or set by a person.",
    "credentials": "Named refresh tokens, and the ads accounts that belong to each.",
    "db": "The database: the embedded database, or the database at BIDBEACON_DATABASE_URL.",
    "entities": "Campaigns, ad groups, ads, targets and portfolios, as last received from Amazon.",
    "quarantine": "Invalid rows of reports: as received, with the reason.",
    "sessions": "Sessions of jobs, with their input and actions.",
    "windows": "Decide on final days for which a later report lacks most of the loaded rows.",
}
_UNGROUPED: Sequence[Callable[..., None]] = [
    *(services.dev, services.stream, services.login, findings.doctor, probe.probe),
    *(loading.refresh, loading.load, windows.explain, windows.restatements),
]


def _add_commands() -> None:
    # `accounts list` is the function `accounts_list` of one of the modules.
    for function in _UNGROUPED:
        app.command()(function)
    functions = {name: each for module in _MODULES for name, each in vars(module).items()}
    for group, description in _GROUPS.items():
        commands = typer.Typer(help=description, no_args_is_help=True)
        for name, function in functions.items():
            if name.startswith(f"{group}_"):
                commands.command(name.removeprefix(f"{group}_"))(function)
        app.add_typer(commands, name=group)


_add_commands()


def main() -> None:
    """Run the command; if it fails, print the error and exit with the error's exit code."""
    make_new_files_private()
    resend_lost_signals()
    try:
        with safe_output():
            app(args=list(map(_checked, sys.argv[1:])))
    except Exception as error:  # noqa: BLE001 - it is reported
        sys.exit(report(error))


def _checked(argument: str) -> str:
    """Return an argument with control characters made visible; refuse invalid UTF-8."""
    if any("\ud800" <= char <= "\udfff" for char in argument):
        raise typer.BadParameter(f"Expected arguments in UTF-8, got: {argument!a}.")
    return safe_text(argument)
