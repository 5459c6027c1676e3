"""Processes that record sessions at the same time, and keep when each commit was acknowledged."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain, count, islice, takewhile
from multiprocessing.connection import Connection
from uuid import uuid4

from benchmarks.processes import run_at_once
from bidbeacon_pipelines.actions import ReportPending
from bidbeacon_sessions import SessionStore, Subject, with_job_session

Acknowledged = dict[tuple[str, int], int]
"""The commit time of each action (session, ord), in ns of the shared monotonic clock."""


@dataclass
class Written:
    """The acknowledged appends of writers, and the time they took."""

    acknowledged: Acknowledged
    seconds: float

    @property
    def rate(self) -> float:
        """Actions a second."""
        return len(self.acknowledged) / self.seconds


def make_action(number: int) -> ReportPending:
    """Return an action of the most frequent type; one in twenty is the first of its report."""
    return ReportPending(
        account=f"US.bench{number % 100:03d}",
        dataset="daily_targets",
        windows=[date(2026, 11, 1)],
        request_id=number,
        report_id="25e11dfc-a41b-2b3f-bef0-a1d63cd19997",
        amazon_status="PROCESSING",
        waited_seconds=61.5,
        next_poll_at=datetime.now(UTC),
        polls=1 + number % 20,
    )


def write(
    url: str, writers: int, seconds: float, *, actions_each: int, rate: float | None = None
) -> Written:
    """Record sessions in several processes; return the acknowledged actions.

    Args:
        url: The database.
        writers: The number of processes.
        seconds: How long they write.
        actions_each: The length of each session.
        rate: Actions a second of all processes together; None: as many as possible.
    """
    pace = rate and rate / writers
    written: list[Written] = run_at_once(
        writers, _write, url, seconds, actions_each, pace, seconds=seconds + 120
    )
    acknowledged = {key: at for each in written for key, at in each.acknowledged.items()}
    return Written(acknowledged, max(each.seconds for each in written))


def _write(
    url: str, seconds: float, actions_each: int, pace: float | None, pipe: Connection
) -> None:
    store = SessionStore.connect(url)
    with with_job_session("warm-up", store=store) as session:
        session.add(make_action(0))
    pipe.send("ready")
    pipe.recv()
    began, acknowledged = time.monotonic(), Acknowledged()
    numbers = _paced(began, seconds, pace)
    for first in numbers:
        account, run = Subject(f"US.bench{first % 100:03d}"), str(uuid4())
        with with_job_session(
            "refresh-account", store=store, account=account, run_id=run
        ) as session:
            rest = islice(numbers, actions_each - 1)
            for ord_, number in enumerate(chain([first], rest), 1):
                session.add(make_action(number))
                acknowledged[str(session.session_id), ord_] = time.monotonic_ns()
    pipe.send(Written(acknowledged, time.monotonic() - began))
    store.dispose()


def _paced(began: float, seconds: float, pace: float | None) -> Iterator[int]:
    """Yield numbers at an even pace, without delay after late ones, or as fast as possible."""
    if pace is None:
        yield from takewhile(lambda _: time.monotonic() < began + seconds, count())
        return
    for number in range(round(pace * seconds)):
        time.sleep(max(0.0, began + number / pace - time.monotonic()))
        yield number
