"""`GET /metrics`, as Prometheus text: read from the stream and the tables at each scrape."""

from collections.abc import Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
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
    """Answer with lag, clients, sessions by job and status, and the age of the oldest unpublished change."""
    registry = CollectorRegistry()
    registry.register(_Figures(request.app.state.store, request.app.state.follower))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Figures(Collector):
    def __init__(self, store: SessionStore, follower: Follower) -> None:
        self._store = store
        self._follower = follower

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry would collect when it is made."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Read all figures; those of the tables are missing while the database is away."""
        clients = GaugeMetricFamily(
            "bidbeacon_stream_clients", "Open streams.", labels=["transport"]
        )
        for transport in TRANSPORTS:
            clients.add_metric([transport], self._follower.readers[transport])
        yield clients
        yield GaugeMetricFamily(
            "bidbeacon_stream_lag_seconds",
            "Time since everything committed was published and read.",
            value=self._follower.lag_seconds,
        )
        try:
            with self._store.begin() as connection:
                yield from _read(connection)
        except SQLAlchemyError:
            return


def _read(connection: Connection) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "bidbeacon_stream_oldest_unpublished_seconds",
        "Age of the oldest committed change that no reader can have yet.",
        value=read_unpublished_seconds(connection),
    )
    sessions = GaugeMetricFamily(
        "bidbeacon_job_sessions", "Sessions in the database.", labels=["job", "status"]
    )
    for row in count_by_status(connection):
        sessions.add_metric([row["job_name"], row["status"]], row["sessions"])
    yield sessions
