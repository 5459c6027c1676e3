"""Routes that only read data: Home, accounts, coverage, explanations, metrics of jobs."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Literal
from urllib.parse import quote

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bidbeacon_pipelines.accounts.names import get_named_account
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.problems.explain import Question, explain_day
from bidbeacon_pipelines.problems.home import read_home
from bidbeacon_pipelines.requests.outlook import QueueState
from bidbeacon_pipelines.requests.queue import MOST, USUAL_LIMIT, read_queue
from bidbeacon_pipelines.requests.trends import read_trends
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.states.coverage import WindowCoverage
from bidbeacon_pipelines.summaries.account_list import list_accounts_json
from bidbeacon_pipelines.summaries.account_page import read_account
from bidbeacon_pipelines.web.parameters import AccountParameters, Day, refusing_errors
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.filters import Value
from bidbeacon_sessions.server.answers import JsonAnswer, Parameters, read_query
from bidbeacon_sessions.statistics import aggregate_jobs

_METRICS_HOURS = 24
_USUAL_DAYS, _MOST_DAYS = 91, 750


class _CoverageParameters(Parameters):
    dataset: Value | None = None
    days: int = Field(_USUAL_DAYS, ge=1, le=_MOST_DAYS)
    to: Day | None = None


class _QueueParameters(Parameters):
    account: Value | None = None
    dataset: Value | None = None
    state: QueueState | None = None
    cause: Value | None = None
    limit: int = Field(USUAL_LIMIT, ge=1, le=MOST)


class _TrendsParameters(Parameters):
    days: Literal["7", "30"] = "7"


class _ExplainParameters(AccountParameters):
    dataset: Value
    window: Day
    report: Value | None = None


def read_routes(store: SessionStore, settings: Settings, *, clock: Clock) -> list[BaseRoute]:
    """Return the routes with the data of pages, read from the database of a session store."""
    reads = _Reads(store, settings, clock)
    answers: dict[str, Callable[[Request], Response]] = {
        "home": reads.home,
        "account": reads.account,
        "account-list": reads.account_list,
        "accounts": reads.accounts,
        "coverage": reads.coverage,
        "explain": reads.explain,
        "job-metrics": reads.job_metrics,
        "queue": reads.queue,
        "trends": reads.trends,
    }
    return [Route(f"/api/{name}", refusing_errors()(answer)) for name, answer in answers.items()]


class _Reads:
    def __init__(self, store: SessionStore, settings: Settings, clock: Clock) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._coverage = WindowCoverage(store, late_after=settings.late_after, clock=clock)

    def home(self, request: Request) -> Response:
        """Return the data of Home.

        `{"at", "is_sandbox", "accounts", "datasets": [{"name", "title", "windows", "states"}],
        "findings": [{"key", "code", "severity", "sentence", "advice", "effects": [{"text",
        "link"}], "count", "names", "accounts", "since", "next_at", "link", "button",
        "other_button", "acknowledged": {"by", "at", "note"}}], "more_findings", "limits",
        "starting": {"now", "first_data"}, "fill": {"loaded", "total", "sentence", "limits"}}`

        The first of `effects` is the finding's own effect, and the others are consequences of it.
        `starting` is null once data is loaded. `fill` is the first load of the history, in windows;
        it is null once nearly all are loaded.
        """
        read_query(Parameters, request.query_params)
        return JsonAnswer(read_home(self._store, self._settings, self._clock()))

    def account(self, request: Request) -> Response:
        """Return the state, schedule and figures of an account; `account` is its name or key.

        `{"at", "key", "label", "ads_account", "amazon_name", "alias", "country", "time_zone",
        "currency", "account_type", "credential", "region", "paused", "amazon_status",
        "needs_attention", "can_resume", "stopped", "stop_reason", "datasets", "fill", "figures":
        {"from", "to", "before_from", "currency", "products": [{"ad_product", "name",
        "attribution_days", "recent", "before"}], "days"}, "entities", "schedule", "wanted"}`

        `fill` is the first load of the account's history, as for Home.
        Amounts are exact decimals, as text. The entry of `products` whose `ad_product` is null has
        the sums of all ad products.
        """
        named = read_query(AccountParameters, request.query_params).account
        with self._store.snapshot() as connection:
            account = get_named_account(connection, named)
            return JsonAnswer(read_account(connection, self._settings, account, now=self._clock()))

    def account_list(self, request: Request) -> Response:
        """Return all accounts with their freshness and the spend of the last days.

        `{"at", "accounts": [{"key", "label", "stopped", "windows", "fresh", "currency", "from",
        "to", "spend", "next_at"}]}`

        `windows` is the number of the account's windows, not counting windows in the state
        `missing`. `fresh` is the number of fresh windows. `spend` has an exact amount for each day
        from `from` to `to`, or null for a day that is not loaded. `fresh` and `next_at` are null
        for a stopped account.
        """
        read_query(Parameters, request.query_params)
        now = self._clock()
        with self._store.snapshot() as connection:
            return JsonAnswer(list_accounts_json(connection, self._settings, now=now))

    def accounts(self, _: Request) -> Response:
        """Return the names of all accounts.

        `{"accounts": [{"key", "label", "time_zone", "stopped"}]}`

        `stopped` is the reason why nothing is requested for the account, or null.
        """
        return JSONResponse({"accounts": self._coverage.list_accounts()})

    def coverage(self, request: Request) -> Response:
        """Return the states of a dataset's days, for all accounts.

        The parameters are `dataset`, `days` (at most 750) and `to`, the last day.

        `{"dataset", "datasets", "from", "to", "at", "states", "accounts": [{"key", "label",
        "time_zone", "stopped", "cells", "not_served": [{"from", "to", "ad_products"}],
        "left_out": [{"campaign", "from", "to"}]}]}`

        `cells` has one letter for each day, or `-` for a day without a window. `states` explains
        the letters. `not_served` has the ad products that Amazon does not serve, by ranges of days.
        `left_out` has the campaigns that Amazon's reports leave out.
        """
        query = read_query(_CoverageParameters, request.query_params)
        return JSONResponse(self._coverage.read_coverage(query.dataset, query.days, query.to))

    def explain(self, request: Request) -> Response:
        """Return the state of a window, its cause, and what happens next.

        The parameters are `account`, `dataset`, `window` (a day) and, optionally, `report`. If a
        name is unknown, the status is 404. `partition_url` is the address of the day's partition in
        Dagster.
        """
        query = read_query(_ExplainParameters, request.query_params)
        dataset = get_dataset(query.dataset)
        with self._store.snapshot() as connection:
            account = get_named_account(connection, query.account)
            question = Question(account, dataset, query.window, self._clock())
            answer = explain_day(connection, self._settings, question, query.report)
        url = _partition_url(self._settings, account.account_key, dataset, query.window)
        return JSONResponse(answer | {"partition_url": url})

    def job_metrics(self, request: Request) -> Response:
        """Return the number and duration of each job's sessions in the last 24 hours.

        `{"since", "jobs"}`

        Each entry of `jobs` has these fields:

        - `job_name`
        - `count`: the number of sessions
        - `failures`: the number of failed or crashed sessions without a later successful attempt
        - `problems`: the number of sessions with the outcome `problems`
        - `p50` and `p95`: percentiles of the durations, in seconds
        - `intervals`: `count` and `failures` of each hour
        """
        read_query(Parameters, request.query_params)
        before = utc_now()
        this_hour = before.replace(minute=0, second=0, microsecond=0)
        since = this_hour - timedelta(hours=_METRICS_HOURS)
        with self._store.snapshot() as connection:
            jobs = aggregate_jobs(connection, since, before)
        return JSONResponse({"since": since.isoformat(), "jobs": jobs})

    def queue(self, request: Request) -> Response:
        """Return the open requests, nearest to their end first, and what limits them.

        The parameters are `account`, `dataset`, `state`, `cause` (the code of the last failure)
        and `limit` (200 by default, at most 5,000). `account` selects the requests of its ads
        account, since one covers all countries.

        `{"at", "counts", "matching", "datasets", "gates": [{"region", "in_flight", "places",
        "planned", "closed_until", "created", "limit"}], "loads": {"running", "at_once",
        "last_hour", "rows_last_hour"}, "requests": [{"id", "name", "accounts": [{"key",
        "label"}], "dataset", "report", "from", "to", "days", "state", "attempt", "attempts",
        "failure", "next_step", "next_at", "since", "wanted_by", "session"}]}`

        `counts` has the number of requests by state, regardless of `state` and `cause`. `matching`
        is the number of requests that match all parameters. `created` is the number of reports
        created in the last hour, and `limit` is a sentence on what delays the next report.
        """
        query = read_query(_QueueParameters, request.query_params)
        dataset = None if query.dataset is None else get_dataset(query.dataset).name
        with self._store.snapshot() as connection:
            named = query.account and get_named_account(connection, query.account)
            answer = read_queue(
                connection,
                loads_at_once=self._settings.loads_at_once,
                now=self._clock(),
                account_id=named.account_id if named else None,
                dataset=dataset,
                state=query.state,
                cause=query.cause,
                limit=query.limit,
            )
        return JsonAnswer(answer)

    def trends(self, request: Request) -> Response:
        """Return how long the steps of reports took in the last 7 or 30 days (`days`).

        `{"at", "days", "start", "seconds", "sentence", "charts": [{"name", "title", "values",
        "p95", "text"}], "throttled": [{"creates", "others"}], "reports": [{"dataset", "report",
        "reports", "p50", "p95", "p50_before"}], "marks": [{"at", "texts", "more"}]}`

        The first interval begins at `start`, and each lasts `seconds`: 6 hours or a day. `charts`
        are `due_to_created`, `created_to_complete`, `ready_to_loaded` (`values` has the medians of
        the requests that ended in each interval, in seconds) and `rows_an_hour`. An unknown value
        is null, and so is `text` if all are unknown. `throttled` counts Amazon's responses with the
        status 429, by interval. `reports` has the times from created to complete of the last 7
        days, the slowest first; `p50_before` is of the 7 days before. `marks` are new versions,
        changes of the contract, pauses and resumes.
        """
        days = int(read_query(_TrendsParameters, request.query_params).days)
        with self._store.snapshot() as connection:
            return JsonAnswer(read_trends(connection, days, self._clock()))


def _partition_url(settings: Settings, account: str, dataset: Dataset, window: date) -> str:
    """Return the URL of the Dagster page that shows a window's partition of its dataset."""
    partition = quote(f"{account}|{window}", safe="")
    asset = f"{settings.dagster_public_url}/assets/{dataset.name}"
    return f"{asset}?view=partitions&partition={partition}"
