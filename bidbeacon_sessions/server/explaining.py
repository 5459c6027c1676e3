"""`GET /api/explain`: the question is read here, the answer comes from whoever runs the stream and knows the windows."""

from collections.abc import Callable
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bidbeacon_sessions.clock import read_day
from bidbeacon_sessions.server.parameters import MAX_VALUE_LENGTH
from bidbeacon_sessions.server.problems import BadRequestError, problem

Explainer = Callable[[str, str, date], dict[str, Any]]
"""Says of (account's key, dataset, window) why it is as it is, as JSON data.

It raises `NothingToExplainError` where it knows no such account or dataset; it runs in a thread, and may ask the database.
"""

_PARAMETERS = ("account", "dataset", "window")
_EXAMPLE = "Ask like /api/explain?account=US.38rle97…&dataset=daily_targets&window=2026-11-23."


class NothingToExplainError(LookupError):
    """There is no such account or dataset."""

    def __init__(self, error: str, what_to_do: str) -> None:
        self.error = error
        self.what_to_do = what_to_do
        super().__init__(error)


def answer_explain(request: Request) -> Response:
    """Answer the question, or say with 400 or 404 what is wrong with it."""
    explainer: Explainer | None = request.app.state.explainer
    if explainer is None:
        return problem(
            404, "This stream knows no windows.", "Whoever serves it gives `create_app` an `explainer`."
        )
    account, dataset, window = _read_question(request)
    try:
        return JSONResponse(explainer(account, dataset, window))
    except NothingToExplainError as error:
        return problem(404, error.error, error.what_to_do)


def _read_question(request: Request) -> tuple[str, str, date]:
    query = request.query_params
    unknown = sorted(set(query) - set(_PARAMETERS))
    if unknown:
        raise BadRequestError(f"Unknown parameter {unknown[0][:50]!r}.", _EXAMPLE)
    account, dataset, window = (_text(query.get(name), name) for name in _PARAMETERS)
    try:
        return account, dataset, read_day(window)
    except ValueError:
        raise BadRequestError(
            f"Expected window to be a day like 2026-11-23, got: {window!r}.", _EXAMPLE
        ) from None


def _text(value: str | None, name: str) -> str:
    if not value:
        raise BadRequestError(f"The parameter {name} is missing.", _EXAMPLE)
    if len(value) > MAX_VALUE_LENGTH or "\x00" in value:
        raise BadRequestError(f"The value of {name} is too long or holds a NUL.", _EXAMPLE)
    return value
