"""The suite's own PostgreSQL: it may be crashed and restarted at any time, takes prepared transactions, and can be dumped."""

import secrets
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from bidbeacon_pipelines.database.schema import upgrade
from tests.temporary_postgres import TemporaryPostgres

PREPARED_AT_ONCE = 64


class StreamCluster:
    """One server below a folder.

    Its commits survive the death of the server, not that of the machine.
    """

    def __init__(self, folder: Path) -> None:
        self._server = TemporaryPostgres(folder, durable=False)
        self._url = self._server.start()
        self.administer(f"ALTER SYSTEM SET max_prepared_transactions = {PREPARED_AT_ONCE}")
        self._server.stop()
        self._url = self._server.start()

    def url_of(self, database: str) -> str:
        """Return the address of a database."""
        return f"{self._url.rpartition('/')[0]}/{database}"

    def administer(self, statement: str, *names: str) -> list[tuple[Any, ...]]:
        """Send one statement to the maintenance database; return its rows."""
        composed = sql.SQL(statement).format(*map(sql.Identifier, names))  # type: ignore[arg-type] # ours
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            cursor = connection.execute(composed)
            return cursor.fetchall() if cursor.description else []

    def make_database(self, *, migrated: bool = True) -> str:
        """Make a database; return its name."""
        name = f"stream_{secrets.token_hex(6)}"
        self.administer("CREATE DATABASE {}", name)
        if migrated:
            upgrade(self.url_of(name))
        return name

    def drop_database(self, name: str) -> None:
        """Take a database away, whoever is connected to it."""
        self.administer("DROP DATABASE {} WITH (FORCE)", name)

    def crash(self) -> None:
        """Stop the server at once, without a checkpoint and without a word to its clients."""
        self._server.end_by(signal.SIGQUIT)

    def kill(self) -> None:
        """Kill the server's main process."""
        self._server.end_by(signal.SIGKILL)

    def start(self) -> None:
        """Start the server on the port that it had, or find it running."""
        assert self._url == self._server.start()

    def dump(self, database: str, file: Path) -> None:
        """Dump a database with pg_dump."""
        self._run("pg_dump", "--format=custom", f"--file={file}", self.url_of(database))

    def restore(self, database: str, file: Path) -> None:
        """Restore a dump into an empty database with pg_restore."""
        arguments = (
            "--no-owner",
            "--exit-on-error",
            f"--dbname={self.url_of(database)}",
            str(file),
        )
        self._run("pg_restore", *arguments)

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self._server.remove()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([self._server.binaries / program, *arguments], check=True)
