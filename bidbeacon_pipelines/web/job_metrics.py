"""`GET /api/job-metrics`: number and duration of each job's sessions in the last 24 hours."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bidbeacon_pipelines.web.job_queries import aggregate_jobs
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.server.answers import Parameters, read_query

_HOURS = 24


def job_metrics_route(store: SessionStore) -> Route:
    """Return the route over a store's database: the last 24 whole hours, and the present one."""

    def answer(request: Request) -> Response:
        read_query(Parameters, request.query_params)
        before = utc_now()
        since = before.replace(minute=0, second=0, microsecond=0) - timedelta(hours=_HOURS)
        with store.snapshot() as connection:
            jobs = aggregate_jobs(connection, since, before)
        return JSONResponse({"since": since.isoformat(), "jobs": jobs})

    return Route("/api/job-metrics", answer)
