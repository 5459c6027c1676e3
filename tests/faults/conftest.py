"""A world whose runs are processes of their own, and `results.json`: what each fault test came to."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine

from bidbeacon_sandbox.server import SandboxHandle
from bidbeacon_sessions.settings import get_session_settings
from tests.dagster.fixtures import environment, sandbox, sandbox_server
from tests.dagster.runs import add_accounts, open_world
from tests.support.world import World

__all__ = ["environment", "sandbox", "sandbox_server"]

RESULTS = Path(__file__).parent / "results.json"
STORAGE = """
storage:
  custom:
    module: bidbeacon_pipelines.dagster_storage
    class: BidBeaconStorage
    config: {}
telemetry:
  enabled: false
"""

ENTRY = "entry of the results"

_entries: list[object] = []


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Keep what a fault test came to, once it has run."""
    report: pytest.TestReport = yield
    if item.get_closest_marker("faults") and (report.when == "call" or report.failed):
        error = call.excinfo.value if call.excinfo is not None else None
        report.user_properties.append((ENTRY, _entry(item, report, error)))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect what tests came to, also those that another process has run."""
    _entries.extend(entry for name, entry in report.user_properties if name == ENTRY)


def _entry(
    item: pytest.Item, report: pytest.TestReport, error: BaseException | None
) -> dict[str, Any]:
    """Return a test's line of the results: its parameter `seed`, if any, and what it recorded as `detail`, or how long it took."""
    parameters = (
        item.callspec.params
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        else {}
    )
    detail = dict(report.user_properties).get("detail", f"{report.duration:.1f} s")
    return {
        "name": item.name,
        "seed": parameters.get("seed", 1),
        "ok": report.passed,
        "detail": detail if report.passed else str(error)[:500],
    }


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the results, where fault tests were run; of several processes the first one does."""
    if _entries and not hasattr(session.config, "workerinput"):
        RESULTS.write_text(json.dumps(_entries, indent=2, ensure_ascii=False) + "\n")
