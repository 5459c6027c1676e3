"""`GET /api/explain`: a window's state, cause and next step."""

from datetime import date
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bidbeacon_pipelines.accounts.names import AmbiguousAccountError, get_named_account
from bidbeacon_pipelines.accounts.queries import UnknownAccountError
from bidbeacon_pipelines.datasets.registry import Dataset, UnknownDatasetError, get_dataset
from bidbeacon_pipelines.problems.explain import Question, UnknownReportError, explain_day
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web.parameters import AccountParameters, Day
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.filters import Value
from bidbeacon_sessions.server.answers import problem, read_query

_EXAMPLE = "Use /api/explain?account=US.38rle97…&dataset=daily_targets&window=2026-11-23."
_ACCOUNTS = (
    "Take the name or key of an account from a session's tag, or from `bidbeacon accounts list`."
)


class _Parameters(AccountParameters):
    dataset: Value
    window: Day
    report: Value | None = None


def explain_route(store: SessionStore, settings: Settings, *, clock: Clock) -> Route:
    """Return the route that explains the windows of a store's database."""

    def answer_explain(request: Request) -> Response:
        query = read_query(_Parameters, request.query_params)
        with store.snapshot() as connection:
            try:
                dataset = get_dataset(query.dataset)
                account = get_named_account(connection, query.account)
            except UnknownDatasetError as error:
                return problem(
                    404, str(error), "Take the name of a dataset from a session's sentence."
                )
            except UnknownAccountError as error:
                return problem(404, str(error), _ACCOUNTS)
            except AmbiguousAccountError as error:
                return problem(400, str(error), _EXAMPLE)
            question = Question(account, dataset, query.window, clock())
            try:
                answer = explain_day(connection, settings, question, query.report)
            except UnknownReportError as error:
                return problem(404, str(error), "Leave it out to explain the worst window.")
        url = partition_url(settings, account.account_key, dataset, query.window)
        return JSONResponse(answer | {"partition_url": url})

    return Route("/api/explain", answer_explain)


def partition_url(settings: Settings, account: str, dataset: Dataset, window: date) -> str:
    """Return the address of a window's partition in Dagster, preselected in its launch dialog."""
    partition = quote(f"{account}|{window}", safe="")
    asset = f"{settings.dagster_public_url}/assets/{dataset.asset_name}"
    return f"{asset}?view=partitions&partition={partition}"
