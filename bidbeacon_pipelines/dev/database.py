"""The database that a process works on: found, and with the tables that this program needs."""

from functools import cache

from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.database.schema import check_schema, read_revision, upgrade
from bidbeacon_pipelines.dev.postgres import resolve_database_url
from bidbeacon_pipelines.settings import Settings


def open_database(settings: Settings) -> str:
    """Return the address of the database, after a look at the version of its tables.

    Only `bidbeacon db upgrade` and `bidbeacon dev` change tables. An embedded database that has
    none yet gets them here: nobody else's data is in it, and plain `dagster dev` works in a fresh
    clone.

    Raises:
        DatabaseUnavailableError: The database can't be used; the message says what to do.
        SchemaError: Its tables are older or newer than this program; the message says what to do.
    """
    url = resolve_database_url(settings)
    _check_tables(url, is_embedded=settings.database_url is None)
    return url


@cache
def _check_tables(url: str, *, is_embedded: bool) -> None:
    """Look at the tables once per process, which is when a program of another version can have been started."""
    engine = shared_engine(url)
    with engine.connect() as connection:
        has_tables = read_revision(connection) is not None
    if is_embedded and not has_tables:
        upgrade(url)
    check_schema(engine)
