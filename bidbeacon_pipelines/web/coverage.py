"""`GET /api/coverage` and `GET /api/accounts`."""

from datetime import date

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bidbeacon_pipelines.datasets.registry import UnknownDatasetError
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.coverage import WindowCoverage
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock, read_day
from bidbeacon_sessions.server.parameters import check_known, read_number, read_text
from bidbeacon_sessions.server.problems import BadRequestError, problem

USUAL_DAYS = 91
MOST_DAYS = 750
_PARAMETERS = frozenset({"dataset", "days", "to"})
_EXAMPLE = "Use /api/coverage?dataset=daily_targets&days=91&to=2026-11-23; all three are optional."


def coverage_routes(store: SessionStore, settings: Settings, *, clock: Clock) -> list[BaseRoute]:
    """Return the routes over the windows and accounts of a store's database."""
    coverage = WindowCoverage(store, late_after=settings.late_after, clock=clock)

    def answer_coverage(request: Request) -> Response:
        query = request.query_params
        check_known(query, _PARAMETERS, _EXAMPLE)
        dataset = read_text(query, "dataset")
        days = read_number(query, "days", USUAL_DAYS, range(1, MOST_DAYS + 1), _EXAMPLE)
        try:
            return JSONResponse(coverage.read_coverage(dataset, days, _day(query.get("to"))))
        except UnknownDatasetError as error:
            return problem(404, str(error), "Take the name of a dataset from a session's sentence.")

    def answer_accounts(_: Request) -> Response:
        return JSONResponse({"accounts": coverage.list_accounts()})

    return [Route("/api/coverage", answer_coverage), Route("/api/accounts", answer_accounts)]


def _day(value: str | None) -> date | None:
    if not value:
        return None
    try:
        return read_day(value)
    except ValueError:
        raise BadRequestError(
            f"Expected to to be a day like 2026-11-23, got: {value[:50]!r}.", _EXAMPLE
        ) from None
