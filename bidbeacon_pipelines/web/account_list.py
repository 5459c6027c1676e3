"""`GET /api/account-list`: all accounts with their states."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.summaries.account_list import list_accounts_json
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.server.answers import JsonAnswer, Parameters, read_query


def account_list_route(store: SessionStore, settings: Settings, *, clock: Clock) -> Route:
    """Return the route over the accounts of a store's database."""

    def answer(request: Request) -> Response:
        read_query(Parameters, request.query_params)
        now = clock()
        with store.snapshot() as connection:
            return JsonAnswer(list_accounts_json(connection, settings, now=now))

    return Route("/api/account-list", answer)
