"""The package's README, followed in an empty Dagster project with the built wheel."""

import os
import re
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.dagster.world import wait_until

RECOVERY_MS = 60_000
"""Twice what the page takes to notice a silent connection, which a busy machine may cause in the minutes that this test takes."""
README = PROJECT_ROOT / "bidbeacon_sessions" / "README.md"
PARCELS, DEFINITIONS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the unpacked wheel in `site`, and the README's files."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=PROJECT_ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "home").mkdir()
    for name, text in (("parcels", PARCELS), ("definitions", DEFINITIONS)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def environment(project: Path, database_url: str, port: int) -> dict[str, str]:
    """Return the environment that the README describes, with a free port, and the wheel in front of this checkout."""
    return os.environ | {
        "PYTHONPATH": str(project / "site"),
        "DAGSTER_HOME": str(project / "home"),
        "BIDBEACON_DATABASE_URL": database_url,
        "BIDBEACON_STREAM_PORT": str(port),
    }


@contextmanager
def page_served(project: Path, given: dict[str, str]) -> Iterator[str]:
    """Serve the page as the README says; yield its address."""
    url = f"http://127.0.0.1:{given['BIDBEACON_STREAM_PORT']}"
    command = [sys.executable, "-m", "bidbeacon_sessions", "parcels"]
    with subprocess.Popen(command, cwd=project, env=given) as server:
        try:
            wait_until(lambda: _answers(url), "the page is served", seconds=120)
            yield url
        finally:
            server.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").is_success
    except httpx.TransportError:
        return False


@pytest.mark.timeout(
    900
)  # it builds a wheel and starts Dagster's command twice, each several seconds of CPU
def test_readme_leads_to_the_first_session_on_screen(
    page: Page, project: Path, empty_url: str, unused_port: int
) -> None:
    """By program and by resource; both from the wheel."""
    given = environment(project, empty_url, unused_port)
    materialize = [str(Path(sys.executable).with_name("dagster")), "asset", "materialize"]
    commands = [
        [sys.executable, "parcels.py"],
        [*materialize, "-f", "definitions.py", "--select", "invoices"],
    ]
    where = "import bidbeacon_sessions; print(bidbeacon_sessions.__file__)"
    used = subprocess.run(
        [sys.executable, "-c", where],
        env=given,
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert used.stdout.startswith(str(project / "site"))
    with page_served(project, given) as url:
        page.goto(url)
        for command in commands:
            subprocess.run(command, cwd=project, env=given, check=True, capture_output=True)
        expect(page.locator(".session .job")).to_have_text(
            ["fetch-invoices", "send-parcels"], timeout=RECOVERY_MS
        )
        expect(page.locator(".session .sentence")).to_have_text(["Sent P-8", "Sent P-7"])
