"""The supervisor, with small real programs as services."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bidbeacon_pipelines.dev.errors import ServiceFailedError
from bidbeacon_pipelines.dev.ports import choose_port
from bidbeacon_pipelines.dev.processes import MARK, kill_marked
from bidbeacon_pipelines.dev.services import Service
from bidbeacon_pipelines.dev.stop_request import StopRequest
from bidbeacon_pipelines.dev.supervisor import Supervisor

WELL = """
import http.server, os, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(str(os.getpid()).encode())
helper = subprocess.Popen(["sleep", "600"])
print("helper", helper.pid, flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DEAF = (
    "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    + WELL
)
ILL = "print('first word'); print('\\x1b[31mlast word\\x1b[0m', flush=True); raise SystemExit(7)"


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition, for so many seconds at most."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


def service_of(program: str) -> Service:
    """Return a service that runs a Python program on a free port."""
    port = choose_port()
    command = (sys.executable, "-c", program, str(port))
    return Service(
        name="fake",
        title="The fake",
        command=command,
        port=port,
        port_variable="FAKE_PORT",
        health_path="/healthz",
    )


class Watched:
    """A supervisor with what it said, and its loop in a thread."""

    def __init__(self, logs: Path) -> None:
        self.stop = StopRequest()
        self.said: list[str] = []
        self.failure: ServiceFailedError | None = None
        self.mark = uuid.uuid4().hex
        self.supervisor = Supervisor(
            logs=logs,
            environment={MARK: self.mark},
            stop=self.stop,
            report=self.said.append,
            first_pause=0.05,
            patience=2,
        )
        self._thread = threading.Thread(target=self._loop)

    def supervise(self) -> None:
        """Run the loop until `finish`."""
        self._thread.start()

    def finish(self) -> None:
        """Stop the loop, if it runs, and end all services."""
        self.stop.request()
        if self._thread.ident is not None:
            self._thread.join(timeout=20)
        self.supervisor.end()

    def _loop(self) -> None:
        try:
            self.supervisor.supervise(lambda: None)
        except ServiceFailedError as error:
            self.failure = error

    def living(self) -> list[psutil.Process]:
        """Return the living processes that carry this supervisor's mark."""
        return [process for process in psutil.process_iter() if carries(process, self.mark)]


def carries(process: psutil.Process, mark: str) -> bool:
    """Say whether a process lives and carries a mark."""
    try:
        return process.environ().get(MARK) == mark
    except psutil.Error:
        return False


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Yield a supervisor whose services are gone at the end of the test."""
    watched = Watched(tmp_path / "logs")
    yield watched
    watched.finish()
    kill_marked(watched.mark)


def test_a_service_is_waited_for_until_it_answers(watched: Watched, tmp_path: Path) -> None:
    """Readiness is said when the health address answers, and output goes to the service's log."""
    watched.supervisor.start([service_of(WELL)])
    watched.supervisor.wait_until_ready()
    assert watched.said[0].startswith("The fake is ready (")
    assert (tmp_path / "logs" / "fake.log").read_text().startswith("helper ")


def test_the_log_of_the_start_before_is_kept(watched: Watched, tmp_path: Path) -> None:
    """A new start begins a new log and keeps the last one beside it."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "fake.log").write_text("of yesterday")
    watched.supervisor.start([service_of(WELL)])
    watched.supervisor.wait_until_ready()
    assert (logs / "fake.log.1").read_text() == "of yesterday"


def test_a_service_that_ends_at_its_start_is_told_with_its_last_words(watched: Watched) -> None:
    """The error names the exit code and ends with the log's last lines, without colours."""
    watched.supervisor.start([service_of(ILL)])
    with pytest.raises(
        ServiceFailedError, match=r"The fake ended while it started \(exit code 7\)"
    ) as caught:
        watched.supervisor.wait_until_ready()
    assert str(caught.value).endswith("first word\nlast word")


def test_a_service_that_dies_starts_again_without_remains(watched: Watched) -> None:
    """After SIGKILL of its main process the rest of its group is ended, and a new one takes its place."""
    watched.supervisor.start([service_of(WELL)])
    watched.supervisor.wait_until_ready()
    first = watched.living()
    watched.supervise()
    main = next(process for process in first if "-c" in process.cmdline())
    main.kill()
    wait_until(
        lambda: (
            len(watched.living()) == 2
            and not any(carries(process, watched.mark) for process in first)
        )
    )
    wait_until(
        lambda: any("(exit code -9) and starts again in 0.05 s" in line for line in watched.said)
    )


def test_a_service_that_dies_again_and_again_is_given_up(watched: Watched) -> None:
    """At the fifth death within a minute the supervisor gives up, with the log's last lines."""
    watched.supervisor.start([service_of(ILL)])
    watched.supervise()
    wait_until(lambda: watched.failure is not None)
    assert "ended 5 times within a minute" in str(watched.failure)
    assert len(watched.said) == 4


def test_the_end_leaves_no_process(watched: Watched) -> None:
    """Asked to end, a service and the processes it started are gone."""
    watched.supervisor.start([service_of(WELL)])
    watched.supervisor.wait_until_ready()
    assert len(watched.living()) == 2
    watched.finish()
    assert watched.living() == []


def test_a_deaf_service_is_killed_in_the_end(watched: Watched) -> None:
    """A service that ignores SIGINT and SIGTERM is killed when its time is over."""
    watched.supervisor.start([service_of(DEAF)])
    watched.supervisor.wait_until_ready()
    watched.finish()
    assert watched.living() == []


def test_a_second_request_is_not_patient(watched: Watched) -> None:
    """Asked twice, the supervisor kills at once instead of waiting."""
    watched.supervisor.start([service_of(DEAF)])
    watched.supervisor.wait_until_ready()
    watched.stop.request()
    started = time.monotonic()
    watched.finish()
    assert watched.living() == []
    assert time.monotonic() - started < 1


def test_leftovers_are_known_by_their_mark_in_whatever_group_they_are() -> None:
    """Processes with the mark are ended, also in a session of their own; others live on."""
    mark = uuid.uuid4().hex
    command = ["sleep", "600"]
    marked = subprocess.Popen(command, env={**os.environ, MARK: mark}, start_new_session=True)
    other = subprocess.Popen(command, env={**os.environ, MARK: "another"})
    try:
        wait_until(lambda: carries(psutil.Process(marked.pid), mark))
        assert kill_marked(mark) == 1
        assert not psutil.pid_exists(marked.pid)
        assert other.poll() is None
    finally:
        for process in (marked, other):
            process.kill()
            process.wait()


def test_signals_are_counted_and_given_back() -> None:
    """SIGTERM asks once, a second one hurries, and the handler from before is there again afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    stop = StopRequest()
    with stop.listening():
        assert not stop.requested
        signal.raise_signal(signal.SIGTERM)
        assert (stop.requested, stop.hurried()) == (True, False)
        signal.raise_signal(signal.SIGTERM)
        assert stop.hurried()
    assert signal.getsignal(signal.SIGTERM) == before
