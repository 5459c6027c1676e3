"""The one migration history: an empty database becomes what the models of both packages say."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import BigInteger, CheckConstraint, Column, Connection, Integer, MetaData

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.schema import (
    MIGRATIONS,
    VIEWS,
    VIEWS_VERSION,
    list_revisions,
    read_version,
)
from bidbeacon_pipelines.migrations.create import run
from bidbeacon_pipelines.migrations.upgrade import upgrade
from bidbeacon_pipelines.tables import PipelinesBase
from tools.catalog import describe_differences, read_catalog
from tools.migration import FIRST_SCHEMA, write_next
from tools.stored_digests import digest_views, read_recorded

HEAD = list_revisions()[-1]
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


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Open the only connection to a database."""
    engine = make_engine(url, pool_size=1)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def checks(url: str) -> dict[str, str]:
    """Return the definitions of all constraints and indexes by their names."""
    with connected(url) as connection:
        return {name: definition for (_, _, name), definition in read_catalog(connection).items()}


def test_migrated_and_modelled_schemas_are_the_same(database_url: str, empty_url: str) -> None:
    """All migrations make of the first schema what the classes make of an empty database.

    Checks, keys, partial indexes, collations, defaults, fill factors, views and functions, which
    Alembic does not compare, and which programs may use it.
    """
    with connected(empty_url) as first:
        run(first, FIRST_SCHEMA.read_text())
        first.commit()
    upgrade(empty_url)
    with connected(empty_url) as migrated, connected(database_url) as modelled:
        assert [] == describe_differences(read_catalog(migrated), read_catalog(modelled))
        assert read_version(modelled) == read_version(migrated)


def test_changed_views_have_a_new_version() -> None:
    """Otherwise databases would keep the old ones."""
    versions = read_recorded(VIEWS)
    assert [str(number + 1) for number in range(VIEWS_VERSION)] == list(versions)
    assert versions[str(VIEWS_VERSION)] == digest_views(), "run `make migration`"


def test_unchanged_tables_need_no_migration(empty_url: str, folder: Path) -> None:
    """None is generated without a title."""
    before = list_revisions(folder)
    assert write_next(empty_url, folder=folder) is None
    assert before == list_revisions(folder)


def test_a_migration_with_a_title_is_always_generated(empty_url: str, folder: Path) -> None:
    """A person completes it, for instance with a move of data."""
    path = write_next(empty_url, "Move data", folder=folder)
    assert path is not None
    assert path.read_text().endswith("def upgrade() -> None:\n    pass\n")


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
    path = write_next(empty_url, tables=tables, folder=folder)
    assert path is not None
    assert "oldest_program = None" not in path.read_text()
    upgrade(empty_url, folder=folder)
    found = checks(empty_url)
    assert "CHECK ((report <> '100%'::text))" == found["ck_report_windows_report_is_named"]
    assert "not served" in found["ck_report_windows_status_known"]
    assert "ck_report_windows_cause_is_an_object" not in found


def test_a_new_count_is_null_for_older_programs(empty_url: str, folder: Path) -> None:
    """The check of all counts changes with it, but refuses no row that they write."""
    tables, table = changed_tables(), "daily_campaigns"
    tables.tables[table].append_column(Column("video_views", BigInteger))
    condition = "least(impressions, clicks, video_views) >= 0"
    replace_check(tables, table, "counts_not_negative", condition)
    path = write_next(empty_url, "Count videos", tables=tables, folder=folder)
    assert path is not None
    assert "video_views" in path.read_text()
    assert "oldest_program = None" in path.read_text()


def test_checks_of_new_and_dropped_columns_are_generated(empty_url: str, folder: Path) -> None:
    """A column takes its checks with it, and a new one brings them."""
    tables = changed_tables()
    accounts = tables.tables["ads_accounts"]
    replace_check(tables, "ads_accounts", "refusals_counted", None)
    accounts._columns.remove(accounts.c.refusals)
    accounts.append_column(Column("priority", Integer, CheckConstraint("priority > 0", "positive")))
    write_next(empty_url, "Change a column", tables=tables, folder=folder)
    upgrade(empty_url, folder=folder)
    found = checks(empty_url)
    assert "CHECK ((priority > 0))" == found["ck_ads_accounts_positive"]
    assert "ck_ads_accounts_refusals_counted" not in found
