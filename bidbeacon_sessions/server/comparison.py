"""What differs between a session and the last one of its kind that went well. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_DIFFERENCES = 50
_LONGEST_VALUE = 200


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same; `there` is the good session's. None stands for "not there"."""

    what: str
    name: str
    here: str | int | None
    there: str | int | None


def compare(
    here: Mapping[str, Any],
    there: Mapping[str, Any],
    *,
    actions_here: Mapping[str, int],
    actions_there: Mapping[str, int],
) -> list[Difference]:
    """Return the differences between two sessions (as `session_json` gives them): actions by type, input, labels; 50 at most.

    Args:
        here: the session that is looked at.
        there: the good one.
        actions_here: how many actions of each type it recorded.
        actions_there: the same of the good one.
    """
    differences = [
        *_of_counts(actions_here, actions_there),
        *_of_values("input", here["input"], there["input"]),
        *_of_values("label", here["labels"], there["labels"]),
    ]
    return differences[:MOST_DIFFERENCES]


def _of_counts(here: Mapping[str, int], there: Mapping[str, int]) -> list[Difference]:
    names = dict.fromkeys([*there, *here])
    return [
        Difference("action", name, here.get(name, 0), there.get(name, 0))
        for name in names
        if here.get(name, 0) != there.get(name, 0)
    ]


def _of_values(what: str, here: Any, there: Any) -> list[Difference]:
    flat_here, flat_there = _flatten(here), _flatten(there)
    names = dict.fromkeys([*flat_there, *flat_here])
    return [
        Difference(what, name, flat_here.get(name), flat_there.get(name))
        for name in names
        if flat_here.get(name) != flat_there.get(name)
    ]


def _flatten(value: Any, path: str = "") -> dict[str, str]:
    """Return each leaf of nested objects by its path, `a.b`; lists are leaves."""
    if isinstance(value, Mapping) and value:
        leaves: dict[str, str] = {}
        for key, item in value.items():
            leaves |= _flatten(item, f"{path}.{key}" if path else str(key))
        return leaves
    return {path: _shown(value)} if path else {}


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
