"""Write a migration from the difference between the tables' classes and the migrations.

    python -m tools.migration "Add a table of portfolios"
        writes the next migration
    python -m tools.migration
        writes it only if tables have changed
    python -m tools.migration --squash
        removes all migrations but the first, whose schema is then today's; only before they are
        installed anywhere

Each of them also records changed views and new datasets (`tools.stored_digests`).

`tests/postgres/schema.sql` has the schema of the first migration. All migrations are applied to it
on an embedded server, and the result is compared with the classes. Changed CHECK constraints are
dropped and created again; changes of data are written by hand. A test applies all migrations and
compares the result with the classes.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.schema import MIGRATIONS, VIEWS, list_revisions
from bidbeacon_pipelines.migrations.create import list_statements, run
from bidbeacon_pipelines.migrations.upgrade import migrate
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_pipelines.tables import PipelinesBase
from bidbeacon_sessions.tables import SessionsBase
from tools.catalog import Catalog, read_catalog
from tools.stored_digests import record
from tools.temporary_postgres import temporary_postgres

FIRST: Final = "0001"
FIRST_SCHEMA: Final = PROJECT_ROOT / "tests" / "postgres" / "schema.sql"


def main() -> None:
    """Write the next migration, or the first schema (`--squash`); record views and row keys."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("title", nargs="?")
    parser.add_argument("--squash", action="store_true")
    options = parser.parse_args()
    if options.squash:
        _squash()
        return
    record()
    with tempfile.TemporaryDirectory() as folder, temporary_postgres(Path(folder)) as url:
        path = write_next(url, options.title)
    if path is None:
        print("The tables are unchanged: they need no migration.")
        return
    for command in (["check", "--fix-only", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, str(path)], check=True)
    print(path.relative_to(PROJECT_ROOT))


def write_next(
    url: str,
    title: str | None = None,
    *,
    tables: MetaData = PipelinesBase.metadata,
    folder: Path = MIGRATIONS,
) -> Path | None:
    """Write the migration from the newest version to the classes; return its file.

    Without a title, write nothing and return None if the tables are unchanged.

    Args:
        url: An empty database, which gets the newest version.
        title: A sentence on the change.
        tables: The pipelines' tables.
        folder: Where the migrations are.
    """
    engine = make_engine(url, pool_size=1)
    with engine.connect() as connection:
        run(connection, *list_statements(FIRST, FIRST, tables=tables))
        wanted = read_catalog(connection)
        connection.rollback()
        run(connection, FIRST_SCHEMA.read_text())
        connection.commit()
        migrate(connection, folder)
        less, more = _check_changes(read_catalog(connection), wanted)
        body = "\n".join([*less, _ops(connection, tables), *more])
    engine.dispose()
    if title is None and body.strip() == "pass":
        return None
    title = title or "Change tables"
    last = list_revisions(folder)[-1]
    revision = f"{int(last) + 1:04}"
    slug = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    path = folder / "versions" / f"{revision}_{slug}.py"
    path.write_text(
        f'"""{title}.\n\nRevision ID: {revision}\n"""\n\n'
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "from sqlalchemy.dialects import postgresql\n\n"
        f'revision = "{revision}"\ndown_revision = "{last}"\n{_oldest_program(revision, body)}\n'
        f"\n\ndef upgrade() -> None:\n{body}\n"
    )
    return path


def _oldest_program(revision: str, body: str) -> str:
    """Return the line with the oldest program that can use the migrated tables, for review."""
    changes = "drop_table|drop_column|alter_column|rename_table"
    # A new count is null for programs that do not know it, which the check of all counts allows.
    if re.search(rf"op\.({changes})\(|ADD CONSTRAINT (?!\w+_counts_not_negative )", body):
        return f'oldest_program = "{revision}"  # the newest migration that a program has to know'
    return "oldest_program = None  # as before: programs that do not know this migration go on"


def _check_changes(stored: Catalog, wanted: Catalog) -> tuple[list[str], list[str]]:
    """Return the calls that drop old checks, and those that create new ones.

    Checks are dropped first, since dropping a column drops its checks.
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


def _ops(connection: Connection, tables: MetaData) -> str:
    """Return the calls that change the tables of a database to those of the classes."""
    context = MigrationContext.configure(connection)
    both = [SessionsBase.metadata, tables]
    [ops] = produce_migrations(context, both).upgrade_ops_list  # type: ignore[arg-type] # several will do
    code = render_python_code(ops, migration_context=context)
    lines = (line for line in code.splitlines() if not line.lstrip().startswith("#"))
    return "\n".join(lines).replace("%%", "%")  # Alembic doubles it once more than it halves it


def _squash() -> None:
    for path in MIGRATIONS.glob("versions/[0-9]*.py"):
        if not path.name.startswith(FIRST):
            path.unlink()
    VIEWS.unlink()
    record()
    statements = ";\n\n".join(list_statements(FIRST, FIRST, views_version=1))
    FIRST_SCHEMA.write_text(f"{statements};\n")


if __name__ == "__main__":
    main()
