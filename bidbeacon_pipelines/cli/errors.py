"""How an error ends a command: as one line and an exit code; and how a signal does."""

import signal
import traceback
from enum import IntEnum
from types import FrameType
from typing import Final

from sqlalchemy.exc import OperationalError

from bidbeacon_pipelines.cli.output import errors
from bidbeacon_sessions.errors import ExpectedError, UsageError, mask_error
from bidbeacon_sessions.masking import mask_text

_INSUFFICIENT_PRIVILEGE = "42501"
_SIGNALS: Final = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


class ExitCode(IntEnum):
    """How a command ends; after a signal it is 128 and the signal's number."""

    OK = 0
    FAILED = ExpectedError.exit_code
    """The command failed."""
    USAGE = UsageError.exit_code
    """A command that can't be carried out: an option, an argument or a setting is invalid or names something unknown, or no database can be used."""
    INTERRUPTED = 128 + signal.SIGINT
    """By Ctrl-C; `__main__` ends with it, which imports nothing before."""


class BadOptionError(UsageError):
    """An option's value is invalid."""


class CommandFailedError(ExpectedError):
    """A command failed; the message says why."""


class StoppedBySignal(KeyboardInterrupt):
    """A signal asked the command to end.

    Attributes:
        number: The signal's.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"Stopped by {_SIGNALS[signal.Signals(number)]}")


def stop_at_signals() -> None:
    """End the command at Ctrl-C, SIGTERM and the end of the terminal from now on, so that its session is cancelled.

    A second signal ends the process at once. Signals that are ignored, as by `nohup`, stay ignored.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise StoppedBySignal(number)


def report(error: BaseException) -> int:
    """Print an error, or that a signal ended the command, as one line; return the exit code.

    Raises:
        BaseException: it is a bug, which keeps its traceback.
    """
    if isinstance(error, Exception):
        return report_error(error)
    if not isinstance(error, StoppedBySignal):
        raise error
    line = f"{error}: its session is cancelled, and the next run continues with the rest."
    errors.print(line, soft_wrap=True)
    return 128 + error.number


def report_at_the_end(error: Exception) -> int:
    """Print an error that no command has reported: a bug with its traceback, without secrets; return the exit code."""
    try:
        return report_error(error)
    except Exception as bug:  # noqa: BLE001 - it is the error
        trace = "".join(traceback.format_exception(mask_error(bug)))
        errors.print(trace, markup=False, soft_wrap=True, end="")
        return ExitCode.FAILED


def report_error(error: Exception) -> int:
    """Print an error as one line, without secrets; return its exit code.

    Raises:
        Exception: it is a bug, which keeps its traceback.
    """
    line = _line_of(error)
    if line is None:
        raise error
    errors.print(mask_text(line), style="bold red", markup=False, soft_wrap=True)
    return error.exit_code if isinstance(error, ExpectedError) else ExitCode.FAILED


def _line_of(error: Exception) -> str | None:
    if isinstance(error, ExpectedError):
        return str(error)
    reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
    if _is_missing_right(error):
        return (
            f"The role of BIDBEACON_DATABASE_URL may not do this ({reason}): use the role that owns the tables, or "
            "grant it the right."
        )
    if isinstance(error, OperationalError):
        return f"The database failed ({reason}): run `bidbeacon doctor` to check it."
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return f"The operating system refused: {error}."
    return None


def _is_missing_right(error: Exception) -> bool:
    """Return whether the role's rights did not suffice; the error may be psycopg's, or of Dagster's psycopg2."""
    origin = getattr(error, "orig", error)
    codes = {getattr(origin, "sqlstate", None), getattr(origin, "pgcode", None)}
    return _INSUFFICIENT_PRIVILEGE in codes
