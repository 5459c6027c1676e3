"""One PostgreSQL for the suite, and a stage for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.stream.stage import Stage
from tests.faults.stream.stream_cluster import StreamCluster


@pytest.fixture(scope="session")
def stream_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamCluster]:
    """Yield the suite's own server."""
    cluster = StreamCluster(tmp_path_factory.mktemp("stream-cluster"))
    yield cluster
    cluster.remove()


@pytest.fixture
def stage(
    stream_cluster: StreamCluster, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Iterator[Stage]:
    """Yield a stage on a database of its own; what happened on it is a property of the test's result."""
    stage = Stage(stream_cluster, tmp_path, tell=lambda told: record_property("detail", told))
    yield stage
    stage.close()
