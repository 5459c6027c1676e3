"""The suite `stream`: how late and how completely crowds of clients hear what is committed, what a client costs, what writers lose."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from benchmarks.figures import Figure, at_least, at_most, told
from benchmarks.session_writers import durable_server, rate_of_writers
from benchmarks.stream_crowd import Crowd, run_crowd
from benchmarks.stream_process import Child, Server, postgres_cpu_seconds, running_server
from benchmarks.stream_return import (
    LATE_SECONDS,
    GettingInStep,
    meanwhile,
)
from benchmarks.stream_seen import Seen, judge
from benchmarks.stream_writers import Written, write_at
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import head

LOAD_SECONDS = 15.0
MISSED, BACK_EVERY = 4_000, 3.0
CORES = 2


@dataclass
class Run:
    """One load and what came of it."""

    seen: Seen
    written: Written
    report: dict[str, Any]
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
        yield from _hundred(store, url)
        yield from _one(store, url)
        yield from _writers(url)
        store.dispose()


def _thousand(store: SessionStore, url: str) -> Iterator[Figure]:
    name = "1,000 clients at 100 actions/s"
    with running_server(url) as server:
        with reading(Crowd(server.port, 1, 1)):
            pass  # what the first readers make the process load is no reader's own
        run = _load(store, url, server, Crowd(server.port, 500, 500), 100, LOAD_SECONDS)
    yield from _told(name, run, 100)
    yield at_most(f"{name}, commit to client, p99", run.seen.percentile(99), "ms", 500)
    yield at_most(f"{name}, lost", run.seen.lost, "", 0)
    yield told("memory a client, connected", run.memory_idle / 1_000, "KB")
    yield told("memory a client, at the peak of that load", run.memory_peak / 1_000, "KB")


def _hundred(store: SessionStore, url: str) -> Iterator[Figure]:
    """Alone, and beside readers who come back far behind."""
    name = "100 clients at 100 actions/s"
    with running_server(url) as server:
        crowd = Crowd(server.port, 50, 50)
        alone = _load(store, url, server, crowd, 100, LOAD_SECONDS)
        write_at(url, 1_000, MISSED / 1_000)
        back = GettingInStep(server.port, store, MISSED, BACK_EVERY)
        beside = _load(store, url, server, crowd, 100, LOAD_SECONDS, back)
    yield from _told(name, alone, 100)
    yield at_most(f"{name}, commit to client, p99", alone.seen.percentile(99), "ms", 100)
    added = beside.seen.percentile(99) - alone.seen.percentile(99)
    yield at_least("readers who come back 4,000 changes behind, beside them", len(back.took), "", 3)
    yield at_most("until each of them is in step", max(back.took, default=LATE_SECONDS), "s", 5)
    yield at_most("what they add to the others' p99", added, "ms", 50)
    yield at_most("lost by the others", alone.seen.lost + beside.seen.lost, "", 0)


def _one(store: SessionStore, url: str) -> Iterator[Figure]:
    with running_server(url) as server:
        run = _load(store, url, server, Crowd(server.port, 1, 0, 0), 10, 10)
    name = "1 client at 10 actions/s"
    yield at_most(f"{name}, commit to client, p50", run.seen.percentile(50), "ms", 30)
    yield at_most(f"{name}, lost", run.seen.lost, "", 0)


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
) -> Run:
    """Connect a crowd, write, with something beside it, and judge what it saw."""
    before = server.memory_kb
    after = _position(store)
    with _crowd(crowd) as child:
        idle = server.memory_kb - before
        with _peak(lambda: server.memory_kb) as peak, beside or nullcontext():
            used = server.cpu_seconds, postgres_cpu_seconds(url)
            written = write_at(url, rate, seconds)
            used = server.cpu_seconds - used[0], postgres_cpu_seconds(url) - used[1]
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
    return Run(seen, written, report, idle, max(peak) - before, shares)


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
