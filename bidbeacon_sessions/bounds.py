"""Keeps what is stored within bounds, and says what was cut."""

import json
from typing import Any

import msgspec

CUT_MARK = "cut"
_SHORTEST = 20
_encode = msgspec.json.Encoder(enc_hook=str).encode


def within(value: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    """Give a JSON object that is no larger than `max_bytes` as JSON text.

    The largest lists and texts are shortened first, by halves; what was cut is named under the key `cut`, with its
    original length. A value within the bound is given back as it is.
    """
    if _is_clearly_within(value, max_bytes) or _size(value) <= max_bytes:
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


def _is_clearly_within(value: Any, max_bytes: int) -> bool:
    """Say whether even twice the compact text fits, which is quick to find; the text with spaces is never longer than that."""
    try:
        return len(_encode(value)) * 2 <= max_bytes
    except UnicodeEncodeError:  # a lone surrogate
        return False


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
