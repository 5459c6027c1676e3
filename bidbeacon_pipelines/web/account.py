"""`GET /api/account`: one account in figures."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bidbeacon_pipelines.accounts.names import AmbiguousAccountError, get_named_account
from bidbeacon_pipelines.accounts.queries import UnknownAccountError
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.summaries.account_page import read_account
from bidbeacon_pipelines.web.parameters import AccountParameters
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.server.answers import JsonAnswer, RefusedError, problem, read_query

_EXAMPLE = "Use /api/account?account=Acme Merch · US, with a name or key."


def account_route(store: SessionStore, settings: Settings, *, clock: Clock) -> Route:
    """Return the route over the accounts of a store's database."""

    def answer(request: Request) -> Response:
        named = read_query(AccountParameters, request.query_params).account
        with store.snapshot() as connection:
            try:
                account = get_named_account(connection, named)
            except UnknownAccountError as error:
                return problem(404, str(error), "Take a name from /accounts.")
            except AmbiguousAccountError as error:
                raise RefusedError(400, str(error), _EXAMPLE) from None
            return JsonAnswer(read_account(connection, settings, account, now=clock()))

    return Route("/api/account", answer)
