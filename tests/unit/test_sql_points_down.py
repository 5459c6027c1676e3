"""SQL text names tables of its own room and of rooms below, as imports do."""

import re
import tomllib

from bidbeacon_pipelines.settings import PROJECT_ROOT

PIPELINES = PROJECT_ROOT / "bidbeacon_pipelines"
UP = {
    ("accounts.queries", "proven_histories"),
    ("loading.load_queries", "report_requests"),
    ("loading.quarantine_queries", "report_requests"),
    ("windows.queries", "report_requests"),
    ("windows.queries", "restatements"),
    ("windows.tables", "report_requests"),
}
"""Modules with the tables of higher rooms that they name; docs/why.md has the reasons."""
_NAMED = re.compile(r'\b(?:FROM|JOIN|UPDATE|INTO|USING)\s+(\w+)|ForeignKey\("(\w+)\.')


def rooms() -> list[str]:
    """Return the rooms, the highest first, as the import contract orders them."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [layers] = [
        contract["layers"]
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["name"] == "Pipelines: imports point down"
    ]
    return [room for layer in layers for room in re.findall(r"\w+", layer)]


def test_sql_names_no_table_of_a_higher_room() -> None:
    """Also in foreign keys; the exceptions are exactly those that have a reason."""
    order, up = rooms(), set()
    tables = {
        table: order.index(path.parent.name)
        for path in PIPELINES.glob("*/tables.py")
        for table in re.findall(r'__tablename__ = "(\w+)"', path.read_text(encoding="utf-8"))
    }
    for path in PIPELINES.glob("*/*.py"):
        module = f"{path.parent.name}.{path.stem}"
        for names in _NAMED.findall(path.read_text(encoding="utf-8")):
            table = "".join(names)
            if tables.get(table, len(order)) < order.index(path.parent.name):
                up.add((module, table))
    assert up == UP
