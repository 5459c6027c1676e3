"""The version of the database's schema, and which programs are compatible with it.

A program can use tables whose newest migration is the program's newest one. It can use newer tables
if it includes the migration that is stored in `installation.oldest_program`. If a migration removes
something that older programs use, it also stores a newer value in this column.
`bidbeacon_pipelines.migrations` changes the schema, one process at a time.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_exponential,
)

from bidbeacon_pipelines.database.engine import first_line, make_engine
from bidbeacon_sessions.errors import UsageError

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
VIEWS: Final = MIGRATIONS / "views.txt"
"""A file with one line (number, digest) per version of the views; see `make migration`."""
VIEWS_VERSION: Final = len(VIEWS.read_text().splitlines())
"""This program's version of functions and views. An upgrade replaces only older versions."""
LOCK_TIMEOUT: Final = "3s"
PATIENCE_SECONDS: Final = 600.0
_LONGEST_RETRY_PAUSE: Final = 15
_RETRY_SECONDS: Final = 0.2

# An arbitrary constant: only one process may migrate at a time.
_MIGRATION_LOCK = 7_203_114_001
_IN_USE = {"55P03", "40P01"}  # a lock is not available, or there was a deadlock
_DEPENDENTS_EXIST = "2BP01"
# A relation, an object or a function of this name exists, or a column does not.
_NAME_CONFLICTS = {"42P07", "42710", "42723", "42703"}

Report = Callable[[str], None]


class SchemaError(UsageError):
    """The tables have an unsuitable version or can't be changed; the message has advice."""


def list_revisions(folder: Path = MIGRATIONS) -> list[str]:
    """Return the numbers of the migrations in a folder, oldest first."""
    return sorted(path.name.partition("_")[0] for path in (folder / "versions").glob("[0-9]*.py"))


class SchemaVersion(NamedTuple):
    """The version of a database's schema.

    Attributes:
        revision: The newest migration that was applied; None if there are no tables.
        oldest_program: The newest migration of the oldest compatible program; None if unknown.
        views: The version of functions and views.
    """

    revision: str | None
    oldest_program: str | None
    views: int


def read_version(connection: Connection) -> SchemaVersion:
    """Return the version of the database's schema."""
    return SchemaVersion(
        _find(connection, "alembic_version", "version_num"),
        _find(connection, "installation", "oldest_program"),
        int(_find(connection, "installation", "views_version") or 0),
    )


def _find(connection: Connection, table: str, column: str) -> str | None:
    if connection.execute(text(f"SELECT to_regclass('public.{table}')")).scalar() is None:
        return None
    statement = text(f"SELECT to_jsonb(t) ->> '{column}' FROM public.{table} t")
    found: str | None = connection.execute(statement).scalar()
    return found


def schema_problem(version: SchemaVersion, known: Sequence[str] = ()) -> str | None:
    """Return why a program can't use a schema, and what to do; None if it can use it.

    `known` are the migrations of the program, by default the migrations of this program.
    """
    known = known or list_revisions()
    revision, newest = version.revision, known[-1]
    is_newer = re.fullmatch(r"\d{4}", revision or "") is not None and revision not in known
    if revision == newest or (is_newer and version.oldest_program in known):
        if version.views >= VIEWS_VERSION:
            return None
        return (
            f"The database's views are of version {version.views}, and this program needs version "
            f"{VIEWS_VERSION}: run `bidbeacon db upgrade` as the role that owns them."
        )
    if revision is None:
        return "The database has no tables yet: run `bidbeacon db upgrade`."
    if revision in known:
        return (
            f"The database's tables are at migration {revision}, and this program needs {newest}: "
            "run `bidbeacon db upgrade` as the role that owns them."
        )
    if is_newer:
        return (
            f"The database's tables are at migration {revision}, newer than this program, whose "
            f"newest migration is {newest}: upgrade the program."
        )
    return (
        f"The database belongs to another program, whose migrations are at {revision!r}: "
        "set BIDBEACON_DATABASE_URL to a separate database for BidBeacon."
    )


def check_schema(engine: Engine) -> None:
    """Raise SchemaError if this program can't use the database's schema."""
    with engine.connect() as connection:
        problem = schema_problem(read_version(connection))
    if problem is not None:
        raise SchemaError(problem)


@contextmanager
def schema_lock(database_url: str, report: Report) -> Iterator[Connection]:
    """Take the lock for schema changes on a new connection, and yield the connection.

    The lock is polled, because waiting for it in a statement would keep a transaction open. If the
    process with the lock builds an index concurrently, it waits for the end of all transactions.
    """
    engine = make_engine(database_url, pool_size=1)
    try:
        with engine.connect() as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("SET lock_timeout = 0"))
            _take_lock(connection, report)
            yield connection
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()
    finally:
        engine.dispose()  # this releases the lock too, but after a failure only a moment later


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
    """Call `change`; retry after a pause if a lock is not available, or after a deadlock.

    Raises:
        SchemaError: The locks were not available within `patience` seconds. Or an object that is
            not BidBeacon's depends on a dropped object, or has the name of a BidBeacon object.
    """

    def report_pause(state: RetryCallState) -> None:
        pause = state.next_action.sleep if state.next_action else 0
        report(f"Other transactions are using the tables: trying again in {pause:.0f} s.")

    retrying = Retrying(
        retry=retry_if_exception(lambda error: _sqlstate(error) in _IN_USE),
        wait=wait_exponential(multiplier=1, max=_LONGEST_RETRY_PAUSE),
        stop=stop_after_delay(patience),
        before_sleep=report_pause,
        reraise=True,
    )
    try:
        retrying(change)
    except DBAPIError as error:
        if _sqlstate(error) in _IN_USE:
            raise SchemaError(
                f"Other transactions used the tables for {patience:.0f} s: end them "
                "(pg_stat_activity lists them, the oldest xact_start first), then run "
                "`bidbeacon db upgrade` again. The completed steps are kept."
            ) from None
        if _sqlstate(error) == _DEPENDENTS_EXIST:
            origin: Any = error.orig
            users = origin.diag.message_detail.replace("\n", ", ")
            raise SchemaError(
                f"The upgrade replaces objects that other objects depend on ({users}): drop the "
                "dependent objects, run `bidbeacon db upgrade` again, and create them again."
            ) from None
        if _sqlstate(error) in _NAME_CONFLICTS:
            raise SchemaError(
                "The database has an object with the name of a BidBeacon object, created by "
                f"another program or an unreleased version ({first_line(error)}): set "
                "BIDBEACON_DATABASE_URL to a new database."
            ) from None
        raise


def _sqlstate(error: BaseException) -> Any:
    origin = getattr(error, "orig", None)
    # psycopg 3 or, for Dagster's tables, psycopg2
    return getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None)
