"""Keeps what is stored within bounds, and says what was cut."""

import json
from typing import Any

CUT_MARK = "cut"
_SHORTEST = 20


def within(value: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    """Give a JSON object that is no larger than `max_bytes` as JSON text.

    The largest lists and texts are shortened first, by halves; what was cut is named under the key `cut`, with its
    original length. A value within the bound is given back as it is.
    """
    if _size(value) <= max_bytes:
        return value
    small = dict(value)
    cut: dict[str, int] = {}
    while _size(small | {CUT_MARK: cut}) > max_bytes:
        key = max(small, key=lambda k: _size(small[k]), default=None)
        if key is None:
            break
        cut.setdefault(key, _length(small[key]))
        small[key] = _halved(small[key])
        if small[key] is None:
            del small[key]
    return small | {CUT_MARK: cut}


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace"))


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | dict) else 1


def _halved(value: Any) -> Any:
    """Give the first half of a text or list; None where nothing worth keeping is left."""
    if isinstance(value, str | list) and len(value) > 1:
        half = value[: len(value) // 2]
        return half + "…" if isinstance(half, str) and len(half) > _SHORTEST else half
    return None
