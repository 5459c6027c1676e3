"""Fixtures that the Dagster tests and the fault tests share: a sandbox, and settings that point at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.server import SandboxHandle
from bidbeacon_sessions.settings import get_session_settings
from tests.support.kept_sandbox import KeptServer, sandbox_server

__all__ = ["environment", "sandbox", "sandbox_server"]


@pytest.fixture
def sandbox(sandbox_server: KeptServer) -> Iterator[SandboxHandle]:
    """Yield a running sandbox with small accounts and quick reports."""
    config = SandboxConfig(rows_per_day=20, report_seconds=0.5, export_seconds=0.2)
    with sandbox_server.play(config) as handle:
        yield handle


@pytest.fixture
def environment(
    database_url: str, sandbox: SandboxHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Point the settings at this test's database, sandbox and home."""
    values = {
        "DATABASE_URL": database_url,
        "SANDBOX_PORT": sandbox.url.rpartition(":")[2],
        "REPORT_FIRST_POLL_SECONDS": "1",
        "REPORT_POLL_SECONDS": "1",
        "HOME": str(tmp_path),
    }
    for name, value in values.items():
        monkeypatch.setenv(f"BIDBEACON_{name}", value)
    get_settings.cache_clear()
    get_session_settings.cache_clear()
    yield
    shared_engine(database_url).dispose()
    shared_engine.cache_clear()
