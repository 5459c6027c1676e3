"""Write a migration from the difference between the tables' classes and the migrations that exist.

    python -m tools.migration "Add a table of portfolios"
        writes the next migration
    python -m tools.migration --squash
        removes all migrations but the first, whose schema is then today's; only while nobody has
        installed them

`tests/postgres/schema.sql` has the schema of the first migration. With all migrations it becomes, on
an embedded server, what installations have, which is compared with the classes. CHECK constraints
are dropped and created anew where they changed; data and moves of data are written by hand. The new
migration is applied there, and its file deleted where that does not make the tables what the
classes say. A file that can't be applied is kept, to be completed by hand.

The first line of `schema.sql` has the newest version of functions and views, with their digest.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData
from sqlalchemy.exc import DBAPIError

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.errors import first_line
from bidbeacon_pipelines.database.schema import (
    MIGRATIONS,
    VIEWS_VERSION,
    SchemaError,
    list_revisions,
)
from bidbeacon_pipelines.migrations.create import list_statements, list_views, run
from bidbeacon_pipelines.migrations.upgrade import migrate, upgrade
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_pipelines.tables import PipelinesBase
from bidbeacon_sessions.tables import SessionsBase
from tools.catalog import Catalog, describe_differences, read_catalog
from tools.temporary_postgres import temporary_postgres

FIRST: Final = "0001"
FIRST_SCHEMA: Final = PROJECT_ROOT / "tests" / "postgres" / "schema.sql"


class NotGeneratedError(Exception):
    """A migration that can't be generated; the message says why, and what to do."""


def main() -> None:
    """Write the files that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("title", nargs="?", default="Change tables")
    parser.add_argument("--squash", action="store_true")
    options = parser.parse_args()
    if options.squash:
        _squash()
        return
    try:
        with tempfile.TemporaryDirectory() as folder, temporary_postgres(Path(folder)) as url:
            has_new_views = are_views_new()
            path = write_next(url, options.title)
    except NotGeneratedError as error:
        raise SystemExit(str(error)) from None
    if has_new_views:
        note_views()
        if path.read_text().endswith("    pass\n"):
            path.unlink()
            return
    for command in (["check", "--fix-only", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, str(path)], check=True)
    print(path.relative_to(PROJECT_ROOT))


def write_next(
    url: str, title: str, *, tables: MetaData = PipelinesBase.metadata, folder: Path = MIGRATIONS
) -> Path:
    """Write the migration that brings a database of the newest version to the classes, and apply it; return its file.

    Args:
        url: An empty database.
        title: What it does.
        tables: The pipelines' tables.
        folder: Where the migrations are.

    Raises:
        NotGeneratedError: applied, it would not make the tables what the classes say.
    """
    with _connect(url) as connection:
        with connection.begin_nested() as made:
            run(connection, *list_statements(FIRST, FIRST, tables=tables))
            wanted = read_catalog(connection)
            made.rollback()
        run(connection, FIRST_SCHEMA.read_text())
    with _connect(url) as connection:
        migrate(connection, folder)
    last = list_revisions(folder)[-1]
    revision = f"{int(last) + 1:04}"
    slug = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    path = folder / "versions" / f"{revision}_{slug}.py"
    with _connect(url) as connection:
        less, more = _check_changes(read_catalog(connection), wanted)
        body = "\n".join([*less, _ops(connection, tables), *more])
    path.write_text(
        f'"""{title}.\n\nRevision ID: {revision}\n"""\n\n'
        "import sqlalchemy as sa\nfrom alembic import op\nfrom sqlalchemy.dialects import postgresql\n\n"
        f'revision = "{revision}"\ndown_revision = "{last}"\n{_oldest_program(revision, body)}\n'
        f"\n\ndef upgrade() -> None:\n{body}\n"
    )
    _try(url, path, wanted)
    return path


def _try(url: str, path: Path, wanted: Catalog) -> None:
    """Apply a new migration, and delete its file if the tables are not as wanted then.

    Raises:
        NotGeneratedError: they are not, or it can't be applied.
    """
    try:
        upgrade(url, folder=path.parents[1])
    except (DBAPIError, SchemaError) as error:
        raise NotGeneratedError(
            f"{path} was written, but can't be applied as it is ({first_line(error)}): "
            "complete it by hand; for instance drop the views of a changed column, which the upgrade makes again"
        ) from None
    with _connect(url) as connection:
        differences = describe_differences(read_catalog(connection), wanted)
    if differences:
        path.unlink()
        lines = "\n".join(differences)
        raise NotGeneratedError(
            f"Nothing was written, since this can't be generated; write it by hand:\n{lines}"
        )


def _oldest_program(revision: str, body: str) -> str:
    """Return the line that says which programs may use the tables after a migration; a person checks it."""
    changes = "drop_table|drop_column|alter_column|rename_table"
    if re.search(rf"op\.({changes})\(|ADD CONSTRAINT", body):
        return f'oldest_program = "{revision}"  # the newest migration that a program has to know'
    return "oldest_program = None  # as before: programs that do not know this migration go on"


def _check_changes(stored: Catalog, wanted: Catalog) -> tuple[list[str], list[str]]:
    """Return the calls that drop changed and superfluous checks of tables that stay, and those that create changed and new ones.

    They are dropped first, since a column takes its checks with it.
    """
    changed = sorted(
        key
        for key in stored.keys() | wanted.keys()
        if key[0] == "check"
        and ("table", key[1], key[1]) in stored.keys() & wanted.keys()
        and stored.get(key) != wanted.get(key)
    )
    less = (f"ALTER TABLE {key[1]} DROP CONSTRAINT {key[2]}" for key in changed if key in stored)
    more = (
        f"ALTER TABLE {key[1]} ADD CONSTRAINT {key[2]} {wanted[key]}"
        for key in changed
        if key in wanted
    )
    return [_execute(one) for one in less], [_execute(one) for one in more]


def _execute(statement: str) -> str:
    return f"    op.execute({statement!r})"


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    engine = make_engine(url, pool_size=1)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _ops(connection: Connection, tables: MetaData) -> str:
    """Return the statements that bring the tables of a database to what the classes say."""
    wanted = MetaData(naming_convention=SessionsBase.metadata.naming_convention)
    for part in (SessionsBase.metadata, tables):
        for table in part.tables.values():
            table.to_metadata(wanted)
    context = MigrationContext.configure(connection)
    [ops] = produce_migrations(context, wanted).upgrade_ops_list
    code = render_python_code(ops, migration_context=context)
    lines = (line for line in code.splitlines() if not line.lstrip().startswith("#"))
    return "\n".join(lines).replace("%%", "%")  # Alembic doubles it once more than it halves it


def are_views_new() -> bool:
    """Return whether functions and views have a new version.

    Raises:
        NotGeneratedError: they have changed, and have the version that they had.
    """
    known, _, _ = FIRST_SCHEMA.read_text().partition("\n")
    if known == describe_views():
        return False
    if f" {VIEWS_VERSION}," in known:
        raise NotGeneratedError(
            "Functions or views have changed: raise VIEWS_VERSION in bidbeacon_pipelines/database/schema.py, "
            "or databases keep the old ones; then call this again."
        )
    return True


def note_views() -> None:
    """Write version and digest of functions and views into the first line of the first schema."""
    _, _, schema = FIRST_SCHEMA.read_text().partition("\n")
    FIRST_SCHEMA.write_text(f"{describe_views()}\n{schema}")


def describe_views() -> str:
    """Return the version and digest of functions and views, as a line of SQL."""
    digest = sha256("".join(list_views().values()).encode()).hexdigest()
    return f"-- Functions and views: version {VIEWS_VERSION}, {digest[:16]}"


def _squash() -> None:
    """Let the history begin with today's schema."""
    for path in MIGRATIONS.glob("versions/[0-9]*.py"):
        if not path.name.startswith(FIRST):
            path.unlink()
    statements = ";\n\n".join(list_statements(FIRST, FIRST))
    FIRST_SCHEMA.write_text(f"{describe_views()}\n\n{statements};\n")


if __name__ == "__main__":
    main()
