"""A database that comes and goes, for tests of what goes on without it."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Engine, create_engine


class Connector:
    """Opens connections, unless the database is to be away; counts how often it was asked to."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.is_away = True
        self.asked = 0

    def __call__(self) -> psycopg.Connection:
        """Open a connection."""
        self.asked += 1
        if self.is_away:
            raise psycopg.OperationalError("connection refused")
        return psycopg.connect(self._url)


@contextmanager
def flickering_engine(database_url: str) -> Iterator[tuple[Connector, Engine]]:
    """Yield an engine on a database that is away until its connector is told otherwise."""
    connector = Connector(database_url)
    made = create_engine("postgresql+psycopg://", creator=connector)
    try:
        yield connector, made
    finally:
        made.dispose()
