"""docs/sessions/quick-start.md, followed in an empty project with the library's own wheel."""

import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, expect

from bidbeacon_pipelines.dev.services import choose_port
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.browser.conftest import open_tab
from tests.support.waiting import wait_until

RECOVERY_MS = 60_000
"""Twice what the page takes to notice a silent connection, which a busy machine may cause in the minutes that this test takes."""
LIBRARY = PROJECT_ROOT / "bidbeacon_sessions"
PAGE = PROJECT_ROOT / "docs" / "sessions" / "quick-start.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
PARCELS, DEFINITIONS = [text for language, text in BLOCKS if language == "python"]
_, SERVE, RUN, MATERIALIZE, DELETE, _ = [text for language, text in BLOCKS if language == "sh"]
[QUERY] = [text for language, text in BLOCKS if language == "sql"]
[ANSWER] = [text for language, text in BLOCKS if not language]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the unpacked wheel in `site`, where the product can't be imported, and the files of the page."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=LIBRARY, check=True, capture_output=True)
    [wheel] = tmp_path.glob("bidbeacon_sessions-*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "site" / "bidbeacon_pipelines.py").write_text("raise ImportError(__name__)")
    (tmp_path / "home").mkdir()
    for name, text in (("parcels", PARCELS), ("definitions", DEFINITIONS)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


@contextmanager
def page_served(project: Path, given: dict[str, str]) -> Iterator[str]:
    """Serve the page as the quick start says; yield its address."""
    url = f"http://127.0.0.1:{given['BIDBEACON_STREAM_PORT']}"
    with subprocess.Popen(shlex.split(SERVE), cwd=project, env=given) as server:
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


def _run(command: str, project: Path, given: dict[str, str]) -> None:
    done = subprocess.run(
        shlex.split(command), cwd=project, env=given, check=False, capture_output=True, text=True
    )
    assert 0 == done.returncode, done.stderr


@pytest.mark.timeout(900)  # it builds a wheel and starts three commands, each seconds of CPU
def test_the_quick_start_leads_to_sessions_in_sql_and_on_the_page(
    browser: Browser, project: Path, empty_url: str
) -> None:
    """By a program and by Dagster, with the environment that the page describes and the wheel in front of this checkout."""
    given = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project / "site"),
        "DAGSTER_HOME": str(project / "home"),
        "BIDBEACON_DATABASE_URL": empty_url,
        "BIDBEACON_STREAM_PORT": str(choose_port()),
    }
    with page_served(project, given) as url, open_tab(browser, url) as page:
        page.goto("/")
        _run(RUN, project, given)
        with psycopg.connect(empty_url) as connection:
            found = connection.execute(QUERY.encode()).fetchall()
        expected = [[cell.strip() for cell in line.split("|")] for line in ANSWER.splitlines()[2:]]
        assert expected == [list(row) for row in found]
        _run(MATERIALIZE, project, given)
        expect(page.locator(".session .job")).to_have_text(
            ["send-parcels-daily", "send-parcels"], timeout=RECOVERY_MS
        )
        expect(page.locator(".session .sentence")).to_have_text(
            ["shop-eu Sent P-8 to Grace, 1 note", "shop-eu Sent P-7 to Ada"]
        )
        _run(DELETE, project, given)


def test_the_wheel_has_the_library_alone(project: Path) -> None:
    """Its modules and pages, and no project file."""
    files = {str(path.relative_to(project / "site")) for path in (project / "site").rglob("*.*")}
    assert {"bidbeacon_sessions/session.py", "bidbeacon_sessions/web/index.html"} <= files
    assert "bidbeacon_sessions/pyproject.toml" not in files
