"""`GET /api/job-metrics`: how many sessions each job had in the last 24 hours, and how long they took."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.server.answers import Parameters, read_query
from bidbeacon_sessions.tables import OUTCOME

_HOURS = 24

# A hundred thousand durations are sorted: 10 MB, which would go to disk otherwise.
_IN_MEMORY = text(
    "SELECT set_config('work_mem', '32MB', true), set_config('plan_cache_mode', 'force_custom_plan', true)"
)
_SECONDS = "WITHIN GROUP (ORDER BY date_part('epoch', h.finished_at - h.started_at))"
_JOBS = text(f"""
    SELECT h.job_name, date_bin('1 hour', h.started_at, :since) AS at, count(*) AS count,
           count(*) FILTER (WHERE h.status IN ('failed', 'crashed') AND h.outcome = 'problems') AS failures,
           count(*) FILTER (WHERE {OUTCOME} = 'problems') AS problems,
           percentile_cont(0.5) {_SECONDS} AS p50, percentile_cont(0.95) {_SECONDS} AS p95
      FROM session_headers h
     WHERE h.started_at >= :since AND h.started_at < :before
     GROUP BY GROUPING SETS ((1, 2), (1)) ORDER BY 1, 2 NULLS FIRST""")


def job_metrics_route(store: SessionStore) -> Route:
    """Return the route over a store's database: the last 24 hours, and the present one up to now."""

    def answer(request: Request) -> Response:
        read_query(Parameters, request.query_params)
        before = utc_now()
        since = before.replace(minute=0, second=0, microsecond=0) - timedelta(hours=_HOURS)
        with store.snapshot() as connection:
            jobs = aggregate_jobs(connection, since, before)
        return JSONResponse({"since": since.isoformat(), "jobs": jobs})

    return Route("/api/job-metrics", answer)


def aggregate_jobs(
    connection: Connection, since: datetime, before: datetime
) -> list[dict[str, Any]]:
    """Return the figures of each job that has sessions: job_name, count, failures, problems, p50, p95, intervals.

    `failures` failed or crashed, and no later attempt did their work; `problems` have that outcome.
    p50 and p95 are percentiles of durations in seconds, None where none has ended. `intervals` has
    count and failures of every hour from `since` on.
    """
    connection.execute(_IN_MEMORY)
    hour = timedelta(hours=1)
    jobs: dict[str, dict[str, Any]] = {}
    for row in connection.execute(_JOBS, {"since": since, "before": before}).mappings():
        if row["at"] is None:
            figures = {name: value for name, value in row.items() if name != "at"}
            hours = [{"count": 0, "failures": 0} for _ in range(-(-(before - since) // hour))]
            jobs[row["job_name"]] = {**figures, "intervals": hours}
        else:
            counts = {"count": row["count"], "failures": row["failures"]}
            jobs[row["job_name"]]["intervals"][(row["at"] - since) // hour] = counts
    return list(jobs.values())
