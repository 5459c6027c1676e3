"""Parses and checks the parameters of a request; each function raises `BadRequestError` for an invalid one."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams

from bidbeacon_sessions.filters import LONGEST_VALUE, expectation_of
from bidbeacon_sessions.server.problems import BadRequestError

_MOST_DIGITS = 9
_LONGEST_SHOWN = 50
Parsed = TypeVar("Parsed", bound=BaseModel)


def read_query(kind: type[Parsed], query: QueryParams, *, ignored: str = "") -> Parsed:
    """Return the parameters of a request as a model; empty ones count as missing."""
    given = {name: value for name, value in query.items() if value and name != ignored}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        [problem, *_] = error.errors()
    name = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        known = ", ".join(kind.model_fields)
        raise BadRequestError(f"Unknown parameter {name[:50]!r}.", f"Use some of: {known}.")
    raise BadRequestError(
        f"{name}: {expectation_of(problem)}, got: {given[name][:_LONGEST_SHOWN]!r}.",
        "Times are written like 2026-07-25T14:00:00Z."
        if name in {"since", "before"}
        else "Correct it, or leave it out.",
    )


def check_known(query: QueryParams, known: frozenset[str], what_to_do: str) -> None:
    """Refuse a request with an unknown parameter."""
    unknown = sorted(set(query) - known)
    if unknown:
        raise BadRequestError(f"Unknown parameter {unknown[0][:50]!r}.", what_to_do)


def read_number(query: QueryParams, name: str, usual: int, allowed: range, what_to_do: str) -> int:
    """Return a parameter that is a number, in up to nine digits from 0 to 9."""
    given = query.get(name, str(usual))
    if given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS and int(given) in allowed:
        return int(given)
    raise BadRequestError(
        f"Expected {name} to be a number from {allowed[0]} to {allowed[-1]}, got: {given[:50]!r}.",
        what_to_do,
    )


def read_text(query: QueryParams, name: str) -> str | None:
    """Return a parameter that is text; None if it is missing or empty."""
    value = query.get(name)
    if not value:
        return None
    if len(value) > LONGEST_VALUE or "\0" in value:
        raise BadRequestError(
            f"The value of {name} is too long or holds a NUL.",
            f"Use at most {LONGEST_VALUE} characters.",
        )
    return value
