"""`GET /api/coverage` and `GET /api/accounts`: the questions are read here, the answers come from whoever runs the stream."""

from datetime import date
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bidbeacon_sessions.clock import read_day
from bidbeacon_sessions.server.parameters import MAX_VALUE_LENGTH, read_number
from bidbeacon_sessions.server.problems import BadRequestError, problem

USUAL_DAYS = 91
MOST_DAYS = 750
_PARAMETERS = ("dataset", "days", "to")
_EXAMPLE = "Ask like /api/coverage?dataset=daily_targets&days=91&to=2026-11-23; all three may be left out."


class UnknownDatasetError(LookupError):
    """There is no such dataset."""

    def __init__(self, error: str, what_to_do: str) -> None:
        self.error = error
        self.what_to_do = what_to_do
        super().__init__(error)


class CoverageReader(Protocol):
    """Knows accounts, datasets and windows; its answers are JSON data. Called in threads, and may ask the database."""

    def read_coverage(self, dataset: str | None, days: int, to: date | None) -> dict[str, Any]:
        """Say the state of each account's windows of a dataset.

        Args:
            dataset: which; None for the first.
            days: how many days.
            to: the last of them; None for the newest that has begun anywhere.

        Raises:
            UnknownDatasetError: there is none of this name.
        """

    def list_accounts(self) -> list[dict[str, Any]]:
        """Give each account's `key`, `name` and `time_zone`."""


def answer_coverage(request: Request) -> Response:
    """Answer the question, or say with 400 or 404 what is wrong with it."""
    reader = _reader(request)
    if reader is None:
        return _no_reader()
    query = request.query_params
    unknown = sorted(set(query) - set(_PARAMETERS))
    if unknown:
        raise BadRequestError(f"Unknown parameter {unknown[0][:50]!r}.", _EXAMPLE)
    dataset = _text(query.get("dataset"))
    days = read_number(query, "days", USUAL_DAYS, range(1, MOST_DAYS + 1), _EXAMPLE)
    try:
        return JSONResponse(reader.read_coverage(dataset, days, _day(query.get("to"))))
    except UnknownDatasetError as error:
        return problem(404, error.error, error.what_to_do)


def answer_accounts(request: Request) -> Response:
    """Give the accounts with their time zones; none where nobody knows them, since the page works without."""
    reader = _reader(request)
    return JSONResponse({"accounts": [] if reader is None else reader.list_accounts()})


def _reader(request: Request) -> CoverageReader | None:
    reader: CoverageReader | None = request.app.state.coverage
    return reader


def _no_reader() -> Response:
    return problem(404, "This stream knows no windows.", "Whoever serves it gives `create_app` a `coverage`.")


def _text(value: str | None) -> str | None:
    if value is not None and (len(value) > MAX_VALUE_LENGTH or "\x00" in value):
        raise BadRequestError("The value of dataset is too long or holds a NUL.", _EXAMPLE)
    return value or None


def _day(value: str | None) -> date | None:
    if not value:
        return None
    try:
        return read_day(value)
    except ValueError:
        raise BadRequestError(
            f"Expected to to be a day like 2026-11-23, got: {value[:50]!r}.", _EXAMPLE
        ) from None
