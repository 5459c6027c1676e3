"""Masks exceptions, for whoever hands them on to something that keeps them: a log, a terminal, Dagster's events."""

from collections.abc import Mapping
from typing import Any

from bidbeacon_sessions.errors import MaskedError
from bidbeacon_sessions.redaction import redact, redact_text


def masked(error: BaseException) -> BaseException:
    """Give an exception whose text, notes and causes hold no secret: the very same one, masked in place, wherever that is possible.

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
