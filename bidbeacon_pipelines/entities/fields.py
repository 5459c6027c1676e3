"""Read and check the fields of exported entities.

Amounts are exact, ids are text, and every text can be stored in Postgres. A field that is absent,
null or empty is None.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

_LONGEST_ID = 100
_EXACT_FLOAT_LIMIT = 2**53
_AMOUNT_LIMIT = Decimal(10) ** 14
_AMOUNT_PLACES = Decimal("0.000001")
_HIGHEST_COUNT = 2**63 - 1
_LONGEST_NUMBER = 1_000
"""Digits before or after the point; Postgres takes some more, but no number of an entity has as many."""
_SHOWN_CHARS = 80
_BLANKS = re.compile(r"[\s_]+")
_DATE = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})(?:T.*)?\Z")
_SURROGATES = re.compile("[\ud800-\udfff]")


class UnreadableFieldError(ValueError):
    """A field's value is not of its type: what was `expected`, and what came (`got`)."""

    def __init__(self, expected: str, value: Any) -> None:
        shown = (
            "nothing" if value is None else ascii(value) if isinstance(value, str) else str(value)
        )
        cut = shown if len(shown) <= _SHOWN_CHARS else f"{shown[:_SHOWN_CHARS]}…"
        self.expected, self.got = expected, clean(cut)
        super().__init__(f"expected {expected}, got: {self.got}")


def find(raw: Any, path: Sequence[str]) -> Any:
    """Return the value at a path of names; None where there is none.

    Of a list on the way, the first object that has the next name counts.
    """
    for name in path:
        if isinstance(raw, list):
            raw = next((item for item in raw if isinstance(item, dict) and name in item), None)
        raw = raw.get(name) if isinstance(raw, dict) else None
    return raw


def clean(text: str) -> str:
    """Return a text that Postgres can store: NUL and lone surrogates are replaced."""
    if "\0" in text:
        text = text.replace("\0", "\N{SYMBOL FOR NULL}")
    return text if text.isascii() else _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


def read_id(value: Any) -> str | None:
    """Read an id that came as text or as a whole number of any length."""
    if isinstance(value, Decimal) and _is_exact_whole(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str) and len(value.strip()) <= _LONGEST_ID:
        return clean(value.strip())
    raise UnreadableFieldError(f"an id of at most {_LONGEST_ID} characters", value)


def read_text(value: Any) -> str | None:
    """Read a text; a number becomes its digits."""
    if isinstance(value, bool | dict | list):
        raise UnreadableFieldError("text", value)
    return None if value is None else clean(str(value))


def read_word(value: Any) -> str | None:
    """Read one of Amazon's words in one spelling: capital letters with underscores."""
    text = read_text(value)
    return _BLANKS.sub("_", text.strip()).upper() or None if text is not None else None


def read_amount(value: Any) -> Decimal | None:
    """Read an amount that came as a number or its digits."""
    if value is None or value == "":
        return None
    amount = _number(value)
    if amount is None or abs(amount) >= _AMOUNT_LIMIT or amount != amount.quantize(_AMOUNT_PLACES):
        raise UnreadableFieldError("an amount below 10^14 with at most 6 decimals", value)
    return amount


def read_count(value: Any) -> int | None:
    """Read a whole number that is not negative."""
    if value is None or value == "":
        return None
    number = _number(value)
    if number is None or not 0 <= number <= _HIGHEST_COUNT or number != number.to_integral_value():
        raise UnreadableFieldError("a whole number that is not negative", value)
    return int(number)


def read_flag(value: Any) -> bool | None:
    """Read true or false."""
    words = {"true": True, "false": False}
    found = value if isinstance(value, bool) else words.get(str(value).strip().lower())
    if found is None and value not in (None, ""):
        raise UnreadableFieldError("true or false", value)
    return found


def read_date(value: Any) -> date | None:
    """Read a calendar day, of an instant the day it is written with."""
    if value is None or value == "":
        return None
    parts = _DATE.match(str(value))
    try:
        return date(*map(int, parts.groups())) if parts else _refuse_date(value)
    except ValueError:
        return _refuse_date(value)


def read_instant(value: Any) -> datetime | None:
    """Read an instant in ISO 8601; without an offset it is UTC."""
    if value is None or value == "":
        return None
    try:
        instant = datetime.fromisoformat(str(value).strip())
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UnreadableFieldError("an instant in ISO 8601", value) from None


def read_json(value: Any) -> str | None:
    """Read any value, for a column of type jsonb."""
    return None if value is None else exact_json(value)


def exact_json(value: Any) -> str:
    """Return a value as JSON that Postgres can store: numbers keep all digits, texts are cleaned.

    Raises:
        RecursionError: it is nested too deeply.
    """
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{_json_text(key)}:{exact_json(item)}" for key, item in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(exact_json, value)) + "]"
    if isinstance(value, Decimal):
        return str(value) if _is_storable_number(value) else _json_text(str(value))
    return _json_text(value) if isinstance(value, str) else json.dumps(value)


def _json_text(text: str) -> str:
    return json.dumps(clean(text), ensure_ascii=False)


def _number(value: Any) -> Decimal | None:
    """Return the number that a value is, exactly; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if _is_storable_number(number) else None


def _is_storable_number(number: Decimal) -> bool:
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and abs(exponent) <= _LONGEST_NUMBER >= abs(number.adjusted())


def _is_exact_whole(number: Decimal) -> bool:
    """Return whether a number with a point is surely the whole number that was sent, and no rounded one."""
    return (
        _is_storable_number(number)
        and abs(number) <= _EXACT_FLOAT_LIMIT
        and number == number.to_integral_value()
    )


def _refuse_date(value: Any) -> date:
    raise UnreadableFieldError("a date YYYY-MM-DD", value)
