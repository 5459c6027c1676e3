"""`GET /metrics`, as Prometheus text: read from the stream and the tables at each scrape."""

from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from bidbeacon_sessions.change_log import read_unpublished_seconds
from bidbeacon_sessions.following import Follower
from bidbeacon_sessions.statistics import count_by_status
from bidbeacon_sessions.store import SessionStore

TRANSPORTS = ("sse", "websocket")


def answer_metrics(request: Request) -> Response:
    """Answer with lag, clients, sessions by job and status, and the age of the oldest unpublished change.

    Those of the tables are missing while the database is away.
    """
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
