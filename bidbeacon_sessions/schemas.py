"""The JSON Schema of actions, as their payloads are stored."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DecimalSchema

from bidbeacon_sessions.actions import Action


class _StoredSchema(GenerateJsonSchema):
    """Describes payloads as they are stored; exact decimals are told from other texts."""

    def decimal_schema(self, schema: DecimalSchema) -> JsonSchemaValue:
        """Give the schema of an amount."""
        del schema  # its bounds don't matter here
        return {"type": "string", "format": "decimal"}


def stored_schema(action_class: type[Action]) -> dict[str, Any]:
    """Give the JSON Schema of an action's stored payload."""
    return action_class.model_json_schema(mode="serialization", schema_generator=_StoredSchema)
