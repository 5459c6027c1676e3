"""`bidbeacon db upgrade` replaces functions and views that are older than the program's, and keeps what others made of them."""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from bidbeacon_pipelines.database.schema import (
    MIGRATIONS,
    VIEWS_VERSION,
    SchemaError,
    list_revisions,
    read_version,
)
from bidbeacon_pipelines.migrations.upgrade import upgrade
from tests.support.reading import tuples
from tools.catalog import Catalog, describe_differences, read_catalog

OLD_COLUMNS = "CREATE VIEW reports.ads AS SELECT 1 AS old, a.account_key FROM advertiser_accounts a"
OTHER_ARGUMENTS = "CREATE FUNCTION window_states(at timestamptz) RETURNS TABLE (old int) LANGUAGE sql AS 'SELECT 1'"
FEWER_COLUMNS = "CREATE VIEW reports.ads AS SELECT a.account_key FROM advertiser_accounts a"
MIGRATION = """
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade():
    op.execute("{statement}")
"""


def make_older(engine: Engine, *statements: str) -> Catalog:
    """Run statements, and let views have an older version; return the catalog of before."""
    with engine.begin() as connection:
        before = read_catalog(connection)
        for statement in statements:
            connection.execute(text(statement))
        connection.execute(text("UPDATE installation SET views_version = 0"))
    return before


def differences(engine: Engine, wanted: Catalog) -> list[str]:
    """Return what differs from a catalog, but for views of others."""
    with engine.connect() as connection:
        found = read_catalog(connection)
    return describe_differences(
        {key: one for key, one in found.items() if key[1] != "mine"}, wanted
    )


def views_version(engine: Engine) -> int:
    """Return the version that the database's views have."""
    with engine.connect() as connection:
        return read_version(connection).views


@pytest.fixture
def analyst(engine: Engine) -> Iterator[str]:
    """The name of a role."""
    name = f"analyst_{secrets.token_hex(4)}"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {name}"))
    yield name
    with engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {name}"))
        connection.execute(text(f"DROP ROLE {name}"))


def grants(engine: Engine) -> list[tuple[object, ...]]:
    """Return all grants on relations and columns of schema `reports` and on functions."""
    return tuples(
        engine,
        """SELECT CAST(oid AS regclass)::text, coalesce(relacl, acldefault('r', relowner))::text, NULL FROM pg_class WHERE relnamespace = to_regnamespace('reports')
            UNION ALL
           SELECT attname, attacl::text, CAST(attrelid AS regclass)::text FROM pg_attribute WHERE attacl IS NOT NULL
              AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('reports'))
            UNION ALL
           SELECT proname, proacl::text, NULL FROM pg_proc WHERE pronamespace = to_regnamespace('public') ORDER BY 1, 2""",
    )


def test_appended_columns_leave_views_of_others_alone(engine: Engine, database_url: str) -> None:
    """A view is replaced in its place."""
    mine = "CREATE VIEW mine AS SELECT account_key FROM reports.ads"
    wanted = make_older(engine, "DROP VIEW reports.ads", FEWER_COLUMNS, mine)
    upgrade(database_url)
    assert [] == differences(engine, wanted)
    assert VIEWS_VERSION == views_version(engine)
    assert [] == tuples(engine, "SELECT * FROM mine")


@pytest.mark.parametrize(
    "changes",
    [
        ("DROP VIEW reports.ads", OLD_COLUMNS),
        (
            "DROP VIEW performance_rows CASCADE",
            "CREATE VIEW performance_rows AS SELECT 1 AS old",
            "CREATE VIEW window_restatements AS SELECT old FROM performance_rows",
            "CREATE VIEW reports.restatements AS SELECT old FROM window_restatements",
        ),
        (
            "DROP FUNCTION window_states",
            "CREATE FUNCTION window_states(at timestamptz, late_after interval) RETURNS TABLE (old int) LANGUAGE sql AS 'SELECT 1'",
        ),
        (
            "DROP FUNCTION window_states",
            OTHER_ARGUMENTS,
            "DROP VIEW reports.ads",
            "CREATE VIEW reports.ads AS SELECT old FROM window_states(now())",
        ),
    ],
    ids=["a view", "a view that others of ours use", "a function", "arguments of a function"],
)
def test_what_cannot_be_replaced_is_created_anew(
    engine: Engine, database_url: str, changes: tuple[str, ...]
) -> None:
    """A view with other columns, and a function that takes or returns others."""
    wanted = make_older(engine, *changes)
    upgrade(database_url)
    assert [] == differences(engine, wanted)
    assert VIEWS_VERSION == views_version(engine)


def test_what_is_created_anew_has_the_grants_of_before(
    engine: Engine, database_url: str, analyst: str
) -> None:
    """Those of columns that are left, and no others, whatever the default privileges of the schema are."""
    make_older(
        engine,
        "DROP VIEW reports.ads",
        OLD_COLUMNS,
        "DROP VIEW reports.targets",
        OLD_COLUMNS.replace("ads", "targets"),
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA reports GRANT SELECT ON TABLES TO {analyst}",
        f"GRANT UPDATE ON reports.ads TO {analyst} WITH GRANT OPTION",
        f"GRANT SELECT (account_key) ON reports.targets TO {analyst}",
        "DROP FUNCTION window_states",
        OTHER_ARGUMENTS,
        "REVOKE EXECUTE ON FUNCTION window_states FROM PUBLIC",
    )
    before = grants(engine)
    make_older(engine, f"GRANT SELECT (old) ON reports.ads TO {analyst}")
    upgrade(database_url)
    assert before == grants(engine)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations, and one that drops a view."""
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    add_migration(copy, "DROP VIEW reports.ads")
    return copy


def add_migration(folder: Path, statement: str) -> Path:
    """Write a migration that runs a statement; return its file."""
    before = list_revisions(folder)[-1]
    revision = f"{int(before) + 1:04}"
    path = folder / "versions" / f"{revision}_next.py"
    path.write_text(MIGRATION.format(revision=revision, before=before, statement=statement))
    return path


def test_a_view_that_a_migration_drops_keeps_its_grants(
    engine: Engine, database_url: str, analyst: str, folder: Path
) -> None:
    """As it has to where it changes the type of a column that the view has."""
    wanted = make_older(engine, f"GRANT SELECT ON reports.ads TO {analyst}")
    granted = grants(engine)
    upgrade(database_url, folder=folder)
    assert [] == differences(engine, wanted)
    assert granted == grants(engine)


def test_an_upgrade_that_is_run_again_knows_the_grants(
    engine: Engine, database_url: str, analyst: str, folder: Path
) -> None:
    """The first one ends after a migration that drops a view; rights given and taken since count, and roles may be gone."""
    gone = f"{analyst}_gone"
    make_older(
        engine,
        f"CREATE ROLE {gone}",
        f"GRANT SELECT ON reports.ads TO {gone}",
        "DROP VIEW reports.targets",
        OLD_COLUMNS.replace("ads", "targets"),
        f"GRANT SELECT ON reports.ads TO {analyst}",
    )
    failing = add_migration(folder, "SELECT 1 / 0")
    with pytest.raises(DBAPIError, match="division by zero"):
        upgrade(database_url, folder=folder)
    failing.unlink()
    make_older(engine, f"DROP ROLE {gone}", f"GRANT UPDATE ON reports.targets TO {analyst}")
    upgrade(database_url, folder=folder)
    rights = tuples(
        engine,
        f"""SELECT table_name, privilege_type FROM information_schema.table_privileges
             WHERE grantee = '{analyst}' ORDER BY 1""",
    )
    assert [("ads", "SELECT"), ("targets", "UPDATE")] == rights
    assert [(None,)] == tuples(engine, "SELECT grants FROM installation")


@pytest.mark.parametrize("by_migration", [False, True])
def test_a_view_that_others_use_is_refused_by_name(
    engine: Engine, database_url: str, folder: Path, *, by_migration: bool
) -> None:
    """Nothing is changed then, and the error says what to do."""
    make_older(
        engine,
        "DROP VIEW reports.ads",
        OLD_COLUMNS,
        "CREATE VIEW mine AS SELECT old FROM reports.ads",
    )
    with engine.connect() as connection:
        before = read_catalog(connection)
    with pytest.raises(SchemaError) as refused:
        upgrade(database_url, folder=folder if by_migration else MIGRATIONS)
    assert str(refused.value) == (
        "The upgrade replaces objects that other objects depend on (view mine depends on view reports.ads): "
        "drop the dependent objects, run `bidbeacon db upgrade` again, and create them again."
    )
    with engine.connect() as connection:
        assert before == read_catalog(connection)
    assert 0 == views_version(engine)


def test_newer_views_are_left_alone(engine: Engine, database_url: str) -> None:
    """As a newer program has made them."""
    make_older(engine, "DROP VIEW reports.ads", OLD_COLUMNS)
    with engine.begin() as connection:
        connection.execute(text("UPDATE installation SET views_version = 99"))
    upgrade(database_url)
    assert [] == tuples(engine, "SELECT old FROM reports.ads")
    assert 99 == views_version(engine)
