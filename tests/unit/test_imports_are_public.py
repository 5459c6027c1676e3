"""Both packages use public names of what they build on, so that a new version of these breaks nothing."""

import ast
import re
from pathlib import Path

from bidbeacon_pipelines.settings import PROJECT_ROOT

SESSIONS = sorted((PROJECT_ROOT / "bidbeacon_sessions").rglob("*.py"))
PIPELINES = sorted((PROJECT_ROOT / "bidbeacon_pipelines").rglob("*.py"))
OTHERS = [one for name in ("tests", "benchmarks") for one in (PROJECT_ROOT / name).rglob("*.py")]
ATTRIBUTES = {"_engine"}
"""The private attributes of Dagster that we use; see docs/explanation/dagster.md."""


def list_private_imports(module: Path) -> list[str]:
    """Return the dotted names that a module imports and that have a part which begins with an underscore."""
    names = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{one.name}" for one in node.names]
        elif isinstance(node, ast.Import):
            names += [one.name for one in node.names]
    return [name for name in names if any(part.startswith("_") for part in name.split("."))]


def list_foreign_attributes(module: Path) -> set[str]:
    """Return the private attributes that the linter is told to accept: those of other people's objects."""
    accepted = re.findall(r".*noqa: SLF001", module.read_text(encoding="utf-8"))
    return {name for line in accepted for name in re.findall(r"\.(_[a-z]\w*)", line)}


def test_no_private_name_is_imported() -> None:
    """A new release of Dagster, uvicorn or psycopg can break no import; no frame is walked."""
    modules = [*SESSIONS, *PIPELINES]
    private = {str(module): list_private_imports(module) for module in modules}
    assert {} == {module: names for module, names in private.items() if names}
    of_others = [name for one in OTHERS for name in list_private_imports(one)]
    assert [] == [name for name in of_others if name.startswith("dagster")]
    walked = re.compile(r"currentframe|_getframe|inspect\.stack")
    assert [] == [one for one in modules if walked.search(one.read_text(encoding="utf-8"))]


def test_the_pipelines_use_no_other_private_name() -> None:
    """Neither by attributes nor in a dagster.yaml, be it a file or a text of a test."""
    assert set().union(*map(list_foreign_attributes, PIPELINES)) <= ATTRIBUTES
    files = [PROJECT_ROOT / "dagster.yaml", PROJECT_ROOT / "deploy" / "dagster.yaml", *OTHERS]
    private = re.compile(r"module: \S*\b_\S*")
    assert [] == [one for one in files if private.search(one.read_text(encoding="utf-8"))]
