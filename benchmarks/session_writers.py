"""What recording costs: appends at any length, eight writers at once, statements of a session that records nothing."""

import multiprocessing
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine, event

from benchmarks.figures import Figure, at_least, at_most, milliseconds
from bidbeacon_pipelines.database.schema import upgrade
from bidbeacon_sessions import Action, Reference, SessionRecorder, SessionStore, with_job_session
from bidbeacon_sessions.settings import MAX_ACTIONS
from tools.temporary_postgres import temporary_postgres

WRITERS, WRITER_SECONDS = 8, 5.0
_EACH, _ROUNDS = 10, 40


class BenchMeasured(Action):
    """Something of the size of a usual action."""

    sentence = "Measured {number} of {dataset:badge} for {account:account}[: {note}]"

    account: str
    dataset: str
    number: int
    note: str = "report 25e11dfc-a41b-2b3f-bef0-a1d63cd19997 is PROCESSING at Amazon"

    def references(self) -> list[Reference]:
        """One window, as a look at a report refers to its dataset."""
        return [Reference(self.account, "measured", self.dataset)]


def writing() -> Iterator[Figure]:
    """Measure on a server of its own that syncs each commit to disk, as the embedded one does."""
    with durable_server() as url:
        store = SessionStore.connect(url)
        yield _statements(store)
        yield from _lengths(store)
        store.dispose()
        rate = rate_of_writers(url)
        yield at_least(f"{WRITERS} writers at once, at least", rate, "appends/s", 2_000)


@contextmanager
def durable_server() -> Iterator[str]:
    """Run a server of its own that syncs each commit to disk, and delete it at the end; yield its address."""
    with (
        TemporaryDirectory(prefix="bidbeacon-bench-") as folder,
        temporary_postgres(Path(folder), durable=True) as url,
    ):
        upgrade(url)
        yield url


def _statements(store: SessionStore) -> Figure:
    """Count the statements of a session that records nothing, without BEGIN and COMMIT."""
    sent: list[str] = []
    event.listen(Engine, "before_cursor_execute", lambda _c, _cur, sql, *_: sent.append(sql))
    with with_job_session("bench", store=store, run_id="run", step_key="step"):
        pass
    return at_most("statements of a session that records nothing", len(sent), "", 4)


def _lengths(store: SessionStore) -> Iterator[Figure]:
    """Append to short sessions and to one that gets as long as one may be, in turns, so that the machine's moods are the same for both."""
    short: list[float] = []
    long: list[float] = []
    with with_job_session("bench", store=store) as longest:
        for number in range(MAX_ACTIONS - _EACH * _ROUNDS):
            longest.add(_action(number))
        for _ in range(_ROUNDS):
            with with_job_session("bench", store=store) as session:
                short += _append(session)
            long += _append(longest)
    few, many = statistics.median(short), statistics.median(long)
    yield at_most("an append to a session of 10 actions, median", few, "ms", 1)
    yield at_most("an append to a session of 5,000 actions, median", many, "ms", 1)
    yield at_most("the same, above that to a session of 10 actions", (many / few - 1) * 100, "%", 5)


def _append(session: SessionRecorder) -> list[float]:
    return [milliseconds(partial(session.add, _action(number))) for number in range(_EACH)]


def _action(number: int) -> BenchMeasured:
    return BenchMeasured(account=f"US.{number % 100}", dataset="daily_targets", number=number)


def rate_of_writers(url: str) -> float:
    """Return how many actions eight processes append a second, all in all."""
    context = multiprocessing.get_context("spawn")
    counts = context.Queue()
    start = context.Barrier(WRITERS)
    processes = [context.Process(target=_write, args=(url, start, counts)) for _ in range(WRITERS)]
    for process in processes:
        process.start()
    written: list[int] = [counts.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    return sum(written) / WRITER_SECONDS


def _write(url: str, start: Barrier, counts: "multiprocessing.Queue[int]") -> None:
    store = SessionStore.connect(url)
    count, rest = 0, 0
    with with_job_session("bench", store=store) as warm:
        warm.add(_action(0))
    start.wait()
    ends = time.perf_counter() + WRITER_SECONDS
    while time.perf_counter() < ends:
        with with_job_session("bench", store=store) as session:
            for rest in range(MAX_ACTIONS):
                session.add(_action(rest))
                count += 1
                if time.perf_counter() >= ends:
                    break
    counts.put(count)
    store.dispose()
