"""`bidbeacon dev` as a process of its own, with one small service and the embedded server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from bidbeacon_pipelines.dev.ports import choose_port, is_free
from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres
from bidbeacon_pipelines.dev.postmaster import find_postmaster
from bidbeacon_pipelines.dev.processes import MARK
from bidbeacon_pipelines.settings import PROJECT_ROOT

PROGRAM = """
import sys
from pathlib import Path
from bidbeacon_pipelines.dev.dev import run_dev
from bidbeacon_pipelines.dev.services import Service
from bidbeacon_pipelines.settings import Settings

SERVER = '''
import http.server, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
subprocess.Popen(["sleep", "600"])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
'''
port = int(sys.argv[2])
service = Service(name="fake", title="The fake", command=(sys.executable, "-c", SERVER, str(port)), port=port,
                  port_variable="FAKE_PORT", health_path="/")
raise SystemExit(run_dev(Settings(home=Path(sys.argv[1])), list_services=lambda _: [service], prepare=lambda *_: 2))
"""


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition, for so many seconds at most."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


def lives(process: psutil.Process) -> bool:
    """Say whether a process still does something (a zombie waits only for its parent to notice)."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Started:
    """A running `bidbeacon dev`."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.output = home.parent / f"output-{time.monotonic_ns()}"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(home), str(port)],
                cwd=PROJECT_ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                umask=0,
            )

    def text(self) -> str:
        """Return what it has said."""
        return self.output.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until it says something."""
        wait_until(lambda: text in self.text() or self.process.poll() is not None)
        assert text in self.text()

    def end(self, number: signal.Signals) -> int:
        """Send a signal and give the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def services(self) -> list[psutil.Process]:
        """Return the living processes it has started."""
        mark = json.loads((self.home / "dev.json").read_text())["mark"]
        return [process for process in psutil.process_iter() if _mark(process) == mark]


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except psutil.Error:
        return None


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Yield a home folder whose server is gone at the end."""
    home = tmp_path / "home"
    yield home
    EmbeddedPostgres(home).remove()


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Started]]:
    """Yield what starts `bidbeacon dev` on the home folder; every one is ended after the test."""
    all_started: list[Started] = []

    def start(port: int) -> Started:
        all_started.append(Started(home, port))
        return all_started[-1]

    yield start
    for started in all_started:
        started.process.terminate()
        started.process.wait(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_everything(
    start: Callable[..., Started], home: Path, number: signal.Signals
) -> None:
    """After one Ctrl-C or SIGTERM nothing runs any more, the exit code is 0 and no traceback was shown."""
    started = start(choose_port())
    started.wait_for("Ready in ")
    services = started.services()
    assert len(services) == 2
    assert started.end(number) == 0
    assert not any(lives(process) for process in services)
    assert not EmbeddedPostgres(home).is_running()
    assert "Traceback" not in started.text()
    assert "Everything is stopped." in started.text()


def test_other_users_see_nothing_of_it(start: Callable[..., Started], home: Path) -> None:
    """Whatever the umask: logs and Dagster's home are closed, and the password is; the server's account can pass through."""
    start(choose_port()).wait_for("Ready in ")
    modes = {
        name: (home / name).stat().st_mode & 0o777
        for name in ("", "logs", "dagster", "postgres", "postgres/connection.json", "dev.lock")
    }
    assert modes == {
        "": 0o711,
        "logs": 0o700,
        "dagster": 0o700,
        "postgres": 0o711,
        "postgres/connection.json": 0o600,
        "dev.lock": 0o600,
    }


def test_it_says_what_runs_where(start: Callable[..., Started], home: Path) -> None:
    """The table names service, database without its password, and logs; closed runs are said."""
    port = choose_port()
    started = start(port)
    started.wait_for("Ready in ")
    connection = EmbeddedPostgres(home).files.find_connection()
    assert connection is not None
    text = started.text()
    assert f"http://127.0.0.1:{port}" in text
    assert f"postgresql://bidbeacon:***@127.0.0.1:{connection.port}/bidbeacon" in text
    assert connection.password not in text
    assert "Closed 2 Dagster runs whose processes are gone" in text


def test_it_says_that_the_page_takes_changes_without_a_token(
    start: Callable[..., Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And beside a public address that it takes none."""
    started = start(choose_port())
    started.wait_for("Ready in ")
    assert (
        "Everyone on this machine can pause accounts and start loads on the page without a token; "
        "BIDBEACON_STREAM_TOKEN demands one.\n"
    ) in started.text()
    started.end(signal.SIGINT)
    monkeypatch.setenv("BIDBEACON_STREAM_PUBLIC_URL", "https://stream.example.com")
    started = start(choose_port())
    started.wait_for("Ready in ")
    assert "The page is read-only: changes need BIDBEACON_STREAM_TOKEN.\n" in started.text()


def test_a_second_start_keeps_the_data(start: Callable[..., Started], home: Path) -> None:
    """Rows written during one run are there in the next."""
    port = choose_port()
    first = start(port)
    first.wait_for("Ready in ")
    with psycopg.connect(EmbeddedPostgres(home).ensure_running()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    first.end(signal.SIGINT)
    start(port).wait_for("Ready in ")
    with psycopg.connect(EmbeddedPostgres(home).ensure_running()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_taken_port_is_told_in_one_line_before_anything_starts(
    start: Callable[..., Started], home: Path
) -> None:
    """With its port taken it ends with exit code 1 and one line, and has started no database."""
    port = choose_port()
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    ) as holder:
        try:
            wait_until(lambda: not is_free(port))
            started = start(port)
            assert started.process.wait(timeout=30) == 1
            assert started.text().startswith(f"Port {port} (The fake) is in use by ")
            assert f"(process {holder.pid})" in started.text()
            assert started.text().count("\n") == 1
            assert not (home / "postgres").exists()
        finally:
            holder.kill()


def test_a_second_one_on_the_same_home_is_refused(start: Callable[..., Started]) -> None:
    """While one runs, another one for the same home folder ends with exit code 1 and says why."""
    first = start(choose_port())
    first.wait_for("Ready in ")
    second = start(choose_port())
    assert second.process.wait(timeout=30) == 1
    assert "`bidbeacon dev` runs already for" in second.text()
    assert first.process.poll() is None


def test_what_a_killed_one_left_is_cleared_away(start: Callable[..., Started]) -> None:
    """After SIGKILL its services live on; the next start ends them and runs on the same port."""
    port = choose_port()
    first = start(port)
    first.wait_for("Ready in ")
    left = first.services()
    first.end(signal.SIGKILL)
    assert len(left) == 2
    assert all(lives(process) for process in left)
    second = start(port)
    second.wait_for("Ready in ")
    assert "Stopped 2 processes that an earlier start had left behind" in second.text()
    assert not any(lives(process) for process in left)


def test_a_killed_database_starts_again(start: Callable[..., Started], home: Path) -> None:
    """After SIGKILL of the server's main process the supervisor says so and starts it at the same address."""
    started = start(choose_port())
    started.wait_for("Ready in ")
    server = EmbeddedPostgres(home)
    url = server.ensure_running()
    found = find_postmaster(server.files.data)
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    started.wait_for("The database ended and starts again")
    wait_until(server.is_running)
    assert server.ensure_running() == url
