"""`GET /api/job-sessions/histogram`: how many matching sessions began in each interval of a stretch of time."""

from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.queries import Span, count_by_interval
from bidbeacon_sessions.server.parameters import read_filter
from bidbeacon_sessions.server.problems import BadRequestError
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
        datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC), timedelta(seconds=width)
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
