"""The shapes of JSON values: which fields there are and of which kinds, without any value."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from bidbeacon_sessions.masking import mask_text

Shape = dict[str, set[str]]
"""By the place of each value (`adsAccounts.[].status`), the kinds of values that were there."""

_KINDS: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "true or false",
    str: "text",
    int: "whole number",
    Decimal: "number with a point",
    dict: "empty object",
    list: "empty list",
}
_FIELD: Final = re.compile(r"(?!.*\d{4})[A-Za-z_][\w.-]{0,60}", re.ASCII)
_DEEPEST: Final = 12


def field_name(key: str) -> str:
    """Return a key that names a field; hide one that may be a value, such as an id or a secret."""
    return key if _FIELD.fullmatch(key) and mask_text(key) == key else "…"


def add_to(shape: Shape, value: Any) -> None:
    """Add the places and kinds of a value to a shape."""
    for place, kind in _leaves(value, "", 0):
        shape.setdefault(place, set()).add(kind)


def as_json(shape: Shape) -> dict[str, str]:
    """Return a shape as data for JSON."""
    return {place: " | ".join(sorted(kinds)) for place, kinds in sorted(shape.items())}


def _leaves(value: Any, place: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value and depth < _DEEPEST:
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{field_name(key)}".lstrip("."), depth + 1)
    elif isinstance(value, list) and value and depth < _DEEPEST:
        for inner in value:
            yield from _leaves(inner, f"{place}.[]".lstrip("."), depth + 1)
    else:
        yield place or "the answer", _kind_of(value)


def _kind_of(value: Any) -> str:
    if isinstance(value, str) and value.isdecimal():
        return "digits as text"
    if isinstance(value, str) and not value:
        return "empty text"
    return _KINDS.get(type(value), type(value).__name__)
