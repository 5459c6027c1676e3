"""Dagster on our database, with the project's own `dagster.yaml`."""

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from dagster import DagsterInstance, job, op
from sqlalchemy import make_url

from bidbeacon_pipelines.dagster_instance.storage import dagster_database_url
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.processes import record_process
from bidbeacon_pipelines.database.schema import SchemaError
from bidbeacon_pipelines.settings import PROJECT_ROOT, get_settings


@pytest.fixture
def instance(dagster_with_tables: Path) -> Iterator[DagsterInstance]:
    """Yield an instance with its tables."""
    with DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def role(database_url: str) -> Iterator[str]:
    """Yield the name of a role without any rights."""
    name = f"dagster_{secrets.token_hex(4)}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'".encode())
        yield name
        connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def test_dagsters_tables_are_in_a_schema_of_their_own(
    instance: DagsterInstance, database_url: str
) -> None:
    """The role's search path names the schema, since PgBouncer refuses startup options."""
    assert "options" not in make_url(dagster_database_url(database_url)).query
    instance.add_dynamic_partitions("accounts", ["US.a"])
    statement = "SELECT table_schema FROM information_schema.tables WHERE table_name IN ('runs', 'event_logs', 'jobs')"
    with psycopg.connect(database_url) as connection:
        assert connection.execute(statement).fetchall() == [("dagster",)] * 3


def test_command_lines_of_dagsters_processes_have_no_address(instance: DagsterInstance) -> None:
    """Dagster passes the reference of its instance on command lines."""
    reference = str(instance.get_ref().to_dict())
    assert "BidBeaconStorage" in reference
    assert "postgresql" not in reference


def test_configuration_fits_our_settings(instance: DagsterInstance) -> None:
    """A run may wait for Amazon as long as the setting says, and its output is where we look for it."""
    longest_wait = get_settings().by_hand_wait_minutes * 60
    longest_run = instance.run_monitoring_settings["max_runtime_seconds"]
    assert longest_wait < longest_run <= 2 * longest_wait
    assert str(get_settings().compute_logs) == instance.storage_directory()
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    [limit] = queue.tag_concurrency_limits
    assert ("ads_account", 1) == (limit["key"], limit["limit"])
    assert not instance.telemetry_enabled


def test_events_are_stored_in_batches(
    dagster_with_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading the storage asks Dagster for it, by the only way there is."""
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    with DagsterInstance.get():
        assert "200" == os.environ["DAGSTER_EVENT_BATCH_SIZE"]


def test_run_goes_on_where_its_output_cannot_be_written(instance: DagsterInstance) -> None:
    """Dagster says so in an event of the run, which succeeds."""

    @op
    def speak() -> None:
        print("a line")  # noqa: T201 - what is captured

    @job
    def talk() -> None:
        speak()

    Path(instance.storage_directory()).write_text("")
    result = talk.execute_in_process(instance=instance)
    assert result.success
    errors = [event.message for event in result.all_events if event.is_engine_event]
    assert "Exception while setting up compute log capture" in errors


def test_a_broken_connection_is_replaced(instance: DagsterInstance, database_url: str) -> None:
    """Dagster's parts share a pool; after the server has cut its connections, the next call works."""
    instance.get_runs()
    statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert connection.execute(statement).fetchall()
    assert list(instance.get_runs()) == []


def test_missing_tables_are_said_in_one_line(dagster_home: Path) -> None:
    """Loading the storage creates no table."""
    with pytest.raises(SchemaError, match=r"^Dagster's tables are missing in the database: run `b"):
        DagsterInstance.get()


def test_another_role_needs_only_the_documented_grants(
    dagster_with_tables: Path, database_url: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role with an address of its own is told which search path to set; docs/how-to/use-your-own-postgres.md does so."""
    file, pooler = dagster_with_tables / "dagster.yaml", "config: {postgres_url: {env: POOLER_URL}}"
    file.write_text(file.read_text().replace("config: {}", pooler))
    address = make_url(database_url).set(username=role, password="secret")
    name, url = address.database or "", address.render_as_string(hide_password=False)
    monkeypatch.setenv("POOLER_URL", url)
    remedy = f"ALTER ROLE {role} IN DATABASE {name} SET search_path = dagster, public"
    with pytest.raises(SchemaError, match=f"Role {role} does not find .* `{remedy}`"):
        DagsterInstance.get()

    page = (PROJECT_ROOT / "docs" / "how-to" / "use-your-own-postgres.md").read_text()
    blocks = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    grants = "".join(block for block in blocks if "TO bidbeacon_dagster" in block)
    grants = grants.replace("IN DATABASE bidbeacon", f"IN DATABASE {name}")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(grants.replace("bidbeacon_dagster", role).encode())
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", url)
    get_settings.cache_clear()
    with DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("accounts", ["US.a"])
    with make_engine(url).begin() as own:
        record_process(own, "daemon", "here", 1, "1", is_start=True)
