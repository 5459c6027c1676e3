"""The one migration history: an empty database becomes what the models of both packages say."""

import importlib.util
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import ModuleType
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, text

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.schema import MIGRATIONS, list_revisions, upgrade
from bidbeacon_pipelines.datasets import dataset_tables  # noqa: F401 - registers its tables
from bidbeacon_pipelines.loading.restatements import PERFORMANCE_ROWS_VIEW, WINDOW_RESTATEMENTS_VIEW
from bidbeacon_pipelines.tables import PipelinesBase
from bidbeacon_pipelines.windows.states import WINDOW_STATES_FUNCTION
from bidbeacon_sessions.tables import (
    JOB_SESSION_ACCOUNTS_VIEW,
    JOB_SESSIONS_VIEW,
    SessionsBase,
)

HEAD = list_revisions()[-1]
VIEWS = {
    "JOB_SESSIONS_VIEW": JOB_SESSIONS_VIEW,
    "JOB_SESSION_ACCOUNTS_VIEW": JOB_SESSION_ACCOUNTS_VIEW,
    "PERFORMANCE_ROWS_VIEW": PERFORMANCE_ROWS_VIEW,
    "WINDOW_RESTATEMENTS_VIEW": WINDOW_RESTATEMENTS_VIEW,
    "WINDOW_STATES_FUNCTION": WINDOW_STATES_FUNCTION,
}
CONSTRAINTS = """
    SELECT conrelid::regclass::text AS "table", conname AS name, pg_get_constraintdef(pg_constraint.oid) AS definition
      FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid AND NOT relispartition WHERE connamespace = 'public'::regnamespace AND conrelid <> 'alembic_version'::regclass"""
INDEXES = """
    SELECT indexname AS name, indexdef AS definition FROM pg_indexes JOIN pg_class ON oid = to_regclass(quote_ident(tablename)) AND NOT relispartition
     WHERE schemaname = 'public' AND tablename <> 'alembic_version'"""
COLUMNS = """
    SELECT attrelid::regclass::text AS "table", attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull, attidentity,
           attcollation::regcollation::text AS collation, pg_get_expr(adbin, adrelid) AS "default"
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid AND relkind IN ('r', 'p') AND NOT relispartition LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped AND relname <> 'alembic_version'"""
STORAGE = """
    SELECT relname AS name, reloptions FROM pg_class
     WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"""


UNINDEXED_REFERENCES = """
    SELECT conrelid::regclass::text, conname FROM pg_constraint c
     WHERE contype = 'f' AND conparentid = 0 AND confrelid NOT IN ('ads_accounts'::regclass, 'advertiser_accounts'::regclass)
       AND NOT EXISTS (SELECT FROM pg_index
                        WHERE indrelid = conrelid AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey
                          AND (indpred IS NULL OR pg_get_expr(indpred, indrelid) ~ '^\\(\\w+ IS NOT NULL\\)$'))"""
"""Foreign keys that no index begins with; accounts are never deleted."""


def ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query, sorted."""
    with psycopg.connect(url) as connection:
        return sorted(connection.execute(statement).fetchall(), key=str)


def load_migration(name: str) -> ModuleType:
    """Import the file of a migration."""
    spec = importlib.util.spec_from_file_location(name, MIGRATIONS / "versions" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def create_from_models(url: str) -> None:
    """Make the tables of both packages as their models say, without any migration."""
    engine = make_engine(url, pool_size=1)
    SessionsBase.metadata.create_all(engine)
    PipelinesBase.metadata.create_all(engine)
    with engine.begin() as connection:  # so that the queries, which leave it out, find its name
        connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
    engine.dispose()


def is_no_partition(name: str | None, kind: str, _: object) -> bool:
    """Leave out the months of hourly tables, which no class has."""
    return kind != "table" or re.search(r"_\d{4}_\d\d$", name or "") is None


@pytest.mark.filterwarnings("ignore:Did not recognize type")  # xid8 and pg_snapshot are ours
def test_alembic_finds_nothing_left_to_migrate(database_url: str) -> None:
    """Between a migrated database and the models of both packages there is no difference."""
    merged = MetaData()
    for metadata in (SessionsBase.metadata, PipelinesBase.metadata):
        for table in metadata.tables.values():
            table.to_metadata(merged)
    engine = make_engine(database_url, pool_size=1)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_no_partition})
        differences = compare_metadata(context, merged)
    engine.dispose()
    assert differences == []


def test_migrated_and_modelled_tables_are_the_same(database_url: str, empty_url: str) -> None:
    """Checks, keys, partial indexes, collations, defaults and fill factors too, which Alembic does not compare."""
    create_from_models(empty_url)
    for question in (CONSTRAINTS, INDEXES, COLUMNS, STORAGE):
        assert ask(empty_url, question) == ask(database_url, question)


@pytest.mark.parametrize("name", VIEWS)
def test_the_migrations_views_are_the_packages_own(name: str) -> None:
    """A view is written out in the last migration that makes it, which imports nothing of ours, and says what the package says."""
    files = sorted((MIGRATIONS / "versions").glob("[0-9]*.py"))
    written = [found for file in files if (found := getattr(load_migration(file.stem), name, None))]
    assert VIEWS[name] == written[-1]


def test_no_migration_imports_our_packages() -> None:
    """A migration that is released must not change because the code does."""
    for file in (MIGRATIONS / "versions").glob("*.py"):
        assert "bidbeacon_" not in file.read_text()


def test_migrations_are_numbered_in_their_order() -> None:
    """The numbers of the files are what the tables' version is compared with; reading the files would cost each process more."""
    history = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    assert list_revisions() == [script.revision for script in history][::-1]


def test_what_refers_to_a_row_is_found_by_index(database_url: str) -> None:
    """A row that is deleted would be looked for in all of a table otherwise."""
    assert ask(database_url, UNINDEXED_REFERENCES) == []


def test_twice_is_once(database_url: str) -> None:
    """A database that is up to date is left alone, data and all."""
    before = ask(database_url, "SELECT epoch, position FROM session_change_cursor")
    upgrade(database_url)
    assert before == ask(database_url, "SELECT epoch, position FROM session_change_cursor")
    assert [(HEAD,)] == ask(database_url, "SELECT version_num FROM alembic_version")


def test_two_processes_migrate_one_database_once(empty_url: str) -> None:
    """Both return, and the tables are there once."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(upgrade, [empty_url] * 2))
    assert [(1,)] == ask(empty_url, "SELECT count(*) FROM session_change_cursor")
    assert [(HEAD,)] == ask(empty_url, "SELECT version_num FROM alembic_version")
