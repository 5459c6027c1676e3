"""The types of a report row's fields: what is accepted, what is refused, and the words of the refusal.

Each is a pydantic type over one plain function. A refusal reads "expected X, got: Y"; the field's name is put before it by
`ingest.rows`. Bounds are those of the columns: bigint for counts, numeric(20,6) for amounts.
"""

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

HIGHEST_COUNT = 2**63 - 1
AMOUNT_LIMIT = Decimal(10) ** 14
"""The first amount that numeric(20,6) can't hold."""
AMOUNT_PLACES = 6
MOST_ID_DIGITS = 20
EXACT_FLOAT_LIMIT = 2**53
"""A number written with a decimal point passed through a float somewhere; above this its last digits are lost."""
LONGEST_KEY_TEXT = 500
"""Characters; a text that is part of a row's key must fit an index entry, and what a shopper types is far shorter."""
SHOWN_CHARS = 80

_DIGITS = re.compile(r"[0-9]{1,20}\Z")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_PRODUCT_ID = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_BLANKS = re.compile(r"[\s_]+")
_COUNTRY = re.compile(r"[A-Z]{2}\Z")


def refusal(expected: str, value: object) -> PydanticCustomError:
    """Make the error that says what was expected of a field, and what came."""
    return PydanticCustomError("report_field", "expected {expected}, got: {got}", _context(expected, value))


def _context(expected: str, value: object) -> dict[str, Any]:
    return {"expected": expected, "got": shown(value)}


def shown(value: object) -> str:
    """Give a value as a message shows it: strings quoted, numbers as sent, long ones cut."""
    text = str(value) if isinstance(value, Decimal) else ascii(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def as_amazon_id(value: object) -> str:
    """Accept an id sent as a string of digits or a whole number, and give it as a string."""
    if isinstance(value, str) and _DIGITS.match(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**MOST_ID_DIGITS:
        return str(value)
    if isinstance(value, Decimal) and _is_whole(value) and 0 <= value <= EXACT_FLOAT_LIMIT:
        return str(int(value))
    raise refusal(f"an id of at most {MOST_ID_DIGITS} digits", value)


def as_count(value: object) -> int | None:
    """Accept a whole number from 0 to the highest bigint, or null."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= HIGHEST_COUNT:
        return value
    if isinstance(value, Decimal) and _is_whole(value) and 0 <= value <= HIGHEST_COUNT:
        return int(value)
    raise refusal(f"a whole number from 0 to {HIGHEST_COUNT} or null", value)


def as_amount(value: object) -> Decimal | None:
    """Accept an exact amount that numeric(20,6) holds, or null."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < AMOUNT_LIMIT:
        return Decimal(value)
    if (
        isinstance(value, Decimal)
        and value.is_finite()
        and 0 <= value < AMOUNT_LIMIT
        and _has_six_places(value)
    ):
        return value.copy_abs()  # a zero may carry a minus sign
    raise refusal("an amount from 0 to below 10^14 with at most 6 decimals, or null", value)


def as_text(value: object) -> str:
    """Accept any text that Postgres can store, unchanged; null is the empty text."""
    if value is None:
        return ""
    if isinstance(value, str) and is_storable(value):
        return value
    raise refusal("text without NUL and lone surrogates", value)


def as_optional_text(value: object) -> str | None:
    """Accept any text that Postgres can store, unchanged, or null."""
    return None if value is None else as_text(value)


def as_key_text(value: object) -> str:
    """Accept text that can be part of a row's key, unchanged; null is the empty text."""
    text = as_text(value)
    if len(text) > LONGEST_KEY_TEXT:
        raise refusal(f"at most {LONGEST_KEY_TEXT} characters", value)
    return text


def as_product_id(value: object) -> str:
    """Accept a product's id, an ASIN as a rule: letters, digits and `._-`; null is the empty text."""
    if value is None or value == "":
        return ""
    if isinstance(value, str) and _PRODUCT_ID.match(value):
        return value
    raise refusal("a product's id", value)


def as_date(value: object) -> date:
    """Accept a calendar date written YYYY-MM-DD."""
    day = parse_date(value) if isinstance(value, str) else None
    if day is None:
        raise refusal("a date YYYY-MM-DD", value)
    return day


@lru_cache(maxsize=4096)
def parse_date(text: str) -> date | None:
    """Give the date that a text YYYY-MM-DD names; None where it names none."""
    if not _ISO_DATE.match(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def as_currency(value: object) -> str:
    """Accept a currency's three letters."""
    if isinstance(value, str) and _CURRENCY.match(value):
        return value
    raise refusal("a currency of three capital letters", value)


def as_country(value: object) -> str:
    """Accept a country's two letters; Amazon's `UK` becomes `GB`."""
    letters = value.strip().upper() if isinstance(value, str) else ""
    if _COUNTRY.match(letters):
        return "GB" if letters == "UK" else letters
    raise refusal("a country of two letters", value)


_AD_PRODUCTS = {
    name.replace("_", "").lower(): name
    for name in (
        "SPONSORED_PRODUCTS",
        "SPONSORED_BRANDS",
        "SPONSORED_DISPLAY",
        "SPONSORED_TELEVISION",
        "AMAZON_DSP",
    )
}


def as_ad_product(value: object) -> str:
    """Accept a known ad product, and return it in the spelling of filters; rows say `Sponsored Products`."""
    letters = _BLANKS.sub("", value).lower() if isinstance(value, str) else ""
    if letters in _AD_PRODUCTS:
        return _AD_PRODUCTS[letters]
    raise refusal("a known ad product", value)


def _is_whole(value: Decimal) -> bool:
    """Whether a Decimal is a whole number written out in full: `12.0` is, `1.2E+15` is not."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent <= 0 and value == value.to_integral_value()


def _has_six_places(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and (exponent >= -AMOUNT_PLACES or value == round(value, AMOUNT_PLACES))


def is_storable(text: str) -> bool:
    """Whether Postgres can hold the text: no NUL, no lone surrogate."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text))


AmazonId = Annotated[str, PlainValidator(as_amazon_id)]
Count = Annotated[int | None, PlainValidator(as_count)]
Amount = Annotated[Decimal | None, PlainValidator(as_amount)]
Text = Annotated[str, PlainValidator(as_text)]
OptionalText = Annotated[str | None, PlainValidator(as_optional_text)]
KeyText = Annotated[str, PlainValidator(as_key_text)]
ProductId = Annotated[str, PlainValidator(as_product_id)]
LocalDate = Annotated[date, PlainValidator(as_date)]
Currency = Annotated[str, PlainValidator(as_currency)]
Country = Annotated[str, PlainValidator(as_country)]
AdProduct = Annotated[str, PlainValidator(as_ad_product)]
