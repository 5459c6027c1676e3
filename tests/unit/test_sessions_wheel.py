"""The library's own wheel needs what its modules import, and nothing else."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from bidbeacon_pipelines.settings import PROJECT_ROOT

LIBRARY = PROJECT_ROOT / "bidbeacon_sessions"
FOR_UVICORN = {"httptools", "uvloop", "websockets"}
"""Packages that uvicorn imports by itself where they are installed."""


def read_project(folder: Path) -> dict[str, Any]:
    """Return the table of a project file that says what is needed."""
    return dict(tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def imported_by(file: Path) -> set[str]:
    """Return the top-level packages that a module imports, those for type checking included."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found - sys.stdlib_module_names - {LIBRARY.name}


def test_the_library_needs_exactly_what_it_imports() -> None:
    """Dagster only for the two modules that are about it."""
    project, distributions = read_project(LIBRARY), packages_distributions()
    needed = [*project["dependencies"], *project["optional-dependencies"]["dagster"]]
    imported = set().union(*map(imported_by, LIBRARY.rglob("*.py")))
    assert {re.split(r"[\[~=>;]", each)[0] for each in needed} - FOR_UVICORN == {
        name.lower().replace("_", "-") for module in imported for name in distributions[module]
    }
    of_dagster = [file.name for file in LIBRARY.rglob("*.py") if "dagster" in imported_by(file)]
    assert ["dagster.py", "reaper.py"] == sorted(of_dagster)


def test_the_library_needs_the_versions_that_it_is_tested_with() -> None:
    """Those of the whole project, under the same number."""
    project, whole = read_project(LIBRARY), read_project(PROJECT_ROOT)
    needed = [*project["dependencies"], *project["optional-dependencies"]["dagster"]]
    assert set(needed) <= set(whole["dependencies"])
    assert [project[name] for name in ("version", "requires-python", "license")] == [
        whole[name] for name in ("version", "requires-python", "license")
    ]
