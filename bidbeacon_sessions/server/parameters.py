"""Reads the parameters of a request as a model of pydantic's."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import QueryParams

from bidbeacon_sessions.filters import expectation_of
from bidbeacon_sessions.server.problems import BadRequestError

_LONGEST_SHOWN = 50
Parsed = TypeVar("Parsed", bound=BaseModel)


class Parameters(BaseModel):
    """No parameters; base class of others."""

    model_config = ConfigDict(extra="forbid")


def read_query(kind: type[Parsed], query: QueryParams, *, ignored: str = "") -> Parsed:
    """Return the parameters of a request; empty ones count as missing.

    Raises:
        BadRequestError: one is unknown, missing or invalid.
    """
    given = {name: value for name, value in query.items() if value and name != ignored}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        [problem, *_] = error.errors()
    name = str(problem["loc"][0])
    known = f"The parameters are: {', '.join(kind.model_fields) or 'none'}."
    if problem["type"] == "extra_forbidden":
        raise BadRequestError(f"Unknown parameter {name[:_LONGEST_SHOWN]!r}.", known)
    if problem["type"] == "missing":
        raise BadRequestError(f"The parameter {name} is missing.", known)
    raise BadRequestError(
        f"{name}: {expectation_of(problem)}, got: {given[name][:_LONGEST_SHOWN]!r}.",
        "Times are written like 2026-07-25T14:00:00Z."
        if name in {"since", "before"}
        else "Correct it, or leave it out.",
    )
