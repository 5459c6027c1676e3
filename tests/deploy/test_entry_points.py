"""Each process of the compose file starts from the built wheel alone, and writes nowhere but to its folders.

As root the tree cannot be made read-only this way; CI runs these tests as an ordinary user.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from bidbeacon_pipelines.dev.services import choose_port
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.cluster.compose import COMPOSE, filled_in
from tests.support.waiting import wait_until

pytestmark = pytest.mark.deploy

Start = Callable[..., subprocess.Popen[bytes]]
BIN = Path(sys.executable).parent
TOKEN = "a-token-of-the-stream"
PORTS = {port: str(choose_port()) for port in ("3000", "3030", "4000", "6379")}
SERVICES = filled_in(
    yaml.safe_load(COMPOSE.read_text())["services"],
    {"POSTGRES_PASSWORD": "unused", "REDIS_PASSWORD": TOKEN, "STREAM_TOKEN": TOKEN},
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with what the image has: the wheel's contents, read-only."""
    folder = tmp_path_factory.mktemp("image")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, check=True, cwd=PROJECT_ROOT)
    [wheel] = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    shutil.rmtree(folder / "site" / "bidbeacon_pipelines" / "dev")
    subprocess.run(["chmod", "-R", "a-w", folder / "site"], check=True)
    yield folder / "site"
    subprocess.run(["chmod", "-R", "u+w", folder / "site"], check=True)


@pytest.fixture(scope="module")
def start(image: Path, shared_empty_url: str, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Return what starts a command of a service on a host with an upgraded database and a Redis."""
    host = tmp_path_factory.mktemp("host")
    for name in ("dagster", "scratch", "tmp"):
        (host / name).mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(COMPOSE.parent / name, host / "dagster")
    addresses = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(host / "tmp"),
        "PYTHONPATH": str(image),
        "BIDBEACON_DATABASE_URL": shared_empty_url,
        "BIDBEACON_REDIS_URL": f"redis://:{TOKEN}@127.0.0.1:{PORTS['6379']}/0",
        "BIDBEACON_STREAM_PORT": PORTS["3030"],
    }

    def start(service: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        given: Mapping[str, Any] = SERVICES[service]["environment"]
        environment = {k: here(str(v), host) for k, v in given.items() if v is not None}
        here_command = [here(word, host) for word in command]
        return subprocess.Popen(here_command, cwd=image, env=environment | addresses)

    assert 0 == start("migrate", SERVICES["migrate"]["command"]).wait(120)
    return start


def here(word: str, host: Path) -> str:
    """Return a word of the compose file with the folders and ports of this test."""
    word = re.sub(r"^/(dagster|scratch|tmp)\b", rf"{host}/\1", word)
    for port, free in PORTS.items():
        word = free if word == port else word.replace(f":{port}", f":{free}")
    return word


def wait_until_it_answers(
    process: "subprocess.Popen[bytes]", ask: Callable[[], "subprocess.Popen[bytes]"]
) -> None:
    """Wait until a program that asks a running process ends well."""
    wait_until(lambda: process.poll() is not None or ask().wait(60) == 0, "it answers", 120)
    assert process.poll() is None


@pytest.mark.parametrize("service", ["stream", "code-location", "webserver", "daemon"])
def test_each_process_starts_alone(start: Start, service: str) -> None:
    """It becomes healthy by its own check, and ends when it is told to."""
    _, *check = SERVICES[service]["healthcheck"]["test"]
    running = start(service, SERVICES[service]["command"])
    try:
        wait_until_it_answers(running, partial(start, service, check))
    finally:
        running.terminate()
        running.wait(60)


def test_a_worker_starts_alone(start: Start, tmp_path: Path) -> None:
    """It answers a ping through Redis, and ends when it is told to."""
    options = ["--port", PORTS["6379"], "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    redis = subprocess.Popen([*SERVICES["redis"]["command"], *options])
    worker = start("worker", SERVICES["worker"]["command"])
    ping = ["celery", "-A", "bidbeacon_pipelines.celery_worker", "inspect", "ping"]
    try:
        wait_until_it_answers(worker, partial(start, "worker", ping))
        worker.terminate()
        assert 0 == worker.wait(60)
    finally:
        worker.kill()
        redis.terminate()
        redis.wait(60)
