"""A migrated, empty database on a server of its own, which is deleted afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.schema import upgrade
from tools.temporary_postgres import TemporaryPostgres


@contextmanager
def fresh_database() -> Iterator[tuple[TemporaryPostgres, Engine]]:
    """Yield the server and an engine.

    Commits are not synced to disk: for what is read, not for what writing costs.
    """
    with TemporaryDirectory(prefix="bidbeacon-bench-") as folder:
        server = TemporaryPostgres(Path(folder), durable=False)
        try:
            url = server.start()
            upgrade(url)
            engine = make_engine(url)
            yield server, engine
            engine.dispose()
        finally:
            server.remove()
