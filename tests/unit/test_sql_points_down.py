"""SQL text names tables, views and functions of its own room and of rooms below, as imports do; and it does not read the log."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from bidbeacon_pipelines.settings import PROJECT_ROOT

PIPELINES = PROJECT_ROOT / "bidbeacon_pipelines"
UP = {("windows.tables", "report_requests")}
"""Modules with what they name of higher rooms: a window refers to the request that it waits for."""
LOG = {
    "problems.explain": "explains from its actions why a day is as it is",
    "requests.trends_queries": "shows when users paused and resumed, beside times of requests",
}
"""Modules that may read the log, each with the reason. All decisions are made from rows of the rooms."""
_MADE = re.compile(
    r'__tablename__ = "(\w+)"|CREATE (?:OR REPLACE )?(?:FUNCTION|VIEW) (\w+)(?!\.)\b'
)
_NAMED = re.compile(r'\b(?:FROM|JOIN|UPDATE|INTO|USING)\s+(\w+)|ForeignKey\("(\w+)\.|\b(\w+)\(:')
_LOG_NAMED = re.compile(
    r"\b(?:FROM|JOIN)\s+session_(?:actions|references)\b|\blist_actions(?:_about|_at)?\b"
)


def rooms() -> list[str]:
    """Return the rooms, the highest first, as the import contract orders them."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [layers] = [
        contract["layers"]
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["name"] == "Pipelines: imports point down"
    ]
    return [room for layer in layers for room in re.findall(r"\w+", layer)]


def found_in_rooms(pattern: re.Pattern[str]) -> Iterator[tuple[Path, str]]:
    """Yield what a pattern finds in the modules of rooms, each with its module."""
    for path in PIPELINES.glob("*/*.py"):
        for names in pattern.findall(path.read_text(encoding="utf-8")):
            yield path, "".join(names)


def test_sql_names_nothing_of_a_higher_room() -> None:
    """Also in foreign keys; the exceptions are exactly those that have a reason."""
    order = rooms()
    made = {name: order.index(path.parent.name) for path, name in found_in_rooms(_MADE)}
    up = {
        (f"{path.parent.name}.{path.stem}", name)
        for path, name in found_in_rooms(_NAMED)
        if made.get(name, len(order)) < order.index(path.parent.name)
    }
    assert up == UP


def test_the_log_is_read_to_explain_only() -> None:
    """By SQL or by the library: an action may be renamed, and sessions deleted, without another decision."""
    readers = {
        ".".join(path.relative_to(PIPELINES).with_suffix("").parts)
        for path in PIPELINES.rglob("*.py")
        if _LOG_NAMED.search(path.read_text(encoding="utf-8"))
    }
    assert readers == LOG.keys()
