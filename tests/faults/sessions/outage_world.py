"""A job that records at an even pace, and a PostgreSQL of its own that is really stopped and started in the middle."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from bidbeacon_pipelines.database.schema import upgrade
from bidbeacon_sessions import Action, SessionRecorder, SessionStore
from tests.temporary_postgres import TemporaryPostgres

OUTAGE_SECONDS = 60


class OutageWorked(Action):
    """A piece of work was done."""

    sentence = "Did piece {number}"

    number: int


class OutageWorld:
    """A server that can be stopped, and what it holds of the only session."""

    def __init__(self, folder: Path) -> None:
        self.server = TemporaryPostgres(folder)
        self.url = self.server.start()
        upgrade(self.url)
        self.store = SessionStore.connect(self.url)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the server, and start it again at the end, on the same port."""
        self.server.stop()
        try:
            yield
        finally:
            assert self.url == self.server.start()

    def told(self) -> tuple[str, list[int], list[str]]:
        """Return the session's status, the pieces it tells of, and what it says was lost."""
        with self.store.begin() as connection:
            [row] = connection.execute(text("SELECT status, actions FROM job_sessions")).all()
        pieces = [action["number"] for action in row.actions if action["type"] == "outage-worked"]
        lost = [action["by_type"] for action in row.actions if action["type"] == "actions-lost"]
        return row.status, pieces, lost

    def close(self) -> None:
        """Let go of it, and delete it."""
        self.store.dispose()
        self.server.remove()


def work(session: SessionRecorder, first: int, count: int, *, seconds: float) -> float:
    """Do so many pieces, evenly over this time; return how long the slowest one held the job up."""
    slowest, began, pace = 0.0, time.monotonic(), threading.Event()
    for number in range(count):
        pace.wait(max(began + seconds * number / count - time.monotonic(), 0))
        before = time.monotonic()
        session.add(OutageWorked(number=first + number))
        slowest = max(slowest, time.monotonic() - before)
    pace.wait(max(began + seconds - time.monotonic(), 0))
    return slowest
