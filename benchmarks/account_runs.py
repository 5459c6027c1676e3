"""The cost of a run of `refresh_account`, started by Dagster's default launcher.

A webserver receives the runs over GraphQL. Its code server starts a worker process for each, as
under `dagster dev`. Only the CPU time of the code server and its workers is measured.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import httpx
import psutil
from dagster import DagsterInstance, DagsterRunStatus

from benchmarks.processes import running
from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.accounts.sync import sync_accounts
from bidbeacon_pipelines.dagster_instance.storage import upgrade_dagster
from bidbeacon_pipelines.defs.partitions import ACCOUNTS, PARTITION_TAG
from bidbeacon_pipelines.dev.services import choose_port
from bidbeacon_pipelines.entities.sync import sync_entities
from bidbeacon_pipelines.job_context import open_job_context
from bidbeacon_pipelines.migrations.upgrade import upgrade
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.server import running_sandbox
from bidbeacon_sessions import with_job_session
from tests.support.waiting import wait_until
from tools.temporary_postgres import temporary_postgres

_INSTANCE = """
storage:
  custom:
    module: bidbeacon_pipelines.dagster_instance.storage
    class: BidBeaconStorage
    config: {}
# The webserver launches runs itself, without the daemon's queue. Dagster exports the class nowhere.
run_coordinator:
  module: dagster.core.run_coordinator
  class: DefaultRunCoordinator
telemetry:
  enabled: false
"""
_PARTITION_MONTHS = "9"
"""With more days, 320 accounts would have more partitions than Dagster's UI supports."""
_MODULE = "bidbeacon_pipelines.definitions"
_LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_JOB = {
    "repositoryName": "__repository__",
    "repositoryLocationName": _MODULE,
    "jobName": "refresh_account",
}


@dataclass(frozen=True)
class RunsCost:
    """The CPU time of code server and workers for some runs, and the total elapsed time."""

    cpu_seconds: float
    seconds: float


class AccountRuns:
    """A Dagster instance with webserver and code server, and accounts that have due work."""

    def __init__(
        self, instance: DagsterInstance, url: str, webserver: psutil.Process, keys: Sequence[str]
    ) -> None:
        self.keys = keys
        self.instance = instance
        self._url = url
        children = webserver.children(recursive=True)
        [self._server] = [each for each in children if "grpc" in each.cmdline()]

    def measure(self, keys: Sequence[str], *, at_once: int = 1) -> RunsCost:
        """Refresh each of some accounts once, `at_once` at a time, as Dagster's queue does."""
        began, cpu = time.perf_counter(), self._cpu_seconds()
        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(self._run, keys))
        seconds = time.perf_counter() - began
        return RunsCost(self._cpu_seconds() - cpu, seconds)

    def _run(self, key: str) -> None:
        tags = {PARTITION_TAG: key, "ads_account": key}
        params = {
            "selector": _JOB,
            "mode": "default",
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        request = {"query": _LAUNCH, "variables": {"params": params}}
        answer = httpx.post(f"{self._url}/graphql", json=request, timeout=60).json()
        run_id = str(answer["data"]["launchRun"]["run"]["runId"])
        wait_until(lambda: self._has_ended(run_id), f"run {run_id} ends", 240, pause=0.1)

    def _has_ended(self, run_id: str) -> bool:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        failed = run.status in {DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}
        assert not failed, f"the run ended as {run.status}"
        return run.status is DagsterRunStatus.SUCCESS

    def _cpu_seconds(self) -> float:
        """Return the CPU time of the code server and its workers, once all workers have ended."""
        wait_until(lambda: not any(map(_is_worker, self._server.children())), seconds=60, pause=0.1)
        times = self._server.cpu_times()
        return times.user + times.system + times.children_user + times.children_system


def _is_worker(process: psutil.Process) -> bool:
    try:
        is_over = process.status() == psutil.STATUS_ZOMBIE
        return is_over or "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


@contextmanager
def account_runs(accounts: int) -> Iterator[AccountRuns]:
    """Yield an environment for runs, with a database and folders that are deleted at the end."""
    config = SandboxConfig(accounts=accounts, rows_per_day=200, report_seconds=1, export_seconds=0)
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="bidbeacon-bench-")))
        database = stack.enter_context(temporary_postgres(home))
        upgrade(database)
        upgrade_dagster(database)
        sandbox = stack.enter_context(running_sandbox(config))
        (home / "dagster.yaml").write_text(_INSTANCE)
        stack.enter_context(_environment(home, database, sandbox.url))
        instance = stack.enter_context(DagsterInstance.from_config(str(home)))
        keys = _stock(instance, database)
        port = choose_port()
        url = f"http://127.0.0.1:{port}"
        program = str(Path(sys.executable).with_name("dagster-webserver"))
        command = [program, "--port", str(port), "-m", _MODULE]
        webserver = stack.enter_context(running(command, f"{url}/server_info"))
        yield AccountRuns(instance, url, webserver, keys)


@contextmanager
def _environment(home: Path, database: str, sandbox: str) -> Iterator[None]:
    others = {name: value for name, value in os.environ.items() if "BIDBEACON_" not in name}
    ours = {
        "DAGSTER_HOME": str(home),
        "BIDBEACON_HOME": str(home),
        "BIDBEACON_DATABASE_URL": database,
        "BIDBEACON_SANDBOX_PORT": sandbox.rpartition(":")[2],
        "BIDBEACON_PARTITION_MONTHS": _PARTITION_MONTHS,
    }
    with patch.dict(os.environ, others | ours, clear=True):
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()


def _stock(instance: DagsterInstance, url: str) -> Sequence[str]:
    """Store accounts and entities; return one country of each, as all share its reports."""
    with (
        open_job_context(get_settings(), url) as context,
        with_job_session("stock", store=context.sessions) as session,
    ):
        keys = sync_accounts(context, session)
        instance.add_dynamic_partitions(ACCOUNTS, keys)
        with context.engine.begin() as connection:
            accounts = [get_account(connection, key) for key in keys]
        usable = [account for account in accounts if account.stop_reason is None]
        chosen = {account.account_id: account for account in usable}.values()
        for account in chosen:
            sync_entities(context, session, account)
    return [account.account_key for account in chosen]
