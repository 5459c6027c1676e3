"""Readers of the values of exported entities, built on `values.field_types`.

A number may be written as text. Text is cleaned so that Postgres can store it. Missing, null and
empty values become None.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from bidbeacon_pipelines.values.field_types import (
    FieldError,
    as_amazon_id,
    as_amount,
    as_count,
    find_date,
)

T = TypeVar("T")
LONGEST_ID = 100
_LONGEST_NUMBER = 1_000
"""The most digits before or after the decimal point; longer numbers are stored as text."""
_BLANKS = re.compile(r"[\s_]+")
_DAY = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})(?:T.*)?\Z")
_SURROGATES = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Replace NUL and lone surrogates, so that Postgres can store the text."""
    if "\0" in text:
        text = text.replace("\0", "\N{SYMBOL FOR NULL}")
    return text if text.isascii() else _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


def read_id(value: Any) -> str | None:
    """Read an id, which is text of at most 100 characters, or a whole number."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        return as_amazon_id(value)
    if len(value.strip()) > LONGEST_ID:
        raise FieldError(f"an id of at most {LONGEST_ID} characters", value)
    return clean(value.strip())


def read_text(value: Any) -> str | None:
    """Read text; a number becomes text."""
    if isinstance(value, bool | dict | list):
        raise FieldError("text", value)
    return None if value is None else clean(str(value))


def read_word(value: Any) -> str | None:
    """Read one of Amazon's constants; return it in capital letters with underscores."""
    text = read_text(value)
    return _BLANKS.sub("_", text.strip()).upper() or None if text is not None else None


def _number_or_text(read: Callable[[object], T | None]) -> Callable[[Any], T | None]:
    def read_either(value: Any) -> T | None:
        if not isinstance(value, str):
            return read(value)
        try:
            return read(Decimal(value)) if value else None
        except InvalidOperation:
            return read(value)  # refuses it

    return read_either


read_amount = _number_or_text(as_amount)
read_count = _number_or_text(as_count)


def read_flag(value: Any) -> bool | None:
    """Read true or false, which may be written as text."""
    words = {"true": True, "false": False}
    found = value if isinstance(value, bool) else words.get(str(value).strip().lower())
    if found is None and value not in (None, ""):
        raise FieldError("true or false", value)
    return found


def read_date(value: Any) -> date | None:
    """Read a calendar date; the time after it, if there is one, is ignored."""
    if value is None or value == "":
        return None
    parts = _DAY.match(str(value))
    day = find_date("-".join(parts.groups())) if parts else None
    if day is None:
        raise FieldError("a date YYYY-MM-DD", value)
    return day


def read_instant(value: Any) -> datetime | None:
    """Read an instant in ISO 8601; an instant without an offset is in UTC."""
    if value is None or value == "":
        return None
    try:
        instant = datetime.fromisoformat(str(value).strip())
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise FieldError("an instant in ISO 8601", value) from None


def read_json(value: Any) -> str | None:
    """Return any value as JSON text for a jsonb column; null becomes None."""
    return None if value is None else exact_json(value)


def exact_json(value: Any) -> str:
    """Return a value as JSON that Postgres can store, with exact numbers and cleaned text.

    Raises:
        RecursionError: The value is nested too deeply.
    """
    if isinstance(value, dict):
        fields = (f"{_json_text(key)}:{exact_json(item)}" for key, item in value.items())
        return "{" + ",".join(fields) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(exact_json, value)) + "]"
    if isinstance(value, Decimal):
        return str(value) if _is_storable(value) else _json_text(str(value))
    return _json_text(value) if isinstance(value, str) else json.dumps(value)


def _json_text(text: str) -> str:
    return json.dumps(clean(text), ensure_ascii=False)


def _is_storable(number: Decimal) -> bool:
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and abs(exponent) <= _LONGEST_NUMBER >= abs(number.adjusted())
