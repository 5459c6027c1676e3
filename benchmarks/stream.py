"""The suite `stream`: delays and losses of crowds of clients, and the cost to writers."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from urllib.request import urlopen

from benchmarks.database import fresh_database, url_of
from benchmarks.figures import Figure, at_least, at_most, without_bound
from benchmarks.processes import Child, running
from benchmarks.stream_crowd import Report, run_crowd
from benchmarks.stream_seen import Seen, compare
from benchmarks.writers import Written, write
from bidbeacon_pipelines.dev.services import choose_port
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import head
from bidbeacon_sessions.settings import MAX_ACTIONS
from tests.support.waiting import wait_until

LOAD_SECONDS, ACTIONS_EACH = 15.0, 20
MISSED, BACK_EVERY, LATE_SECONDS = 4_000, 3.0, 60.0
WRITERS, FLAT_OUT, FLAT_OUT_SECONDS, TURNS = 4, 8, 2.0, 7


def stream() -> Iterator[Figure]:
    """Measure with a database that syncs each commit to disk."""
    with fresh_database(durable=True) as engine:
        bench = Bench(SessionStore(engine), url_of(engine))
        yield from _thousand(bench)
        yield from _hundred(bench)
        yield from _one(bench)
        yield from _writers(bench)


class Bench:
    """A database for streams, one after another, with writers and crowds of clients."""

    def __init__(self, store: SessionStore, url: str) -> None:
        self.store, self.url = store, url

    @contextmanager
    def serving(self) -> Iterator[int]:
        """Run the stream as `bidbeacon stream` starts it; yield its port."""
        port = choose_port()
        ours = {"BIDBEACON_DATABASE_URL": self.url, "BIDBEACON_STREAM_HOST": "127.0.0.1"}
        command = [sys.executable, "-m", "bidbeacon_pipelines", "stream", "--port", str(port)]
        with running(command, f"http://127.0.0.1:{port}/readyz", {**os.environ, **ours}):
            yield port

    @contextmanager
    def crowd(self, port: int, clients: int) -> Iterator[list[Report]]:
        """Run a crowd of readers inside the block; append its report to the list at the end."""
        child, reports = Child(run_crowd, port, clients), list[Report]()
        assert child.receive(240) == "ready"
        yield reports
        child.send(self.position())
        reports.append(child.receive(60))
        child.end()

    def load(self, port: int, clients: int, rate: float, seconds: float) -> tuple[Seen, Written]:
        """Write at a pace while a crowd reads; compare received with written actions."""
        after = self.position()
        with self.crowd(port, clients) as reports:
            written = write(self.url, WRITERS, seconds, actions_each=ACTIONS_EACH, rate=rate)
            ends = after + len(written.acknowledged)
            wait_until(lambda: self.position() >= ends, "all written actions are published")
        return compare(self.store, written.acknowledged, reports[0], after), written

    def position(self) -> int:
        """Return the newest position of the log."""
        with self.store.begin() as connection:
            return head(connection).position

    @contextmanager
    def coming_back(self, port: int) -> Iterator[list[float]]:
        """Have readers reconnect far behind inside the block; yield the seconds each lagged."""
        stop, took = threading.Event(), list[float]()

        def come_back() -> None:
            while not stop.wait(BACK_EVERY):
                took.append(self._seconds_until_in_step(port))

        thread = threading.Thread(target=come_back, daemon=True)
        thread.start()
        yield took
        stop.set()
        thread.join()

    def _seconds_until_in_step(self, port: int) -> float:
        with self.store.begin() as connection:
            newest = head(connection).cursor
        cursor = replace(newest, position=newest.position - MISSED)
        began, event, position = time.monotonic(), "", 0
        address = f"http://127.0.0.1:{port}/api/job-sessions/stream?cursor={cursor}"
        with urlopen(address, timeout=LATE_SECONDS) as lines:
            for line in lines:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "event":
                    event, position = value, 0
                elif name == "id":
                    position = _position(value)
                elif event == "sync" and position >= _position(json.loads(value)["cursor"]):
                    return time.monotonic() - began
        return LATE_SECONDS


def _position(cursor: str) -> int:
    return int(cursor.partition(".")[2])


def _thousand(bench: Bench) -> Iterator[Figure]:
    name = "1,000 clients at 100 actions/s"
    with bench.serving() as port:
        seen, written = bench.load(port, 1_000, 100, LOAD_SECONDS)
    yield at_least(f"{name}, written", written.rate, "actions/s", 95)
    yield at_most(f"{name}, commit to client, p99", seen.percentile(99), "ms", 500)
    yield from _complete(name, seen)


def _hundred(bench: Bench) -> Iterator[Figure]:
    name = "100 clients at 100 actions/s"
    with bench.serving() as port:
        alone, _ = bench.load(port, 100, 100, LOAD_SECONDS)
        write(bench.url, WRITERS, MISSED / 1_000, actions_each=ACTIONS_EACH, rate=1_000)
        with bench.coming_back(port) as took:
            beside, written = bench.load(port, 100, 100, LOAD_SECONDS)
    yield at_least(f"{name}, written", written.rate, "actions/s", 95)
    yield at_most(f"{name}, commit to client, p99", alone.percentile(99), "ms", 100)
    yield from _complete(name, alone)
    yield at_least("readers that reconnect 4,000 changes behind, beside them", len(took), "", 3)
    yield at_most("until each of them is in step", max(took, default=LATE_SECONDS), "s", 5)
    added = beside.percentile(99) - alone.percentile(99)
    yield at_most("what they add to the others' p99", added, "ms", 50)
    yield from _complete("the others", beside)


def _one(bench: Bench) -> Iterator[Figure]:
    name = "1 client at 10 actions/s"
    with bench.serving() as port:
        seen, _ = bench.load(port, 1, 10, 10)
    yield at_most(f"{name}, commit to client, p50", seen.percentile(50), "ms", 30)
    yield from _complete(name, seen)


def _complete(name: str, seen: Seen) -> Iterator[Figure]:
    yield at_most(f"{name}, lost", seen.lost, "", 0)
    faults = f" ({'; '.join(seen.faults[:3])})" if seen.faults else ""
    yield at_most(f"{name}, faults{faults}", len(seen.faults), "", 0)


def _writers(bench: Bench) -> Iterator[Figure]:
    """Measure writers in pairs of turns, since a machine changes its speed within a minute."""
    alone, read = list[float](), list[float]()
    with bench.serving() as port:
        for _ in range(TURNS):
            alone.append(_flat_out(bench))
            with bench.crowd(port, 2):
                read.append(_flat_out(bench))
    lost = median(1 - beside / without for without, beside in zip(alone, read, strict=True))
    name = "writers flat out"
    yield without_bound(f"{name}, without clients", median(alone), "appends/s")
    yield without_bound(f"{name}, one SSE and one WebSocket client", median(read), "appends/s")
    yield at_most("throughput that they lose, median of pairs", lost * 100, "%", 25)


def _flat_out(bench: Bench) -> float:
    return write(bench.url, FLAT_OUT, FLAT_OUT_SECONDS, actions_each=MAX_ACTIONS).rate
