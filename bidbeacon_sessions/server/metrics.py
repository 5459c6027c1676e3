"""The metrics of one process: of its streams, and of the jobs whose sessions it reads in the log."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, get_args
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_sessions.queries import count_running
from bidbeacon_sessions.server.messages import ResetReason
from bidbeacon_sessions.store import SessionStore

if TYPE_CHECKING:
    from bidbeacon_sessions.server.stream import Stream

TRANSPORTS = ("sse", "websocket")
STEP_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
DURATION_BOUNDS = (1, 5, 15, 60, 300, 900, 3_600, 10_800)
_REMEMBERED = 10_000


class StreamMetrics:
    """Counts what happens in one process, and reads from the database what runs."""

    def __init__(self, store: SessionStore) -> None:
        self._registry = CollectorRegistry()
        self.resets = self._counter(
            "bidbeacon_stream_resets", "Streams that were told to load again.", "reason"
        )
        for reason in get_args(ResetReason):
            self.resets.labels(reason)
        self.errors = self._counter(
            "bidbeacon_stream_errors", "Unforeseen errors while reading the log."
        )
        self._steps = self._counter("bidbeacon_stream_steps", "Steps that this process took.")
        self._published = self._counter(
            "bidbeacon_stream_published", "Changes that this process published."
        )
        self._step_seconds = Histogram(
            "bidbeacon_stream_step_seconds",
            "Duration of this process's steps.",
            buckets=STEP_BOUNDS,
            registry=self._registry,
        )
        self._ended = self._counter(
            "bidbeacon_job_sessions_ended", "Sessions that ended.", "job", "status", "outcome"
        )
        self._recovered = self._counter(
            "bidbeacon_job_sessions_recovered",
            "Sessions that were counted with problems, and whose step a later attempt did.",
            "job",
        )
        self._durations = Histogram(
            "bidbeacon_job_duration_seconds",
            "Duration of sessions that ended.",
            ["job"],
            buckets=DURATION_BOUNDS,
            registry=self._registry,
        )
        self._counted: dict[UUID, str] = {}
        self._registry.register(_Stored(store))

    def watch(self, stream: "Stream") -> None:
        """Ask a stream for its state at each scrape."""
        readers = Gauge(
            "bidbeacon_stream_clients", "Open streams.", ["transport"], registry=self._registry
        )
        for transport in TRANSPORTS:
            readers.labels(transport).set_function(partial(stream.readers.__getitem__, transport))
        self._gauge(
            "bidbeacon_stream_position",
            "Newest position read from the change log.",
            lambda: stream.cursor.position if stream.cursor else 0,
        )
        self._gauge(
            "bidbeacon_stream_lag_seconds",
            "Time since everything committed was published and read.",
            lambda: stream.lag_seconds,
        )

    def note_step(self, published: int, seconds: float) -> None:
        """Count one step."""
        self._steps.inc()
        self._published.inc(published)
        self._step_seconds.observe(seconds)

    def note_ended(self, headers: Iterable[RowMapping]) -> None:
        """Count sessions that ended, each once: the log names a session again where it changed twice at once, or was recovered."""
        for header in headers:
            job, outcome = header["job_name"], header["outcome"]
            counted = self._counted.get(header["id"])
            if counted is None:
                self._ended.labels(job, header["status"], outcome).inc()
                self._durations.labels(job).observe(
                    (header["finished_at"] - header["started_at"]).total_seconds()
                )
            elif counted == "problems" != outcome:
                self._recovered.labels(job).inc()
            self._counted[header["id"]] = outcome
        while len(self._counted) > _REMEMBERED:
            del self._counted[next(iter(self._counted))]

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self._registry)

    def _gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        Gauge(name, meaning, registry=self._registry).set_function(value)


class _Stored(Collector):
    """Figures that are read from the tables at each scrape: none while the database is away."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry would ask the database when it is made."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Read what runs."""
        try:
            with self._store.snapshot() as connection:
                yield from _read(connection)
        except SQLAlchemyError:
            return


def _read(connection: Connection) -> Iterator[Metric]:
    running = GaugeMetricFamily(
        "bidbeacon_job_sessions_running", "Sessions that run.", labels=["job"]
    )
    oldest = GaugeMetricFamily(
        "bidbeacon_job_oldest_running_seconds",
        "Age of the oldest session that runs.",
        labels=["job"],
    )
    for row in count_running(connection):
        running.add_metric([row["job_name"]], row["sessions"])
        oldest.add_metric([row["job_name"]], row["seconds"])
    yield from (running, oldest)
