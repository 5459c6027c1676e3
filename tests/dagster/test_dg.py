"""Dagster's own command lines find the project and its definitions, and loading it has no effect."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bidbeacon_pipelines.settings import PROJECT_ROOT

PARTS = ("bidbeacon_pipelines", "bidbeacon_sessions")
FILES = ("dagster.yaml", "pyproject.toml", "workspace.yaml")


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("dg list defs --json", '"daily_campaigns"'),
        ("dg check defs", ""),
        ("dagster definitions validate", ""),
    ],
)
def test_a_fresh_clone_is_examined_without_effect(
    tmp_path: Path, command: str, output: str
) -> None:
    """The command needs no settings, no database and no server, and leaves no file.

    Compiled modules are copied too, which saves some seconds.
    """
    clone = tmp_path / "clone"
    for part in PARTS:
        shutil.copytree(PROJECT_ROOT / part, clone / part)
    for file in FILES:
        shutil.copy(PROJECT_ROOT / file, clone)
    before = sorted(clone.rglob("*"))
    own = {"HOME": str(tmp_path), "PYTHONPATH": str(clone), "PYTHONDONTWRITEBYTECODE": "1"}
    program, *arguments = command.split()
    words = [str(Path(sys.executable).with_name(program)), *arguments]
    assert output in subprocess.check_output(words, cwd=clone, env=own, text=True)
    assert before == sorted(clone.rglob("*"))
