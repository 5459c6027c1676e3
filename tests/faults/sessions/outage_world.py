"""A PostgreSQL of its own that is really stopped and started in the middle of a session."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from bidbeacon_pipelines.database.schema import upgrade
from bidbeacon_sessions import Action, SessionStore
from tests.temporary_postgres import TemporaryPostgres


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

    def told(self) -> tuple[str, list[int]]:
        """Return the session's status, and the pieces it tells of."""
        with self.store.begin() as connection:
            [row] = connection.execute(text("SELECT status, actions FROM job_sessions")).all()
        return row.status, [action["number"] for action in row.actions if "number" in action]

    def close(self) -> None:
        """Let go of it, and delete it."""
        self.store.dispose()
        self.server.remove()
