"""`GET /api/explain`: why a window is as it is."""

from datetime import date
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bidbeacon_pipelines.accounts.names import AmbiguousAccountError, get_named_account
from bidbeacon_pipelines.accounts.queries import UnknownAccountError
from bidbeacon_pipelines.datasets.registry import Dataset, UnknownDatasetError, get_dataset
from bidbeacon_pipelines.problems.explain import Question, explain_day, explanation_json
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock, read_day
from bidbeacon_sessions.server.parameters import check_known, read_text
from bidbeacon_sessions.server.problems import BadRequestError, problem

_PARAMETERS = ("account", "dataset", "window")
_EXAMPLE = "Ask like /api/explain?account=US.38rle97…&dataset=daily_targets&window=2026-11-23."
_ACCOUNTS = (
    "Take the name or key of an account from a session's tag, or from `bidbeacon accounts list`."
)


def explain_route(store: SessionStore, settings: Settings, *, clock: Clock) -> Route:
    """Return the route that explains the windows of a store's database."""

    def answer_explain(request: Request) -> Response:
        named, of_dataset, day = _read_question(request)
        report = read_text(request.query_params, "report")
        with store.snapshot() as connection:
            try:
                dataset = get_dataset(of_dataset)
                account = get_named_account(connection, named)
            except UnknownDatasetError as error:
                return problem(
                    404, str(error), "Take the name of a dataset from a session's sentence."
                )
            except UnknownAccountError as error:
                return problem(404, str(error), _ACCOUNTS)
            except AmbiguousAccountError as error:
                return problem(400, str(error), _EXAMPLE)
            asked = Question(account, dataset, day, clock())
            explained = explain_day(connection, settings, asked)
            answer = explanation_json(connection, asked, explained, report)
        url = partition_url(settings, account.account_key, dataset, day)
        return JSONResponse(answer | {"partition_url": url})

    return Route("/api/explain", answer_explain)


def partition_url(settings: Settings, account: str, dataset: Dataset, window: date) -> str:
    """Return the address of a window's partition in Dagster: its launch dialog has exactly this one chosen."""
    partition = quote(f"{account}|{window}", safe="")
    return f"{settings.dagster_public_url}/assets/{dataset.asset_name}?view=partitions&partition={partition}"


def _read_question(request: Request) -> tuple[str, str, date]:
    query = request.query_params
    check_known(query, frozenset((*_PARAMETERS, "report")), _EXAMPLE)
    account, dataset, window = (_required(request, name) for name in _PARAMETERS)
    try:
        return account, dataset, read_day(window)
    except ValueError:
        raise BadRequestError(
            f"Expected window to be a day like 2026-11-23, got: {window!r}.", _EXAMPLE
        ) from None


def _required(request: Request, name: str) -> str:
    value = read_text(request.query_params, name)
    if value is None:
        raise BadRequestError(f"The parameter {name} is missing.", _EXAMPLE)
    return value
