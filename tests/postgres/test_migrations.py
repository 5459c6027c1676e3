"""The one migration history: an empty database becomes what the models of both packages say."""

import importlib.util
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Column, Computed, Connection, Integer, MetaData, String

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.schema import MIGRATIONS, list_revisions, upgrade
from bidbeacon_pipelines.datasets import dataset_tables  # noqa: F401 - registers its tables
from bidbeacon_pipelines.entities.queries import IS_DELIVERABLE_FUNCTION
from bidbeacon_pipelines.loading.restatements import PERFORMANCE_ROWS_VIEW, WINDOW_RESTATEMENTS_VIEW
from bidbeacon_pipelines.states.window_states import WINDOW_STATES_FUNCTION
from bidbeacon_pipelines.tables import PipelinesBase
from bidbeacon_sessions.tables import (
    JOB_SESSION_ACCOUNTS_VIEW,
    JOB_SESSIONS_VIEW,
    SessionsBase,
)
from tools.catalog import Catalog, describe_differences, read_catalog
from tools.migration import NotGeneratedError, write_next

HEAD = list_revisions()[-1]
VIEWS = {
    "JOB_SESSIONS_VIEW": JOB_SESSIONS_VIEW,
    "JOB_SESSION_ACCOUNTS_VIEW": JOB_SESSION_ACCOUNTS_VIEW,
    "PERFORMANCE_ROWS_VIEW": PERFORMANCE_ROWS_VIEW,
    "WINDOW_RESTATEMENTS_VIEW": WINDOW_RESTATEMENTS_VIEW,
    "WINDOW_STATES_FUNCTION": WINDOW_STATES_FUNCTION,
    "IS_DELIVERABLE_FUNCTION": IS_DELIVERABLE_FUNCTION,
}
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


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Open the only connection to a database."""
    engine = make_engine(url, pool_size=1)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def catalog(url: str) -> Catalog:
    """Return what a database's catalogs say of the tables."""
    with connected(url) as connection:
        return read_catalog(connection)


def checks(url: str) -> dict[str, str]:
    """Return the definitions of all constraints and indexes by their names."""
    return {name: definition for (_, _, name), definition in catalog(url).items()}


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
    with connected(database_url) as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_no_partition})
        assert compare_metadata(context, merged) == []


def test_migrated_and_modelled_tables_are_the_same(database_url: str, empty_url: str) -> None:
    """Checks, keys, partial indexes, collations, defaults and fill factors too, which Alembic does not compare."""
    with connected(empty_url) as connection:
        for metadata in (SessionsBase.metadata, PipelinesBase.metadata):
            metadata.create_all(connection)
        connection.commit()
    assert [] == describe_differences(catalog(database_url), catalog(empty_url))


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


def test_two_processes_migrate_one_database_once(empty_url: str) -> None:
    """Both return, and the tables are there once."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(upgrade, [empty_url] * 2))
    assert [(1,)] == ask(empty_url, "SELECT count(*) FROM session_change_cursor")
    assert [(HEAD,)] == ask(empty_url, "SELECT version_num FROM alembic_version")


def changed_tables() -> MetaData:
    """Return a copy of the pipelines' tables, to be changed."""
    metadata = MetaData(naming_convention=PipelinesBase.metadata.naming_convention)
    for table in PipelinesBase.metadata.tables.values():
        table.to_metadata(metadata)
    return metadata


def replace_check(tables: MetaData, table: str, name: str, condition: str | None) -> None:
    """Give a check of a table another condition, or drop it."""
    constraints = tables.tables[table].constraints
    [old] = [one for one in constraints if one.name in {name, f"ck_{table}_{name}"}]
    constraints.remove(old)
    if condition is not None:
        tables.tables[table].append_constraint(CheckConstraint(condition, name=name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations."""
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def test_changes_of_checks_are_generated(empty_url: str, folder: Path) -> None:
    """Added, dropped and changed ones, also of a column that is dropped; programs have to know the migration."""
    tables = changed_tables()
    windows = tables.tables["report_windows"]
    windows.append_constraint(CheckConstraint("report <> '100%'", name="report_is_named"))
    replace_check(tables, "report_windows", "cause_is_an_object", None)
    replace_check(tables, "report_windows", "status_known", "status IN ('missing', 'not served')")
    path = write_next(empty_url, "Change checks", tables=tables, folder=folder)
    assert "oldest_program = None" not in path.read_text()
    found = checks(empty_url)
    assert "CHECK ((report <> '100%'::text))" == found["ck_report_windows_report_is_named"]
    assert "not served" in found["ck_report_windows_status_known"]
    assert "ck_report_windows_cause_is_an_object" not in found


def test_checks_of_new_and_dropped_columns_are_generated(empty_url: str, folder: Path) -> None:
    """A column takes its checks with it, and a new one brings them."""
    tables = changed_tables()
    accounts = tables.tables["ads_accounts"]
    replace_check(tables, "ads_accounts", "refusals_counted", None)
    accounts._columns.remove(accounts.c.refusals)
    accounts.append_column(Column("priority", Integer, CheckConstraint("priority > 0", "positive")))
    write_next(empty_url, "Change a column", tables=tables, folder=folder)
    found = checks(empty_url)
    assert "CHECK ((priority > 0))" == found["ck_ads_accounts_positive"]
    assert "ck_ads_accounts_refusals_counted" not in found


@pytest.mark.filterwarnings("ignore:Computed default")  # Alembic leaves it out
def test_what_cannot_be_generated_is_refused(empty_url: str, folder: Path) -> None:
    """The message names what differs, and no file is left."""
    tables, before = changed_tables(), list_revisions(folder)
    other = Computed("CAST(md5(status) AS uuid)", persisted=True)
    tables.tables["report_windows"].c.cause_key.computed = other
    with pytest.raises(NotGeneratedError, match="column cause_key of report_windows"):
        write_next(empty_url, "Change what is computed", tables=tables, folder=folder)
    assert before == list_revisions(folder)


def test_migration_that_lacks_what_is_written_by_hand_is_kept(empty_url: str, folder: Path) -> None:
    """The error says why it can't be applied yet: a view of ours uses a changed column."""
    tables = changed_tables()
    tables.tables["restatements"].c.currency_code.type = String(3)
    with pytest.raises(NotGeneratedError, match="cannot alter type of a column used by a view"):
        write_next(empty_url, "Change a type", tables=tables, folder=folder)
    assert "op.alter_column" in next(folder.glob("versions/*_change_a_type.py")).read_text()
