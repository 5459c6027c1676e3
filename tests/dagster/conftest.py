"""The world of the Dagster tests: fresh for each, with a sandbox that answers within a second."""

from collections.abc import Iterator

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine

from bidbeacon_pipelines.sandbox.server import SandboxHandle
from tests.dagster.fixtures import environment, sandbox
from tests.dagster.world import World

__all__ = ["environment", "sandbox"]


@pytest.fixture
def world(database_url: str, engine: Engine, sandbox: SandboxHandle, environment: None) -> Iterator[World]:
    """Yield a world without accounts."""
    with DagsterInstance.ephemeral() as instance:
        yield World(database_url, engine, sandbox, instance)


@pytest.fixture
def stocked(world: World) -> World:
    """Return a world whose accounts are stored and partitions of Dagster."""
    world.add_accounts()
    return world
