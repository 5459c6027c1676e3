"""`GET /metrics`, as Prometheus text: read from the stream and the tables at each scrape."""

from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import Connection
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
    name = "bidbeacon_stream_clients"
    clients = Gauge(name, "Open streams.", ["transport"], registry=registry)
    for transport in TRANSPORTS:
        clients.labels(transport).set(follower.readers[transport])
    name, meaning = (
        "bidbeacon_stream_lag_seconds",
        "Time since all commits were published and read.",
    )
    Gauge(name, meaning, registry=registry).set(follower.lag_seconds)
    with suppress(SQLAlchemyError), store.begin() as connection:
        _read_tables(connection, registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _read_tables(connection: Connection, registry: CollectorRegistry) -> None:
    age = read_unpublished_seconds(connection)
    name = "bidbeacon_stream_oldest_unpublished_seconds"
    Gauge(name, "Age of the oldest commit that no reader can have yet.", registry=registry).set(age)
    name = "bidbeacon_job_sessions"
    labels = ["job", "status"]
    sessions = Gauge(name, "Sessions in the database.", labels, registry=registry)
    for row in count_by_status(connection):
        sessions.labels(row["job_name"], row["status"]).set(row["sessions"])
