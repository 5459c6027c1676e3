"""The values that an answer may have: closed vocabularies, which are shown and recorded, and a customer's own values, which are not."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from bidbeacon_pipelines.amazon_ads.countries import COUNTRIES

_KINDS = {
    type(None): "null",
    bool: "true or false",
    str: "text",
    int: "a whole number",
    list: "a list",
}
_LONGEST_SHOWN = 40


@dataclass(frozen=True)
class Leaf:
    """One value: what is expected, in words, and the check of it.

    Attributes:
        is_word: Whether its values come from a vocabulary, so that they may be shown and recorded
            as they are.
        words: The vocabulary, where it is a list.
    """

    expected: str
    accepts: Callable[[Any], bool]
    is_word: bool = False
    words: tuple[str, ...] = ()

    def shown(self, value: Any) -> str:
        """Return a value as a table may show it: only words of a vocabulary as they are."""
        if (
            self.is_word
            and isinstance(value, str | int | Decimal)
            and len(str(value)) <= _LONGEST_SHOWN
        ):
            return repr(value) if isinstance(value, str) else str(value)
        return kind_of(value)


def kind_of(value: Any) -> str:
    """Return which kind of JSON value it is, and of a number how it is written."""
    if isinstance(value, str) and not value:
        return "an empty text"
    if isinstance(value, str) and value.isdigit():
        return "digits as text"
    if isinstance(value, Decimal):
        return "a number with an exponent" if "E" in str(value) else "a number with a point"
    if isinstance(value, int) and not isinstance(value, bool) and value < 0:
        return "a negative number"
    return _KINDS.get(type(value), "an object")


def words(*known: str) -> Leaf:
    """Return a vocabulary of these words."""
    return Leaf(" or ".join(known), lambda value: value in known, is_word=True, words=known)


def word(expected: str, pattern: str) -> Leaf:
    """Return a vocabulary whose words have a form."""
    compiled = re.compile(pattern)
    return Leaf(
        expected,
        lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None,
        is_word=True,
    )


def or_null(leaf: Leaf) -> Leaf:
    """Return the same leaf, which may also be null."""
    return replace(
        leaf, expected=f"{leaf.expected}, or null", accepts=lambda x: x is None or leaf.accepts(x)
    )


def or_empty(leaf: Leaf) -> Leaf:
    """Return the same leaf, which may also be null or an empty text."""
    return replace(or_null(leaf), accepts=lambda value: value in (None, "") or leaf.accepts(value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, Decimal)


def _is_digits(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit()


def _is_count(value: Any) -> bool:
    is_whole = _is_whole(value) or (
        isinstance(value, Decimal) and value == value.to_integral_value()
    )
    return is_whole and value >= 0


def _is_hour(value: Any) -> bool:
    if _is_whole(value) or _is_digits(value):
        return int(value) < 24 and int(value) >= 0  # noqa: PLR2004 - hours of a day
    stamp = r"\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):00(:00(\.0+)?)?(Z|[+-]\d\d:?\d\d)?"
    return isinstance(value, str) and re.fullmatch(stamp, value) is not None


def _countries(expected: str, *codes: str) -> Leaf:
    return Leaf(expected, lambda value: value in codes, is_word=True, words=codes)


_zones = cache(available_timezones)
"""The time zones of the IANA: reading them walks a folder of hundreds of files."""
_ISO = tuple(COUNTRIES)
_WITH_UK = (*(code for code in _ISO if code != "GB"), "UK")

ANYTHING = Leaf("anything", lambda _: True)
TEXT = Leaf("text", lambda value: isinstance(value, str))
WHOLE = Leaf("a whole number", _is_whole)
NUMBER = Leaf("a number", _is_number)
DIGITS = Leaf("digits as text", _is_digits)
ROW_ID = Leaf(
    "digits as text, or a whole number", lambda value: _is_digits(value) or _is_whole(value)
)
COUNT = or_null(Leaf("a whole number of 0 or more", _is_count))
AMOUNT = or_null(Leaf("a number of 0 or more", lambda value: _is_number(value) and value >= 0))
BOOL = Leaf("true or false", lambda value: isinstance(value, bool), is_word=True)
DATE = word("a date YYYY-MM-DD", r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
INSTANT = word("an instant in UTC", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
HOUR = Leaf("an hour from 0 to 23, or the local time of its beginning", _is_hour, is_word=True)
CURRENCY = word("a currency of three capital letters", "[A-Z]{3}")
CAPITALS = word("a word in capital letters", "[A-Z][A-Z0-9_]*")
CODE = word("a code", r"[A-Za-z0-9_. -]{1,40}")
ZONE = Leaf(
    "a time zone of the IANA",
    lambda value: isinstance(value, str) and value in _zones(),
    is_word=True,
)
TOKEN_SECONDS = Leaf("3600", lambda value: value == 3600, is_word=True)  # noqa: PLR2004 - the contract's number
ACCOUNT_COUNTRY = _countries("a country of the contract", *_ISO, "UK")
PROFILE_COUNTRY = _countries("a country of the contract, and UK rather than GB", *_WITH_UK)
ROW_COUNTRY = _countries("a country of the contract, and GB rather than UK", *_ISO)
REGION = words("NA", "EU", "FE")
AD_PRODUCT = words("SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY")
ROW_PRODUCT = words("Sponsored Products", "Sponsored Brands", "Sponsored Display")
