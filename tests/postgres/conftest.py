"""The worlds of the tests of store, load and jobs: a database with one account, or one with a sandbox beside it."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, make_url

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, RetryPolicy
from bidbeacon_pipelines.amazon_ads.credentials import SANDBOX_CREDENTIALS, Endpoints
from bidbeacon_pipelines.amazon_ads.throttle import LaneGaps, LocalLanes
from bidbeacon_pipelines.sandbox import SandboxConfig
from bidbeacon_pipelines.sandbox.server import SandboxHandle, running_sandbox
from bidbeacon_pipelines.services.job_context import JobContext
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.store.engine import make_engine
from tests.faults.ads.simulated_office import Office
from tests.one_dataset import only_daily_targets
from tests.postgres.job_world import BenchWorld
from tests.postgres.load_world import LoadWorld
from tests.postgres.lone_fault_world import BAD_ROW_SHARE, prepare

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
IMPATIENT = RetryPolicy(attempts=2, base_seconds=0.01, longest_wait_seconds=0.05)


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[SandboxHandle]:
    """Yield a running sandbox with small accounts and a clock that stands still until a test moves it."""
    usual = {
        "rows_per_day": 12,
        "report_seconds": 60,
        "export_seconds": 0,
        "clock_start": NOON,
        "clock_rate": 0,
    }
    with running_sandbox(SandboxConfig(**usual | getattr(request, "param", {}))) as handle:
        yield handle


@pytest.fixture
def context(engine: Engine, sandbox: SandboxHandle, tmp_path: Path) -> Iterator[JobContext]:
    """Yield the tools of a job, on the sandbox's clock."""
    settings = Settings(home=tmp_path, report_first_poll_seconds=60, report_poll_seconds=1)
    lanes = LocalLanes(LaneGaps.none(), sandbox.state.clock.now)
    endpoints = Endpoints.sandbox(sandbox.url)
    with AdsApiClient(SANDBOX_CREDENTIALS, endpoints, retry=IMPATIENT, lanes=lanes) as client:
        yield JobContext(engine, client, settings, sandbox.state.clock.now, sandbox.state.clock.advance)


@pytest.fixture
def world(engine: Engine, sandbox: SandboxHandle, context: JobContext) -> BenchWorld:
    """Return a world whose accounts are stored, and whose entities are not."""
    made = BenchWorld(engine, sandbox, context)
    made.sync_accounts()
    return made


@pytest.fixture
def shelf(engine: Engine, tmp_path: Path) -> LoadWorld:
    """Return a database with one account and a few targets, ready for hand-made reports."""
    made = LoadWorld(engine, tmp_path)
    made.add_targets()
    return made


@pytest.fixture(scope="module")
def module_database_url(cluster_url: str, _template: str) -> Iterator[str]:
    """Yield the address of a migrated database that all cases share."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                *map(sql.Identifier, (name, _template))
            )
        )
        yield make_url(cluster_url).set(database=name).render_as_string(hide_password=False)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def office(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Yield the place of all cases: accounts and entities are known, and one day is due."""
    engine = make_engine(module_database_url)
    config = SandboxConfig(
        rows_per_day=40, report_seconds=60, export_seconds=0, clock_start=NOON, clock_rate=0
    )
    with only_daily_targets(), running_sandbox(config) as sandbox:
        office = Office(engine, sandbox, tmp_path_factory.mktemp("home"), bad_row_share=BAD_ROW_SHARE)
        prepare(office)
        yield office
    engine.dispose()
