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

from bidbeacon_pipelines.cli.output import safe_output, safe_text
from bidbeacon_pipelines.private_files import keep_new_files_private

__all__ = ["app", "main"]


_COMMANDS: Final = {
    "services": "dev stream",
    "probe": "probe",
    "loading": "refresh load",
    "windows": "explain restatements",
    "findings": "doctor",
}
"""The commands without a group, by the module that has the function of the same name."""

_GROUPS: Final = {
    "accounts": (
        "Advertiser accounts: an Amazon ads account in one country each.",
        {"account_lists": "list", "accounts": "pause resume rename cadence", "loading": "sync"},
    ),
    "alerts": (
        "List what is wrong now and the alerts about it, acknowledge it, send a test message.",
        {"findings": "list acknowledge unacknowledge test"},
    ),
    "contract": (
        "What Amazon serves differently from the registry: learned from its answers, or set by a person.",
        {"contract": "list set forget"},
    ),
    "credentials": (
        "Credentials: named refresh tokens of our clients, and the ads accounts that belong to each.",
        {"credentials": "list check assign"},
    ),
    "db": (
        "The database: the embedded one, or that of BIDBEACON_DATABASE_URL.",
        {"database": "upgrade url shell", "services": "start"},
    ),
    "entities": (
        "Campaigns, ad groups, ads, targets and portfolios, as last received from Amazon.",
        {"account_lists": "list", "loading": "sync"},
    ),
    "quarantine": (
        "Invalid rows of reports: as received, with the reason.",
        {"quarantine": "list replay"},
    ),
    "sessions": (
        "Job sessions: each job's input and actions.",
        {"sessions": "list show tail"},
    ),
}
"""Groups: their help, and their commands by module; `accounts list` is the function `accounts_list`."""


class _Commands(Mapping[str, Any]):
    """The commands of a group by name; the module of each is imported when it is looked up.

    Args:
        modules: Names of commands by module.
        prefix: What the names of their functions begin with.
        groups: Groups below.
    """

    def __init__(
        self, modules: Mapping[str, str], prefix: str = "", groups: Mapping[str, TyperGroup] = {}
    ) -> None:
        self._modules = {name: module for module in modules for name in modules[module].split()}
        self._prefix = prefix
        self._groups = groups

    def __getitem__(self, name: str) -> Any:
        if name in self._groups:
            return self._groups[name]
        module = _import(f"{__name__}.{self._modules[name]}")
        single = typer.Typer(add_completion=False)
        single.command(name)(getattr(module, f"{self._prefix}{name}"))
        return typer.main.get_command(single)

    def __iter__(self) -> Iterator[str]:
        return iter((*self._modules, *self._groups))

    def __len__(self) -> int:
        return len(self._modules) + len(self._groups)


def _import(name: str) -> ModuleType:
    """Import a module without garbage collections, which find nothing meanwhile and take an eighth of the time."""
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.enable()


def _group(name: str) -> TyperGroup:
    help_text, modules = _GROUPS[name]
    commands: Any = _Commands(modules, f"{name}_")
    return _Group(name=name, help=help_text, commands=commands, no_args_is_help=True)


class _Group(TyperGroup):
    """A group that lists its commands without importing them, as completion does."""

    def list_commands(self, _: Any) -> list[str]:
        """Return the names."""
        return list(self.commands)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take `alerts` alone for `alerts list`."""
        return super().parse_args(ctx, args or (["list"] if self.name == "alerts" else []))


class _Root(_Group):
    """All commands; an error of one that is no bug is one line and an exit code."""

    def __init__(self, **attributes: Any) -> None:
        groups = {name: _group(name) for name in _GROUPS}
        super().__init__(**attributes | {"commands": _Commands(_COMMANDS, groups=groups)})

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except (TyperException, typer.Abort, typer.Exit):
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - bugs are raised again
            raise typer.Exit(_errors().report(error)) from None


def _errors() -> Any:
    """Return the module that reports errors: it knows those of the database, and takes as long to import as the rest."""
    return import_module(f"{__name__}.errors")


app = typer.Typer(cls=_Root, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback(help="Everything that can be done without Dagster's UI.")
def _bidbeacon() -> None:
    pass


def main() -> None:
    """Run the command; what goes wrong is one clear line and an exit code (`ExitCode`)."""
    keep_new_files_private()
    try:
        with safe_output():
            app(args=list(map(_checked, sys.argv[1:])))
    except Exception as error:  # noqa: BLE001 - it is reported
        sys.exit(_errors().report_at_the_end(error))


def _checked(argument: str) -> str:
    """Return an argument with visible control characters; refuse bytes that are not UTF-8, which no name of ours has."""
    if any("\ud800" <= char <= "\udfff" for char in argument):
        raise _errors().BadOptionError(f"Expected arguments in UTF-8, got: {argument!a}.")
    return safe_text(argument)
