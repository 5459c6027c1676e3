"""`GET /api/home`: the data of the first page."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from bidbeacon_pipelines.problems.home import read_home
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.server.answers import JsonAnswer, Parameters, read_query


def home_route(store: SessionStore, settings: Settings, *, clock: Clock) -> BaseRoute:
    """Return the route over a store's database."""

    def answer(request: Request) -> Response:
        read_query(Parameters, request.query_params)
        return JsonAnswer(read_home(store, settings, clock()))

    return Route("/api/home", answer)
