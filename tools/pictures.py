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
START_SECONDS, LOAD_SECONDS = 120, 1_800
DAY = datetime.now(UTC).date() - timedelta(days=4)
DATASET = "daily_targets"


def main() -> None:
    """Take all pictures."""
    with TemporaryDirectory() as folder, running(Path(folder)) as (environment, ports):
        stream, dagster = (f"http://127.0.0.1:{ports[name]}" for name in ("STREAM", "DAGSTER"))
        [account, other, *_] = wait_for(lambda: loaded_accounts(stream), LOAD_SECONDS)
        refuse(f"http://127.0.0.1:{ports['SANDBOX']}", account)
        asset = f"{dagster}/assets/{DATASET}"
        for key in (account, other):
            call(environment, f"load --account {key} --dataset {DATASET} --window {DAY}")
        problems = f"{stream}/api/job-sessions?outcome=problems&limit=1"
        [failed] = wait_for(lambda: httpx.get(problems).json()["sessions"], START_SECONDS)
        day = f"dataset={DATASET}&account={account}&window={DAY}"
        pages = {
            "home": f"{stream}/",
            "event-stream": f"{stream}/sessions",
            "session": f"{stream}/sessions/{failed['id']}",
            "coverage": f"{stream}/coverage?{day}",
            "account": f"{stream}/accounts/{account}",
            "dagster-partition": f"{asset}?view=partitions&partition={other}%7C{DAY}",
            "dagster-lineage": f"{asset}?view=lineage",
        }
        with sync_playwright() as playwright:
            path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))))
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            login = call(environment, "login")
            for name, url in pages.items():
                take(browser, name, url, "light", login)
            take(browser, "event-stream-dark", pages["event-stream"], "dark", login)


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
    """Return the keys of refreshed accounts once nine tenths of their days are fresh."""
    every = httpx.get(f"{stream}/api/account-list").json()["accounts"]
    accounts = [one for one in every if not one["stopped"]]
    fresh, windows = (sum(one[name] for one in accounts) for name in ("fresh", "windows"))
    is_filled = fresh > 0.9 * windows > 0
    return [one["key"] for one in accounts] if is_filled else []


def call(environment: dict[str, str], command: str) -> str:
    """Run a command of `bidbeacon`, which may fail; return what it prints."""
    program = [sys.executable, "-m", "bidbeacon_pipelines", *command.split()]
    result = subprocess.run(
        program, cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )
    return result.stdout.strip()


def refuse(sandbox: str, account: str) -> None:
    """Let the sandbox refuse the reports of the ads account that has the country of this key."""
    country = account.partition(".")[0]
    rule = {"rule": "refuse", "reason": "no_rights", "country": country}
    httpx.post(f"{sandbox}/sandbox/rules", json=rule).raise_for_status()


def take(browser: Browser, name: str, url: str, scheme: Any, login: str) -> None:
    """Write the picture of a page as a user sees it who is logged in."""
    page = browser.new_page(viewport=SIZE, color_scheme=scheme, timezone_id="UTC")
    page.goto(login)
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
