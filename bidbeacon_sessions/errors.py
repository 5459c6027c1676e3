"""The errors of job sessions, and `ExpectedError`, the base class of all errors that are no bugs."""

import traceback
from typing import ClassVar

from bidbeacon_sessions.masking import mask_text


class ExpectedError(Exception):
    """An error that is no bug: its message is a sentence for people, and says what to do.

    Attributes:
        exit_code: How a command ends that raises it: 1 where it failed.
    """

    exit_code: ClassVar[int] = 1


class UsageError(ExpectedError):
    """A request that can't be carried out: something given is invalid or unknown, or no database can be used."""

    exit_code = 2


class SessionsError(ExpectedError):
    """Anything that job sessions raise on purpose."""


class ActionDefinitionError(SessionsError):
    """An action's class is wrong: its type is taken, or its sentence and payload don't fit."""


class SessionClosedError(SessionsError):
    """The session was closed while this process was away, so nothing more may be written into it."""

    def __init__(self, session_id: str, status: str | None) -> None:
        self.session_id = session_id
        self.status = status
        super().__init__(
            f"Session {session_id} was closed as {status or 'gone'} by another process, probably because this one gave no sign "
            "of life: end this job, its work is taken up by the next run."
        )


class DatabaseAwayError(SessionsError):
    """The database was away for longer than a write is tried again."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"The database is away, so session {session_id} can't be recorded.")


class SettingsError(SessionsError, UsageError):
    """Settings are invalid, or their file can't be read; `problems` has a line for each."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class MaskedError(SessionsError):
    """Stands for an error that makes its text from a secret: the same type's name and text, masked."""


def mask_error(error: BaseException) -> BaseException:
    """Return an error to raise instead of one that may hold secrets: itself, where nothing is to be masked.

    Where only the errors that led to it hold one, it is the same without these. Where its own text
    does, it is a `MaskedError`.
    """
    if _is_clean(error):
        return error
    error.__cause__ = error.__context__ = None
    if _is_clean(error):
        return error
    masked = MaskedError(f"{type(error).__name__}: {mask_text(str(error))}")
    return masked.with_traceback(error.__traceback__)


def _is_clean(error: BaseException) -> bool:
    """Return whether what a traceback shows of an error beside the source code is free of secrets."""
    text = "".join(traceback.format_exception(error, limit=0))
    return mask_text(text) == text
