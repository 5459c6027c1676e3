"""Dagster on our database, with the project's own `dagster.yaml`."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from dagster import DagsterInstance, QueuedRunCoordinator
from psycopg import sql
from sqlalchemy import make_url

from bidbeacon_pipelines.dagster_storage import dagster_database_url, upgrade_dagster
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.schema import SchemaError
from bidbeacon_pipelines.settings import PROJECT_ROOT, get_settings
from bidbeacon_pipelines.store.processes import note_process


@pytest.fixture
def home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for DAGSTER_HOME with our `dagster.yaml`; the settings name a database of our tables only."""
    shutil.copy(PROJECT_ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    get_settings.cache_clear()
    return tmp_path


@pytest.fixture
def instance(home: Path, database_url: str) -> Iterator[DagsterInstance]:
    """Yield an instance as `dagster.yaml` describes it, on a fresh database."""
    upgrade_dagster(database_url)
    with DagsterInstance.get() as instance:
        yield instance


def test_dagsters_tables_are_in_a_schema_of_their_own(
    instance: DagsterInstance, database_url: str
) -> None:
    """Schema `dagster` has its tables and `public` none, though only the role's search path names it: PgBouncer refuses startup options."""
    assert "options" not in make_url(dagster_database_url(database_url)).query
    instance.add_dynamic_partitions("accounts", ["US.a"])
    statement = "SELECT table_schema FROM information_schema.tables WHERE table_name IN ('runs', 'event_logs', 'jobs')"
    with psycopg.connect(database_url) as connection:
        assert connection.execute(statement).fetchall() == [("dagster",)] * 3


def test_what_dagster_hands_to_its_processes_has_no_password(
    instance: DagsterInstance, database_url: str
) -> None:
    """The reference that stands on command lines has neither password nor address."""
    reference = str(instance.get_ref().to_dict())
    assert "BidBeaconStorage" in reference
    assert str(make_url(database_url).password) not in reference
    assert "postgresql" not in reference


def test_what_is_configured(instance: DagsterInstance, home: Path) -> None:
    """Two of six places are never used by hand; a click starts within a second; what hangs is ended, but no honest wait for Amazon."""
    concurrency = instance.get_concurrency_config()
    assert concurrency.run_queue_config is not None
    assert (6, 4) == (
        concurrency.run_queue_config.max_concurrent_runs,
        concurrency.pool_config.default_pool_limit,
    )
    [limit] = concurrency.run_queue_config.tag_concurrency_limits
    assert ("ads_account", 1) == (limit["key"], limit["limit"])
    queue = instance.run_coordinator
    assert isinstance(queue, QueuedRunCoordinator)
    assert (1, 2) == (queue.dequeue_interval_seconds, queue.dequeue_num_workers)
    assert queue.dequeue_use_threads
    longest_wait = get_settings().by_hand_wait_minutes * 60
    assert instance.run_monitoring_enabled
    assert (
        longest_wait < instance.run_monitoring_settings["max_runtime_seconds"] <= 2 * longest_wait
    )
    assert (False, False) == (instance.nux_enabled, instance.telemetry_enabled)
    assert str(home / "storage") == instance.storage_directory() == str(get_settings().compute_logs)


def test_options_of_the_address_are_kept() -> None:
    """The driver is psycopg2, the encoding UTF-8, and a host that falls silent is noticed."""
    address = make_url(
        dagster_database_url(
            "postgresql://a:b@host/db?sslmode=require&options=-cgeqo%3Don", "-cx=y"
        )
    )
    assert address.drivername == "postgresql+psycopg2"
    expected = {"sslmode": "require", "options": "-cgeqo=on -cx=y", "client_encoding": "utf8"}
    assert expected.items() <= dict(address.query).items()
    assert "10" == address.query["keepalives_idle"]


def test_a_broken_connection_is_noticed_before_it_is_used(
    instance: DagsterInstance, database_url: str
) -> None:
    """Dagster's parts share one pool (`_engine`); after the server has cut all connections, the next call works at once."""
    instance.get_runs()
    statement = (
        "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert connection.execute(statement).fetchone() == (True,)
    assert list(instance.get_runs()) == []
    assert "200" == os.environ["DAGSTER_EVENT_BATCH_SIZE"]


def test_missing_tables_are_said_in_one_line(home: Path) -> None:
    """Loading the storage creates no table."""
    with pytest.raises(SchemaError, match=r"^The database has no tables of Dagster's yet: run `b"):
        DagsterInstance.get()


def test_a_role_that_does_not_find_the_tables_is_told_the_statement(
    home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another role than the upgrading one runs Dagster, through an address of its own; after the statement it works."""
    upgrade_dagster(database_url)
    role, name = f"dagster_{secrets.token_hex(4)}", make_url(database_url).database or ""
    shutil.copy(home / "dagster.yaml", home / "ours")
    configured = (home / "ours").read_text().replace("{}", "{postgres_url: {env: POOLER_URL}}")
    (home / "dagster.yaml").write_text(configured)
    other = make_url(database_url).set(username=role, password="secret")
    monkeypatch.setenv("POOLER_URL", other.render_as_string(hide_password=False))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
        try:
            remedy = f"ALTER ROLE {role} IN DATABASE {name} SET search_path = dagster, public"
            with pytest.raises(SchemaError, match=f"Role {role} does not find .* `{remedy}`"):
                DagsterInstance.get()
            connection.execute(remedy)
            for grant in GRANTS:
                connection.execute(sql.SQL(grant).format(sql.Identifier(role)))
            with DagsterInstance.get() as instance:
                assert list(instance.get_runs()) == []
        finally:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


GRANTS = (
    "GRANT USAGE ON SCHEMA dagster TO {}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dagster TO {}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA dagster TO {}",
)


def test_daemon_and_webserver_need_no_more_than_the_documents_grant(
    home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/operations.md and docs/cluster.md make it, their role loads the instance and notes its process."""
    upgrade_dagster(database_url)
    role, name = f"dagster_{secrets.token_hex(4)}", make_url(database_url).database or ""
    pages = [(PROJECT_ROOT / "docs" / page).read_text() for page in ("operations.md", "cluster.md")]
    blocks = re.findall(r"```sql\n(.*?)```", "".join(pages), re.DOTALL)
    [tables, ours] = [block for block in blocks if "TO bidbeacon_dagster" in block]
    grants = tables.replace("IN DATABASE bidbeacon", f"IN DATABASE {name}") + ours
    address = make_url(database_url).set(username=role, password="secret")
    url = address.render_as_string(hide_password=False)
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", url)
    get_settings.cache_clear()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
        try:
            connection.execute(grants.replace("bidbeacon_dagster", role))
            with DagsterInstance.get() as instance:
                instance.add_dynamic_partitions("accounts", ["US.a"])
            with make_engine(url).begin() as own:
                note_process(own, "daemon", "here", 1, "1", is_start=True)
        finally:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
