"""What the stream says about itself, as Prometheus text."""

from collections.abc import Iterator
from typing import get_args

from bidbeacon_sessions.server.hub import Hub
from bidbeacon_sessions.server.messages import ResetReason
from bidbeacon_sessions.server.step_counts import StepCounts


def metrics_text(hub: Hub) -> str:
    """Give the metrics of one process in Prometheus' text format."""
    return "\n".join(_lines(hub)) + "\n"


def _lines(hub: Hub) -> Iterator[str]:
    cursor = hub.tailer.cursor
    counts = hub.tailer.counts
    clients = hub.clients
    yield from _metric("clients", "gauge", "Open streams.")
    for transport in ("sse", "websocket"):
        yield f'bidbeacon_stream_clients{{transport="{transport}"}} {clients[transport]}'
    yield from _metric("position", "gauge", "Newest position read from the change log.")
    yield f"bidbeacon_stream_position {0 if cursor is None else cursor.position}"
    yield from _metric("lag_seconds", "gauge", "Time since everything committed was published and read.")
    yield f"bidbeacon_stream_lag_seconds {hub.lag_seconds:.3f}"
    yield from _metric("steps_total", "counter", "Steps that this process took.")
    yield f"bidbeacon_stream_steps_total {counts.steps}"
    yield from _metric("published_total", "counter", "Changes that this process published.")
    yield f"bidbeacon_stream_published_total {counts.published}"
    yield from _step_seconds(hub.tailer.counts)
    yield from _metric("resets_total", "counter", "Streams that were told to load again.")
    for reason in get_args(ResetReason):
        yield f'bidbeacon_stream_resets_total{{reason="{reason}"}} {hub.resets[reason]}'
    yield from _metric("errors_total", "counter", "Looks at the log that failed in a way nobody foresaw.")
    yield f"bidbeacon_stream_errors_total {hub.errors}"


def _step_seconds(counts: StepCounts) -> Iterator[str]:
    yield from _metric("step_seconds", "histogram", "How long this process's steps took.")
    for bound, steps in counts.count_within():
        yield f'bidbeacon_stream_step_seconds_bucket{{le="{bound}"}} {steps}'
    yield f'bidbeacon_stream_step_seconds_bucket{{le="+Inf"}} {counts.steps}'
    yield f"bidbeacon_stream_step_seconds_sum {counts.seconds:.6f}"
    yield f"bidbeacon_stream_step_seconds_count {counts.steps}"


def _metric(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP bidbeacon_stream_{name} {meaning}"
    yield f"# TYPE bidbeacon_stream_{name} {kind}"
