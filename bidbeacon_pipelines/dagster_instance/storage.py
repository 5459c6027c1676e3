"""Dagster's storage in our database: the classes for `dagster.yaml`, and Dagster's tables.

The tables are in schema `dagster`, which is in the role's `search_path`. The path is not set by a
startup option, because PgBouncer in transaction mode refuses such options.
"""

import os
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import inf
from typing import Any, Final, Self

import dagster as dg
from dagster_postgres import DagsterPostgresStorage, PostgresScheduleStorage
from sqlalchemy import Engine, create_engine, event, text

from bidbeacon_pipelines.dagster_instance.webserver_guard import guard_webserver
from bidbeacon_pipelines.database.address import open_database
from bidbeacon_pipelines.database.clock import CLOCKS_DIFFER_BY
from bidbeacon_pipelines.database.processes import announce_dagster
from bidbeacon_pipelines.database.schema import (
    LOCK_TIMEOUT,
    Report,
    SchemaError,
    patiently,
    schema_lock,
)
from bidbeacon_pipelines.private_files import make_new_files_private
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.connections import client_args, parse_database_url

SCHEMA: Final = "dagster"
BY_HAND_POOL: Final = "by_hand"
"""Dagster's concurrency pool for runs that are started by hand."""
BY_HAND_RUNS: Final = 4
_DRIVER: Final = "postgresql+psycopg2"
_SET_SEARCH_PATH: Final = f"""
    format('ALTER ROLE %I IN DATABASE %I SET search_path = {SCHEMA}, public',
           current_user, current_database())"""
_FIND_TABLES: Final = text(f"""
    SELECT current_user AS role, current_schema() AS schema, {_SET_SEARCH_PATH} AS remedy,
           EXISTS (SELECT FROM pg_tables
                    WHERE schemaname = '{SCHEMA}' AND tablename = 'runs') AS has_tables""")


class PastScheduleStorage(PostgresScheduleStorage):
    """Ticks and states of sensors and schedules, without instants in the future.

    Hosts whose clock is ahead store such instants, and Dagster would wait for them: a sensor
    ticks one interval after its last tick, and a schedule continues from its newest tick. Instants
    are compared with this process's clock, which Dagster uses too.
    """

    def all_instigator_state(self, *args: Any, **kwargs: Any) -> Sequence[Any]:
        """Return the states of sensors and schedules."""
        return [_without_future(one) for one in super().all_instigator_state(*args, **kwargs)]

    def get_instigator_state(self, origin_id: str, selector_id: str) -> Any:
        """Return the state of a sensor or schedule, or None."""
        state = super().get_instigator_state(origin_id, selector_id)
        return state and _without_future(state)

    def get_ticks(
        self,
        origin_id: str,
        selector_id: str,
        before: float | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Sequence[Any]:
        """Return ticks of a sensor or schedule, newest first."""
        before = min(before or inf, _latest_instant())
        return super().get_ticks(origin_id, selector_id, before, *args, **kwargs)


def _latest_instant() -> float:
    return time.time() + CLOCKS_DIFFER_BY.total_seconds()


def _without_future(state: Any) -> Any:
    """Return a state without future instants; a schedule that starts in the future starts now."""
    data, now, latest = state.instigator_data, time.time(), _latest_instant()
    stored = data._asdict() if data else {}
    ahead = {
        name for name, at in stored.items() if name.endswith("_timestamp") and (at or 0) > latest
    }
    if not ahead:
        return state
    # Without a start, Dagster would compute a schedule's next time from 1970 on.
    changes = {name: now if name == "start_timestamp" else None for name in ahead}
    return state.with_data(data._replace(**changes))


class BidBeaconStorage(DagsterPostgresStorage):
    """Runs, events and schedules in schema `dagster` of our database.

    Dagster passes the storage's configuration to its child processes on their command lines. It
    therefore does not contain the address, which has a password: each process reads it from the
    settings, or from the variable of `postgres_url: {env: …}`.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return the only option: an address that replaces BIDBEACON_DATABASE_URL."""
        return {"postgres_url": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Self:
        """Create the storage when Dagster loads `dagster.yaml`.

        Without an address, the storage does not connect, so that definitions can be listed and
        checked in a fresh clone; the first use raises an error with instructions.

        Raises:
            DatabaseUnavailableError: The database can't be used; the message has instructions.
            SchemaError: Our tables have an unsuitable version, or Dagster's tables are not found.
        """
        make_new_files_private()
        # Dagster reads this from the environment only.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "200")
        guard_webserver()
        settings = get_settings()
        if settings.database_url is None:
            storage = cls(f"{_DRIVER}://", should_autocreate_tables=False, inst_data=inst_data)
            event.listen(
                storage.pool_connections(), "do_connect", lambda *_: open_database(settings)
            )
            return storage
        url = open_database(settings)
        address = dagster_database_url(config_value.get("postgres_url", url))
        storage = cls(address, should_autocreate_tables=False, inst_data=inst_data)
        check_dagster_tables(storage.pool_connections())
        announce_dagster(url)
        return storage

    @cached_property
    def schedule_storage(self) -> PastScheduleStorage:
        """The storage of ticks and states of sensors and schedules."""
        return PastScheduleStorage(self.postgres_url, should_autocreate_tables=False)

    def pool_connections(self) -> Engine:
        """Make the storages of runs, events and schedules share one pooled engine; return it.

        dagster-postgres opens a connection for every statement. Opening it takes longer than the
        statement itself. Its public `optimize_for_webserver` also pools connections, but does
        not check connections before use, so they fail after a restart of the server.
        """
        engine = create_engine(
            self.postgres_url,
            isolation_level="AUTOCOMMIT",
            # Every process of Dagster has such a pool and PostgreSQL allows 100 connections by
            # default, so few are kept open; the webserver opens more while it has many requests.
            pool_size=2,
            max_overflow=20,
            pool_pre_ping=True,
            pool_recycle=300,
        )
        parts: list[Any] = [self.run_storage, self.event_log_storage, self.schedule_storage]
        for part in parts:
            part._engine = engine  # noqa: SLF001 - no public way; its own methods replace it too
        return engine


class NoDefinitionsState(dg.UPathDefsStateStorage):
    """Empty storage of components' state: our definitions have none, so no query is needed."""

    def get_latest_defs_state_info(self) -> None:
        """Return None: no state is stored."""


def dagster_database_url(url: str, *options: str) -> str:
    """Return an address for psycopg2, which dagster-postgres uses, with encoding UTF-8.

    `options` are more startup options for a direct connection, such as `-cname=value`.
    """
    address = parse_database_url(url).set(drivername=_DRIVER)
    address = address.update_query_dict({k: str(v) for k, v in client_args(address).items()})
    if options:
        given = address.query.get("options", ())
        both = (*([given] if isinstance(given, str) else given), *options)
        address = address.update_query_dict({"options": " ".join(both)})
    return address.render_as_string(hide_password=False)


def check_dagster_tables(engine: Engine) -> None:
    """Check that this role's `search_path` has Dagster's tables; Dagster checks their version.

    Raises:
        SchemaError: The tables don't exist, or are not in the path; the message has instructions.
    """
    with engine.connect() as connection:
        found = connection.execute(_FIND_TABLES).one()
    if not found.has_tables:
        raise SchemaError(
            "Dagster's tables are missing in the database: run `bidbeacon db upgrade`."
        )
    if found.schema != SCHEMA:
        raise SchemaError(
            f"Role {found.role} does not find Dagster's tables in schema {SCHEMA}: run "
            f"`{found.remedy}` as this role, and grant it access to the schema "
            "(see docs/how-to/use-your-own-postgres.md)."
        )


def upgrade_dagster(url: str, *, report: Report = lambda _: None) -> None:
    """Create Dagster's schema and tables if missing, and apply Dagster's migrations.

    Also create the pool `by_hand`, which limits the concurrent runs started by hand. The role that
    runs this gets the schema in its `search_path` in this database. The connection has to be
    direct, without a pooler. `report` is called with a message if a lock delays the upgrade.

    Raises:
        SchemaError: The tables are locked for too long.
    """
    with schema_lock(url, report) as connection:
        if connection.execute(text(f"SELECT to_regnamespace('{SCHEMA}')")).scalar() is None:
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        connection.execute(text(f"DO $$ BEGIN EXECUTE {_SET_SEARCH_PATH}; END $$"))
        connection.commit()
        patiently(lambda: _apply_dagsters_migrations(url), report)


def _apply_dagsters_migrations(url: str) -> None:
    options = (f"-csearch_path={SCHEMA}", f"-clock_timeout={LOCK_TIMEOUT}")
    storage = DagsterPostgresStorage(dagster_database_url(url, *options))
    events = storage.event_log_storage
    events.upgrade()  # runs and schedules share its history
    # Dagster does not limit the runs of a pool that it does not know yet.
    if BY_HAND_POOL not in events.get_concurrency_keys():
        events.set_concurrency_slots(BY_HAND_POOL, BY_HAND_RUNS)
