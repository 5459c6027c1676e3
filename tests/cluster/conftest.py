"""One cluster for all tests of this folder, in the namespaces that `make test-cluster` makes."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError

from tests.cluster.cluster import Cluster
from tests.cluster.versions import build_version, make_next_version
from tests.cluster.world import SETTINGS, World

# Hosts are made in the network of this process, which must not be the machine's.
collect_ignore_glob = [] if "CLUSTER_NAMESPACES" in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield a cluster in which everything runs; what programs printed is shown where a test failed."""
    folder = tmp_path_factory.mktemp("cluster")
    program = build_version(folder / "1")
    versions = [program, make_next_version(program, folder / "2")]
    cluster = Cluster(folder / "hosts", versions, SETTINGS)
    world = World(cluster)
    try:
        world.begin()
        yield world
    finally:
        print(*world.notes, sep="\n")  # noqa: T201 - what was measured
        cluster.halt()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Add the end of all programs' logs to the report of a test that failed."""
    report: pytest.TestReport = yield
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and isinstance(world, World):
        report.sections.append(("Programs", world.cluster.logs()))
        report.sections.append(("Open work", _open_work(world)))
    return report


def _open_work(world: World) -> str:
    """Return what is left to do, where the database can still be asked."""
    try:
        return world.what_waits()
    except SQLAlchemyError as error:
        return f"{error}"
