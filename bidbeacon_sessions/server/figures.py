"""Figures over many sessions: the histogram, and `/metrics` as Prometheus text."""

import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bidbeacon_sessions.change_log import read_unpublished_seconds
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.connections import SessionStore
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.following import Follower
from bidbeacon_sessions.server.answers import RefusedError, read_query
from bidbeacon_sessions.statistics import Span, count_by_interval, count_by_status

TRANSPORTS = ("sse", "websocket")
_MOST_CHOSEN = 72
_USUAL_STRETCH = timedelta(hours=24)
_MINUTE, _HOUR, _DAY, _WEEK = 60, 3_600, 86_400, 604_800
_WIDTHS = (
    *(1, 2, 5, 10, 15, 30),
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 20, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 6, 12)),
    *(_DAY, 2 * _DAY, _WEEK, 2 * _WEEK),
)
"""Widths of intervals, in seconds, that are easy to read on an axis."""


def divide(since: datetime | None, before: datetime | None) -> Span:
    """Divide a period (default: the last 24 hours) into equal intervals of a suitable width.

    The intervals begin at multiples of the width in UTC, so the first may begin before `since`.

    Raises:
        RefusedError: `since` is not earlier than `before`.
    """
    before = before or utc_now()
    since = since or before - _USUAL_STRETCH
    seconds = (before - since).total_seconds()
    if seconds <= 0:
        raise RefusedError(
            400,
            f"Expected `since` to be earlier than `before`, got: {since.isoformat()} and "
            f"{before.isoformat()}.",
            "Correct `since` and `before`, or leave one of them out.",
        )
    fitting = (each for each in _WIDTHS if seconds / each <= _MOST_CHOSEN - 1)
    width = next(fitting, math.ceil(seconds / (_MOST_CHOSEN - 1) / _WEEK) * _WEEK)
    first = datetime.fromtimestamp(since.timestamp() // width * width, UTC)
    return Span(first, before.astimezone(UTC), timedelta(seconds=width))


def answer_histogram(request: Request) -> Response:
    """Return the number of sessions in each interval of time from `since` to `before`.

    By default, `since` is a day ago and `before` is now.

    `{"start", "seconds", "counts"}`

    The first interval begins at `start`. There are at most 72 intervals, and each lasts `seconds`.
    `counts` has one object for each interval, with the number of sessions by status. Succeeded
    sessions with the outcome `warnings` or `problems` are counted under this outcome instead.
    Failed attempts whose work a later attempt did are counted under `retried`. `counts` is null if
    counting takes more than four seconds.
    """
    wanted = read_query(SessionFilter, request.query_params)
    span = divide(wanted.since, wanted.before)
    store: SessionStore = request.app.state.store
    with store.snapshot() as connection:
        rows = count_by_interval(connection, wanted, span)
    counts: list[dict[str, int]] = [{} for _ in range(span.count)]
    for row in rows or ():
        counts[(row["at"] - span.since) // span.interval][row["mark"]] = row["sessions"]
    return JSONResponse(
        {
            "start": span.since.isoformat(),
            "seconds": int(span.interval.total_seconds()),
            "counts": None if rows is None else counts,
        }
    )


def answer_metrics(request: Request) -> Response:
    """Return metrics of the stream and of the database, in Prometheus' text format."""
    follower: Follower = request.app.state.follower
    store: SessionStore = request.app.state.store
    registry = CollectorRegistry()

    def gauge(name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"bidbeacon_{name}", meaning, labels, registry=registry)

    lag = gauge("stream_lag_seconds", "Time since all that is committed was published and read.")
    lag.set(follower.lag_seconds)
    clients = gauge("stream_clients", "Open streams.", "transport")
    for transport in TRANSPORTS:
        clients.labels(transport).set(follower.readers[transport])
    with suppress(SQLAlchemyError), store.begin() as connection:
        seconds, counts = read_unpublished_seconds(connection), count_by_status(connection)
        meaning = "Age of the oldest committed change that no reader can have yet."
        gauge("stream_oldest_unpublished_seconds", meaning).set(seconds)
        sessions = gauge("job_sessions", "Sessions in the database.", "job", "status")
        for row in counts:
            sessions.labels(row["job_name"], row["status"]).set(row["sessions"])
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
