"""Parses and checks the parameters of a request.

Each function raises `BadRequestError` for an invalid one.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.datastructures import QueryParams

from bidbeacon_sessions.clock import read_instant
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.server.problems import BadRequestError
from bidbeacon_sessions.tables import SESSION_OUTCOMES, SESSION_STATUSES

MAX_VALUE_LENGTH = 200
_MOST_DIGITS = 9

_TEXTS = ("job", "account", "status", "outcome", "type", "dataset", "window", "run", "text")
_INSTANTS = ("since", "before")


def read_filter(query: QueryParams, *, also: frozenset[str] = frozenset()) -> SessionFilter:
    """Return the filter of a request: `job account status outcome type dataset window run text`, and the instants `since` and `before`."""
    known = [*_TEXTS, *_INSTANTS, *sorted(also)]
    check_known(query, frozenset(known), f"Use some of: {', '.join(known)}.")
    texts: dict[str, Any] = {name: read_text(query, name) for name in _TEXTS}
    for name, values in (("status", SESSION_STATUSES), ("outcome", SESSION_OUTCOMES)):
        if texts[name] not in {None, *values}:
            raise BadRequestError(
                f"Unknown {name} {texts[name]!r}.", f"Use one of: {', '.join(values)}."
            )
    return SessionFilter(**texts, since=_instant(query, "since"), before=_instant(query, "before"))


def check_known(query: QueryParams, known: frozenset[str], what_to_do: str) -> None:
    """Refuse a request with a parameter that it does not know."""
    unknown = sorted(set(query) - known)
    if unknown:
        raise BadRequestError(f"Unknown parameter {unknown[0][:50]!r}.", what_to_do)


def read_older_than(query: QueryParams) -> UUID | None:
    """Return the session after which a page of the list begins, or None for the newest."""
    given = read_text(query, "older_than")
    try:
        return UUID(given) if given else None
    except ValueError:
        raise BadRequestError(
            f"Expected older_than to be a session's id, got: {given!r}.",
            "Give the id of the last one listed.",
        ) from None


def read_number(query: QueryParams, name: str, usual: int, allowed: range, what_to_do: str) -> int:
    """Return the number that a parameter gives, in up to nine digits from 0 to 9."""
    given = query.get(name, str(usual))
    if given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS and int(given) in allowed:
        return int(given)
    raise BadRequestError(
        f"Expected {name} to be a number from {allowed[0]} to {allowed[-1]}, got: {given[:50]!r}.",
        what_to_do,
    )


def read_text(query: QueryParams, name: str) -> str | None:
    """Return the text that a parameter gives; None where it is missing or empty."""
    value = query.get(name)
    if value is None or value == "":
        return None
    if len(value) > MAX_VALUE_LENGTH or "\x00" in value:
        raise BadRequestError(
            f"The value of {name} is too long or holds a NUL.",
            f"Use at most {MAX_VALUE_LENGTH} characters.",
        )
    return value


def _instant(query: QueryParams, name: str) -> datetime | None:
    value = read_text(query, name)
    if value is None:
        return None
    try:
        instant = read_instant(value)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise BadRequestError(
            f"Expected {name} to be an instant with its zone, got: {value!r}.",
            "Write it like 2026-07-25T14:00:00Z.",
        )
    return instant
