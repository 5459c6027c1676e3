"""Create a database's schema, or migrate it to this program's version.

A migration that waits for a table's lock blocks every later reader. Therefore a migration waits at
most three seconds, and is then retried.
"""

from pathlib import Path

from sqlalchemy import Connection, event, text

from bidbeacon_pipelines.database.schema import (
    LOCK_TIMEOUT,
    MIGRATIONS,
    PATIENCE_SECONDS,
    Report,
    SchemaError,
    list_revisions,
    patiently,
    read_version,
    schema_lock,
    schema_problem,
)
from bidbeacon_pipelines.migrations.create import list_statements, run
from bidbeacon_pipelines.migrations.replace import replace_views, store_grants


def upgrade(
    database_url: str,
    *,
    report: Report = lambda _: None,
    patience: float = PATIENCE_SECONDS,
    folder: Path = MIGRATIONS,
) -> bool:
    """Create the schema, or apply the missing migrations; return True.

    If the tables are newer than this program but compatible, return False and change nothing.
    Several processes may call this function at the same time.

    `report` is called with a line of text before each wait. If a table is locked, the change
    is retried for `patience` seconds.

    Raises:
        SchemaError: The tables are too new, belong to another program or were in use for too long,
            or an object that is not BidBeacon's depends on a view that has to be dropped.
    """
    with schema_lock(database_url, report) as connection:
        event.listen(connection, "begin", _limit_waiting)
        version, known = read_version(connection), list_revisions(folder)
        connection.commit()
        if version.revision is None or version.revision in known:
            patiently(lambda: _apply(connection, folder), report, patience)
            return True
    problem = schema_problem(version, known)
    if problem is not None:
        raise SchemaError(problem)
    return False


def _apply(connection: Connection, folder: Path) -> None:
    connection.rollback()  # of an attempt that failed
    if read_version(connection).revision is None:
        run(connection, *list_statements(list_revisions()[-1], _find_oldest_program()))
    store_grants(connection)
    connection.commit()
    migrate(connection, folder)
    replace_views(connection)
    connection.commit()


def migrate(connection: Connection, folder: Path) -> None:
    """Apply a folder's migrations, each in its own transaction, without replacing views."""
    # The import takes a quarter of a second, which only upgrades need.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()


def _limit_waiting(connection: Connection) -> None:
    # No effect outside of transactions: an index that is built concurrently has to wait for old
    # transactions, and blocks no others.
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))


def _find_oldest_program() -> str:
    from alembic.script import ScriptDirectory

    newest_first = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    named = (getattr(script.module, "oldest_program", None) for script in newest_first)
    return str(next(filter(None, named)))
