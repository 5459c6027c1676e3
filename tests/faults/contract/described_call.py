"""A call as Amazon's document describes it: which requests conform, and requests made from it."""

import json
from functools import cached_property, reduce
from operator import getitem
from typing import Any

import schemathesis
from hypothesis import strategies as st
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from schemathesis import Case, GenerationMode
from schemathesis.core import NotSet

from tools.amazon_documents import OPERATIONS, Documents


class DescribedCall:
    """One of `OPERATIONS` in its document. Headers are left out: tests set their own."""

    def __init__(self, name: str, documents: Documents) -> None:
        self.name = name
        self.operation = OPERATIONS[name]
        self._document = documents.openapi(self.operation.document)
        self._described = self._document["paths"][self.operation.path][self.operation.method]
        parameters = map(self._resolved, self._described.get("parameters", ()))
        self._parameters = [one for one in parameters if one["in"] != "header"]

    def cases(self, mode: GenerationMode) -> st.SearchStrategy[Case[Any]]:
        """Return requests at random: conforming ones, or nearly always some that do not conform."""
        path, method = self.operation.path, self.operation.method
        described = {**self._described, "parameters": self._parameters}
        schema = schemathesis.openapi.from_dict(
            {**self._document, "paths": {path: {method: described}}}
        )
        return schema[path][method.upper()].as_strategy(generation_mode=mode)

    def allows(self, case: Case[Any]) -> bool:
        """Return whether a request's query and body conform."""
        return self.allows_query(dict(case.query)) and self.allows_body(case.body)

    def allows_query(self, query: Any) -> bool:
        """Return whether the parameters in a query conform."""
        return bool(self._query.is_valid(query))

    def allows_body(self, body: Any) -> bool:
        """Return whether a body, its bytes or none at all conforms."""
        if isinstance(body, NotSet):
            return not self._described.get("requestBody", {}).get("required", False)
        try:
            value = json.loads(body) if isinstance(body, bytes) else body
        except ValueError:
            return False
        return bool(self._body.is_valid(value))

    def unknown_names(self, body: Any) -> set[str]:
        """Return the names in a body, and in the objects in it, that the document does not know."""
        return self._unknown(body, self._body_schema)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that the document knows of a body's properties."""
        return frozenset(self._properties(self._body_schema))

    @cached_property
    def _query(self) -> OAS30Validator:
        known = {one["name"]: one["schema"] for one in self._parameters if one["in"] == "query"}
        return self._validator({"type": "object", "properties": known})

    @cached_property
    def _body(self) -> OAS30Validator:
        return self._validator(self._body_schema)

    @cached_property
    def _body_schema(self) -> dict[str, Any]:
        contents = self._described.get("requestBody", {}).get("content", {})
        return next((one["schema"] for one in contents.values()), {})

    def _validator(self, schema: dict[str, Any]) -> OAS30Validator:
        whole = {**schema, "components": self._document.get("components", {})}
        return OAS30Validator(whole, format_checker=oas30_format_checker)

    def _unknown(self, value: Any, schema: dict[str, Any]) -> set[str]:
        if not isinstance(value, dict):
            return set()
        known = self._properties(schema)
        inner = (self._unknown(value[name], known[name]) for name in known.keys() & value.keys())
        return (value.keys() - known.keys()).union(*inner)

    def _properties(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return an object's properties, also where the schema is a sum of others."""
        schema = self._resolved(schema)
        properties = dict(schema.get("properties", {}))
        for part in schema.get("allOf", ()):
            properties |= self._properties(part)
        return properties

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        place = node.get("$ref", "#").split("/")[1:]
        return reduce(getitem, place, self._document) if place else node
