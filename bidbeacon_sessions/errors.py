"""Errors of job sessions, and `ExpectedError`, the base class of errors that are not bugs."""

import traceback
from typing import ClassVar

from bidbeacon_sessions.masking import mask_text


class ExpectedError(Exception):
    """An error that is not a bug: its message is for users; commands end with `exit_code`."""

    exit_code: ClassVar[int] = 1


class UsageError(ExpectedError):
    """Invalid or unknown input, or no usable database."""

    exit_code = 2


class SessionsError(ExpectedError):
    """Base class of the errors of job sessions."""


class ActionDefinitionError(SessionsError):
    """An action class is invalid: its type is in use, or its sentence or fields are wrong."""


class SessionClosedError(SessionsError):
    """Another process has closed the session, so nothing more may be written to it."""

    def __init__(self, session_id: str, status: str | None) -> None:
        self.session_id = session_id
        self.status = status
        super().__init__(
            f"Session {session_id} was closed by another process (status: {status or 'deleted'}), "
            "probably because this process sent no heartbeat. End this job: the next run continues "
            "its work."
        )


class SecondSessionError(SessionsError):
    """A Dagster step tries to open a second session in the same attempt."""

    def __init__(self, step_key: str) -> None:
        super().__init__(
            f"The step {step_key} already has a session, and a second session would count as a "
            "retry of the step. Record all work of the step in one session, or split the step into "
            "several ops."
        )


class DatabaseAwayError(SessionsError):
    """A write failed: the database was still unavailable after the last retry."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(
            f"The database can't be reached, so session {session_id} can't be recorded."
        )


class SettingsError(SessionsError, UsageError):
    """Settings are invalid, or their file is unreadable; `problems` has one text per problem."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class MaskedError(SessionsError):
    """Replaces an error that contains a secret; has that error's class name and masked text."""


def mask_error(error: BaseException) -> BaseException:
    """Return an error without secrets, to raise instead of the given error.

    If only the causes of the error contain a secret, the causes are removed. If its own text
    contains a secret, a `MaskedError` is returned.
    """
    if _is_clean(error):
        return error
    error.__cause__ = error.__context__ = None
    if _is_clean(error):
        return error
    masked = MaskedError(f"{type(error).__name__}: {mask_text(str(error))}")
    return masked.with_traceback(error.__traceback__)


def _is_clean(error: BaseException) -> bool:
    """Return whether the texts of an error and of its causes contain no secret."""
    text = "".join(traceback.format_exception(error, limit=0))
    return mask_text(text) == text
