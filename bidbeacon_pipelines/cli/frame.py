"""What all commands share: where they print, how they fail, and which database they work on."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, ParamSpec

import typer

from bidbeacon_pipelines.cli.safe_console import SafeConsole, safe_json
from bidbeacon_pipelines.settings import Settings

console = SafeConsole()
errors = SafeConsole(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
P = ParamSpec("P")


class BadOptionError(ValueError):
    """An option's value can't be understood."""


def plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Show errors that say what to do as one line; anything else is a bug and keeps its traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except _expected_errors() as error:
            from bidbeacon_sessions.redaction import redact_text

            errors.print(redact_text(str(error)), style="bold red", markup=False, highlight=False)
            raise typer.Exit(1) from None

    return wrapped


def _expected_errors() -> tuple[type[Exception], ...]:
    from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
    from bidbeacon_pipelines.dev.errors import LocalError
    from bidbeacon_pipelines.reports.cadence import BadCadenceError
    from bidbeacon_pipelines.reports.datasets import UnknownDatasetError
    from bidbeacon_pipelines.reports.partition_bound import TooManyPartitionsError
    from bidbeacon_pipelines.services.by_hand import AccountSkippedError, WindowNotLoadedError
    from bidbeacon_pipelines.store.accounts import UnknownAccountError
    from bidbeacon_sessions import SessionsError

    return (
        AdsApiError,
        AccountSkippedError,
        WindowNotLoadedError,
        LocalError,
        UnknownDatasetError,
        UnknownAccountError,
        SessionsError,
        BadCadenceError,
        TooManyPartitionsError,
        BadOptionError,
    )


def database_url(settings: Settings) -> str:
    """Give the address of the database, with its tables brought up to date.

    Raises:
        DatabaseUnavailableError: There is none, or our role may not bring it up to date; the message says what to do.
    """
    from psycopg.errors import InsufficientPrivilege
    from sqlalchemy.exc import ProgrammingError

    from bidbeacon_pipelines.dev.errors import DatabaseUnavailableError
    from bidbeacon_pipelines.dev.postgres import resolve_database_url
    from bidbeacon_pipelines.store.migrate import upgrade

    url = resolve_database_url(settings)
    try:
        upgrade(url)
    except ProgrammingError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        raise DatabaseUnavailableError(
            f"The role of BIDBEACON_DATABASE_URL may not bring the tables up to date ({error.orig.diag.message_primary}): "
            "run `bidbeacon db upgrade` as the role that owns them."
        ) from error
    return url


def print_json(value: Any) -> None:
    """Print a value as JSON; what JSON has no form for, as text."""
    sys.stdout.write(safe_json(value, indent=2) + "\n")
