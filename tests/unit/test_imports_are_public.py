"""Both packages use public names of what they build on, so that a new version of these breaks nothing."""

import ast
from pathlib import Path

import pytest

from bidbeacon_pipelines.settings import PROJECT_ROOT

MODULES = sorted((PROJECT_ROOT / "bidbeacon_sessions").rglob("*.py"))
PIPELINES = sorted((PROJECT_ROOT / "bidbeacon_pipelines").rglob("*.py"))


def find_imports(module: Path) -> list[str]:
    """Return the dotted names that a module imports."""
    names = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{one.name}" for one in node.names]
        elif isinstance(node, ast.Import):
            names += [one.name for one in node.names]
    return names


def list_private_imports(module: Path) -> list[str]:
    """Return the names that a module imports and that have a part which begins with an underscore."""
    return [
        name
        for name in find_imports(module)
        if any(part.startswith("_") for part in name.split("."))
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_no_private_module_is_imported(module: Path) -> None:
    """Neither of uvicorn, websockets, psycopg and Dagster, nor of anything else."""
    assert [] == list_private_imports(module)


def test_the_pipelines_import_no_private_name() -> None:
    """A new release of Dagster can break no import."""
    assert [] == [name for module in PIPELINES for name in list_private_imports(module)]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_no_frame_is_walked(module: Path) -> None:
    """A class or a session is told apart by what it is given."""
    text = module.read_text(encoding="utf-8")
    assert not [name for name in ("currentframe", "_getframe", "inspect.stack") if name in text]
