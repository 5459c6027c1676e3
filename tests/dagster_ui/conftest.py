"""A running `bidbeacon dev` with a small sandbox, and a tab of Dagster's own pages."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres
from bidbeacon_pipelines.dev.services import choose_port
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.browser.conftest import FLAGS, find_chromium
from tests.support.waiting import wait_until

PROGRAM = """
from dataclasses import replace
from bidbeacon_pipelines.dev import dev, processes
from bidbeacon_pipelines.dev.services import list_services
from bidbeacon_pipelines.settings import get_settings
from rich.console import Console

SMALL = ("--accounts", "1", "--rows-per-day", "5", "--report-seconds", "1")

def with_small_sandbox(*arguments):
    found = list_services(*arguments)
    return [replace(one, command=(*one.command, *SMALL)) if one.name == "sandbox" else one for one in found]

processes.READY_SECONDS = 600  # other programs may keep the machine busy
dev.list_services = with_small_sandbox
raise SystemExit(dev.run_dev(get_settings(), Console()))
"""
START_SECONDS = 600
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""A folder in which a picture of each test's last page is kept."""


class Dev:
    """A running `bidbeacon dev`.

    Attributes:
        url: Where Dagster is.
        stream_url: Where the Event Stream is.
        accounts: The keys of the sandbox's two accounts, which are partitions.
        ads_account: The key of the one ads account that both belong to.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        ports = {name: choose_port() for name in ("DAGSTER", "STREAM", "SANDBOX")}
        self.url = f"http://127.0.0.1:{ports['DAGSTER']}"
        self.stream_url = f"http://127.0.0.1:{ports['STREAM']}"
        ours = {f"BIDBEACON_{name}_PORT": str(port) for name, port in ports.items()}
        self._environment = {**os.environ, **ours, "BIDBEACON_HOME": str(home)}
        self._output = (home.parent / "output").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=PROJECT_ROOT,
            env=self._environment,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        self.accounts: list[str] = []
        self.ads_account = ""

    def wait_until_ready(self) -> None:
        """Wait until all runs, and the sandbox's accounts are partitions whose entities are synced."""
        output = self._home.parent / "output"
        self.wait_for(lambda: "Ready in" in output.read_text(), START_SECONDS)
        self._database = EmbeddedPostgres(self._home, "sandbox").url()
        by_name = "SELECT partition FROM dagster.dynamic_partitions WHERE partitions_def_name = %s ORDER BY 1"
        self.wait_for(lambda: len(self.rows(by_name, "accounts")) == 2, START_SECONDS)
        self.accounts = [row[0] for row in self.rows(by_name, "accounts")]
        [(self.ads_account,)] = self.rows(by_name, "ads_accounts")
        # Until Dagster knows entities, it asks before each load whether one is sure.
        synced = """SELECT DISTINCT partition FROM dagster.event_logs
                     WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND asset_key IN ('["campaigns"]', '["targets"]')"""
        self.wait_for(lambda: len(self.rows(synced)) == 2, START_SECONDS)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with psycopg.connect(self._database) as connection:
            return connection.execute(statement, values).fetchall()

    def refresh(self, account: str, day: str) -> None:
        """Load a day of the daily targets by the command line, which Dagster has no part in."""
        asked = ["load", "--account", account, "--window", day]
        command = [sys.executable, "-m", "bidbeacon_pipelines", *asked]
        subprocess.run(
            command, cwd=PROJECT_ROOT, env=self._environment, check=True, capture_output=True
        )

    def count_loads(self, account: str, dataset: str, days: list[str]) -> int:
        """Return how often days of an account were loaded."""
        statement = """SELECT sum(load_count) FROM report_windows JOIN advertiser_accounts USING (account_id, country_code)
                        WHERE account_key = %s AND dataset = %s AND window_date = ANY (CAST(%s AS date[]))"""
        [(loads,)] = self.rows(statement, account, dataset, days)
        return int(loads or 0)

    def count_recordings(self, account: str, day: str) -> int:
        """Return how many materializations Dagster has of a day of the daily targets."""
        statement = """SELECT count(*) FROM dagster.event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'
                          AND asset_key = '["daily_targets"]' AND partition = %s"""
        [(recordings,)] = self.rows(statement, f"{account}|{day}")
        return int(recordings)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for a condition, as long as `bidbeacon dev` runs."""
        wait_until(
            lambda: self._has_ended() or condition(),
            seconds=seconds,
            found=self._last_output,
            pause=0.1,
        )
        assert not self._has_ended(), f"bidbeacon dev ended:\n{self._last_output()}"

    def _has_ended(self) -> bool:
        return self._process.poll() is not None

    def _last_output(self) -> str:
        return (self._home.parent / "output").read_text()[-2000:]

    def stop(self) -> None:
        """End everything."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=60)
        finally:
            self._process.kill()
            self._output.close()
            shutil.rmtree(EmbeddedPostgres(self._home).data.resolve())


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """Yield a running `bidbeacon dev`."""
    started = Dev(tmp_path_factory.mktemp("dev") / "home")
    try:
        started.wait_until_ready()
        yield started
    finally:
        started.stop()


@pytest.fixture
def page(dev: Dev, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Yield a tab; errors of its scripts, in its console and of its requests fail the test."""
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        context = browser.new_context(
            base_url=dev.url, viewport={"width": 1280, "height": 800}, timezone_id="UTC"
        )
        tab = context.new_page()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on(
            "console",
            lambda message: errors.append(message.text) if message.type == "error" else None,
        )
        tab.on(
            "response",
            lambda answer: (
                errors.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
            ),
        )
        expect.set_options(timeout=180_000)
        tab.set_default_timeout(180_000)
        yield tab
        if SCREENSHOTS:
            tab.screenshot(path=f"{SCREENSHOTS}/{request.node.name}.png")
        browser.close()
    assert [] == errors
