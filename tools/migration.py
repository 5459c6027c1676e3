"""Write a migration from the difference between the tables' classes and the migrations that exist.

    python -m tools.migration "Add a table of portfolios"
        writes the next migration
    python -m tools.migration --squash
        writes all tables anew in `0001_tables.py`, and removes all other migrations; only while
        nobody has installed them

It compares on an embedded server of its own. The views of schema `reports` and CHECK constraints are
dropped and created anew where they changed; other views, data and moves of data are written by hand.
It applies the migration to its own server, and deletes the file where that does not make the tables
what the classes say. A file that can't be applied is kept, to be completed by hand.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from psycopg import sql
from sqlalchemy import CheckConstraint, Connection, MetaData, make_url, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.errors import first_line
from bidbeacon_pipelines.database.schema import MIGRATIONS, SchemaError, list_revisions, upgrade
from bidbeacon_pipelines.datasets import dataset_tables  # noqa: F401 - it registers its tables
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, DATASETS, Dataset
from bidbeacon_pipelines.entities.queries import IS_DELIVERABLE_FUNCTION
from bidbeacon_pipelines.loading.restatements import (
    PERFORMANCE_ROWS_VIEW,
    WINDOW_RESTATEMENTS_VIEW,
    performance_rows_view,
)
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_pipelines.states.window_states import WINDOW_STATES_FUNCTION
from bidbeacon_pipelines.tables import PipelinesBase
from bidbeacon_pipelines.views import SCHEMA, create_statements, make_views, read_views
from bidbeacon_sessions.tables import (
    JOB_SESSION_ACCOUNTS_VIEW,
    JOB_SESSIONS_VIEW,
    ServerType,
    SessionsBase,
)
from tools.catalog import Catalog, describe_differences, read_catalog
from tools.temporary_postgres import temporary_postgres

VERSIONS = MIGRATIONS / "versions"

_IMPORTS = """
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
"""
_TYPES = """

class ServerType(UserDefinedType[str]):
    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name
"""


class NotGeneratedError(Exception):
    """A migration that can't be generated; the message says why, and what to do."""


def main() -> None:
    """Write the file that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("title", nargs="?", default="Change tables")
    parser.add_argument("--squash", action="store_true")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder, temporary_postgres(Path(folder)) as url:
            path = _squash(url) if options.squash else write_next(url, options.title)
    except NotGeneratedError as error:
        raise SystemExit(str(error)) from None
    for command in (["check", "--fix-only", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, str(path)], check=True)
    print(path.relative_to(PROJECT_ROOT))


def write_next(
    url: str, title: str, *, tables: MetaData = PipelinesBase.metadata, folder: Path = MIGRATIONS
) -> Path:
    """Write the migration that brings a database of the newest version to the classes, and apply it; return its file.

    Args:
        url: A database of its own.
        title: What it does.
        tables: The pipelines' tables.
        folder: Where the migrations are.

    Raises:
        NotGeneratedError: applied, it would not make the tables what the classes say.
    """
    upgrade(url, folder=folder)
    last = list_revisions(folder)[-1]
    revision = f"{int(last) + 1:04}"
    slug = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    path = folder / "versions" / f"{revision}_{slug}.py"
    with _connect(url) as ours, _connect_to_wanted(url, tables) as wanted:
        dropped, created = _view_changes(ours, wanted)
        ours_catalog, wanted_catalog = read_catalog(ours), read_catalog(wanted)
    less, more = _check_changes(ours_catalog, wanted_catalog, tables)
    ops = _ops(url, SessionsBase.metadata, tables)
    body = "\n".join([*dropped, *less, ops, *more, *created])
    views = ""
    if re.search(
        r"create_table\(\s*['\"]\w+_performance['\"]", body
    ):  # the view has a part for each dataset
        views = f'\nPERFORMANCE_ROWS_VIEW = """{performance_rows_view(_all_datasets())}"""\n'
        body += "\n    op.execute(PERFORMANCE_ROWS_VIEW)"
    head = (
        f'"""{title}.\n\nRevision ID: {revision}\n"""\n{_IMPORTS}\nrevision = "{revision}"\n'
        f'down_revision = "{last}"\n{_oldest_program(revision, body)}\n'
    )
    path.write_text(f"{head}{views}\n\ndef upgrade() -> None:\n{body}\n")
    _try(url, path, wanted_catalog)
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
            "write by hand what is missing, for instance views of a changed column"
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
    changes = "drop_table|drop_column|alter_column|rename_table|create_check_constraint"
    if re.search(rf"op\.({changes})\(", body):
        return f'oldest_program = "{revision}"  # the newest migration that a program has to know'
    return "oldest_program = None  # as before: programs that do not know this migration go on"


def _check_changes(
    stored: Catalog, wanted: Catalog, tables: MetaData
) -> tuple[list[str], list[str]]:
    """Return the calls that drop changed and superfluous checks of tables that stay, and those that create changed and new ones.

    They are dropped first, since a column takes its checks with it.
    """
    changed = sorted(
        (table, name)
        for kind, table, name in stored.keys() | wanted.keys()
        if kind == "check"
        and ("table", table, table) in stored.keys() & wanted.keys()
        and stored.get((kind, table, name)) != wanted.get((kind, table, name))
    )
    conditions = _check_conditions(SessionsBase.metadata) | _check_conditions(tables)
    return [
        f"    op.drop_constraint(op.f({name!r}), {table!r}, type_='check')"
        for table, name in changed
        if ("check", table, name) in stored
    ], [
        f"    op.create_check_constraint(op.f({name!r}), {table!r}, {conditions[table, name]!r})"
        for table, name in changed
        if ("check", table, name) in wanted
    ]


def _check_conditions(tables: MetaData) -> dict[tuple[str, str], str]:
    """Return the conditions of all checks as the classes write them, by table and name."""
    names = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]
    return {
        (table.name, str(names.format_constraint(check))): str(check.sqltext)
        for table in tables.tables.values()
        for part in (table, *table.columns)
        for check in part.constraints
        if isinstance(check, CheckConstraint)
    }


def _view_changes(ours: Connection, wanted: Connection) -> tuple[list[str], list[str]]:
    """Return the calls that drop changed and superfluous views of schema `reports`, and those that create changed and new ones."""
    stored, new = read_views(ours), read_views(wanted)
    changed = {name for name in stored | new if stored.get(name) != new.get(name)}
    dropped = [f"DROP VIEW {SCHEMA}.{name}" for name in sorted(changed & stored.keys())]
    views = [view for view in make_views(_all_datasets()) if view.name in changed]
    created = chain.from_iterable(view.statements for view in views)
    return [_execute(one) for one in dropped], [_execute(one) for one in created]


def _all_datasets() -> list[Dataset]:
    """Return every dataset that has a table, those among them that were registered later."""
    return list({one.name: one for one in (*ALL_DATASETS, *DATASETS.values())}.values())


def _execute(statement: str) -> str:
    return f'    op.execute("""{statement}""")'


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    engine = make_engine(url, pool_size=1)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _connect_to_wanted(url: str, tables: MetaData) -> Iterator[Connection]:
    """Yield a connection to a database beside this one, in which the classes have made tables and views."""
    wanted = make_url(url).set(database=f"{make_url(url).database}_wanted")
    statements = (
        IS_DELIVERABLE_FUNCTION,
        performance_rows_view(_all_datasets()),
        WINDOW_RESTATEMENTS_VIEW,
        *create_statements(make_views(_all_datasets())),
    )
    with psycopg.connect(url, autocommit=True) as administration:
        name = sql.Identifier(wanted.database or "")
        administration.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            with _connect(wanted.render_as_string(hide_password=False)) as connection:
                SessionsBase.metadata.create_all(connection)
                tables.create_all(connection)
                for statement in statements:
                    connection.execute(text(statement))
                yield connection
        finally:
            administration.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _squash(url: str) -> Path:
    """Write the one migration that makes all tables and views in an empty database, in place of all that there are."""
    report_views = "\n".join(f'    """{sql}""",' for sql in create_statements())
    views = {
        "JOB_SESSIONS_VIEW": JOB_SESSIONS_VIEW,
        "JOB_SESSION_ACCOUNTS_VIEW": JOB_SESSION_ACCOUNTS_VIEW,
        "PERFORMANCE_ROWS_VIEW": PERFORMANCE_ROWS_VIEW,
        "WINDOW_RESTATEMENTS_VIEW": WINDOW_RESTATEMENTS_VIEW,
        "WINDOW_STATES_FUNCTION": WINDOW_STATES_FUNCTION,
        "IS_DELIVERABLE_FUNCTION": IS_DELIVERABLE_FUNCTION,
    }
    created = "".join(f"    op.execute({name})\n" for name in views)
    path = VERSIONS / "0001_tables.py"
    written = (
        '"""All tables and views of the sessions and the pipelines.\n\nRevision ID: 0001\n"""\n'
        f"\nfrom typing import Any\n{_IMPORTS}from sqlalchemy.types import UserDefinedType\n"
        '\nrevision = "0001"\ndown_revision = None\n\n'
        + "\n".join(f'{name} = """{sql}"""' for name, sql in views.items())
        + f"\nREPORT_VIEWS = (\n{report_views}\n)\n{_TYPES}\n\ndef upgrade() -> None:\n    _create_session_tables()\n    _create_pipeline_tables()\n"
        '    op.execute("INSERT INTO session_change_cursor DEFAULT VALUES")\n'
        "    op.execute(\"INSERT INTO installation (oldest_program) VALUES ('0001')\")\n"
        + created
        + "    for statement in REPORT_VIEWS:\n        op.execute(statement)\n"
        + f"\n\ndef _create_session_tables() -> None:\n{_ops(url, SessionsBase.metadata)}\n"
        + f"\n\ndef _create_pipeline_tables() -> None:\n{_ops(url, PipelinesBase.metadata)}\n"
    )
    for file in VERSIONS.glob("[0-9]*.py"):
        file.unlink()
    path.write_text(written)
    return path


def _ops(url: str, *parts: MetaData) -> str:
    """Return the statements that bring a database to what the metadata says."""
    wanted = MetaData(naming_convention=SessionsBase.metadata.naming_convention)
    for part in parts:
        for table in part.tables.values():
            table.to_metadata(wanted)
    with _connect(url) as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "render_item": _own_type,
                "user_module_prefix": None,
                "include_name": _is_no_partition,
            },
        )
        [ops] = produce_migrations(context, wanted).upgrade_ops_list
        code = render_python_code(ops, render_item=_own_type, migration_context=context)
    lines = (line for line in code.splitlines() if not line.lstrip().startswith("#"))
    return "\n".join(lines).replace("%%", "%")  # Alembic doubles it once more than it halves it


def _is_no_partition(name: str | None, kind: str, _: Any) -> bool:
    """Leave out the months of hourly tables, which no class has."""
    return kind != "table" or re.search(r"_\d{4}_\d\d$", name or "") is None


def _own_type(kind: str, item: Any, _: Any) -> Any:
    """Return how a type of ours is written in a migration, which imports nothing of ours; False for all others."""
    return repr(item) if kind == "type" and isinstance(item, ServerType) else False


if __name__ == "__main__":
    main()
