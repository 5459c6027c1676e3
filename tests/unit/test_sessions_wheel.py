"""The library's own wheel needs what its modules import, and nothing else."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from bidbeacon_pipelines.settings import PROJECT_ROOT

LIBRARY = PROJECT_ROOT / "bidbeacon_sessions"
PROJECT, WHOLE = (
    tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for folder in (LIBRARY, PROJECT_ROOT)
)
NEEDED = {*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dagster"]}
FOR_UVICORN = {"httptools", "uvloop", "websockets"}
"""Packages that uvicorn imports by itself where they are installed."""


def imported_by(file: Path) -> set[str]:
    """Return the top-level packages that a module imports, those for type checking included."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {LIBRARY.name}


def test_the_library_needs_exactly_what_it_imports() -> None:
    """Dagster only for the two modules that are about it."""
    imported = {file.name: imported_by(file) for file in LIBRARY.rglob("*.py")}
    distributions = packages_distributions()
    assert {re.split(r"[\[~=>;]", each)[0] for each in NEEDED} - FOR_UVICORN == {
        name.lower().replace("_", "-")
        for module in set().union(*imported.values())
        for name in distributions[module]
    }
    of_dagster = {file for file, modules in imported.items() if "dagster" in modules}
    assert {"dagster.py", "reaper.py"} == of_dagster


def test_the_library_needs_the_versions_that_it_is_tested_with() -> None:
    """Those of the whole project, under the same number."""
    assert set(WHOLE["dependencies"]) >= NEEDED
    for name in ("version", "requires-python", "license"):
        assert PROJECT[name] == WHOLE[name]
