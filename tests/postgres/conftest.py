"""The worlds of the tests of store, load and jobs: a database with one account, or one with a sandbox beside it."""

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings, get_settings
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.server import SandboxHandle
from tests.postgres.load_world import LoadWorld
from tests.support.kept_sandbox import KeptServer, sandbox_server
from tests.support.one_dataset import only_datasets
from tests.support.world import NOON, World, open_impatient

__all__ = ["sandbox_server"]


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker of tests with a smaller registry."""
    config.addinivalue_line("markers", "datasets(*names): the registry has only these datasets")


@pytest.fixture(autouse=True)
def _only_datasets_of_the_test(request: pytest.FixtureRequest) -> Iterator[None]:
    marker = request.node.get_closest_marker("datasets")
    with only_datasets(*marker.args) if marker else nullcontext():
        yield


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, sandbox_server: KeptServer) -> Iterator[SandboxHandle]:
    """Yield a running sandbox with small accounts and a clock that stands still until a test moves it."""
    usual = {
        "rows_per_day": 12,
        "report_seconds": 60,
        "export_seconds": 0,
        "clock_start": NOON,
        "clock_frozen": True,
    }
    config = SandboxConfig(**usual | getattr(request, "param", {}))
    with sandbox_server.play(config) as handle:
        yield handle


@pytest.fixture
def context(engine: Engine, sandbox: SandboxHandle, tmp_path: Path) -> Iterator[JobContext]:
    """Yield the tools of a job, on the sandbox's clock; only its client's short waits are real."""
    settings = Settings(home=tmp_path, report_first_poll_seconds=60, report_poll_seconds=1)
    with open_impatient(engine, sandbox, settings) as context:
        yield context


@pytest.fixture
def world(engine: Engine, sandbox: SandboxHandle, context: JobContext) -> World:
    """Return a world whose accounts are stored, and whose entities are not."""
    made = World(engine, sandbox, context)
    made.sync_accounts()
    return made


@pytest.fixture
def shelf(engine: Engine, tmp_path: Path) -> LoadWorld:
    """Return a database with one account and a few targets, ready for hand-made reports."""
    made = LoadWorld(engine, tmp_path)
    made.add_targets()
    return made


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
