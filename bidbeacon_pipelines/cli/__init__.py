"""The command `bidbeacon`: everything that can be done without Dagster's UI.

Each command is a function of one of the modules here, which is imported when the command is run:
a misspelt one is refused at once.
"""

import gc
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from bidbeacon_pipelines.cli.output import report, safe_output, safe_text
from bidbeacon_pipelines.private_files import keep_new_files_private

__all__ = ["app", "main"]


_MODULES: Final = {
    "accounts": (
        "accounts list, accounts pause, accounts resume, accounts rename, accounts cadence, "
        "entities list"
    ),
    "contract": "contract list, contract set, contract forget",
    "credentials": "credentials list, credentials check, credentials assign",
    "findings": "doctor, alerts list, alerts acknowledge, alerts unacknowledge, alerts test",
    "loading": "refresh, load, accounts sync, entities sync, quarantine replay",
    "probe": "probe",
    "services": "dev, stream, login, db start, db upgrade, db url, db shell",
    "sessions": "sessions list, sessions show, sessions tail",
    "windows": "explain, restatements, quarantine list, windows accept, windows keep",
}
"""The commands by module: `accounts list` is the function `accounts_list` of the module `accounts`."""

_GROUPS: Final = {
    "accounts": "Advertiser accounts: an Amazon ads account in one country each.",
    "alerts": "List what is wrong now and the alerts about it, acknowledge it, send a test message.",
    "contract": "What Amazon serves differently from the registry: learned, or set by a person.",
    "credentials": "Named refresh tokens of our clients, and the ads accounts of each.",
    "db": "The database: the embedded one, or that of BIDBEACON_DATABASE_URL.",
    "entities": "Campaigns, ad groups, ads, targets and portfolios, as last received from Amazon.",
    "quarantine": "Invalid rows of reports: as received, with the reason.",
    "sessions": "Job sessions: each job's input and actions.",
    "windows": "Final days of which a later report has far fewer rows: accept it, or keep ours.",
}
"""The help of each group."""

_COMMANDS: Final = {name: module for module in _MODULES for name in _MODULES[module].split(", ")}


class _Commands(Mapping[str, Any]):
    """The commands whose names begin with a group's; the module of each is imported when it is looked up."""

    def __init__(self, prefix: str = "") -> None:
        below = (name.removeprefix(prefix) for name in _COMMANDS if name.startswith(prefix))
        self._prefix = prefix
        self._names = dict.fromkeys(name.partition(" ")[0] for name in below)

    def __getitem__(self, name: str) -> Any:
        if self._prefix + name in _GROUPS:
            commands: Any = _Commands(f"{name} ")
            return TyperGroup(
                name=name, help=_GROUPS[name], commands=commands, no_args_is_help=True
            )
        whole = self._prefix + name
        module = _import(f"{__name__}.{_COMMANDS[whole]}")
        single = typer.Typer(add_completion=False)
        single.command(name)(getattr(module, whole.replace(" ", "_")))
        return typer.main.get_command(single)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _import(name: str) -> ModuleType:
    """Import a module, and let the garbage collector leave out what that made: it stays until the end.

    Collections while modules are imported, and at exit, would take a third of a short command's time.
    """
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()


class _Root(TyperGroup):
    """All commands; what goes wrong in one is reported, and an exit code."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes | {"commands": _Commands()})

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except (TyperException, typer.Abort, typer.Exit):
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is reported
            raise typer.Exit(report(error)) from None


app = typer.Typer(cls=_Root, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback(help="Everything that can be done without Dagster's UI.")
def _bidbeacon() -> None:
    pass


def main() -> None:
    """Run the command; what goes wrong is one clear line and an exit code."""
    keep_new_files_private()
    try:
        with safe_output():
            app(args=list(map(_checked, sys.argv[1:])))
    except Exception as error:  # noqa: BLE001 - it is reported
        sys.exit(report(error))


def _checked(argument: str) -> str:
    """Return an argument with visible control characters; refuse bytes that are not UTF-8, which no name of ours has."""
    if any("\ud800" <= char <= "\udfff" for char in argument):
        raise typer.BadParameter(f"Expected arguments in UTF-8, got: {argument!a}.")
    return safe_text(argument)
