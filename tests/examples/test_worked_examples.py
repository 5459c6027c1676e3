"""The worked examples of docs/how-to/: each patch applies, and with it the named tests pass."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidbeacon_pipelines.settings import PROJECT_ROOT

PAGES = [
    page
    for page in sorted((PROJECT_ROOT / "docs" / "how-to").glob("add-*.md"))
    if "```diff" in page.read_text(encoding="utf-8")
]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".bidbeacon", ".*_cache", "__pycache__")

each_example = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def patch_of(page: Path) -> bytes:
    """Return the patch of a page."""
    [patch] = re.findall(
        r"^```diff\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return bytes(patch, "utf-8")


def commands_of(page: Path) -> Iterator[str]:
    """Yield the targets of make that a page runs after its patch, with their variables."""
    for block in re.findall(
        r"^ *```sh\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        yield from (line.strip() for line in block.splitlines() if line.strip().startswith("make "))


def named_in(page: Path) -> list[str]:
    """Return the tests that a page names."""
    [line] = re.findall(r"^Tests: (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return re.findall(r"`([^`]+)`", line)


def test_there_are_six() -> None:
    """A dataset, a metric, an action, a panel, a finding and a sandbox rule."""
    assert 6 == len(PAGES)


@each_example
def test_patch_applies(page: Path) -> None:
    """The code that a patch changes is still as the patch expects."""
    command = ["git", "apply", "--check", "-"]
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, input=patch_of(page), capture_output=True, check=False
    )
    assert not done.returncode, f"make the patch of {page.name} again: {done.stderr.decode()}"


@each_example
def test_named_tests_exist(page: Path) -> None:
    """Each named test is in the project, or in the patch."""
    added = re.findall(rb"^\+\+\+ b/(\S+)$", patch_of(page), re.MULTILINE)
    known = {
        *map(bytes.decode, added),
        *(str(path) for path in map(Path, named_in(page)) if path.exists()),
    }
    assert set(named_in(page)) <= known


@pytest.mark.examples
@pytest.mark.timeout(1200)
@each_example
def test_named_tests_pass(page: Path, tmp_path: Path) -> None:
    """In a copy of the project with the patch, after the commands of the page."""
    copy = tmp_path / "copy"
    shutil.copytree(PROJECT_ROOT, copy, ignore=LEFT_OUT)
    (copy / ".venv").symlink_to(sys.prefix)
    subprocess.run(["git", "apply", "-"], cwd=copy, input=patch_of(page), check=True)
    # The environment of this run serves the copy: make must not install the copy into it.
    installed = {"MAKEFLAGS": "--old-file=.venv/.installed"}
    environment = os.environ | {"PYTHONPATH": str(copy)} | installed
    for command in commands_of(page):
        subprocess.run(command, shell=True, cwd=copy, env=environment, check=True)
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-m", "not faults", *named_in(page)]
    subprocess.run(pytest_command, cwd=copy, env=environment, check=True)
