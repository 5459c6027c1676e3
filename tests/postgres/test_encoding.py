"""Text is UTF-8 on every connection, whatever the environment says, and in every database that is used."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from dagster import DagsterInstance
from psycopg import sql
from sqlalchemy import create_engine, make_url, text

from bidbeacon_pipelines.dagster_instance.storage import dagster_database_url
from bidbeacon_pipelines.database.address import psycopg_args
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.connections import parse_database_url
from tests.support.commands import run_command

TEXT = "Zoë’s Kräuter – 東京"

ASK = "SELECT CAST({0} AS text), current_setting('client_encoding'), encode(convert_to({0}, 'UTF8'), 'hex')"
TOLD = (TEXT, "UTF8", TEXT.encode().hex())


@pytest.fixture
def latin1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what libpq takes for a connection's encoding."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")


def test_text_arrives_as_it_was_sent(database_url: str, latin1: None) -> None:
    """Our engines, sessions, Dagster's storage and connections without an engine are in UTF-8."""
    with psycopg.connect(database_url) as connection:
        assert ("LATIN1",) == connection.execute("SHOW client_encoding").fetchone()
    dagsters = create_engine(dagster_database_url(database_url))
    for engine in (make_engine(database_url), SessionStore.connect(database_url).engine, dagsters):
        with engine.connect() as connection:
            assert TOLD == connection.execute(text(ASK.format(":sent")), {"sent": TEXT}).one()
        engine.dispose()
    with psycopg.connect(**psycopg_args(parse_database_url(database_url))) as connection:
        assert TOLD == connection.execute(ASK.format("%(sent)s::text"), {"sent": TEXT}).fetchone()


def test_dagsters_own_rows_are_utf8_too(
    dagster_with_tables: Path, database_url: str, latin1: None
) -> None:
    """A partition that is written through the storage of `dagster.yaml` is the same text in the table."""
    with DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("accounts", [TEXT])
    partitions = "SELECT partition FROM dagster.dynamic_partitions"
    with psycopg.connect(database_url, client_encoding="utf8") as connection:
        assert (TEXT,) == connection.execute(partitions).fetchone()


def test_the_shell_is_utf8(database_url: str, latin1: None) -> None:
    """What is typed into `bidbeacon db shell` arrives as it was typed."""
    result = subprocess.run(
        [sys.executable, "-m", "bidbeacon_pipelines", "db", "shell"],
        env={**os.environ, "BIDBEACON_DATABASE_URL": database_url},
        input=f"\\pset format unaligned\nSELECT encode(convert_to('{TEXT}', 'UTF8'), 'hex')".encode(),
        capture_output=True,
        check=True,
    )
    assert TEXT.encode().hex() in result.stdout.decode()


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def other_url(cluster_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the address of a database of another encoding."""
    name = f"other_{secrets.token_hex(6)}"
    statement = "CREATE DATABASE {} ENCODING {} LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL(statement).format(sql.Identifier(name), sql.Literal(request.param))
        )
        yield make_url(cluster_url).set(database=name).render_as_string(hide_password=False)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.parametrize(
    ("command", "exit_code"), [("db upgrade", 2), ("doctor", 1), ("accounts list", 2)]
)
def test_a_database_of_another_encoding_is_refused(
    other_url: str, command: str, exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can't store all names and search terms; nothing is made in it."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", other_url)
    monkeypatch.setenv("COLUMNS", "1000")
    result = run_command(*command.split(), code=exit_code)
    assert "which can't store all text: use one made with ENCODING 'UTF8'" in result.output
    tables = "SELECT FROM pg_tables WHERE schemaname = 'public'"
    with psycopg.connect(other_url) as connection:
        assert [] == connection.execute(tables).fetchall()
