"""Dagster's own command lines find the project and what it defines, and loading it has no effect."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.settings import PROJECT_ROOT

BIN = Path(sys.executable).parent
PARTS = ("bidbeacon_pipelines", "bidbeacon_sessions", "migrations")
FILES = ("dagster.yaml", "pyproject.toml", "workspace.yaml")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout that nothing was started in."""
    folder = tmp_path_factory.mktemp("clone")
    for part in PARTS:
        shutil.copytree(
            PROJECT_ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in FILES:
        shutil.copy(PROJECT_ROOT / file, folder)
    return folder


@pytest.mark.parametrize(
    "command", ["dg list defs --json", "dg check defs", "dagster definitions validate"]
)
def test_a_fresh_clone_is_examined_without_effect(
    clone: Path, tmp_path: Path, command: str
) -> None:
    """With no settings and no database: it succeeds, starts no server and leaves no file; all definitions are listed, each once."""
    before = sorted(clone.rglob("*"))
    program, *arguments = command.split()
    result = subprocess.run(
        [BIN / program, *arguments],
        check=False,
        cwd=clone,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(clone), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert before == sorted(clone.rglob("*"))
    if "--json" in command:
        listed = json.loads(result.stdout)
        keys = defs.resolve_asset_graph().get_all_asset_keys()
        assert sorted(key.to_user_string() for key in keys) == names(listed["assets"], "asset_key")
        for kind in ("jobs", "schedules", "sensors"):
            expected = sorted(each.name for each in getattr(defs, kind) or ())
            assert expected == names(listed[kind], "name")


def names(listed: list[dict[str, Any]], field: str) -> list[str]:
    """Return the sorted names of what `dg list defs` lists."""
    return sorted(each[field] for each in listed)
