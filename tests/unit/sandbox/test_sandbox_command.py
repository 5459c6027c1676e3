"""The sandbox as a product: `bidbeacon sandbox` as a process of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from bidbeacon_pipelines.cli import app

ROOT = Path(__file__).parents[3]
TIMEOUT = 120


@contextmanager
def started(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start `bidbeacon sandbox`, and yield the process and what it prints before it serves."""
    command = (sys.executable, "-m", "bidbeacon_pipelines", "sandbox", *options)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=folder,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if line.startswith("Ctrl-C"):
                    break
            yield process, "".join(lines)
        finally:
            process.kill()


def refused(*options: str) -> tuple[int, str]:
    """Start `bidbeacon sandbox` in vain in this process, and return its exit code and the words of its error."""
    done = CliRunner().invoke(app, ["sandbox", *options], env={"COLUMNS": "5000"})
    assert done.stdout == ""
    return done.exit_code, done.stderr


def address_in(words: str) -> str:
    """Find the address that it prints."""
    found = re.search(r"http://127\.0\.0\.1:\d+", words)
    assert found, words
    return found[0]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_starts_tells_serves_and_ends(tmp_path: Path, stop: signal.Signals) -> None:
    """It prints address and credentials, serves what was asked for, and ends with 0 or 130 and no other word."""
    options = ("--port", "0", "--seed", "7", "--accounts", "50", "--rows-per-day", "2000")
    with started(tmp_path, *options) as (process, words):
        url = address_in(words)
        form = dict(
            zip(("client_id", "client_secret", "refresh_token"), credentials_in(words), strict=True)
        )
        answer = httpx.post(f"{url}/eu/auth/o2/token", data=form | {"grant_type": "refresh_token"})
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        headers["Amazon-Advertising-API-ClientId"] = form["client_id"]
        listed = sum(count_accounts(url, region, headers) for region in ("na", "eu", "fe"))
        health = httpx.get(f"{url}/healthz").json()
        process.send_signal(stop)
        rest, errors = process.communicate(timeout=TIMEOUT)
    assert (50, 7, "ok") == (listed, health["seed"], health["status"])
    assert ("", "") == (rest, errors)
    assert process.returncode in {0, 130}
    assert "faults       none" in words
    assert [] == list(tmp_path.iterdir())


def credentials_in(words: str) -> list[str]:
    """Find client id, secret and refresh token in what it prints."""
    line = next(line for line in words.splitlines() if "credentials" in line)
    return [part.strip() for part in line.partition("credentials")[2].split(",")]


def count_accounts(url: str, region: str, headers: dict[str, str]) -> int:
    """Count the accounts of a region."""
    headers = headers | {"Content-Type": "application/vnd.listaccountsresource.v1+json"}
    answer = httpx.post(f"{url}/{region}/adsAccounts/list", content="{}", headers=headers)
    return len(answer.json()["adsAccounts"])


def test_says_which_faults_are_on_and_how_time_runs(tmp_path: Path) -> None:
    """Faults of flags and of a file are in force and printed with their probability, and so is the clock."""
    file = tmp_path / "faults.json"
    file.write_text(json.dumps([{"fault": "no_resign"}]))
    options = ["--port", "0", "--fault", "throttle:probability=0.25,times=3", "--fault", "slow"]
    options += ["--faults", str(file), "--clock-start", "2026-01-15T00:00:00Z", "--frozen"]
    with started(tmp_path, *options) as (_, words):
        url = address_in(words)
        rules = httpx.get(f"{url}/sandbox/faults").json()["faults"]
        clock = httpx.get(f"{url}/sandbox/clock").json()
    assert ["throttle", "slow", "no_resign"] == [rule["fault"] for rule in rules]
    assert {"now": "2026-01-15T00:00:00+00:00", "rate": 0} == clock
    assert "throttle at 25 %; slow, no_resign at 100 %" in words
    assert "2026-01-15 00:00:00 UTC, frozen" in words


def test_a_port_that_is_taken() -> None:
    """A port where something else listens is one clear line and exit code 1."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        code, words = refused("--port", str(port))
    assert (1, 1) == (code, len(words.strip().splitlines()))
    assert f"The sandbox can't listen on 127.0.0.1:{port}: it is in use" in words


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--fault", "earthquake"], "There is no fault 'earthquake'. There are: slow, "),
        (["--fault", "throtle"], "There is no fault 'throtle'. The nearest is throttle."),
        (["--fault", "slow:account=nobody"], "There is no ads account 'nobody'. Expected an id"),
        (["--fault", "slow:pace=1"], "slow has no option 'pace'"),
        (["--fault-all", "2"], "--fault-all is a probability"),
        (["--clock-start", "soon"], "clock_start"),
        (["--faults", "none.json"], "none.json can't be read"),
    ],
)
def test_mistakes_are_one_line(options: list[str], part: str) -> None:
    """An option that can't be understood is one clear line that says what there is, and exit code 2."""
    code, words = refused(*options)
    assert (2, 1) == (code, len(words.strip().splitlines()))
    assert part in words
