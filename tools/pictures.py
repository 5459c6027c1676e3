"""Take the documentation's pictures from a running system: `make pictures`.

Starts `bidbeacon dev` in a temporary home, waits for data, lets the sandbox refuse one account, and
writes the pictures to `docs/images`.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from playwright.sync_api import Browser, sync_playwright

from bidbeacon_pipelines.dev.services import choose_port

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
SIZE: Any = {"width": 1280, "height": 800}
START_SECONDS, LOAD_SECONDS = 120, 600
DAY = datetime.now(UTC).date() - timedelta(days=4)
DATASET = "daily_targets"


def main() -> None:
    """Take all pictures."""
    with TemporaryDirectory() as folder, running(Path(folder)) as (environment, ports):
        stream, dagster = (f"http://127.0.0.1:{ports[name]}" for name in ("STREAM", "DAGSTER"))
        [account, *_] = wait_for(lambda: loaded_accounts(stream), LOAD_SECONDS)
        refuse_one(f"http://127.0.0.1:{ports['SANDBOX']}")
        load = [sys.executable, "-m", "bidbeacon_pipelines", "load", "--account", account]
        command = [*load, "--dataset", DATASET, "--window", str(DAY)]
        subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True)
        problems = f"{stream}/api/job-sessions?outcome=problems&limit=1"
        [failed] = wait_for(lambda: httpx.get(problems).json()["sessions"], START_SECONDS)
        day = f"dataset={DATASET}&account={account}&window={DAY}"
        pages = {
            "home": f"{stream}/",
            "event-stream": f"{stream}/sessions",
            "session": f"{stream}/sessions/{failed['id']}",
            "coverage": f"{stream}/coverage?{day}",
            "account": f"{stream}/accounts/{account}",
            "dagster-partition": f"{dagster}/assets/{DATASET}?view=partitions",
            "dagster-lineage": f"{dagster}/assets/{DATASET}?view=lineage",
        }
        with sync_playwright() as playwright:
            path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))))
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            for name, url in pages.items():
                take(browser, name, url, "light")
            take(browser, "event-stream-dark", pages["event-stream"], "dark")


@contextmanager
def running(home: Path) -> Iterator[tuple[dict[str, str], dict[str, int]]]:
    """Run `bidbeacon dev`; yield the environment of other commands, and the ports."""
    ports = {name: choose_port() for name in ("DAGSTER", "STREAM", "SANDBOX")}
    ours = {f"BIDBEACON_{name}_PORT": str(port) for name, port in ports.items()}
    environment = {**os.environ, **ours, "BIDBEACON_HOME": str(home / "home")}
    output = home / "output"
    command = [sys.executable, "-m", "bidbeacon_pipelines", "dev"]
    with output.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
        try:
            wait_for(lambda: "Ready in" in output.read_text(), START_SECONDS)
            yield environment, ports
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def loaded_accounts(stream: str) -> list[str]:
    """Return the keys of accounts that are refreshed, once half of their days are fresh."""
    every = httpx.get(f"{stream}/api/account-list").json()["accounts"]
    accounts = [one for one in every if not one["stopped"]]
    is_filled = sum(one["fresh"] for one in accounts) > sum(one["windows"] for one in accounts) / 2
    return [one["key"] for one in accounts] if is_filled else []


def refuse_one(sandbox: str) -> None:
    """Let the sandbox refuse the reports of the first ads account."""
    rule = {"rule": "refuse", "reason": "no_rights"}
    httpx.post(f"{sandbox}/sandbox/rules", json=rule).raise_for_status()


def take(browser: Browser, name: str, url: str, scheme: Any) -> None:
    """Write the picture of a page, once the network is quiet."""
    page = browser.new_page(viewport=SIZE, color_scheme=scheme, timezone_id="UTC")
    page.goto(url)
    page.wait_for_timeout(3_000)
    page.screenshot(path=IMAGES / f"{name}.png")
    page.close()


def wait_for(condition: Callable[[], Any], seconds: float) -> Any:
    """Return the condition's value once it is true; raise `TimeoutError` after some seconds."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError("expected a running system with data")
        time.sleep(1)
    return value


if __name__ == "__main__":
    main()
