"""The whole of `bidbeacon dev` is killed at once while a run is under way, as when a host goes down, and started again."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres
from bidbeacon_pipelines.dev.services import choose_port
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.support.waiting import wait_until

UNDERWAY = """SELECT s.run_id FROM job_sessions s JOIN dagster.runs r USING (run_id)
               WHERE s.status = 'running' AND r.status = 'STARTED' AND s.action_count > 0"""
LOADED = "SELECT count(*) FROM report_windows WHERE load_count > 0"
WITHOUT_DATA = """SELECT account_key FROM advertiser_accounts a
                   WHERE amazon_status <> 'DISABLED' AND NOT EXISTS (
                         SELECT FROM report_windows w
                          WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.load_count > 0)"""

STATE = """SELECT a.account_key, a.entities_synced_at, o.needs_attention, r.status, r.attempts, r.next_step_at, r.cause
             FROM advertiser_accounts a JOIN ads_accounts o USING (account_id) LEFT JOIN report_requests r USING (account_id) ORDER BY 1, r.id"""

READY_AGAIN_SECONDS = 40
"""The first start also makes the database."""


class Host:
    """A machine that runs `bidbeacon dev` on one home folder."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.log = folder / "dev.log"
        self._environment = {
            **os.environ,
            "BIDBEACON_HOME": str(self.home),
            "BIDBEACON_LEASE_SECONDS": "5",
            "BIDBEACON_HEARTBEAT_SECONDS": "1",
            **{
                f"BIDBEACON_{name}_PORT": str(choose_port())
                for name in ("DAGSTER", "STREAM", "SANDBOX")
            },
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, seconds: float = 180) -> None:
        """Start everything, and wait until it is ready, for so many seconds at most."""
        self.log.write_text("")
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bidbeacon_pipelines", "dev"],
                cwd=PROJECT_ROOT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(
            lambda: "Ready in " in self.log.read_text() or not self._lives(),
            "dev is ready",
            seconds=seconds,
        )
        assert self._lives(), self.log.read_text()

    def go_down(self) -> None:
        """Kill every process, the database's too, without a word."""
        for process in self._processes():
            process.kill()
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        """End what runs, and take the database away."""
        if self._process is not None and self._lives():
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=60)
        shutil.rmtree(EmbeddedPostgres(self.home).data.resolve())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with psycopg.connect(EmbeddedPostgres(self.home, "sandbox").url()) as connection:
            return connection.execute(statement.encode()).fetchall()

    def _lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _processes(self) -> list[psutil.Process]:
        assert self._process is not None
        dev = psutil.Process(self._process.pid)
        return [dev, *dev.children(recursive=True)]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Yield a host on which nothing runs yet."""
    host = Host(tmp_path)
    yield host
    print(*host.rows(STATE), sep="\n")  # noqa: T201 - shown where the test failed
    host.stop()


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_runs_go_on_after_everything_was_killed(host: Host) -> None:
    """No run stays started, no session stays running, no account stays blocked: each of them gets its data."""
    host.start()
    wait_until(lambda: bool(host.rows(UNDERWAY)), "a run is under way", seconds=120)
    killed = {
        run_id
        for (run_id,) in host.rows("SELECT run_id FROM dagster.runs WHERE status = 'STARTED'")
    }
    [(before,)] = host.rows(LOADED)
    host.go_down()
    host.start(seconds=READY_AGAIN_SECONDS)
    listed = ", ".join(f"'{run_id}'" for run_id in killed)
    still = f"SELECT id FROM job_sessions WHERE status = 'running' AND run_id IN ({listed})"
    wait_until(lambda: host.rows(still) == [], "the killed sessions are closed", seconds=120)
    started = f"SELECT run_id FROM dagster.runs WHERE status IN ('STARTING', 'STARTED') AND run_id IN ({listed})"
    wait_until(lambda: host.rows(started) == [], "the killed runs are failed", seconds=240)
    wait_until(lambda: host.rows(WITHOUT_DATA) == [], "every account has data", seconds=1200)
    assert host.rows(LOADED)[0][0] > before
