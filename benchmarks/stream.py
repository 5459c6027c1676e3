"""The suite `stream`: how late and how completely crowds of clients hear what is committed, what a client costs, what writers lose."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks.figures import Figure, at_least, at_most, told
from benchmarks.session_writers import durable_server, rate_of_writers
from benchmarks.stream_crowd import Crowd, run_crowd
from benchmarks.stream_process import Child, Server, postgres_cpu_seconds, running_server
from benchmarks.stream_return import (
    LATE_SECONDS,
    GettingInStep,
    cursor_behind,
    meanwhile,
    returning_readers,
)
from benchmarks.stream_seen import Seen, judge
from benchmarks.stream_writers import Written, write_at
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import head

LOAD_SECONDS = 15.0
TOGETHER = 10
"""Actions a transaction where two cores have not enough left for one each."""
SLOW_BYTES, SLOW_PAUSE, SLOW_SECONDS = 100, 0.1, 25
SLOW_ROUNDS, SLOW_ROUND_SECONDS = 5, 8.0
MISSED = 4_000
BACK_MISSED, BACK_EVERY, BACK_RATE = 1_000, 3.0, 500
FILL_SECONDS = 9
"""So long a slow reader's connection takes in what it does not read."""
CORES = 2


@dataclass
class Run:
    """One load and what came of it."""

    seen: Seen
    written: Written
    report: dict[str, Any]
    late_seconds: float = 0
    memory_idle: float = 0
    memory_peak: float = 0
    shares: dict[str, float] = field(default_factory=dict)


def stream() -> Iterator[Figure]:
    """Measure on a server of its own that syncs each commit to disk."""
    yield told(
        "load of the machine beforehand (processes that want a core)", os.getloadavg()[0], ""
    )
    with durable_server() as url:
        store = SessionStore.connect(url)
        yield from _thousand(store, url)
        yield from _thousand_busy(store, url)
        yield from _few(store, url)
        yield from _slow_reader(store, url)
        yield from _writers(url)
        store.dispose()


def _thousand(store: SessionStore, url: str) -> Iterator[Figure]:
    name = "1,000 clients at 100 actions/s"
    with running_server(url) as server:
        with reading(Crowd(server.port, 1, 1)):
            pass  # what the first readers make the process load is no reader's own
        run = _load(store, url, server, Crowd(server.port, 500, 500), 100, LOAD_SECONDS)
    yield from _told(name, run, 100)
    yield at_most(f"{name}, commit to client, p99", run.seen.percentile(99), "ms", 300)
    yield at_most(f"{name}, lost", run.seen.lost, "", 0)
    yield at_most("memory a client, connected", run.memory_idle / 1_000, "KB", 100)
    yield told("memory a client, at the peak of that load", run.memory_peak / 1_000, "KB")


def _thousand_busy(store: SessionStore, url: str) -> Iterator[Figure]:
    """Ten times as much: late is allowed, losing is not."""
    name = "1,000 clients at 1,000 actions/s"
    with running_server(url) as server:
        crowd = Crowd(server.port, 500, 500)
        run = _load(store, url, server, crowd, 1_000, LOAD_SECONDS, together=TOGETHER)
        back = GettingInStep(server.port, store, BACK_MISSED, BACK_EVERY)
        _load(store, url, server, crowd, BACK_RATE, LOAD_SECONDS, back)
    yield from _told(name, run, 1_000)
    yield told(f"{name}, commit to client, p99", run.seen.percentile(99), "ms")
    yield at_most(f"{name}, lost", run.seen.lost, "", 0)
    yield at_most(f"{name}, until all are in step after its end", run.late_seconds, "s", 5)
    yield told("memory a client, at the peak of that load", run.memory_peak / 1_000, "KB")
    coming_back = (
        f"readers who come back 1,000 changes behind, beside them and {BACK_RATE} actions/s"
    )
    yield at_least(coming_back, len(back.took), "", 3)
    yield at_most("until each of them is in step", max(back.took, default=LATE_SECONDS), "s", 5)


def _few(store: SessionStore, url: str) -> Iterator[Figure]:
    for rate, bound in ((1_000, 300), (100, 60)):
        with running_server(url) as server:
            run = _load(store, url, server, Crowd(server.port, 50, 50), rate, 12)
        name = f"100 clients at {rate:,} actions/s"
        yield from _told(name, run, rate)
        yield at_most(f"{name}, commit to client, p99", run.seen.percentile(99), "ms", bound)
        yield at_most(f"{name}, lost", run.seen.lost, "", 0)
    with running_server(url) as server:
        run = _load(store, url, server, Crowd(server.port, 1, 0, 0), 10, 10)
    yield at_most(
        "1 client at 10 actions/s, commit to client, p50", run.seen.percentile(50), "ms", 30
    )
    yield at_most("1 client, lost", run.seen.lost, "", 0)


def _slow_reader(store: SessionStore, url: str) -> Iterator[Figure]:
    """Rounds with the same crowd, alone and beside a reader at 1 kB/s whose connection is full: the median of what it adds."""
    name = "500 clients at 300 actions/s"
    alone, beside = list[Run](), list[Run]()
    with running_server(url) as server:
        load = partial(
            _load, store, url, server, Crowd(server.port, 250, 250), 300, SLOW_ROUND_SECONDS
        )
        for _ in range(SLOW_ROUNDS):
            alone.append(load())
            with slow_reader(server.port):
                write_at(url, 300, FILL_SECONDS)
                beside.append(load())
        with returning_readers(server.port, cursor_behind(store, MISSED)):
            returning = load()
    added = [_p99([late]) / _p99([early]) - 1 for early, late in zip(alone, beside, strict=True)]
    yield told(f"{name}, commit to client, p99", _p99(alone), "ms")
    yield told("the same beside a reader at 1 kB/s", _p99(beside), "ms")
    yield at_most(
        "what that reader adds to the others' p99, median", float(np.median(added)) * 100, "%", 25
    )
    yield told("the same beside readers who missed 4,000 changes each", _p99([returning]), "ms")
    lost = sum(run.seen.lost + len(run.seen.faults) for run in [*alone, *beside, returning])
    yield at_most("lost by the others", lost, "", 0)


def _p99(runs: Sequence[Run]) -> float:
    """Return the 99th percentile of several loads, taken together."""
    return float(np.percentile(np.concatenate([run.seen.milliseconds for run in runs]), 99))


def _writers(url: str) -> Iterator[Figure]:
    """Writers flat out in turns, so that the machine's moods are the same for both."""
    without, read = list[float](), list[float]()
    for _ in range(2):
        without.append(rate_of_writers(url))
        with running_server(url) as server, reading(Crowd(server.port, 1, 1, 0)):
            read.append(rate_of_writers(url))
    yield told("writers flat out, nobody reads", sum(without) / 2, "appends/s")
    yield told("writers flat out, one SSE and one WebSocket client", sum(read) / 2, "appends/s")
    yield at_most("throughput that they lose", (1 - sum(read) / sum(without)) * 100, "%", 25)


def _load(
    store: SessionStore,
    url: str,
    server: Server,
    crowd: Crowd,
    rate: float,
    seconds: float,
    beside: AbstractContextManager[object] | None = None,
    *,
    together: int = 1,
) -> Run:
    """Connect a crowd, write so many actions in a transaction, with something beside it, and judge what it saw."""
    before = server.memory_kb
    after = _position(store)
    with _crowd(crowd) as child:
        idle = server.memory_kb - before
        with _peak(lambda: server.memory_kb) as peak, beside or nullcontext():
            used = server.cpu_seconds, postgres_cpu_seconds(url)
            written = write_at(url, rate, seconds, together)
            used = server.cpu_seconds - used[0], postgres_cpu_seconds(url) - used[1]
            ended = time.monotonic_ns()
        child.say(_settled(store, len(written.acknowledged), after))
        report = child.hear(60)
    seen = judge(store, written.acknowledged, report, after)
    spent = {
        "server": used[0],
        "Postgres": used[1],
        "writers": written.cpu_seconds,
        "crowd": report["cpu_seconds"],
    }
    shares = {name: each / written.seconds / CORES * 100 for name, each in spent.items()}
    late = max(report["reached_at"] - ended, 0) / 1e9
    return Run(seen, written, report, late, idle, max(peak) - before, shares)


def _told(name: str, run: Run, rate: float) -> Iterator[Figure]:
    yield at_least(f"{name}, written", run.written.rate, "actions/s", rate * 0.95)
    yield told(f"{name}, received", run.report["received"] / run.written.seconds / 1e6, "MB/s")
    for who, share in run.shares.items():
        yield told(f"{name}, share of the {CORES} cores: {who}", share, "%")
    for fault in run.seen.faults[:5]:
        print(f"  {fault}")
    yield at_most(f"{name}, faults", len(run.seen.faults), "", 0)
    for percentile in (50, 90):
        yield told(
            f"{name}, commit to client, p{percentile}", run.seen.percentile(percentile), "ms"
        )


@contextmanager
def _crowd(crowd: Crowd) -> Iterator[Child]:
    child = Child(run_crowd, crowd)
    try:
        assert child.hear(90) == "ready"
        yield child
    finally:
        child.end()


@contextmanager
def reading(crowd: Crowd) -> Iterator[None]:
    """Have a crowd read while something else is measured."""
    with _crowd(crowd) as child:
        yield
        child.say(0)
        child.hear(60)


@contextmanager
def slow_reader(port: int) -> Iterator[None]:
    """Read at 1 kB/s, with as little room on the way as the system allows; whoever is cut off comes back."""

    def read(stop: threading.Event) -> None:
        while not stop.is_set():
            with socket.socket() as slow:
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                slow.connect(("127.0.0.1", port))
                slow.sendall(b"GET /api/job-sessions/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                ends = time.monotonic() + SLOW_SECONDS
                while (
                    time.monotonic() < ends and not stop.wait(SLOW_PAUSE) and slow.recv(SLOW_BYTES)
                ):
                    pass

    with meanwhile(read):
        yield


@contextmanager
def _peak(measure: Callable[[], float]) -> Iterator[list[float]]:
    values = [measure()]

    def look(stop: threading.Event) -> None:
        while not stop.wait(0.25):
            values.append(measure())

    with meanwhile(look):
        yield values


def _position(store: SessionStore) -> int:
    with store.begin() as connection:
        return head(connection).position


def _settled(store: SessionStore, actions: int, after: int) -> int:
    """Wait until all that was written is published; return the newest position."""
    deadline = time.monotonic() + 20
    newest, seen = _position(store), -1
    while newest != seen and time.monotonic() < deadline:
        time.sleep(0.5)
        newest, seen = _position(store), newest
    assert newest >= after + actions, f"expected {actions} actions after {after}, got: {newest}"
    return newest
