r"""The storable form of a row as it came, for `quarantined_rows`, and the way back for a replay.

Plain JSON where JSON and Postgres can carry the value; what they can't is wrapped: a Decimal as `{"decimal": "9.870"}`, so that no
digit passes through a float, and a text with NUL or lone surrogates, which jsonb refuses, as `{"escaped": "a\u0000b"}`.
"""

import json
import math
from decimal import Decimal
from typing import Any

from bidbeacon_pipelines.ingest.field_types import is_storable


def to_jsonable(value: Any) -> Any:
    """Give a value, a row for example, in a form that `json.dumps` and jsonb take without loss.

    Args:
        value: What the decoder gives: dicts, lists, strings, integers, Decimals, booleans, null.
    """
    match value:
        case dict():
            return {_as_key(key): to_jsonable(item) for key, item in value.items()}
        case list():
            return [to_jsonable(item) for item in value]
        case Decimal():
            return {"decimal": str(value)}
        case float() if not math.isfinite(value):
            return {"decimal": str(value)}
        case str() if not is_storable(value):
            return {"escaped": _escaped(value)}
        case _:
            return value


def from_jsonable(value: Any) -> Any:
    """Give back what `to_jsonable` was given."""
    match value:
        case {"decimal": str(digits), **rest} if not rest:
            return Decimal(digits)
        case {"escaped": str(text), **rest} if not rest:
            return json.loads(f'"{text}"')
        case dict():
            return {key: from_jsonable(item) for key, item in value.items()}
        case list():
            return [from_jsonable(item) for item in value]
        case _:
            return value


def _as_key(key: str) -> str:
    """Give a field's name; an unstorable one, which no field of ours has, stays escaped."""
    return key if is_storable(key) else _escaped(key)


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]
