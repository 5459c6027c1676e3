"""The command `bidbeacon`: everything that can be done without Dagster's UI.

Each command is a function of one of the modules here.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

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
    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run a command; report an error in one line and exit with its code."""
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
)


def _add_group(name: str, description: str, functions: Sequence[Callable[..., None]]) -> None:
    # `accounts list` is the function `accounts_list`.
    group = typer.Typer(help=description, no_args_is_help=True)
    for function in functions:
        group.command(function.__name__.removeprefix(f"{name}_"))(function)
    app.add_typer(group, name=name)


_UNGROUPED: Sequence[Callable[..., None]] = [
    *(services.dev, services.stream, services.login, findings.doctor, probe.probe),
    *(loading.refresh, loading.load, windows.explain, windows.restatements),
]
for _function in _UNGROUPED:
    app.command()(_function)
_add_group(
    "accounts",
    "Advertiser accounts: an Amazon ads account in one country each.",
    [
        *(accounts.accounts_list, accounts.accounts_pause, accounts.accounts_resume),
        *(accounts.accounts_rename, accounts.accounts_cadence, loading.accounts_sync),
    ],
)
_add_group(
    "alerts",
    "List what is wrong now and the alerts about it, acknowledge it, send a test message.",
    [
        *(findings.alerts_list, findings.alerts_acknowledge),
        *(findings.alerts_unacknowledge, findings.alerts_test),
    ],
)
_add_group(
    "contract",
    "What Amazon serves differently from the registry: learned, or set by a person.",
    [contract.contract_list, contract.contract_set, contract.contract_forget],
)
_add_group(
    "credentials",
    "Named refresh tokens of our clients, and the ads accounts of each.",
    [credentials.credentials_list, credentials.credentials_check, credentials.credentials_assign],
)
_add_group(
    "db",
    "The database: the embedded one, or that of BIDBEACON_DATABASE_URL.",
    [services.db_start, services.db_upgrade, services.db_url, services.db_shell],
)
_add_group(
    "entities",
    "Campaigns, ad groups, ads, targets and portfolios, as last received from Amazon.",
    [accounts.entities_list, loading.entities_sync],
)
_add_group(
    "quarantine",
    "Invalid rows of reports: as received, with the reason.",
    [windows.quarantine_list, loading.quarantine_replay],
)
_add_group(
    "sessions",
    "Job sessions: each job's input and actions.",
    [sessions.sessions_list, sessions.sessions_show, sessions.sessions_tail],
)
_add_group(
    "windows",
    "Final days of which a later report has far fewer rows: accept it, or keep ours.",
    [windows.windows_accept, windows.windows_keep],
)


def main() -> None:
    """Run the command; report an error in one line and exit with its code."""
    make_new_files_private()
    resend_lost_signals()
    try:
        with safe_output():
            app(args=list(map(_checked, sys.argv[1:])))
    except Exception as error:  # noqa: BLE001 - it is reported
        sys.exit(report(error))


def _checked(argument: str) -> str:
    """Return an argument with visible control characters; refuse bytes that are not UTF-8."""
    if any("\ud800" <= char <= "\udfff" for char in argument):
        raise typer.BadParameter(f"Expected arguments in UTF-8, got: {argument!a}.")
    return safe_text(argument)
