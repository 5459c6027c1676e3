"""Text is UTF-8 on every connection, whatever the environment says, and in every database that is used."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url
from typer.testing import CliRunner

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.dagster_storage import upgrade_dagster
from bidbeacon_pipelines.settings import PROJECT_ROOT

TEXT = "Zoë’s Kräuter – 東京"

PROGRAM = """
import sys
from sqlalchemy import create_engine, text
from bidbeacon_pipelines.dagster_storage import dagster_database_url
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_sessions import SessionStore
from bidbeacon_pipelines.database.address import psycopg_args
from bidbeacon_sessions.connections import parse_database_url
import psycopg

url, sent = sys.argv[1:]
ask = text("SELECT CAST(:sent AS text), current_setting('client_encoding'), encode(convert_to(:sent, 'UTF8'), 'hex')")
engines = make_engine(url), SessionStore.connect(url).engine, create_engine(dagster_database_url(url))
for engine in engines:
    with engine.connect() as connection:
        print(*connection.execute(ask, {"sent": sent}).one(), sep="|")
with psycopg.connect(**psycopg_args(parse_database_url(url))) as connection:
    print(*connection.execute("SELECT %s::text, current_setting('client_encoding'), encode(convert_to(%s, 'UTF8'), 'hex')", [sent, sent]).fetchone(), sep="|")
"""


@pytest.fixture
def latin1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what libpq takes for a connection's encoding."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")


def test_text_arrives_as_it_was_sent(database_url: str, latin1: None) -> None:
    """Our engines, sessions, Dagster's storage and connections without an engine are in UTF-8."""
    result = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", PROGRAM, database_url, TEXT],
        capture_output=True,
        check=True,
    )
    line = f"{TEXT}|UTF8|{TEXT.encode().hex()}"
    assert [line] * 4 == result.stdout.decode().splitlines()


def test_dagsters_own_rows_are_utf8_too(database_url: str, latin1: None, tmp_path: Path) -> None:
    """A tag of a run, written and read through the storage of `dagster.yaml`, is the same text in the table."""
    upgrade_dagster(database_url)
    program = f"""
from dagster import DagsterInstance
from dagster._core.instance import InstanceRef
from dagster._core.test_utils import create_run_for_test
with DagsterInstance.from_ref(InstanceRef.from_dir({str(tmp_path)!r}, config_dir={str(PROJECT_ROOT)!r})) as instance:
    create_run_for_test(instance, job_name="any", tags={{"note": {TEXT!r}}})
"""
    environment = {
        **os.environ,
        "BIDBEACON_DATABASE_URL": database_url,
        "BIDBEACON_HOME": str(tmp_path),
    }
    subprocess.run([sys.executable, "-X", "utf8", "-c", program], env=environment, check=True)
    with psycopg.connect(database_url, client_encoding="utf8") as connection:
        assert (TEXT,) == connection.execute(
            "SELECT value FROM dagster.run_tags WHERE key = 'note'"
        ).fetchone()


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
    other_url: str, command: str, exit_code: int
) -> None:
    """It can't store all names and search terms; nothing is made in it."""
    result = CliRunner(env={"BIDBEACON_DATABASE_URL": other_url, "COLUMNS": "1000"}).invoke(
        app, command.split()
    )
    assert exit_code == result.exit_code
    assert "which can't store all text: use one made with ENCODING 'UTF8'" in result.output
    with psycopg.connect(other_url) as connection:
        assert (0,) == connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone()
