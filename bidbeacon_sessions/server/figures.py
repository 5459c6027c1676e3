"""How many sessions there are and how long they take, by interval: `GET /api/job-sessions/histogram` and `GET /api/job-metrics`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.queries import Figures, Span, aggregate_jobs, count_by_interval
from bidbeacon_sessions.server.parameters import check_known, read_filter
from bidbeacon_sessions.server.problems import BadRequestError, JsonAnswer
from bidbeacon_sessions.store import SessionStore

MOST_INTERVALS = 72
USUAL_STRETCH = timedelta(hours=24)
LONGEST_STRETCH = timedelta(days=800)
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_WIDTHS = (
    *(1, 2, 5, 10, 15, 30),
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 20, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 6, 12)),
    *(days * _DAY for days in (1, 2, 7, 14)),
)
"""Lengths in seconds that people can read off an axis."""


def divide(since: datetime, before: datetime) -> Span:
    """Return the span of at most 72 intervals that covers a stretch of time; it begins at a multiple of their width, which people can read.

    Raises:
        BadRequestError: it ends before it begins, or is longer than 800 days.
    """
    if not timedelta(0) < before - since <= LONGEST_STRETCH:
        raise BadRequestError(
            f"Expected since to lie before `before`, by {LONGEST_STRETCH.days} days at most, got: {since.isoformat()} and {before.isoformat()}.",
            "Leave one of them out, or choose a shorter stretch.",
        )
    seconds = (before - since).total_seconds()
    width = next((width for width in _WIDTHS if seconds / width <= MOST_INTERVALS - 1), _WIDTHS[-1])
    first = since.timestamp() // width * width
    last = -(-before.timestamp() // width) * width
    return Span(
        datetime.fromtimestamp(first, UTC),
        datetime.fromtimestamp(last, UTC),
        timedelta(seconds=width),
    )


def answer_histogram(request: Request) -> Response:
    """Count the sessions of the filter between `since` and `before`, the last 24 hours where these are not given.

    `counts` is null where that takes too long: the page asks for a shorter stretch then.
    """
    wanted = read_filter(request.query_params)
    before = wanted.before or utc_now()
    span = divide(wanted.since or before - USUAL_STRETCH, before)
    store: SessionStore = request.app.state.store
    with store.snapshot() as connection:
        rows = count_by_interval(connection, wanted, span)
    counts: list[dict[str, int]] = [{} for _ in span.intervals]
    for row in rows or ():
        counts[row["place"]][row["mark"]] = row["sessions"]
    return JSONResponse(
        {
            "start": span.since.isoformat(),
            "seconds": int(span.interval.total_seconds()),
            "counts": None if rows is None else counts,
        }
    )


INTERVALS = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
}
MAX_INTERVALS = 750
_USUAL_INTERVALS = 100
_USUAL_SPAN = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KNOWN = ("since", "before", "interval", "job", "account")


def answer_job_metrics(request: Request) -> JsonAnswer:
    """Answer with the figures of `since` to `before` (a day until now), by `interval`; `job` and `account` restrict them."""
    check_known(request.query_params, frozenset(_KNOWN), f"Use some of: {', '.join(_KNOWN)}.")
    wanted = read_filter(request.query_params, also=frozenset({"interval"}))
    now = utc_now()
    before = wanted.before or now
    span = read_span(request.query_params, wanted.since or before - _USUAL_SPAN, before)
    store: SessionStore = request.app.state.store
    with store.snapshot() as connection:
        found = aggregate_jobs(connection, span, job=wanted.job, account=wanted.account)
    return JsonAnswer(
        {
            "since": span.since.isoformat(),
            "before": span.before.isoformat(),
            "interval_seconds": int(span.interval.total_seconds()),
            "jobs": describe_jobs(({wanted.job: {}} if wanted.job else {}) | found, span),
            "server_time": now.isoformat(),
        }
    )


def read_span(query: QueryParams, since: datetime, before: datetime) -> Span:
    """Return the span that is asked for; intervals begin at whole ones in UTC, so that the same ones come at each call.

    Raises:
        BadRequestError: it is empty or has too many intervals, or the interval is none that is
            known.
    """
    if since >= before:
        raise BadRequestError(
            "Expected since to be earlier than before.", "Ask for a span that has begun."
        )
    interval = _interval(query.get("interval"), before - since)
    first = _EPOCH + (since - _EPOCH) // interval * interval
    span = Span(first.astimezone(UTC), before.astimezone(UTC), interval)
    if (before - first) / interval > MAX_INTERVALS:
        raise BadRequestError(
            f"This span has more than {MAX_INTERVALS} intervals.",
            f"Use a longer interval ({', '.join(INTERVALS)}), or a shorter span.",
        )
    return span


def _interval(given: str | None, length: timedelta) -> timedelta:
    if given:
        if given not in INTERVALS:
            raise BadRequestError(
                f"Unknown interval {given[:50]!r}.", f"Use one of: {', '.join(INTERVALS)}."
            )
        return INTERVALS[given]
    fitting = (interval for interval in INTERVALS.values() if length / interval <= _USUAL_INTERVALS)
    return next(fitting, INTERVALS["1d"])


def describe_jobs(
    found: Mapping[str, Mapping[datetime | None, Figures]], span: Span
) -> list[dict[str, Any]]:
    """Return jobs by name, each with its figures over the whole span and in every interval of it."""
    nothing = Figures()
    return [
        {
            "job_name": name,
            **job.get(None, nothing).__dict__,
            "intervals": [
                {"at": at.isoformat(), **job.get(at, nothing).__dict__} for at in span.intervals
            ],
        }
        for name, job in sorted(found.items())
    ]
