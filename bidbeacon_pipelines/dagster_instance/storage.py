"""Dagster's storage in our database: finds (or starts) it by itself, so that plain `dagster dev` needs no environment."""

import os
from collections.abc import Mapping
from typing import Any, Final, Self

from dagster_postgres.storage import DagsterPostgresStorage
from sqlalchemy import create_engine, make_url, text

from bidbeacon_pipelines.dagster_instance.webserver import guard_webserver
from bidbeacon_pipelines.database.address import open_database
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.database.schema import (
    LOCK_TIMEOUT,
    Report,
    SchemaError,
    patiently,
    schema_lock,
)
from bidbeacon_pipelines.private_files import keep_new_files_private, make_private_folder
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_sessions.connections import connect_args, parse_database_url

SCHEMA: Final = "dagster"


class BidBeaconStorage(DagsterPostgresStorage):
    """Runs, events and schedules in schema `dagster` of the database that the settings name, or of the embedded one.

    Its configuration in `dagster.yaml` is empty. Dagster hands configurations to its child
    processes on the command line; the address, with its password, is therefore no part of it: each
    process finds it anew.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Declare that there is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Self:
        """Make the storage when Dagster loads `dagster.yaml`.

        Raises:
            DatabaseUnavailableError: There is no database; the message says what to do.
            SchemaError: Our tables or Dagster's are not as this program needs them; the message
                says what to do.
        """
        del config_value  # nothing is configured
        # Dagster reads it from the environment alone; each process that has this storage stores
        # events of a batch at once.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "200")
        place_files(get_settings())
        guard_webserver()
        storage = cls(
            postgres_url=dagster_database_url(open_database_with_dagster()),
            should_autocreate_tables=False,
            inst_data=inst_data,
        )
        storage.keep_connections()
        return storage

    def keep_connections(self) -> None:
        """Let all parts share one pool; dagster-postgres by itself opens a connection for every statement.

        That costs a run worker more than its work: 500 materializations took 7 s, and take 1 s like
        this. A connection that broke meanwhile (the server was restarted) is noticed before it is
        used.
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


def place_files(settings: Settings) -> None:
    """Set the variables with which `dagster.yaml` places Dagster's files below our home folder, for their owner alone.

    So they are there with any working directory, and with or without DAGSTER_HOME.
    """
    keep_new_files_private()
    home = settings.dagster_home
    make_private_folder(home)
    os.environ["BIDBEACON_DAGSTER_FILES"] = str(home)
    os.environ["BIDBEACON_DAGSTER_COMPUTE_LOGS"] = str(settings.compute_logs.absolute())


def open_database_with_dagster() -> str:
    """Return our database's address, after a look at our tables and at Dagster's.

    Raises:
        SchemaError: Tables are missing, older or newer.
    """
    url = open_database(get_settings())
    if not has_dagster_tables(url):
        raise SchemaError(
            "The database has no tables of Dagster's yet: run `bidbeacon db upgrade`."
        )
    return url


def has_dagster_tables(url: str) -> bool:
    """Return whether Dagster's tables are there; whether they are new enough, Dagster says itself."""
    with shared_engine(url).connect() as connection:
        return bool(
            connection.execute(text(f"SELECT to_regclass('{SCHEMA}.runs') IS NOT NULL")).scalar()
        )


def upgrade_dagster(url: str, *, report: Report = lambda _: None) -> None:
    """Make schema `dagster` and its tables where they are missing, and apply Dagster's own migrations.

    Args:
        url: The database.
        report: Called with a line where it has to wait.

    Raises:
        SchemaError: The tables are in use for too long.
    """
    with schema_lock(url, report) as connection:
        if connection.execute(text(f"SELECT to_regnamespace('{SCHEMA}')")).scalar() is None:
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        connection.commit()
        patiently(lambda: _apply_dagsters_migrations(url), report)


def _apply_dagsters_migrations(url: str) -> None:
    storage = DagsterPostgresStorage(dagster_database_url(url, f"-clock_timeout={LOCK_TIMEOUT}"))
    storage.event_log_storage.upgrade()  # runs and schedules share its history


def dagster_database_url(url: str, *more_options: str) -> str:
    """Return the address in SQLAlchemy's form for psycopg2, which dagster-postgres needs, in UTF-8 and with `dagster` as its schema.

    Options that the address has already are kept.
    """
    address = parse_database_url(url).set(drivername="postgresql+psycopg2")
    given = address.query.get("options", ())
    options = [
        *([given] if isinstance(given, str) else given),
        f"-csearch_path={SCHEMA}",
        *more_options,
    ]
    address = address.update_query_dict({"options": " ".join(options), "client_encoding": "utf8"})
    return address.render_as_string(hide_password=False)
