"""The rules of each field of a row, written down anew: what is good, what is bad, and what a reader may take either way.

Values are what `json` gives, numbers as they were written.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, timedelta
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

from bidbeacon_pipelines.datasets.registry import Dataset
from tests.faults.ingest.fuzz_documents import Number
from tests.hours_by_walking import hours_by_walking

TIME_ZONE = "America/Los_Angeles"
HIGHEST_COUNT, AMOUNT_LIMIT, MILLION, EXACT_FLOAT = 2**63 - 1, 10**14, 10**6, 2**53
NAMES = ("campaign.name",)

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_PLAIN = re.compile(r"[0-9]+(\.[0-9]{1,6})?")
_WHOLE = re.compile(r"[0-9]+")
_ID = re.compile(r"[0-9]{1,20}")
_PRODUCT = re.compile(r"[A-Za-z0-9._-]{1,100}")
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})([T ])([0-9]{2}):00(:00(?:\.0+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)


class Word(IntEnum):
    """What is said of a value, a row or a document; the worst word of a row's values is the row's."""

    GOOD = 1
    EITHER = 2
    BAD = 3
    FOREIGN = 4


class Told(NamedTuple):
    """What is said of a value, and the value where it can be stored."""

    word: Word
    value: Any = None


BAD = Told(Word.BAD)
Rule = Callable[[Any], Told]


def as_id(value: Any) -> Told:
    """Judge an id: up to 20 digits, as text or as a number; one with a point went through a float."""
    if isinstance(value, Number):
        if _ID.fullmatch(value):
            return Told(Word.GOOD, str(value))
        number = _decimal(value)
        if number is None or not 0 <= number <= EXACT_FLOAT or not _is_whole(number):
            return BAD
        return Told(Word.EITHER, str(int(number)))
    return Told(Word.GOOD, value) if isinstance(value, str) and _ID.fullmatch(value) else BAD


def as_count(value: Any) -> Told:
    """Judge a count: a whole number that bigint holds, or null."""
    if value is None:
        return Told(Word.GOOD, None)
    number = _decimal(value)
    if number is None or not 0 <= number <= HIGHEST_COUNT or not _is_whole(number):
        return BAD
    return Told(Word.GOOD if _WHOLE.fullmatch(value) else Word.EITHER, int(number))


def as_amount(value: Any) -> Told:
    """Judge an amount: below 10^14, with at most six decimals, or null."""
    if value is None:
        return Told(Word.GOOD, None)
    number = _decimal(value)
    if number is None or not 0 <= number < AMOUNT_LIMIT:
        return BAD
    micros = (
        _EXACT.multiply(number, Decimal(MILLION)) if number.adjusted() > -100 else Decimal("0.1")
    )
    if number != 0 and not _is_whole(micros):
        return BAD
    return Told(
        Word.GOOD if _PLAIN.fullmatch(value) else Word.EITHER, abs(number) if number else Decimal(0)
    )


def as_text(value: Any) -> Told:
    """Judge a text: anything that PostgreSQL can hold, or null."""
    if value is None:
        return Told(Word.GOOD, None)
    if isinstance(value, Number) or not isinstance(value, str) or "\0" in value:
        return BAD
    if any("\ud800" <= char <= "\udfff" for char in value):
        return BAD
    return Told(Word.GOOD, value)


def as_product(value: Any) -> Told:
    """Judge a product's id; an ad may have no product."""
    if value is None or value == "":
        return Told(Word.GOOD, value)
    return _matched(_PRODUCT, value)


def as_marketplace(value: Any) -> Told:
    """Judge a marketplace; the United Kingdom has two names."""
    told = as_text(value)
    is_uk = isinstance(value, str) and value.strip().upper() == "UK"
    return told._replace(value="GB") if is_uk and told.word is Word.GOOD else told


def as_placement(value: Any) -> Told:
    """Judge a placement: known ones have one spelling."""
    told = as_text(value)
    letters = "" if told.value is None else re.sub("[^a-z]", "", told.value.lower())
    known = _PLACEMENTS.get(letters.removesuffix("onamazon"))
    return told if known is None else told._replace(value=known)


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


def as_currency(value: Any) -> Told:
    """Judge a currency."""
    return _matched(re.compile("[A-Z]{3}"), value)


def as_date(value: Any, *, days: Collection[date]) -> Told:
    """Judge a date: one of the days that were asked for."""
    found = {str(day): day for day in days}.get(value) if type(value) is str else None
    return BAD if found is None else Told(Word.GOOD, found)


def as_country(value: Any, *, own: str) -> Told:
    """Judge a country: no value is the account's own."""
    if value is None or value == "":
        return Told(Word.GOOD, own)
    if not isinstance(value, str):
        return BAD
    letters = value.strip().upper()
    if not re.fullmatch("[A-Z]{2}", letters):
        return BAD
    if letters == own:
        return Told(Word.GOOD, own)
    return Told(Word.FOREIGN, letters)


def as_ad_product(value: Any, *, asked: Collection[str]) -> Told:
    """Judge an ad product: one that was not asked for is foreign, an unknown one bad."""
    letters = re.sub(r"[\s_]+", "", value).lower() if type(value) is str else ""
    known = {one.replace("_", "").lower(): one for one in _AD_PRODUCTS}
    if letters not in known:
        return BAD
    return Told(Word.GOOD if known[letters] in asked else Word.FOREIGN, known[letters])


_AD_PRODUCTS = (
    *("SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"),
    *("SPONSORED_TELEVISION", "AMAZON_DSP"),
)


def as_hour(value: Any, *, day: date | None) -> Told:
    """Judge an hour of a day that can't be told without it: a number, its digits, or a local timestamp."""
    if isinstance(value, Number):
        number = _decimal(value)
        if number is None or not 0 <= number <= 23 or not _is_whole(number):
            return BAD
        return _begun(Word.GOOD if _WHOLE.fullmatch(value) else Word.EITHER, day, int(number))
    if not isinstance(value, str):
        return BAD
    if re.fullmatch("[0-9]{1,2}", value):
        return _begun(Word.GOOD, day, int(value))
    return _of_timestamp(value, day)


def _of_timestamp(value: str, day: date | None) -> Told:
    found = _TIMESTAMP.fullmatch(value)
    if found is None or (day is not None and found[1] != str(day)):
        return BAD
    canonical = found[2] == "T" and found[4] == ":00"
    return _begun(Word.GOOD if canonical else Word.EITHER, day, int(found[3]), found[5])


def _begun(word: Word, day: date | None, hour: int, offset: str | None = None) -> Told:
    """Give the instant at which an hour begins: the first of two, unless the offset is that of the second."""
    if hour > 23:
        return BAD
    if day is None:
        return Told(word)
    begins = hours_by_walking(day, TIME_ZONE).get(hour, [])
    if offset is not None:
        begins = [
            instant
            for instant in begins
            if _wall(day, hour) - instant.replace(tzinfo=None) == _delta(offset)
        ]
    return Told(word, begins[0]) if begins else BAD


def _wall(day: date, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour)  # noqa: DTZ001 - a clock on a wall


def _delta(offset: str) -> timedelta:
    if offset == "Z":
        return timedelta(0)
    digits = offset[1:].replace(":", "")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if offset[0] == "-" else size


def _matched(pattern: re.Pattern[str], value: Any) -> Told:
    return Told(Word.GOOD, value) if type(value) is str and pattern.fullmatch(value) else BAD


def _decimal(value: Any) -> Decimal | None:
    """Give a written number's value; None for what is no finite number, or is so far out that no column holds it."""
    if not isinstance(value, Number):
        return None
    try:
        number = _EXACT.create_decimal(value)
    except ArithmeticError:
        return None
    vanished = number == 0 and re.match(r"-?[0.]*[1-9]", value)
    return number if number.is_finite() and not vanished else None


def _is_whole(number: Decimal) -> bool:
    return number == 0 or (
        number.adjusted() >= 0 and number == number.to_integral_value(context=_EXACT)
    )


def rules_of(dataset: Dataset, days: Collection[date]) -> Mapping[str, Rule]:
    """Return the rule of every field of a dataset but its hour, country and ad product, which need more than the field."""
    return {
        "date.value": partial(as_date, days=days),
        "budgetCurrency.value": as_currency,
        **{one.field: _RULES[one.kind] for one in dataset.dimensions_and_metrics},
    }


_RULES: Mapping[str, Rule] = {
    "id": as_id,
    "text": as_text,
    "product": as_product,
    "marketplace": as_marketplace,
    "placement": as_placement,
    "count": as_count,
    "amount": as_amount,
}
