"""`GET /api/coverage` and `GET /api/accounts`."""

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bidbeacon_pipelines.datasets.registry import UnknownDatasetError
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.states.coverage import WindowCoverage
from bidbeacon_pipelines.web.parameters import Day
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.filters import Value
from bidbeacon_sessions.server.answers import Parameters, problem, read_query

USUAL_DAYS = 91
MOST_DAYS = 750


class _Parameters(Parameters):
    dataset: Value | None = None
    days: int = Field(USUAL_DAYS, ge=1, le=MOST_DAYS)
    to: Day | None = None


def coverage_routes(store: SessionStore, settings: Settings, *, clock: Clock) -> list[BaseRoute]:
    """Return the routes over the windows and accounts of a store's database."""
    coverage = WindowCoverage(store, late_after=settings.late_after, clock=clock)

    def answer_coverage(request: Request) -> Response:
        query = read_query(_Parameters, request.query_params)
        try:
            return JSONResponse(coverage.read_coverage(query.dataset, query.days, query.to))
        except UnknownDatasetError as error:
            return problem(404, str(error), "Take the name of a dataset from a session's sentence.")

    def answer_accounts(_: Request) -> Response:
        return JSONResponse({"accounts": coverage.list_accounts()})

    return [Route("/api/coverage", answer_coverage), Route("/api/accounts", answer_accounts)]
