"""What a run of `refresh_account` costs, started as Dagster's daemon starts it: by its default launcher, in a process of its own.

Dagster's webserver runs beside us. It is asked for runs over GraphQL and has a code server, as under
`dagster dev`, which starts a worker process for each run. The code server's own CPU time and that of
the workers it has seen end is what is measured; the webserver's, the database's and the sandbox's are not in it.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
from dagster import DagsterInstance, DagsterRunStatus

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.accounts.sync import sync_accounts
from bidbeacon_pipelines.dagster_storage import upgrade_dagster
from bidbeacon_pipelines.database.schema import upgrade
from bidbeacon_pipelines.defs.partitions import ACCOUNTS, PARTITION_TAG
from bidbeacon_pipelines.entities.sync import sync_entities
from bidbeacon_pipelines.job_context import open_job_context
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.server import running_sandbox
from bidbeacon_sessions import with_job_session
from tests.processes import running_webserver
from tools.temporary_postgres import temporary_postgres

_INSTANCE = """
storage:
  custom:
    module: bidbeacon_pipelines.dagster_storage
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
"""320 accounts with more days would be more partitions than Dagster's UI is made for."""
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
_FINISHED = {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}


@dataclass(frozen=True)
class RunsCost:
    """What some runs cost.

    Attributes:
        runs: How many.
        cpu_seconds: Of code server and workers, in all.
        seconds: From the first start to the last end.
    """

    runs: int
    cpu_seconds: float
    seconds: float


class AccountRuns:
    """A Dagster instance, its webserver and code server, and a sandbox with accounts that all have due work."""

    def __init__(
        self, instance: DagsterInstance, webserver: httpx.Client, keys: Sequence[str]
    ) -> None:
        self.keys = keys
        self.instance = instance
        self._webserver = webserver
        children = psutil.Process().children(recursive=True)
        [self._server] = [p for p in children if "grpc" in p.cmdline()]

    def measure(self, keys: Sequence[str], *, at_once: int = 1) -> RunsCost:
        """Refresh each of these accounts once, so many at the same time, started by threads as Dagster's queue does it."""
        began, cpu = time.perf_counter(), self._cpu_seconds()
        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(self._run, keys))
        seconds = time.perf_counter() - began
        self._wait_for_workers()
        return RunsCost(len(keys), self._cpu_seconds() - cpu, seconds)

    def _run(self, key: str) -> None:
        run_id = self._launch(key)
        while not self._has_ended(run_id):
            time.sleep(0.1)

    def _launch(self, key: str) -> str:
        tags = {PARTITION_TAG: key, "ads_account": key}
        params = {
            "selector": _JOB,
            "mode": "default",
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        request = {"query": _LAUNCH, "variables": {"params": params}}
        answer = self._webserver.post("/graphql", json=request).json()
        return str(answer["data"]["launchRun"]["run"]["runId"])

    def _has_ended(self, run_id: str) -> bool:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status is DagsterRunStatus.SUCCESS or run.status not in _FINISHED, (
            f"the run ended as {run.status}"
        )
        return run.status in _FINISHED

    def _wait_for_workers(self) -> None:
        """Wait until all workers have ended; the code server takes notice of it some seconds later."""
        deadline = time.monotonic() + 60
        while any(map(_is_working, self._server.children())):
            assert time.monotonic() < deadline, "a worker does not end"
            time.sleep(0.1)

    def _cpu_seconds(self) -> float:
        """Return the CPU time of the code server, of workers it has taken notice of, and of those it has not."""
        while True:
            first, second = self._counted(), self._counted()
            if second - first < 0.05:  # no worker changed sides in between
                return first

    def _counted(self) -> float:
        own: Any = self._server.cpu_times()
        ended = [p.cpu_times() for p in self._server.children()]
        return float(
            own.user
            + own.system
            + own.children_user
            + own.children_system
            + sum(times.user + times.system for times in ended)
        )


def _is_working(process: psutil.Process) -> bool:
    """Return whether a child of the code server is a worker that has not ended; its tracker of resources is none."""
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # or ended, and not taken notice of
        return False


@contextmanager
def account_runs(accounts: int) -> Iterator[AccountRuns]:
    """Yield all that runs need, on a database server and in folders of their own, which are deleted at the end."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="bidbeacon-bench-")))
        url = stack.enter_context(temporary_postgres(home))
        upgrade(url)
        upgrade_dagster(url)
        sandbox = stack.enter_context(
            running_sandbox(
                SandboxConfig(
                    accounts=accounts, rows_per_day=200, report_seconds=1, export_seconds=0
                )
            )
        )
        (home / "dagster.yaml").write_text(_INSTANCE)
        stack.enter_context(
            environment(
                {
                    "DAGSTER_HOME": str(home),
                    "BIDBEACON_HOME": str(home),
                    "BIDBEACON_DATABASE_URL": url,
                    "BIDBEACON_SANDBOX_PORT": sandbox.url.rpartition(":")[2],
                    "BIDBEACON_PARTITION_MONTHS": _PARTITION_MONTHS,
                }
            )
        )
        instance = stack.enter_context(DagsterInstance.from_config(str(home)))
        keys = _stock(instance, url)
        with (
            quiet_children(home / "code_server.log"),
            running_webserver("-m", _MODULE) as webserver,
        ):
            yield AccountRuns(instance, webserver, keys)


def _stock(instance: DagsterInstance, url: str) -> Sequence[str]:
    """Store the sandbox's accounts, and return the keys of those that can be refreshed: one country of each, its entities synced.

    Countries of one ads account share its reports: the second one's run would also load what the
    first has asked for.
    """
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


@contextmanager
def quiet_children(log: Path) -> Iterator[None]:
    """Let this process, and those that it starts in this block, write to a file instead of the terminal."""
    sys.stdout.flush()
    kept = {place: os.dup(place) for place in (1, 2)}
    with log.open("wb") as file:
        for place in kept:
            os.dup2(file.fileno(), place)
    try:
        yield
    finally:
        for place, terminal in kept.items():
            os.dup2(terminal, place)
            os.close(terminal)


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the length of a block; other settings of ours are not seen in it."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith("BIDBEACON_")]:
        del os.environ[name]
    os.environ.update(values)
    get_settings.cache_clear()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        get_settings.cache_clear()
