"""Strategies of Amazon's answers, made from the answer schemas of its own documents.

Schemathesis makes requests only, so each answer's schema is given to it as the body of a request.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from operator import getitem
from typing import Any, NamedTuple

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from tests.contract.catalogue import DOCUMENTS
from tools.amazon_documents import NOT_CHECKED, OPERATIONS

Schema = dict[str, Any]
Change = Callable[[Schema], Schema]
MADE_QUICKLY = settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)
"""An answer takes tens of milliseconds to make, and a failing one minutes to be made smaller."""
_MOST_ITEMS = 4
"""Of a list in a complete answer, so that it is made fast."""


class Answer(NamedTuple):
    """An answer that a document allows."""

    status: int
    body: Any

    @property
    def response(self) -> httpx.Response:
        """The answer as the transport has it."""
        return httpx.Response(self.status, content=json.dumps(self.body))


def successes(operation: str, **usual: Schema) -> st.SearchStrategy[Answer]:
    """Return a strategy of the answers of a call that succeeds.

    Half of them are complete: each object has all of its properties and no other. There, properties
    with the names in `usual` have values of these schemas, which must be narrower than Amazon's.
    """
    return st.deferred(lambda: _answers(operation, usual, lambda status: status < 400))


def failures(operation: str) -> st.SearchStrategy[Answer]:
    """Return a strategy of the answers of a call that fails, of each status."""
    return st.deferred(lambda: _answers(operation, {}, lambda status: status >= 400))


def schema_of(document: str, name: str) -> Schema:
    """Return a schema of a document by its name."""
    found: Schema = _documents().openapi(document)["components"]["schemas"][name]
    return found


def _documents() -> Any:
    assert DOCUMENTS is not None, NOT_CHECKED
    return DOCUMENTS


def _answers(
    operation: str, usual: Mapping[str, Schema], wanted: Callable[[int], bool]
) -> st.SearchStrategy[Answer]:
    place = OPERATIONS[operation]
    document = _documents().openapi(place.document)
    responses = document["paths"][place.path][place.method]["responses"]
    return st.one_of(
        [
            st.builds(Answer, st.just(int(status)), _bodies(document, response, usual))
            for status, response in responses.items()
            if wanted(int(status))
        ]
    )


def _bodies(
    document: Schema, response: Schema, usual: Mapping[str, Schema]
) -> st.SearchStrategy[Any]:
    if reference := response.get("$ref"):
        response = _component(document, reference)
    schema = next(iter(response["content"].values()))["schema"]
    complete = _strategy(document, schema, lambda one: _complete(one, usual))
    return _strategy(document, schema, _as_meant) | complete


def _component(document: Schema, reference: str) -> Schema:
    found: Schema = reduce(getitem, reference.split("/")[1:], document)
    return found


def _strategy(document: Schema, schema: Schema, change: Change) -> st.SearchStrategy[Any]:
    """Return a strategy of values of a schema, with only the schemas that it refers to, each of them changed."""
    parts = {
        reference.rpartition("/")[2]: change(_component(document, reference))
        for reference in _references(document, schema)
    }
    body = {"required": True, "content": {"application/json": {"schema": change(schema)}}}
    call = {"requestBody": body, "responses": {"200": {"description": ""}}}
    made = schemathesis.openapi.from_dict(
        {
            "openapi": "3.0.3",
            "info": {"title": "An answer", "version": "1"},
            "paths": {"/": {"post": call}},
            "components": {"schemas": parts},
        }
    )
    with pytest.MonkeyPatch.context() as own:
        # Schemathesis replaces it, for all tests, by one that prints no values of failing examples.
        own.setattr("hypothesis.core.RepresentationPrinter", RepresentationPrinter)
        return made["/"]["post"].as_strategy().map(lambda case: case.body)


def _references(document: Schema, schema: Schema) -> set[str]:
    found: set[str] = set()
    new = set(_own_references(schema))
    while new:
        found |= new
        parts = (_component(document, reference) for reference in new)
        new = {reference for part in parts for reference in _own_references(part)} - found
    return found


def _own_references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _own_references(item)


def _as_meant(schema: Schema) -> Schema:
    """Return a schema as its document means it: objects are such also where the type is not said.

    What is read-only comes in answers; in requests, which Schemathesis makes, it must not.
    """
    meant = {name: _of_each(part, _as_meant) for name, part in schema.items() if name != "readOnly"}
    if "properties" in meant and "$ref" not in meant:
        meant["properties"] = {name: _as_meant(part) for name, part in schema["properties"].items()}
        meant.setdefault("type", "object")
    return meant


def _complete(schema: Schema, usual: Mapping[str, Schema]) -> Schema:
    """Return a schema whose objects have all of their properties and no other."""
    meant = _as_meant(schema)
    whole = {
        name: _of_each(part, lambda one: _complete(one, usual)) for name, part in meant.items()
    }
    if whole.get("type") == "array":
        whole["maxItems"] = min(whole.get("maxItems", _MOST_ITEMS), _MOST_ITEMS)
    if whole.get("type") == "object" and (properties := meant.get("properties")):
        whole["properties"] = {
            name: usual.get(name) or _complete(part, usual) for name, part in properties.items()
        }
        whole |= {"required": list(properties), "additionalProperties": False}
    return whole


def _of_each(value: Any, change: Change) -> Any:
    """Change a schema, or each one of a list, that is the value of a keyword."""
    if isinstance(value, list):
        return [change(item) if isinstance(item, dict) else item for item in value]
    return change(value) if isinstance(value, dict) else value
