"""The types of the fields of report rows: accepted values, and errors for all others.

Each type is a function that returns the value as it is stored, or raises "expected X, got: Y".
`loading.rows` adds the field's name. Numbers are limited so that the sum of thousands of rows fits
into its column: bigint for counts, numeric(20,6) for amounts.
"""

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache

COUNT_DIGITS, AMOUNT_DIGITS, AMOUNT_PLACES = 12, 10, 6
"""The most digits of a count, of an amount's whole part and of an amount's decimals."""
_COUNT_LIMIT, _AMOUNT_LIMIT = 10**COUNT_DIGITS, 10**AMOUNT_DIGITS
MOST_ID_DIGITS = 20
_ID_LIMIT = 10**MOST_ID_DIGITS
EXACT_FLOAT_LIMIT = 2**53
"""The largest accepted id with a decimal point, since larger floats are inexact."""
SHOWN_CHARS = 80

_DIGITS = re.compile(r"[0-9]{1,20}\Z")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_PRODUCT_ID = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_BLANKS = re.compile(r"[\s_]+")
_NO_LETTERS = re.compile(r"[^a-z]+")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_COUNTRY = re.compile(r"[A-Z]{2}\Z")


class FieldError(ValueError):
    """A field's value is invalid. The message contains the expected and the actual value."""

    def __init__(self, expected: str, value: object) -> None:
        self.expected, self.got = expected, shown(value)
        super().__init__(f"expected {expected}, got: {self.got}")


def shown(value: object) -> str:
    """Return a value as short text for messages: None as `nothing`, strings in quotes."""
    if value is None:
        return "nothing"
    text = str(value) if isinstance(value, Decimal) else ascii(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def as_amazon_id(value: object) -> str:
    """Accept an id that is a string of digits or a whole number; return it as a string."""
    if isinstance(value, str) and _DIGITS.match(value):
        return value
    if type(value) is int and 0 <= value < _ID_LIMIT:
        return str(value)
    if isinstance(value, Decimal) and _is_whole(value) and 0 <= value <= EXACT_FLOAT_LIMIT:
        return str(int(value))
    raise FieldError(f"an id of at most {MOST_ID_DIGITS} digits", value)


def as_count(value: object) -> int | None:
    """Accept a whole number of at least 0 and below 10^12, or null."""
    if value is None or (type(value) is int and 0 <= value < _COUNT_LIMIT):
        return value
    if isinstance(value, Decimal) and _is_whole(value) and 0 <= value < _COUNT_LIMIT:
        return int(value)
    raise FieldError(f"a whole number from 0 to below 10^{COUNT_DIGITS}, or null", value)


def as_amount(value: object) -> Decimal | int | None:
    """Accept an amount of at least 0 and below 10^10 with at most 6 decimals, or null."""
    if value is None or (type(value) is int and 0 <= value < _AMOUNT_LIMIT):
        return value
    if isinstance(value, Decimal) and _is_amount(value):
        return abs(value)  # a zero may carry a minus sign
    expected = f"an amount from 0 to below 10^{AMOUNT_DIGITS} with at most {AMOUNT_PLACES} decimals"
    raise FieldError(f"{expected}, or null", value)


def _is_amount(value: Decimal) -> bool:
    return value.is_finite() and 0 <= value < _AMOUNT_LIMIT and value == round(value, AMOUNT_PLACES)


def as_text(value: object) -> str | None:
    """Accept null or any text that Postgres can store; return it unchanged."""
    if value is None or (isinstance(value, str) and is_storable(value)):
        return value
    raise FieldError("text without NUL and lone surrogates", value)


def as_product(value: object) -> str | None:
    """Accept a product's id (letters, digits and `._-`; usually an ASIN), empty text or null."""
    if value is None or value == "" or (isinstance(value, str) and _PRODUCT_ID.match(value)):
        return value
    raise FieldError("an ASIN or another product id (at most 100 letters, digits, and ._-)", value)


def as_marketplace(value: object) -> str | None:
    """Accept a marketplace, usually a country's two letters; Amazon's `UK` becomes `GB`."""
    country = as_text(value)
    return "GB" if country is not None and country.strip().upper() == "UK" else country


_PLACEMENTS = {
    "topofsearch": "TOP_OF_SEARCH",
    "detailpage": "PRODUCT_PAGE",
    "productpage": "PRODUCT_PAGE",
    "productpages": "PRODUCT_PAGE",
    "other": "REST_OF_SEARCH",
    "restofsearch": "REST_OF_SEARCH",
    "offamazon": "OFF_AMAZON",
    "siteamazonbusiness": "SITE_AMAZON_BUSINESS",
}


def as_placement(value: object) -> str | None:
    """Accept a placement or null; return known placements in one spelling, others unchanged."""
    placement = as_text(value)
    if placement is None:
        return None
    letters = _NO_LETTERS.sub("", placement.lower()).removesuffix("onamazon")
    return _PLACEMENTS.get(letters, placement)


def as_date(value: object) -> date:
    """Accept a calendar date in the form YYYY-MM-DD."""
    day = find_date(value)
    if day is None:
        raise FieldError("a date YYYY-MM-DD", value)
    return day


def find_date(value: object) -> date | None:
    """Return the date if the value is text in the form YYYY-MM-DD, else None."""
    return _parse_date(value) if isinstance(value, str) else None


@lru_cache(maxsize=4096)
def _parse_date(text: str) -> date | None:
    if not _ISO_DATE.match(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def as_currency(value: object) -> str:
    """Accept a currency code of three capital letters."""
    if isinstance(value, str) and _CURRENCY.match(value):
        return value
    raise FieldError("a currency code of three capital letters", value)


def as_country(value: object) -> str:
    """Accept a country code of two letters; Amazon's `UK` becomes `GB`."""
    letters = value.strip().upper() if isinstance(value, str) else ""
    if _COUNTRY.match(letters):
        return "GB" if letters == "UK" else letters
    raise FieldError("a country code of two letters", value)


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
    """Accept a known ad product in any spelling; return it in ours: `SPONSORED_PRODUCTS`."""
    product = find_ad_product(value)
    if product is None:
        raise FieldError("a known ad product such as SPONSORED_PRODUCTS", value)
    return product


def find_ad_product(value: object) -> str | None:
    """Return a known ad product in our spelling (`SPONSORED_PRODUCTS`), else None."""
    return _AD_PRODUCTS.get(_BLANKS.sub("", value).lower()) if isinstance(value, str) else None


def _is_whole(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent  # 12.0 counts as whole, 1.2E+15 does not
    return isinstance(exponent, int) and exponent <= 0 and value == value.to_integral_value()


def is_storable(text: str) -> bool:
    """Return whether Postgres can store the text: it has no NUL and no lone surrogate."""
    return _UNSTORABLE.search(text) is None
