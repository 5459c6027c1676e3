"""`GET /api/explain`: why a window is as it is."""

from datetime import date
from urllib.parse import quote

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bidbeacon_pipelines.accounts.names import AmbiguousAccountError, find_named_account
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.problems.explain import explain_window, explanation_json
from bidbeacon_pipelines.problems.verdicts import Cause
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock, read_day
from bidbeacon_sessions.server.parameters import check_known, read_text
from bidbeacon_sessions.server.problems import BadRequestError, problem

_PARAMETERS = ("account", "dataset", "window")
_EXAMPLE = "Ask like /api/explain?account=US.38rle97…&dataset=daily_targets&window=2026-11-23."
_WHAT_TO_DO = {
    Cause.UNKNOWN_ACCOUNT: "Take the name or key of an account from a session's tag, or from `bidbeacon accounts list`.",
    Cause.UNKNOWN_DATASET: "Take the name of a dataset from a session's sentence.",
}


def explain_route(store: SessionStore, settings: Settings, *, clock: Clock) -> Route:
    """Return the route that explains the windows of a store's database."""

    def answer_explain(request: Request) -> Response:
        account, dataset, window = _read_question(request)
        with store.snapshot() as connection:
            explanation = explain_window(
                connection,
                settings,
                _key(connection, account),
                dataset,
                window,
                now=clock(),
                report=read_text(request.query_params, "report"),
            )
        what_to_do = _WHAT_TO_DO.get(explanation.verdict.cause)
        if what_to_do is not None:
            return problem(404, explanation.verdict.sentence, what_to_do)
        url = partition_url(settings, explanation.facts.account_key, dataset, window)
        return JSONResponse(explanation_json(explanation) | {"partition_url": url})

    return Route("/api/explain", answer_explain)


def partition_url(settings: Settings, account: str, dataset: str, window: date) -> str:
    """Return the address of a window's partition in Dagster: its launch dialog has exactly this one chosen."""
    asset, partition = get_dataset(dataset).asset_name, quote(f"{account}|{window}", safe="")
    return f"{settings.dagster_public_url}/assets/{asset}?view=partitions&partition={partition}"


def _key(connection: Connection, named: str) -> str:
    """Return the key of the account that is named; the text itself where no account matches."""
    try:
        found = find_named_account(connection, named)
    except AmbiguousAccountError as error:
        raise BadRequestError(str(error), _EXAMPLE) from None
    return named if found is None else found.account_key


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
