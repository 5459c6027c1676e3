"""The version of the database's tables, upgraded by Alembic, and which programs may work on it.

A program works on tables of its own newest migration, and on newer ones whose migrations left
everything in place that it uses: `installation.oldest_program` says so. A migration that removes
something raises it.

A migration that waits for a table's lock blocks every later reader, so each waits for three seconds
at most, then retries.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_exponential,
)

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.errors import first_line
from bidbeacon_sessions.errors import UsageError

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
LOCK_TIMEOUT: Final = "3s"
PATIENCE_SECONDS: Final = 600.0
_LONGEST_PAUSE: Final = 15
_RETRY_SECONDS: Final = 0.2

# Any constant number will do: two processes that start at once must not migrate at once.
_MIGRATION_LOCK = 7_203_114_001
_LOCK_NOT_AVAILABLE = "55P03"
_IN_OUR_WAY = {
    "42P07",
    "42710",
    "42703",
}  # a relation or an object of the name exists, a column does not

Report = Callable[[str], None]


class SchemaError(UsageError):
    """The tables have another version, or can't be changed now; the message says what to do."""


def list_revisions(folder: Path = MIGRATIONS) -> list[str]:
    """Return the migrations that a folder has, by default this program's, the oldest first: the numbers of their files."""
    return sorted(path.name.partition("_")[0] for path in (folder / "versions").glob("[0-9]*.py"))


def read_revision(connection: Connection) -> str | None:
    """Return up to which migration the tables are; None where there are none."""
    return _find(connection, "alembic_version", "version_num")


def read_oldest_program(connection: Connection) -> str | None:
    """Return the revision that a program has to know to work on the tables; None where they don't say."""
    return _find(connection, "installation", "oldest_program")


def _find(connection: Connection, table: str, column: str) -> str | None:
    """Return what a table of one row says; None where there is no such table or column."""
    if connection.execute(text(f"SELECT to_regclass('public.{table}')")).scalar() is None:
        return None
    statement = text(f"SELECT to_jsonb(t) ->> '{column}' FROM public.{table} t")
    found: str | None = connection.execute(statement).scalar()
    return found


def schema_problem(
    revision: str | None, known: Sequence[str] = (), *, oldest_program: str | None = None
) -> str | None:
    """Return why a program can't work on tables of a revision, and what to do; None where it can.

    Args:
        revision: Up to which migration the tables are.
        known: The program's migrations, by default this one's.
        oldest_program: The revision that a program has to know at least.
    """
    known = known or list_revisions()
    if revision == known[-1] or (_is_newer(revision, known) and oldest_program in known):
        return None
    if revision is None:
        return "The database has no tables yet: run `bidbeacon db upgrade`."
    if revision in known:
        return (
            f"The database's tables are at {revision}, and this program needs {known[-1]}: "
            "run `bidbeacon db upgrade` as the role that owns them."
        )
    if _is_newer(revision, known):
        return f"The database's tables are at {revision}, newer than this program, which knows {known[-1]}: upgrade the program."
    return (
        f"The database belongs to another program, whose migrations are at {revision!r}: "
        "set BIDBEACON_DATABASE_URL to a database of its own."
    )


def _is_newer(revision: str | None, known: Sequence[str]) -> bool:
    return re.fullmatch(r"\d{4}", revision or "") is not None and revision not in known


def check_schema(engine: Engine) -> None:
    """Compare the tables' version with this program's.

    Raises:
        SchemaError: this program can't work on them.
    """
    with engine.connect() as connection:
        problem = schema_problem(
            read_revision(connection), oldest_program=read_oldest_program(connection)
        )
    if problem is not None:
        raise SchemaError(problem)


def upgrade(
    database_url: str,
    revision: str | None = None,
    *,
    report: Report = lambda _: None,
    patience: float = PATIENCE_SECONDS,
    folder: Path = MIGRATIONS,
) -> bool:
    """Apply every migration that the database does not have yet; safe to call from several processes at once.

    Return False, and change nothing, where the tables are newer than this program, which may work
    on them.

    Args:
        database_url: The database.
        revision: Where to stop; absent: at the newest.
        report: Called with a line where it has to wait.
        patience: For how many seconds it tries to get locks that others hold.
        folder: Where the migrations are.

    Raises:
        SchemaError: the tables are too new for this program, another program's, or in use for too
            long.
    """
    with schema_lock(database_url, report) as connection:
        is_newer = _check_before_upgrade(connection, list_revisions(folder))
        connection.commit()
        if not is_newer:
            patiently(lambda: _apply(connection, folder, revision or "head"), report, patience)
        return not is_newer


@contextmanager
def schema_lock(database_url: str, report: Report) -> Iterator[Connection]:
    """Take the lock for schema changes, on its own connection, and yield that connection.

    It is asked for again and again: a statement that waited for it would be an open transaction,
    and an index that the holder builds concurrently waits for the end of all of these.
    """
    engine = make_engine(database_url, pool_size=1)
    try:
        with engine.connect() as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("SET lock_timeout = 0"))
            _take_lock(connection, report)
            yield connection
    finally:
        engine.dispose()  # the connection's end is the lock's


def _take_lock(connection: Connection, report: Report) -> None:
    statement = text("SELECT pg_try_advisory_lock(:key)")
    is_reported = False
    while not connection.execute(statement, {"key": _MIGRATION_LOCK}).scalar():
        connection.commit()
        if not is_reported:
            report("Another process is changing the tables: waiting until it is done.")
        is_reported = True
        time.sleep(_RETRY_SECONDS)
    connection.commit()


def patiently(
    change: Callable[[], None], report: Report, patience: float = PATIENCE_SECONDS
) -> None:
    """Change the schema; retry after a pause whenever a lock is not available.

    Raises:
        SchemaError: the locks were not available within `patience` seconds, or other tables have
            our names.
    """

    def report_pause(state: RetryCallState) -> None:
        pause = state.next_action.sleep if state.next_action else 0
        report(f"Other transactions are using the tables: trying again in {pause:.0f} s.")

    retrying = Retrying(
        retry=retry_if_exception(lambda error: _sqlstate(error) == _LOCK_NOT_AVAILABLE),
        wait=wait_exponential(multiplier=1, max=_LONGEST_PAUSE),
        stop=stop_after_delay(patience),
        before_sleep=report_pause,
        reraise=True,
    )
    try:
        retrying(change)
    except DBAPIError as error:
        if _sqlstate(error) == _LOCK_NOT_AVAILABLE:
            raise SchemaError(
                f"Other transactions used the tables for {patience:.0f} s: end them (pg_stat_activity lists them, the "
                "oldest xact_start first), then run `bidbeacon db upgrade` again. What was done is kept."
            ) from None
        if _sqlstate(error) in _IN_OUR_WAY:
            raise SchemaError(
                f"The database has something of our names that is not ours ({first_line(error)}): "
                "set BIDBEACON_DATABASE_URL to a database of its own."
            ) from None
        raise


def _apply(connection: Connection, folder: Path, revision: str) -> None:
    # Importing it takes a quarter of a second, which only upgrades need to spend.
    from alembic import command
    from alembic.config import Config

    connection.rollback()  # of an attempt that failed
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.attributes["connection"] = connection
    event.listen(connection, "begin", _limit_waiting)
    try:
        command.upgrade(config, revision)
        connection.commit()
    finally:
        event.remove(connection, "begin", _limit_waiting)


def _limit_waiting(connection: Connection) -> None:
    """Limit how long a migration's transaction waits for a lock.

    Outside of transactions it has no effect, on purpose: an index that is built concurrently waits
    for old transactions, and nobody waits for it.
    """
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))


def _check_before_upgrade(connection: Connection, known: Sequence[str]) -> bool:
    """Return whether the tables are newer than a program that may work on them.

    Raises:
        SchemaError: the tables are too new, or another program's.
    """
    revision = read_revision(connection)
    if revision is None or revision in known:
        return False
    problem = schema_problem(revision, known, oldest_program=read_oldest_program(connection))
    if problem is not None:
        raise SchemaError(problem)
    return True


def _sqlstate(error: BaseException) -> Any:
    """Return PostgreSQL's code of an error, of psycopg 3 or, for Dagster's tables, psycopg2."""
    origin = getattr(error, "orig", None)
    return getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None)
