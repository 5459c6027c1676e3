"""How many sessions there are and how long they take, by interval: `GET /api/job-sessions/histogram` and `GET /api/job-metrics`."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.filters import Instant, SessionFilter, Value
from bidbeacon_sessions.server.parameters import read_query
from bidbeacon_sessions.server.problems import BadRequestError, JsonAnswer
from bidbeacon_sessions.statistics import (
    NO_SESSIONS,
    JobFigures,
    Span,
    aggregate_jobs,
    count_by_interval,
)
from bidbeacon_sessions.store import SessionStore

MOST_INTERVALS = 750
_CHOSEN_AT_MOST = 72
_USUAL_STRETCH = timedelta(hours=24)
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_WIDTHS = (
    *(1, 2, 5, 10, 15, 30),
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 20, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 6, 12)),
    *(days * _DAY for days in (1, 2, 7, 14)),
)
"""Lengths in seconds that people can read off an axis."""
_INTERVALS = {"1m": _MINUTE, "5m": 300, "15m": 900, "1h": _HOUR, "6h": 6 * _HOUR, "1d": _DAY}


def divide(since: datetime | None, before: datetime | None, width: int | None = None) -> Span:
    """Return a stretch of time (by default the last 24 hours) in intervals that begin at multiples of their width in UTC.

    Raises:
        BadRequestError: it ends before it begins, or has more than 750 intervals.
    """
    before = before or utc_now()
    since = since or before - _USUAL_STRETCH
    seconds = (before - since).total_seconds()
    if seconds <= 0:
        raise BadRequestError(
            f"Expected since to be earlier than before, got: {since.isoformat()} and {before.isoformat()}.",
            "Leave one of them out.",
        )
    if width is None:
        fitting = (each for each in _WIDTHS if seconds / each <= _CHOSEN_AT_MOST - 1)
        width = next(fitting, _WIDTHS[-1])
    first = datetime.fromtimestamp(since.timestamp() // width * width, UTC)
    span = Span(first, before.astimezone(UTC), timedelta(seconds=width))
    if (before - first) / span.interval > MOST_INTERVALS:
        raise BadRequestError(
            f"This is more than {MOST_INTERVALS} intervals.",
            "Use a longer interval, or a shorter stretch of time.",
        )
    return span


def answer_histogram(request: Request) -> Response:
    """Count the sessions of a filter by interval and mark.

    `counts` is null if that takes too long: the page asks for a shorter stretch then.
    """
    wanted = read_query(SessionFilter, request.query_params)
    span = divide(wanted.since, wanted.before)
    store: SessionStore = request.app.state.store
    with store.snapshot() as connection:
        rows = count_by_interval(connection, wanted, span)
    counts: list[dict[str, int]] = [{} for _ in span.intervals]
    for row in rows or ():
        counts[(row["at"] - span.since) // span.interval][row["mark"]] = row["sessions"]
    return JSONResponse(
        {
            "start": span.since.isoformat(),
            "seconds": int(span.interval.total_seconds()),
            "counts": None if rows is None else counts,
        }
    )


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    since: Instant | None = None
    before: Instant | None = None
    interval: Literal["1m", "5m", "15m", "1h", "6h", "1d"] | None = None
    job: Value | None = None
    account: Value | None = None


def answer_job_metrics(request: Request) -> JsonAnswer:
    """Answer with the figures of each job, over the whole stretch of time and in each interval of it."""
    wanted = read_query(_Wanted, request.query_params)
    width = _INTERVALS[wanted.interval] if wanted.interval else None
    span = divide(wanted.since, wanted.before, width)
    store: SessionStore = request.app.state.store
    with store.snapshot() as connection:
        jobs = aggregate_jobs(connection, span, job=wanted.job, account=wanted.account)
    if wanted.job:
        jobs.setdefault(wanted.job, {})
    return JsonAnswer(
        {
            "since": span.since.isoformat(),
            "before": span.before.isoformat(),
            "interval_seconds": int(span.interval.total_seconds()),
            "jobs": [describe_job(name, jobs[name], span) for name in sorted(jobs)],
            "server_time": utc_now().isoformat(),
        }
    )


def describe_job(name: str, job: JobFigures, span: Span) -> dict[str, object]:
    """Return a job's figures over the whole span and in every interval of it."""
    intervals = [
        {"at": at.isoformat(), **job.get(at, NO_SESSIONS).__dict__} for at in span.intervals
    ]
    return {"job_name": name, **job.get(None, NO_SESSIONS).__dict__, "intervals": intervals}
