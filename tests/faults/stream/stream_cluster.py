"""The suite's own PostgreSQL: it may be crashed and restarted at any time, takes prepared transactions, and can be dumped."""

import secrets
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from bidbeacon_pipelines.database.schema import upgrade
from bidbeacon_pipelines.dev.binaries import run_program
from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres
from bidbeacon_pipelines.dev.postmaster import find_postmaster
from bidbeacon_pipelines.dev.server_user import find_server_user

PREPARED_AT_ONCE = 64


class StreamCluster:
    """One server below a folder.

    Its commits survive the death of the server, not that of the machine.
    """

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(folder, durable=False)
        self._url = self._server.ensure_running()
        self.administer(f"ALTER SYSTEM SET max_prepared_transactions = {PREPARED_AT_ONCE}")
        self._server.stop()
        self._url = self._server.ensure_running()

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
        assert 0 == self._run(
            "pg_ctl", "stop", "--mode=immediate", f"--pgdata={self._server.files.data}"
        )

    def kill(self) -> None:
        """Kill the server's main process."""
        server = find_postmaster(self._server.files.data)
        assert server is not None
        process = psutil.Process(server.pid)
        process.kill()
        psutil.wait_procs([process], timeout=10)

    def start(self) -> None:
        """Start the server on the port that it had, or find it running."""
        assert self._url == self._server.ensure_running()

    def dump(self, database: str, file: Path) -> None:
        """Dump a database with pg_dump."""
        assert 0 == self._run(
            "pg_dump", "--format=custom", f"--file={file}", self.url_of(database), as_server=False
        )

    def restore(self, database: str, file: Path) -> None:
        """Restore a dump into an empty database with pg_restore."""
        arguments = (
            "--no-owner",
            "--exit-on-error",
            f"--dbname={self.url_of(database)}",
            str(file),
        )
        assert 0 == self._run("pg_restore", *arguments, as_server=False)

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self._server.remove()

    def _run(self, program: str, *arguments: str, as_server: bool = True) -> int:
        user = find_server_user(self._server.files.link)
        done = run_program(
            self._server._programs(user) / program, *arguments, user=user if as_server else None
        )
        print(done.stdout)  # noqa: T201 - shown where the test failed
        return done.returncode
