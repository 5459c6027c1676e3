"""Parse requests, and answer in JSON; an error states what is wrong and what to do."""

import logging
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, Response

from bidbeacon_sessions.filters import expectation_of
from bidbeacon_sessions.messages import json_bytes
from bidbeacon_sessions.server.pages import NOT_FOUND

logger = logging.getLogger(__name__)

Parsed = TypeVar("Parsed", bound=BaseModel)

_LONGEST_SHOWN = 50
_ADDRESSES = "The page of all sessions is /sessions, and their data is at /api/job-sessions."


class RefusedError(HTTPException):
    """The request is refused, with advice for the client."""

    def __init__(self, status: int, error: str, what_to_do: str) -> None:
        self.what_to_do = what_to_do
        super().__init__(status, error)


class JsonAnswer(JSONResponse):
    """A JSON response, encoded by msgspec: ten times as fast as the standard library."""

    def render(self, content: Any) -> bytes:
        """Return the content as JSON in UTF-8."""
        return json_bytes(content)


def problem(status: int, error: str, what_to_do: str) -> JSONResponse:
    """Return a JSON response with an error and what the client can do about it."""
    return JSONResponse({"error": error, "what_to_do": what_to_do}, status_code=status)


def wants_page(connection: HTTPConnection) -> bool:
    """Return whether the client accepts HTML, as browsers do and other programs do not."""
    return "text/html" in connection.headers.get("accept", "")


class Parameters(BaseModel):
    """Base class of the parameters of a request; by itself, it allows no parameters."""

    model_config = ConfigDict(extra="forbid")


def read_query(kind: type[Parsed], query: QueryParams, *, ignored: str = "") -> Parsed:
    """Parse the parameters of a request; raise RefusedError if they are invalid.

    Empty parameters and the parameter with the name `ignored` are not read.
    """
    given = {name: value for name, value in query.items() if value and name != ignored}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise _refusal(kind, error, "parameter") from None


def read_body(kind: type[Parsed], body: bytes) -> Parsed:
    """Parse a request's body, a JSON object; raise RefusedError if it is invalid."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(kind, error, "field") from None


def _refusal(kind: type[BaseModel], error: ValidationError, noun: str) -> RefusedError:
    [wrong, *_] = error.errors()
    known = f"The {noun}s are: {', '.join(kind.model_fields) or 'none'}."
    if not wrong["loc"]:
        return RefusedError(400, "Expected a JSON object.", known)
    name, given = str(wrong["loc"][0]), str(wrong["input"])
    if wrong["type"] == "extra_forbidden":
        return RefusedError(400, f"Unknown {noun} {name[:_LONGEST_SHOWN]!r}.", known)
    if wrong["type"] == "missing":
        return RefusedError(400, f"The {noun} {name} is missing.", known)
    return RefusedError(
        400,
        f"{name}: {expectation_of(wrong)}, got: {given[:_LONGEST_SHOWN]!r}.",
        "Times are written like 2026-07-25T14:00:00Z."
        if name in {"since", "before"}
        else "Correct it, or leave it out.",
    )


async def _on_http_error(connection: HTTPConnection, error: Exception) -> Response:
    """Answer errors such as 404 and 405: as a page to browsers, as JSON to programs."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    if isinstance(error, RefusedError):
        return problem(error.status_code, error.detail, error.what_to_do)
    if error.status_code == HTTPStatus.NOT_FOUND and wants_page(connection):
        return HTMLResponse(connection.app.state.pages[NOT_FOUND], 404)
    allowed = sorted((error.headers or {}).get("Allow", "").split(", "))
    what_to_do = f"Use {' or '.join(allowed)}." if any(allowed) else _ADDRESSES
    return problem(error.status_code, f"{error.detail}.", what_to_do)


async def _on_disconnect(_: HTTPConnection, error: Exception) -> JSONResponse:  # noqa: ARG001 - Starlette passes both
    """Answer a request whose body did not arrive; its client has left, so nothing is logged."""
    return problem(400, "This request was cut off before its end.", "Send the request again.")


async def _on_database_error(_: HTTPConnection, error: Exception) -> JSONResponse:
    logger.warning("A request failed on the database: %s", type(error).__name__)
    return problem(
        503,
        "The database does not answer.",
        "Wait a moment and try again; the cause is in the stream's log.",
    )


async def _on_unforeseen_error(_: HTTPConnection, error: Exception) -> JSONResponse:
    logger.error("A request failed", exc_info=error)
    return problem(
        500,
        "The server failed on this request.",
        "Try again; the error is in the stream's log.",
    )


HANDLERS = {
    ClientDisconnect: _on_disconnect,
    HTTPException: _on_http_error,
    SQLAlchemyError: _on_database_error,
    Exception: _on_unforeseen_error,
}
