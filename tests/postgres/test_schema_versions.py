"""Who changes the tables: `bidbeacon db upgrade`, without making others wait.

Everything else looks at their version.
"""

import contextlib
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from dagster import DagsterInstance
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner, Result

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.database.schema import (
    MIGRATIONS,
    VIEWS_VERSION,
    SchemaError,
    SchemaVersion,
    check_schema,
    list_revisions,
    patiently,
    schema_lock,
    schema_problem,
)
from bidbeacon_pipelines.defs.resources import session_store
from bidbeacon_pipelines.migrations.upgrade import upgrade
from bidbeacon_pipelines.settings import PROJECT_ROOT, get_settings
from tests.support.waiting import wait_until

OLDER = "The database's tables are at migration 0001, and this program needs 0002: run `bidbeacon db upgrade` as the role that owns them."
OLDER_VIEWS = (
    f"The database's views are of version {VIEWS_VERSION - 1}, and this program needs version {VIEWS_VERSION}: "
    "run `bidbeacon db upgrade` as the role that owns them."
)
NEWER = "The database's tables are at migration 9999, newer than this program, whose newest migration is {newest}: upgrade the program."
FOREIGN = (
    "The database belongs to another program, whose migrations are at 'ae1027a6acf': set BIDBEACON_DATABASE_URL to a separate "
    "database for BidBeacon."
)
NONE = "The database has no tables yet: run `bidbeacon db upgrade`."
COMMANDS = [
    ["accounts", "list"],
    ["sessions", "list"],
    ["quarantine", "list"],
    ["restatements", "--account", "US.a", "--dataset", "daily_targets", "--window", "2026-01-01"],
    ["stream", "--port", "3"],
]
OTHER_PROGRAMS = "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('ae1027a6acf')"

READ = "SELECT count(*) FROM advertiser_accounts"
A_SESSION = (
    "INSERT INTO session_headers (id, job_name, started_at) VALUES (gen_random_uuid(), 'x', now())"
)


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run and commit a statement, and return its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def version(url: str) -> str:
    """Return the version that the tables are of."""
    [(found,)] = run(url, "SELECT version_num FROM alembic_version")
    return str(found)


def public_tables(url: str) -> set[object]:
    """Return the tables of the schema that ours are in, but for the one of versions."""
    found = run(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {name for (name,) in found} - {"alembic_version"}


def command(url: str, *words: str) -> Result:
    """Run a command on a database, in this process."""
    get_settings.cache_clear()
    return CliRunner(env={"BIDBEACON_DATABASE_URL": url}).invoke(app, words)


def set_revision(url: str, revision: str) -> None:
    """Have the tables say that they are of another version, which a program has to know."""
    run(url, f"UPDATE alembic_version SET version_num = '{revision}'")
    run(url, f"UPDATE installation SET oldest_program = '{revision}'")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("revision", "said"),
    [("9999", NEWER), ("ae1027a6acf", FOREIGN)],
    ids=["newer", "another"],
)
def test_a_command_refuses_tables_of_another_version(
    words: list[str],
    revision: str,
    said: str,
    database_url: str,
) -> None:
    """It says in a line what to do, and leaves the database as it is."""
    set_revision(database_url, revision)
    result = command(database_url, *words)
    assert (2, said.format(newest=list_revisions()[-1]) + "\n") == (result.exit_code, result.stderr)
    assert revision == version(database_url)


def test_older_tables_are_to_be_upgraded() -> None:
    """A program with more migrations than the database says what to run."""
    known = ["0001", "0002"]
    assert OLDER == schema_problem(SchemaVersion("0001", "0001", VIEWS_VERSION), known)
    assert schema_problem(SchemaVersion("0002", "0001", VIEWS_VERSION), known) is None


def test_older_views_are_to_be_upgraded() -> None:
    """A program needs functions and views of its own version, or newer ones."""
    older, newer = (SchemaVersion("0001", "0001", VIEWS_VERSION + step) for step in (-1, 1))
    assert OLDER_VIEWS == schema_problem(older, ["0001"])
    assert schema_problem(newer, ["0001"]) is None


@pytest.mark.parametrize(
    ("oldest_program", "said"), [("0001", None), ("0002", None), ("0003", NEWER), (None, NEWER)]
)
def test_newer_tables_say_which_programs_they_fit(
    oldest_program: str | None, said: str | None
) -> None:
    """A program of 0002 works on newer tables unless they need one that knows 0003."""
    version = SchemaVersion("9999", oldest_program, VIEWS_VERSION)
    problem = schema_problem(version, ["0001", "0002"])
    assert problem == (said and said.format(newest="0002"))


def test_a_command_makes_no_tables(empty_url: str) -> None:
    """A wrong address must not leave our tables in somebody's database."""
    result = command(empty_url, "accounts", "list")
    assert (2, NONE + "\n") == (result.exit_code, result.stderr)
    assert set() == public_tables(empty_url)


def test_upgrade_makes_ours_and_dagsters(empty_url: str) -> None:
    """After it commands work, and so does Dagster; a second time changes nothing."""
    cursors = set()
    for _ in range(2):
        result = command(empty_url, "db", "upgrade")
        assert (0, "The database is up to date.\n") == (result.exit_code, result.stdout)
        cursors.update(run(empty_url, "SELECT epoch, position FROM session_change_cursor"))
    assert 1 == len(cursors)
    assert 0 == command(empty_url, "accounts", "list").exit_code
    assert [("dagster",)] == run(
        empty_url, "SELECT schemaname FROM pg_tables WHERE tablename = 'event_logs'"
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (OTHER_PROGRAMS, FOREIGN),
        (
            "CREATE TABLE campaigns (id int)",
            (
                "The database has an object with the name of a BidBeacon object, created by another program or an unreleased version "
                '(relation "campaigns" already exists): set BIDBEACON_DATABASE_URL to a new database.'
            ),
        ),
    ],
    ids=["migrations of another program", "a table of our name"],
)
def test_upgrade_leaves_another_programs_database_alone(
    empty_url: str, make: str, said: str
) -> None:
    """One line, and none of our tables among theirs."""
    run(empty_url, make)
    before = public_tables(empty_url)
    result = command(empty_url, "db", "upgrade")
    assert (2, said + "\n") == (result.exit_code, result.stderr)
    assert before == public_tables(empty_url)


def test_a_database_of_an_unreleased_version_is_refused(database_url: str) -> None:
    """Its first migration is called like ours, and its tables lack columns."""
    run(database_url, "ALTER TABLE installation DROP views_version")
    result = command(database_url, "db", "upgrade")
    assert 2 == result.exit_code
    assert 'an unreleased version (column "views_version" does not exist)' in result.stderr


def test_an_older_program_works_on_until_something_is_removed(
    database_url: str, later: dict[str, Path]
) -> None:
    """Its commands accept tables that were only added to, and its upgrade leaves them alone; it refuses them after a removal."""
    upgrade(database_url, folder=later[INDEX])
    assert 0 == command(database_url, "accounts", "list").exit_code
    result = command(database_url, "db", "upgrade")
    said = "The tables are newer than this program, which can use them: nothing to do.\n"
    assert (0, said) == (result.exit_code, result.stdout)
    assert INDEX == version(database_url)
    upgrade(database_url, folder=later[REMOVAL])
    with pytest.raises(SchemaError, match="upgrade the program"):
        check_schema(shared_engine(database_url))
    said = NEWER.format(newest=list_revisions()[-1]).replace("9999", REMOVAL)
    assert said + "\n" == command(database_url, "db", "upgrade").stderr


@pytest.fixture
def powerless_url(database_url: str) -> Iterator[str]:
    """Yield the address of the database for a role that may connect, and nothing else."""
    name = f"powerless_{secrets.token_hex(4)}"
    run(database_url, f"CREATE ROLE {name} LOGIN PASSWORD 'secret-of-it'")
    yield (
        make_url(database_url)
        .set(username=name, password="secret-of-it")
        .render_as_string(hide_password=False)
    )
    run(database_url, f"DROP OWNED BY {name}")
    run(database_url, f"DROP ROLE {name}")


FORBIDDEN = (
    r"The role of BIDBEACON_DATABASE_URL may not do this \(permission denied for \w+ \w+\): "
    r"grant it the missing right, or use the role that owns the tables\.\n"
)


@pytest.mark.parametrize("words", [["accounts", "list"], ["db", "upgrade"]], ids=" ".join)
def test_a_role_without_rights_is_said_in_a_line(powerless_url: str, words: list[str]) -> None:
    """With what PostgreSQL said, and what to do."""
    result = command(powerless_url, *words)
    assert 1 == result.exit_code
    assert re.fullmatch(FORBIDDEN, result.stderr)


def test_a_role_that_may_not_create_is_said_in_a_line(
    powerless_url: str, database_url: str
) -> None:
    """It could read all, and there is something to change."""
    role = make_url(powerless_url).username
    run(database_url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    assert 0 == command(powerless_url, "accounts", "list").exit_code
    run(database_url, "DELETE FROM alembic_version")
    result = command(powerless_url, "db", "upgrade")
    assert 1 == result.exit_code
    assert re.fullmatch(FORBIDDEN, result.stderr)
    assert "schema public" in result.stderr


def test_dagster_and_its_ops_refuse_them_too(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The storage that every process of Dagster opens, and the sessions of a code location that has another storage."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    set_revision(database_url, "9999")
    with pytest.raises(SchemaError, match="upgrade the program"):
        session_store()
    shutil.copy(PROJECT_ROOT / "dagster.yaml", tmp_path)
    with pytest.raises(SchemaError, match="upgrade the program"):
        DagsterInstance.from_config(str(tmp_path)).get_runs()
    set_revision(database_url, list_revisions()[-1])
    with pytest.raises(
        SchemaError, match="tables are missing in the database: run `bidbeacon db upgrade`"
    ):
        DagsterInstance.from_config(str(tmp_path)).get_runs()
    assert [] == run(database_url, "SELECT 1 FROM pg_namespace WHERE nspname = 'dagster'")


HEAD_OF_A_MIGRATION = """
from alembic import op

revision = "{revision}"
down_revision = "{before}"
oldest_program = {oldest}


def upgrade():
"""
LATER = {
    "note": '    op.execute("ALTER TABLE report_requests ADD COLUMN note text")',
    "other_note": '    op.execute("ALTER TABLE advertiser_accounts ADD COLUMN note text")',
    # as CONTRIBUTING.md asks for it
    "index": """
    with op.get_context().autocommit_block():
        op.drop_index("ix_noted", postgresql_concurrently=True, if_exists=True)
        op.create_index("ix_noted", "session_headers", ["job_name", "status"], postgresql_concurrently=True)""",
    "removal": '    op.drop_column("report_requests", "note")',
}


@pytest.fixture(scope="session")
def later(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a folder for each of four migrations after ours, which ends with it: two lock a table, one builds an index, one removes a column."""
    folder, folders = MIGRATIONS, dict[str, Path]()
    for place, (name, body) in enumerate(LATER.items(), start=1):
        revision = after_ours(place)
        copy = tmp_path_factory.mktemp("later") / revision
        folder = shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
        oldest = repr(revision) if name == "removal" else None
        head = HEAD_OF_A_MIGRATION.format(
            revision=revision, before=after_ours(place - 1), oldest=oldest
        )
        (folder / "versions" / f"{revision}_{name}.py").write_text(f"{head}{body}\n")
        folders[revision] = folder
    return folders


def after_ours(place: int) -> str:
    """Return the revision that comes so many places after the newest of ours."""
    return f"{int(list_revisions()[-1]) + place:04}"


NOTE, OTHER_NOTE, INDEX, REMOVAL = map(after_ours, (1, 2, 3, 4))


class Upgrading(threading.Thread):
    """Brings a database up to the version of a folder, beside the test."""

    def __init__(self, url: str, folder: Path, *, patience: float = 60) -> None:
        super().__init__(daemon=True)
        self.lines: list[str] = []
        self._error: Exception | None = None
        self._upgrade = partial(
            upgrade, url, report=self.lines.append, patience=patience, folder=folder
        )
        self.start()

    def run(self) -> None:
        """Upgrade, and keep the error that it ends with."""
        try:
            self._upgrade()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self._error = error

    def wait(self) -> Exception | None:
        """Wait for its end; return the error that it ended with."""
        self.join(timeout=60)
        assert not self.is_alive()
        return self._error


@contextlib.contextmanager
def transaction(url: str, statement: str) -> Iterator[psycopg.Connection]:
    """Leave a transaction open after a statement, for as long as the block lasts."""
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())
        yield connection


def wait_for(url: str, condition: str) -> None:
    """Wait until a condition holds in the database."""
    wait_until(lambda: run(url, f"SELECT EXISTS (SELECT FROM {condition})") == [(True,)])


WAITS_FOR_A_TABLE = "pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"


WAITS_FOR_TRANSACTIONS = """
    pg_stat_progress_create_index WHERE datname = current_database() AND phase LIKE 'waiting for%'"""


def test_readers_do_not_queue_behind_a_migration_that_waits(
    database_url: str, later: dict[str, Path]
) -> None:
    """Beside an open read transaction, another reader has its answer after the migration's lock timeout, and not at the end of both."""
    with transaction(database_url, READ):
        upgrading = Upgrading(database_url, later[OTHER_NOTE])
        wait_for(database_url, WAITS_FOR_A_TABLE)
        with psycopg.connect(database_url, options="-c statement_timeout=20s") as reader:
            assert (0,) == reader.execute(READ.encode()).fetchone()
        wait_until(lambda: bool(upgrading.lines))
        assert upgrading.is_alive()
    assert upgrading.wait() is None
    assert upgrading.lines[0] == "Other transactions are using the tables: trying again in 1 s."
    assert OTHER_NOTE == version(database_url)


def test_an_upgrade_that_never_gets_its_lock_ends_with_what_to_do(
    database_url: str, later: dict[str, Path]
) -> None:
    """The migrations before stay done, and the database is of their version."""
    with transaction(database_url, READ):
        error = Upgrading(database_url, later[OTHER_NOTE], patience=1).wait()
    assert isinstance(error, SchemaError)
    assert str(error).startswith("Other transactions used the tables for 1 s: end them")
    assert NOTE == version(database_url)


def test_a_change_that_a_deadlock_ended_is_tried_again() -> None:
    """As one is that does not get its lock."""
    lines: list[str] = []
    deadlocks = [OperationalError("DROP VIEW", None, psycopg.errors.DeadlockDetected())]

    def change() -> None:
        if deadlocks:
            raise deadlocks.pop()

    patiently(change, lines.append)
    assert ["Other transactions are using the tables: trying again in 1 s."] == lines


@contextlib.contextmanager
def build_of_an_index(
    url: str, later: dict[str, Path]
) -> Iterator[tuple[Upgrading, psycopg.Connection]]:
    """Have an index be built, which waits for a transaction as long as the block lasts."""
    upgrade(url, folder=later[OTHER_NOTE])
    with transaction(url, A_SESSION) as writer:
        upgrading = Upgrading(url, later[INDEX])
        wait_for(url, WAITS_FOR_TRANSACTIONS)
        yield upgrading, writer


def test_an_index_is_built_beside_writers(database_url: str, later: dict[str, Path]) -> None:
    """While the build waits for an open write to end, others write as before."""
    with build_of_an_index(database_url, later) as (upgrading, _):
        with psycopg.connect(database_url, options="-c lock_timeout=1s") as writer:
            writer.execute(A_SESSION.encode())
        assert upgrading.is_alive()
    assert upgrading.wait() is None
    assert INDEX == version(database_url)


ADVISORY_LOCKS = """
    SELECT objid::text FROM pg_locks JOIN pg_database d ON d.oid = database
     WHERE locktype = 'advisory' AND d.datname = current_database()"""
INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"


def test_an_index_whose_build_was_interrupted_is_built_anew(
    database_url: str, later: dict[str, Path]
) -> None:
    """What is left is invalid: it costs every write, and answers nothing."""
    with build_of_an_index(database_url, later) as (upgrading, _):
        run(database_url, f"SELECT pg_terminate_backend(pid) FROM {WAITS_FOR_TRANSACTIONS}")
        assert upgrading.wait() is not None
    assert 1 == len(run(database_url, INVALID))
    upgrade(database_url, folder=later[INDEX])
    assert [] == run(database_url, INVALID)


def test_a_second_upgrade_waits_without_holding_up_the_first(
    database_url: str, later: dict[str, Path]
) -> None:
    """It asks for its turn again and again; a statement that waited would keep an index of the first from being built."""
    with build_of_an_index(database_url, later) as (first, writer):
        second = Upgrading(database_url, later[INDEX])
        wait_until(lambda: bool(second.lines))
        writer.rollback()
        assert [None, None] == [upgrading.wait() for upgrading in (first, second)]
    assert ["Another process is changing the tables: waiting until it is done."] == second.lines


def test_the_lock_is_free_before_its_connection_is_closed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL notices a moment later that a connection is closed, and `db upgrade` locks twice."""
    with schema_lock(database_url, print) as connection:
        monkeypatch.setattr(connection.connection.driver_connection, "close", lambda: None)
        assert 1 == len(run(database_url, ADVISORY_LOCKS))
    assert [] == run(database_url, ADVISORY_LOCKS)
