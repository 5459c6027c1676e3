"""The worlds of the tests of store, load and jobs: a database with one account, or one with a sandbox beside it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from tenacity import wait_fixed

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, RetryPolicy
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.amazon_ads.rate_limits import RateLimits
from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings, get_settings
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.server import SandboxHandle
from tests.faults.ads.simulated_office import Office
from tests.postgres.job_world import NOON, BenchWorld
from tests.postgres.load_world import LoadWorld
from tests.postgres.lone_fault_world import open_office
from tests.support.kept_sandbox import KeptServer, sandbox_server

__all__ = ["sandbox_server"]

IMPATIENT = RetryPolicy(attempts=2, patience=0.05, backoff=wait_fixed(0.01))


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, sandbox_server: KeptServer) -> Iterator[SandboxHandle]:
    """Yield a running sandbox with small accounts and a clock that stands still until a test moves it."""
    usual = {
        "rows_per_day": 12,
        "report_seconds": 60,
        "export_seconds": 0,
        "clock_start": NOON,
        "clock_rate": 0,
    }
    config = SandboxConfig(**usual | getattr(request, "param", {}))
    with sandbox_server.play(config) as handle:
        yield handle


@pytest.fixture
def context(engine: Engine, sandbox: SandboxHandle, tmp_path: Path) -> Iterator[JobContext]:
    """Yield the tools of a job, on the sandbox's clock."""
    settings = Settings(home=tmp_path, report_first_poll_seconds=60, report_poll_seconds=1)
    rate_limits = RateLimits(0, sandbox.state.clock.now)
    endpoints = Endpoints.sandbox(sandbox.url)
    with AdsApiClient(SANDBOX_CREDENTIAL, endpoints, retry=IMPATIENT, limits=rate_limits) as client:
        yield JobContext(
            engine, lambda _: client, settings, sandbox.state.clock.now, sandbox.state.clock.advance
        )


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
def office(shared_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Yield the place of all cases: accounts and entities are known, and one day is due."""
    with open_office(shared_database_url, tmp_path_factory.mktemp("home")) as office:
        yield office


@pytest.fixture
def dagster_home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a DAGSTER_HOME with our `dagster.yaml`, on a fresh database."""
    shutil.copy(PROJECT_ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    get_settings.cache_clear()
    return tmp_path


@pytest.fixture
def dagster_with_tables(dagster_home: Path, dagster_tables: None) -> Path:
    """Return a DAGSTER_HOME with our `dagster.yaml`, on a fresh database with Dagster's tables."""
    return dagster_home
