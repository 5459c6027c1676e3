"""Dagster's storage in our database: finds (or starts) it by itself, so that plain `dagster dev` needs no environment."""

import os
from collections.abc import Mapping
from typing import Any, Final, Self

import psycopg
from dagster._config import UserConfigSchema
from dagster._serdes import ConfigurableClassData
from dagster_postgres.storage import DagsterPostgresStorage
from sqlalchemy import create_engine, make_url

from bidbeacon_pipelines.dev.postgres import embedded_postgres, resolve_database_url
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.database import connect_args

SCHEMA: Final = "dagster"


class BidBeaconStorage(DagsterPostgresStorage):
    """Runs, events and schedules in schema `dagster` of the database that the settings name, or of the embedded one.

    Its configuration in `dagster.yaml` is empty. Dagster hands configurations to its child processes on the command
    line; the address, with its password, is therefore no part of it: each process finds it anew.
    """

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Declare that there is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Make the storage when Dagster loads `dagster.yaml`.

        Raises:
            DatabaseUnavailableError: There is no database; the message says what to do.
        """
        del config_value  # nothing is configured
        # Dagster reads it from the environment alone; each process that has this storage stores events of a batch at once.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "200")
        storage = cls(postgres_url=dagster_database_url(open_database()), inst_data=inst_data)
        storage.keep_connections()
        return storage

    def keep_connections(self) -> None:
        """Let all parts share one pool; dagster-postgres by itself opens a connection for every statement.

        That costs a run worker more than its work: 500 materializations took 7 s, and take 1 s like this. A
        connection that broke meanwhile (the server was restarted) is noticed before it is used.
        """
        engine = create_engine(
            self.postgres_url,
            isolation_level="AUTOCOMMIT",
            pool_size=2,
            max_overflow=20,
            pool_pre_ping=True,
            pool_recycle=300,
            connect_args=connect_args(make_url(self.postgres_url)),
        )
        for part in (self._run_storage, self._event_log_storage, self._schedule_storage):
            part._engine = engine  # noqa: SLF001 - Dagster's own webserver replaces it in the same way


def open_database() -> str:
    """Give our database's address, with schema `dagster` in it, and our tables too where this process started the server."""
    settings = get_settings()
    url = resolve_database_url(settings)
    if settings.database_url is None and embedded_postgres(settings.home).started_here:
        from bidbeacon_pipelines.store.migrate import upgrade

        upgrade(url)
    create_dagster_schema(url)
    return url


def dagster_database_url(url: str) -> str:
    """Give the address in SQLAlchemy's form for psycopg2, which dagster-postgres needs, with `dagster` as its schema.

    Options that the address has already are kept.
    """
    address = make_url(url).set(drivername="postgresql+psycopg2")
    given = address.query.get("options", ())
    options = [given] if isinstance(given, str) else list(given)
    options.append(f"-csearch_path={SCHEMA}")
    address = address.update_query_dict({"options": " ".join(options), "client_encoding": "utf8"})
    return address.render_as_string(hide_password=False)


def create_dagster_schema(url: str) -> None:
    """Make the schema of Dagster's tables where it is missing; any number of processes may try at once."""
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [SCHEMA]).fetchone():
            return
        try:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        except psycopg.errors.UniqueViolation:  # two at the same moment
            return
