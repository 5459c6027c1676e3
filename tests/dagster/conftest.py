"""The world of the Dagster tests: fresh for each, with a sandbox that answers within a second."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine

from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sandbox.server import SandboxHandle
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.dagster import JobSessionsResource
from tests.dagster.fixtures import environment, sandbox, sandbox_server
from tests.dagster.runs import SERVED_DAYS, add_accounts, open_world
from tests.stream.conftest import base_url, http
from tests.support.world import World

__all__ = ["base_url", "environment", "http", "sandbox", "sandbox_server"]


@pytest.fixture
def sessions(session_store: SessionStore) -> JobSessionsResource:
    """Return a resource that keeps its sessions in `session_store`, as a project of somebody else's would define it."""

    class Sessions(JobSessionsResource):
        def store(self) -> SessionStore:
            return session_store

    return Sessions()


@pytest.fixture
def world(engine: Engine, sandbox: SandboxHandle, environment: None) -> Iterator[World]:
    """Yield a world without accounts."""
    with DagsterInstance.ephemeral() as instance, open_world(engine, sandbox, instance) as world:
        yield world


@pytest.fixture
def real(
    dagster_tables: None, engine: Engine, sandbox: SandboxHandle, environment: None, tmp_path: Path
) -> Iterator[World]:
    """Yield a world without accounts whose Dagster keeps its events where the product's does: in this test's database."""
    shutil.copy(PROJECT_ROOT / "dagster.yaml", tmp_path)
    with (
        DagsterInstance.from_config(str(tmp_path)) as instance,
        open_world(engine, sandbox, instance) as world,
    ):
        yield world


@pytest.fixture
def stocked(world: World) -> World:
    """Return a world of few days whose accounts are stored and partitions of Dagster."""
    add_accounts(world)
    world.shorten_history(SERVED_DAYS)
    return world
