"""The built wheel is all that a host needs: each process starts alone, without the checkout and without `dev`."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from bidbeacon_pipelines.dev.services import choose_port
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.dagster.world import wait_until

Start = Callable[..., subprocess.Popen[bytes]]
BIN = Path(sys.executable).parent
OURS = (sys.executable, "-m", "bidbeacon_pipelines")
CODE = ("-m", "bidbeacon_pipelines.definitions")
PORT = str(choose_port())


@pytest.fixture(scope="module")
def start(shared_empty_url: str, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Return what starts a program on a host that has the wheel's contents, `dagster.yaml` and an upgraded database."""
    folder = tmp_path_factory.mktemp("host")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, check=True, cwd=PROJECT_ROOT)
    [wheel] = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    shutil.rmtree(folder / "site" / "bidbeacon_pipelines" / "dev")
    shutil.copy(PROJECT_ROOT / "dagster.yaml", folder)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(folder / "site"),
        "DAGSTER_HOME": str(folder),
        "BIDBEACON_DATABASE_URL": shared_empty_url,
    }

    def start(*command: str | Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=folder, env=environment)

    assert 0 == start(*OURS, "db", "upgrade").wait(120)
    return start


def page(path: str) -> Callable[[Start], bool]:
    """Return what asks the process for a page."""

    def answers(start: Start) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{PORT}{path}", timeout=2).is_success
        except httpx.HTTPError:
            return False

    return answers


def command(*arguments: str) -> Callable[[Start], bool]:
    """Return what asks the process by a command of Dagster's."""
    program, *others = arguments
    return lambda start: start(BIN / program, *others).wait(60) == 0


@pytest.mark.parametrize(
    ("process", "is_healthy"),
    [
        ((*OURS, "stream", "--port", PORT), page("/healthz")),
        ((BIN / "dagster-webserver", *CODE, "-p", PORT), page("/server_info")),
        ((BIN / "dagster-daemon", "run", *CODE), command("dagster-daemon", "liveness-check")),
        (
            (BIN / "dagster", "code-server", "start", *CODE, "-p", PORT),
            command("dagster", "api", "grpc-health-check", "-p", PORT),
        ),
    ],
    ids=["stream", "webserver", "daemon", "code server"],
)
def test_each_process_starts_alone(
    start: Start, process: tuple[str | Path, ...], is_healthy: Callable[[Start], bool]
) -> None:
    """It becomes healthy, and ends when it is told to."""
    running = start(*process)
    try:
        wait_until(lambda: running.poll() is not None or is_healthy(start), "healthy", seconds=120)
        assert running.poll() is None
    finally:
        running.terminate()
        running.wait(60)
