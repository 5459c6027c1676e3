"""JSON whose amounts are exact: decimals are written as the digits they have and never pass through a float."""

import json
from decimal import Decimal
from typing import Any

_MILLION = 1_000_000


def to_json(value: Any) -> str:
    """Write a value as compact JSON; `Decimal` comes out as a number with exactly its digits."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{to_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(to_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def from_json(text: str) -> Any:
    """Read JSON with `Decimal` for every number that isn't an integer."""
    return json.loads(text, parse_float=Decimal)


def amount_text(micros: int) -> str:
    """Write millionths as a decimal number without trailing zeros: 19990000 is `19.99`."""
    whole, rest = divmod(micros, _MILLION)
    return f"{whole}.{rest:06d}".rstrip("0") if rest else str(whole)
