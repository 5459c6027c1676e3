"""The suite's own PostgreSQL: it may be crashed and restarted at any time, and takes prepared transactions."""

import secrets
import signal
from pathlib import Path

import psycopg

from bidbeacon_pipelines.migrations.upgrade import upgrade
from tools.temporary_postgres import TemporaryPostgres


class StreamCluster(TemporaryPostgres):
    """One server below a folder.

    Its commits survive the death of the server, not that of the machine.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, durable=False)
        self.settings = (*self.settings, "max_prepared_transactions=64")
        self.start()

    def administer(self, statement: str) -> None:
        """Send one statement to the maintenance database."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def make_database(self) -> str:
        """Make a migrated database; return its name."""
        name = f"stream_{secrets.token_hex(6)}"
        self.administer(f"CREATE DATABASE {name}")
        upgrade(self.url(name))
        return name

    def crash(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server at once, without a checkpoint and without a word to its clients, and start it again on its port."""
        self.end_by(number)
        self.start()
