"""The errors of job sessions.

```
SessionsError
├── ActionDefinitionError     an action's class is wrong: found at import
├── SessionClosedError        the session was closed by somebody else, this process may not write into it
├── NotConfiguredError        no database to write sessions to
├── InvalidDatabaseUrlError   an address that isn't PostgreSQL's
├── SettingsError             settings that are invalid, or a file of settings that can't be read
├── MaskedError               stands for an error whose own text held a secret
├── UnsafeAddressError        the stream would be open to other machines without a token
└── CannotListenError         the stream's address is taken or not this machine's
```
"""

from collections.abc import Mapping
from typing import Any

from bidbeacon_sessions.redaction import redact, redact_text


class SessionsError(Exception):
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


class NotConfiguredError(SessionsError):
    """No store was given and no database is configured."""

    def __init__(self) -> None:
        super().__init__(
            "No database for job sessions: pass store=…, or set BIDBEACON_DATABASE_URL."
        )


class InvalidDatabaseUrlError(SessionsError):
    """The address of the database can't be parsed, is not PostgreSQL's, or sets what only we set."""

    def __init__(
        self,
        rule: str = "special characters in user name and password percent-encoded (/ is %2F, @ is %40)",
    ) -> None:
        super().__init__(
            f"Expected a database address of the form postgresql://user:password@host:port/database, {rule}."
        )


class SettingsError(SessionsError):
    """Settings are invalid, or their file can't be read; `problems` has a line for each."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class MaskedError(SessionsError):
    """Stands for an error that makes its text from a secret: the same text, masked."""

    def __init__(self, of_type: str, message: str) -> None:
        self.of_type = of_type
        super().__init__(f"{of_type}: {message}")


class UnsafeAddressError(SessionsError):
    """The stream was asked to listen where other machines can reach it, and no token is set."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(
            f"The stream may listen on {host} only with a token, since other machines can reach it there: "
            "set BIDBEACON_STREAM_TOKEN to a long random text, or BIDBEACON_STREAM_HOST=127.0.0.1."
        )


class CannotListenError(SessionsError):
    """The stream's address can't be listened on."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host = host
        self.port = port
        super().__init__(
            f"The stream can't listen on {host}:{port}: {reason}. Stop what uses that port, or set BIDBEACON_STREAM_PORT."
        )


def masked(error: BaseException) -> BaseException:
    """Return an exception whose text, notes and causes hold no secret: the very same one, masked in place, wherever that is possible.

    One that makes its text from what can't be changed becomes a `MaskedError` that says the same.
    """
    return _masked(error, {})


def _masked(error: BaseException, done: dict[int, BaseException]) -> BaseException:
    if id(error) in done:
        return done[id(error)]
    _mask_in_place(error)
    told = str(error)
    clean = error if redact_text(told) == told else _as_masked_error(error, told)
    done[id(error)] = clean
    if clean.__cause__ is not None:
        clean.__cause__ = _masked(clean.__cause__, done)
    if clean.__context__ is not None:
        suppressed = clean.__suppress_context__
        clean.__context__ = _masked(clean.__context__, done)
        clean.__suppress_context__ = suppressed
    if isinstance(clean, BaseExceptionGroup):
        for one in clean.exceptions:
            _masked(one, done)
    return clean


def _as_masked_error(error: BaseException, told: str) -> MaskedError:
    clean = MaskedError(type(error).__name__, redact_text(told)).with_traceback(error.__traceback__)
    clean.__cause__, clean.__context__ = error.__cause__, error.__context__
    clean.__suppress_context__ = error.__suppress_context__
    return clean


def _mask_in_place(error: BaseException) -> None:
    if not isinstance(error, BaseExceptionGroup):
        args = tuple(map(_masked_value, error.args))
        if args != error.args:
            error.args = args
    for name, held in list(vars(error).items()):
        clean = _masked_value(held)
        if clean is not held and clean != held:
            setattr(error, name, clean)


def _masked_value(value: Any) -> Any:
    """Return text, and plain data that holds some, masked; anything else is what the program needs it to be."""
    if type(value) is tuple:
        return tuple(redact(value))
    return redact(value) if isinstance(value, str | bytes | list | Mapping) else value
