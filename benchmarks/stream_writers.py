"""Writers of the stream's load: jobs that record sessions of twenty actions at a given pace, and keep when each commit was acknowledged."""

import os
import time
from collections import deque
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, date, datetime
from multiprocessing.connection import Connection

from benchmarks.stream_process import Child
from bidbeacon_pipelines.actions.reports import ReportPending
from bidbeacon_sessions import SessionRecorder, SessionStore, Subject, with_job_session

PROCESSES = 4
OPEN_EACH = 4
ACTIONS_EACH = 20
_DAY = date(2026, 11, 1)

Acknowledged = dict[tuple[str, int], int]
"""When the commit of an action (session, ord) was acknowledged, by the monotonic clock that all processes share, in nanoseconds."""


@dataclass
class Written:
    """What writers did."""

    acknowledged: Acknowledged
    cpu_seconds: float
    seconds: float

    @property
    def rate(self) -> float:
        """Actions a second."""
        return len(self.acknowledged) / self.seconds


def write_at(url: str, rate: float, seconds: float) -> Written:
    """Have four processes record so many actions a second, all in all; return what was acknowledged.

    Args:
        url: the database.
        rate: actions a second.
        seconds: for how long.
    """
    writers = [Child(_write, url, rate / PROCESSES, seconds) for _ in range(PROCESSES)]
    for writer in writers:
        assert writer.hear(60) == "ready"
    for writer in writers:
        writer.say("go")
    told: list[Written] = [writer.hear(seconds + 120) for writer in writers]
    for writer in writers:
        writer.end()
    acknowledged = {key: at for each in told for key, at in each.acknowledged.items()}
    return Written(
        acknowledged, sum(each.cpu_seconds for each in told), max(each.seconds for each in told)
    )


def _write(url: str, rate: float, seconds: float, pipe: Connection) -> None:
    store = SessionStore.connect(url)
    with with_job_session("warm-up", store=store):
        pass
    pipe.send("ready")
    pipe.recv()
    used = _cpu_seconds()
    began = time.monotonic_ns()
    acknowledged = _record(store, rate, seconds)
    took = (time.monotonic_ns() - began) / 1e9
    pipe.send(Written(acknowledged, _cpu_seconds() - used, took))
    store.dispose()


def _record(store: SessionStore, rate: float, seconds: float) -> Acknowledged:
    """Record at an even pace; whoever is late catches up."""
    acknowledged: Acknowledged = {}
    opened: deque[_OpenSession] = deque()
    began = time.monotonic()
    for number in range(round(rate * seconds)):
        pause = began + number / rate - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        if len(opened) < OPEN_EACH:
            opened.append(_OpenSession(store, number))
        opened.rotate()
        session = opened[0]
        place = session.record(number)
        acknowledged[str(session.recorder.session_id), place] = time.monotonic_ns()
        if place == ACTIONS_EACH:
            opened.popleft().close()
    for session in opened:
        session.close()
    return acknowledged


class _OpenSession:
    """A session beside others in one process, in a context of its own: connections are named after the session of their context."""

    def __init__(self, store: SessionStore, number: int) -> None:
        key = f"US.bench{number % 100:03d}"
        self._store = store
        self._account = key
        self._context = copy_context()
        self._stack = ExitStack()
        account = Subject(key)
        self.recorder: SessionRecorder = self._context.run(
            self._stack.enter_context,
            with_job_session(
                "refresh-account",
                store=store,
                account=account,
                run_id=f"{os.getpid()}-{number}",
                input={"account": key, "datasets": ["daily_targets", "daily_products"]},
                labels={"dagster_job": "refresh_account"},
            ),
        )
        self._ord = 0

    def record(self, number: int) -> int:
        """Record one action; return its place."""
        self._ord += 1
        self._context.run(self.recorder.add, self._action(number))
        return self._ord

    def _action(self, number: int) -> ReportPending:
        return ReportPending(
            account=self._account,
            dataset="daily_targets",
            windows=[_DAY],
            request_id=number,
            report_id="25e11dfc-a41b-2b3f-bef0-a1d63cd19997",
            amazon_status="PROCESSING",
            waited_seconds=61.5,
            next_poll_at=datetime.now(UTC),
            looks=self._ord,
        )

    def close(self) -> None:
        """End it."""
        self._context.run(self._stack.close)


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system
