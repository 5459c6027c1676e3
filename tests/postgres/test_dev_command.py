"""`bidbeacon dev` and `bidbeacon db start` as processes of their own."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres
from bidbeacon_pipelines.dev.services import choose_port
from bidbeacon_pipelines.settings import PROJECT_ROOT

OURS = [sys.executable, "-m", "bidbeacon_pipelines"]
READY_SECONDS = 200


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition, for so many seconds at most."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


def lives(process: psutil.Process) -> bool:
    """Return whether a process still does something; a zombie waits only for its parent to notice."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


class Terminal:
    """A home folder, and what is called with it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env_file = home / "env"
        self.environment = {**os.environ, "BIDBEACON_HOME": str(home)}
        for name in ("DAGSTER", "STREAM", "SANDBOX"):
            self.environment[f"BIDBEACON_{name}_PORT"] = str(choose_port())
        self.started: list[subprocess.Popen[bytes]] = []

    def call(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Call a command as in another terminal."""
        return subprocess.run(
            [*OURS, *words],
            cwd=PROJECT_ROOT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, *words: str, **environment: str) -> "Started":
        """Start a command that goes on, under a umask that closes nothing, and wait until it is ready."""
        output = self.home.parent / f"output-{len(self.started)}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*OURS, *words],
                cwd=PROJECT_ROOT,
                env=self.environment | environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                umask=0,
            )
        self.started.append(process)
        started = Started(process, output)
        started.wait_for("Ready in ", READY_SECONDS)
        return started

    def close(self) -> None:
        """End what runs, and delete the data."""
        for process in self.started:
            process.terminate()
            process.wait(60)
        shutil.rmtree(EmbeddedPostgres(self.home).data.resolve(), ignore_errors=True)


class Started:
    """A running `bidbeacon dev` or `db start`."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Wait until it says something."""
        wait_until(lambda: text in self.text() or self.process.poll() is not None, seconds)
        assert text in self.text(), self.text()

    def text(self) -> str:
        """Return what it has said."""
        return self._output.read_text()

    def children(self) -> list[psutil.Process]:
        """Return all processes that it has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: signal.Signals) -> int:
        """Send it a signal, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Yield a home folder on which nothing runs yet, and no more at the end."""
    terminal = Terminal(tmp_path / "home")
    yield terminal
    terminal.close()


def test_database_serves_other_terminals_until_ctrl_c(terminal: Terminal) -> None:
    """One signal ends it in order; then commands say what to do."""
    started = terminal.start("db", "start")
    url = terminal.call("db", "url").stdout.strip()
    assert url == EmbeddedPostgres(terminal.home, "sandbox").url()
    assert url not in started.text()
    assert 0 == terminal.call("accounts", "list").returncode
    again = terminal.call("db", "start")
    assert (1, True) == (again.returncode, "runs already for" in again.stdout)
    children = started.children()
    assert 0 == started.end(signal.SIGINT)
    assert not any(map(lives, children))
    assert "Traceback" not in started.text()
    assert not terminal.env_file.exists()
    expected = "No database is running: start `bidbeacon dev` or `bidbeacon db start`, or set BIDBEACON_DATABASE_URL.\n"
    assert expected == terminal.call("accounts", "list").stderr


def test_start_after_everything_was_killed_keeps_the_data(terminal: Terminal) -> None:
    """In between, commands name the database that is gone, and what starts it."""
    started = terminal.start("db", "start")
    with psycopg.connect(terminal.call("db", "url").stdout.strip()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    for process in [psutil.Process(started.process.pid), *started.children()]:
        with suppress(psutil.NoSuchProcess):  # it ended with the first
            process.kill()
    started.process.wait()
    refused = terminal.call("accounts", "list")
    assert 1 == refused.returncode
    assert "doesn't answer" in refused.stderr
    assert (
        "start it (`bidbeacon dev` and `bidbeacon db start` start the embedded one)"
        in refused.stderr
    )
    assert 1 == refused.stderr.count("\n")
    terminal.start("db", "start")
    with psycopg.connect(terminal.call("db", "url").stdout.strip()) as connection:
        assert (42,) == connection.execute("SELECT answer FROM kept").fetchone()


def test_credentials_get_a_database_of_their_own(terminal: Terminal) -> None:
    """A process of the other mode refuses the one that runs."""
    real = {"BIDBEACON_ADS_API_CLIENT_ID": "amzn1.x"}
    started = terminal.start("db", "start")
    for command in (("accounts", "list"), ("db", "upgrade")):
        refused = terminal.call(*command, **real)
        assert 1 == refused.returncode
        assert refused.stderr.startswith("The database holds the sandbox's data, but Amazon")
        assert 1 == refused.stderr.count("\n")
    assert 0 == started.end(signal.SIGTERM)
    terminal.start("db", "start", **real)
    assert 0 == terminal.call("accounts", "list", **real).returncode
    assert "data of the real Amazon" in terminal.call("accounts", "list").stderr


def test_everything_runs_until_one_ends(terminal: Terminal) -> None:
    """Dagster is loaded, nothing is open to other users, and the end of one service is said and ends the others."""
    started = terminal.start("dev")
    for name in ("DAGSTER", "STREAM", "SANDBOX"):
        assert (
            f"http://127.0.0.1:{terminal.environment[f'BIDBEACON_{name}_PORT']}" in started.text()
        )
    assert "without a token; BIDBEACON_STREAM_TOKEN demands one." in started.text()
    modes = {path.name: path.stat().st_mode & 0o777 for path in terminal.home.iterdir()}
    private = {"logs": 0o700, "dagster": 0o700, "sandbox": 0o700, "env": 0o600, "dev.lock": 0o600}
    assert private | {"postgres": 0o711} == modes
    assert 0o711 == terminal.home.stat().st_mode & 0o777
    children = started.children()
    [stream] = [each for each in children if "stream" in each.cmdline()]
    stream.kill()
    assert 1 == started.process.wait(60)
    assert "stream ended (exit code -9). The end of" in started.text()
    assert not any(map(lives, children))


def test_home_that_cannot_be_written_is_said_in_one_line(terminal: Terminal) -> None:
    """Before anything is started."""
    terminal.home.write_text("a file")
    refused = terminal.call("dev")
    assert 1 == refused.returncode
    expected = f"Expected BIDBEACON_HOME to be a folder that you can write, got: {terminal.home}"
    assert refused.stdout.startswith(expected)
    assert 1 == refused.stdout.count("\n")
    terminal.home.unlink()
