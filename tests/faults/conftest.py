"""A world whose runs are processes of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine

from bidbeacon_sandbox.server import SandboxHandle
from bidbeacon_sessions.settings import get_session_settings
from tests.dagster.fixtures import environment, sandbox, sandbox_server
from tests.dagster.runs import add_accounts, open_world
from tests.support.world import World

__all__ = ["environment", "sandbox", "sandbox_server"]

STORAGE = """
storage:
  custom:
    module: bidbeacon_pipelines.dagster_instance.storage
    class: BidBeaconStorage
    config: {}
telemetry:
  enabled: false
"""


@pytest.fixture
def world(
    dagster_tables: None,
    engine: Engine,
    sandbox: SandboxHandle,
    environment: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """Yield a stocked world whose Dagster keeps its runs in Postgres, and whose leases end after five seconds."""
    monkeypatch.setenv("BIDBEACON_LEASE_SECONDS", "5")
    monkeypatch.setenv("BIDBEACON_HEARTBEAT_SECONDS", "1")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    get_session_settings.cache_clear()
    (tmp_path / "dagster.yaml").write_text(STORAGE)
    with (
        DagsterInstance.from_config(str(tmp_path)) as instance,
        open_world(engine, sandbox, instance) as world,
    ):
        add_accounts(world)
        yield world
