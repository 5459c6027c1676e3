"""Comparisons of a few fields of a row."""

from collections.abc import Mapping
from typing import Any


def assert_has(row: object, **expected: Any) -> None:
    """Check fields of an object or a mapping by their names; the message has those that differ."""
    if isinstance(row, Mapping):
        found = {name: row[name] for name in expected}
    else:
        found = {name: getattr(row, name) for name in expected}
    assert expected == found
