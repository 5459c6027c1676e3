"""The errors and exit codes of commands."""

from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import wraps
from typing import ParamSpec

import typer

from bidbeacon_pipelines.cli.output import errors

P = ParamSpec("P")

_INSUFFICIENT_PRIVILEGE = "42501"


class ExitCode(IntEnum):
    """How a command ends."""

    OK = 0
    FAILED = 1
    """The command failed."""
    USAGE = 2
    """The request cannot be carried out: an option, an argument or a setting is invalid or names something unknown, or no database can be used."""
    INTERRUPTED = 130
    """By Ctrl-C; `__main__` ends with it, which imports nothing before."""


class BadOptionError(ValueError):
    """An option's value is invalid."""


class CommandFailedError(Exception):
    """A command failed; the message says why."""


def plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Print expected errors as one line; any other error is a bug and keeps its traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except BrokenPipeError:
            raise  # typer exits quietly: the reader of the output has closed it
        except (*_usage_errors(), *_failures()) as error:
            raise typer.Exit(report_error(error)) from None
        except Exception as error:
            if not _is_missing_right(error):
                raise
            raise typer.Exit(report_error(error)) from None

    return wrapped


def report_error(error: Exception) -> ExitCode:
    """Print an expected error as one line, without secrets; return the exit code that its class decides."""
    from bidbeacon_sessions.masking import mask_text

    line = mask_text(_line_of(error))
    errors.print(line, style="bold red", markup=False, highlight=False, soft_wrap=True)
    return ExitCode.USAGE if isinstance(error, _usage_errors()) else ExitCode.FAILED


def _line_of(error: Exception) -> str:
    from sqlalchemy.exc import OperationalError

    if isinstance(error, OSError):
        return f"The operating system refused: {error}."
    if isinstance(error, OperationalError):
        return (
            f"The database failed ({_database_reason(error)}): run `bidbeacon doctor` to check it."
        )
    if _is_missing_right(error):
        return (
            f"The role of BIDBEACON_DATABASE_URL may not do this ({_database_reason(error)}): use the role that owns the "
            "tables, or grant it the right."
        )
    return str(error)


def _database_reason(error: Exception) -> str:
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]


def _is_missing_right(error: Exception) -> bool:
    """Return whether the role's rights did not suffice; the error may be psycopg's, or of Dagster's psycopg2."""
    origin = getattr(error, "orig", error)
    return _INSUFFICIENT_PRIVILEGE in {
        getattr(origin, "sqlstate", None),
        getattr(origin, "pgcode", None),
    }


def _usage_errors() -> tuple[type[Exception], ...]:
    from bidbeacon_pipelines.accounts.names import AmbiguousAccountError, BadAliasError
    from bidbeacon_pipelines.accounts.queries import UnknownAccountError
    from bidbeacon_pipelines.accounts.rules import BadCadenceError
    from bidbeacon_pipelines.database.errors import DatabaseUnavailableError
    from bidbeacon_pipelines.database.schema import SchemaError
    from bidbeacon_pipelines.datasets.registry import UnknownDatasetError
    from bidbeacon_pipelines.requests.wanted import CannotAskError
    from bidbeacon_sessions.errors import InvalidDatabaseUrlError, SettingsError, UnsafeAddressError

    return (
        AmbiguousAccountError,
        BadAliasError,
        BadOptionError,
        BadCadenceError,
        DatabaseUnavailableError,
        CannotAskError,
        SchemaError,
        SettingsError,
        InvalidDatabaseUrlError,
        UnknownAccountError,
        UnknownDatasetError,
        UnsafeAddressError,
    )


def _failures() -> tuple[type[Exception], ...]:
    from sqlalchemy.exc import OperationalError

    from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
    from bidbeacon_pipelines.requests.backfill import AccountSkippedError, WindowNotLoadedError
    from bidbeacon_sessions import SessionsError

    return (
        AdsApiError,
        AccountSkippedError,
        CommandFailedError,
        WindowNotLoadedError,
        SessionsError,
        OperationalError,
        OSError,
    )


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse arguments with bytes that are not UTF-8: no name of ours has any, and the database takes none.

    Raises:
        BadOptionError: one has.
    """
    for argument in arguments:
        if any("\ud800" <= char <= "\udfff" for char in argument):
            raise BadOptionError(f"Expected arguments in UTF-8, got: {argument!a}.")
