"""The page of actions: `python -m tools.actions_page` prints it."""

import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DecimalSchema

from bidbeacon_pipelines import actions
from bidbeacon_sessions import session
from bidbeacon_sessions.actions import Action, action_classes

_FORMATS = {
    "date": ("date", "2026-11-23"),
    "date-time": ("instant", "2026-11-23T05:00:00Z"),
    "decimal": ("exact decimal, as text", "1"),
    "uuid": ("uuid", "00000000-0000-0000-0000-000000000001"),
}
"""The name of a text's format, and a sample."""
_SAMPLES = {"boolean": True, "object": {}}

_HEAD = """# Actions

Actions are the entries of a session's timeline. The column `actions` of the view `job_sessions` has
each action as an object with `ord`, `type`, `tone`, `at` and the fields below.

The indented line is the action's sentence, which is made when the action is read. `{name}` or
`{name:kind}` stands for the value of a field. A part `[…]` of a sentence is left out if its fields
are empty.

If `more_countries` is true, the action is about one country of a request, and further actions are
about the request's other countries.

An action refers to the account, the dataset and the windows that it concerns. Each reference is a
row of `session_references`, with the effect of the action on the account, dataset or window.

Printed from the classes of actions by `make docs`; a test compares them.
"""


def make_page(modules: Sequence[str] = (actions.__name__, session.__name__)) -> str:
    """Return the page of the actions of modules and packages as Markdown with a final newline."""
    sections = [_section(name, classes) for name, classes in _by_module(modules)]
    return "\n".join([_HEAD, *sections])


def _by_module(wanted: Sequence[str]) -> Iterator[tuple[str, list[type[Action]]]]:
    grouped: dict[str, list[type[Action]]] = {}
    for action_class in action_classes().values():
        grouped.setdefault(action_class.__module__, []).append(action_class)
    for parent in wanted:
        for name in sorted(grouped):
            if name == parent or name.startswith(f"{parent}."):
                yield name, grouped[name]


def _section(module: str, classes: Iterable[type[Action]]) -> str:
    title = (sys.modules[module].__doc__ or module).partition("\n")[0].partition(".")[0]
    return "\n".join([f"## {title}", "", *map(_entry, classes)])


def _entry(action_class: type[Action]) -> str:
    about = inspect.getdoc(action_class) or ""
    lines = [
        f"### {action_class.type}",
        "",
        about,
        "",
        f"    {action_class.sentence}",
        "",
        f"Tone: {_tone(action_class)}. {_referenced(action_class)}",
        "",
        "| field | type | default |",
        "|---|---|---|",
        *_field_rows(action_class),
        "",
    ]
    return "\n".join(lines)


def _tone(action_class: type[Action]) -> str:
    warns_with = action_class.warns_with
    warning = f", or `warning` if `{warns_with}` is neither empty nor 0" if warns_with else ""
    return f"`{action_class.tone}`{warning}"


def _field_rows(action_class: type[Action]) -> Iterator[str]:
    schema = _schema_of(action_class)
    for name, described in schema["properties"].items():
        default = f"`{json.dumps(described['default'])}`" if "default" in described else ""
        yield f"| `{name}` | {_describe(described, schema)[0]} | {default} |"


def _referenced(action_class: type[Action]) -> str:
    sample = sample_payload(action_class)
    references = list(action_class.model_validate(sample).references())
    if not references:
        return "The action has no references."
    what = ", ".join(
        name for name in ("account", "dataset", "window") if getattr(references[0], name)
    )
    effects = " or ".join(sorted({f"`{one.effect}`" for one in references}))
    return f"References: {what}, with the effect {effects}."


def sample_payload(action_class: type[Action]) -> dict[str, Any]:
    """Return a payload that the class accepts, with a sample value in each field."""
    schema = _schema_of(action_class)
    return {name: _describe(field, schema)[1] for name, field in schema["properties"].items()}


class _StoredSchema(GenerateJsonSchema):
    """Describe payloads as stored; exact decimals have a format of their own."""

    def decimal_schema(self, schema: DecimalSchema) -> JsonSchemaValue:
        del schema
        return {"type": "string", "format": "decimal"}


def _schema_of(action_class: type[Action]) -> dict[str, Any]:
    return action_class.model_json_schema(mode="serialization", schema_generator=_StoredSchema)


def _describe(schema: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[str, Any]:
    """Return a field's JSON type in words, and a sample; a list's has one entry."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        names, samples = zip(*(_describe(option, root) for option in schema["anyOf"]), strict=True)
        return " or ".join(names), samples[0]
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"]), schema["enum"][0]
    kind = schema.get("type", "any")
    if kind == "array":
        name, sample = _describe(schema.get("items", {}), root)
        return f"list of {name}", [sample]
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), ("text", "sample"))
    return kind, _SAMPLES.get(kind, 1)


if __name__ == "__main__":
    sys.stdout.write(make_page())
