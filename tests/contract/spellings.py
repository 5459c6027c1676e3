"""Strategies of report rows: values of the types in Amazon's catalogue, in each of their spellings, and what is stored of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st

from bidbeacon_pipelines.datasets.fields import (
    AD_PRODUCT_FIELD,
    COUNTRY_FIELD,
    CURRENCY_FIELD,
    DATE_FIELD,
    HOUR_FIELD,
    SPONSORED_BRANDS,
    SPONSORED_DISPLAY,
    SPONSORED_PRODUCTS,
    Dimension,
    Metric,
)
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_sandbox.traffic import OTHER_PLACEMENTS
from tests.contract.catalogue import DOCUMENTS

DAY, OTHER_DAY = date(2025, 12, 29), date(2025, 12, 28)
"""The day that is waited for, and another one of the report. The account is in London, where winter is UTC."""
COUNTRY, TIME_ZONE = "GB", "Europe/London"


class Spelled(NamedTuple):
    """A value as a report has it, and as it is stored."""

    value: Any
    stored: Any


Spellings = st.SearchStrategy[Spelled]
MISSING: Final = object()
"""In place of the value of a field that doesn't come."""


def _alike(values: st.SearchStrategy[Any]) -> Spellings:
    return values.map(lambda value: Spelled(value, value))


def _each(spelled: Mapping[Any, Any]) -> Spellings:
    return st.sampled_from([Spelled(value, stored) for value, stored in spelled.items()])


_NULL: Spellings = st.just(Spelled(None, None))
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_NO_TEXT = st.sampled_from([5, True, ["a"], {}, "a\0b", "\ud800"])
_COUNTS = st.integers(0, 10**12 - 1)
_AMOUNTS = st.decimals(0, 10**10 - 1, places=6)
_IDS = st.integers(0, 10**19)
_PRODUCTS = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True)

_OF_TYPE: Mapping[str, tuple[Spellings, st.SearchStrategy[Any]]] = {
    "LONG": (
        _NULL | _alike(_COUNTS) | _COUNTS.map(lambda count: Spelled(Decimal(f"{count}.0"), count)),
        st.sampled_from([-1, 10**12, Decimal("1.5"), "18", "", True, [], {}]),
    ),
    "CURRENCY": (
        _NULL | _alike(_AMOUNTS) | _alike(st.integers(0, 10**10 - 1)),
        st.sampled_from([Decimal("-0.01"), 10**10, Decimal("0.1234567"), "9.87", "", False, []]),
    ),
}
"""By the catalogue's type of a metric: the spellings that are understood, and values that are not."""

_OF_KIND: Mapping[str, tuple[Spellings, st.SearchStrategy[Any]]] = {
    "id": (
        _IDS.map(lambda id_: Spelled(id_, str(id_))) | _alike(_IDS.map(str)),
        st.sampled_from([None, "", "12a", " 1", -5, Decimal("1.5"), Decimal("9007199254740994.0")]),
    ),
    "text": (_NULL | _alike(_TEXT), _NO_TEXT),
    "product": (
        _NULL | _alike(st.just("")) | _alike(_PRODUCTS),
        st.sampled_from([5, "B0 X", "a\0", []]),
    ),
    "marketplace": (
        _NULL | _each({"US": "US", "UK": "GB", "uk": "GB", "GB": "GB", "": ""}),
        _NO_TEXT,
    ),
    "placement": (
        _NULL
        | _each(OTHER_PLACEMENTS)
        | _alike(
            st.sampled_from([*OTHER_PLACEMENTS.values(), "SITE_AMAZON_BUSINESS", "On the Moon"])
        ),
        _NO_TEXT,
    ),
}
"""By our kind of a dimension, all of which are text in the catalogue."""

_AD_PRODUCTS = {
    SPONSORED_PRODUCTS: ("Sponsored Products", "SPONSORED_PRODUCTS", "sponsoredProducts"),
    SPONSORED_BRANDS: ("Sponsored Brands", "SPONSORED_BRANDS", "sponsored brands"),
    SPONSORED_DISPLAY: ("Sponsored Display", "SPONSORED_DISPLAY", "sponsoredDisplay"),
}
_HOURS = st.integers(0, 23).flatmap(
    lambda hour: st.sampled_from(
        [hour, str(hour), f"{hour:02}", Decimal(f"{hour}.0"), f"{DAY}T{hour:02}:00:00"]
    ).map(lambda value: Spelled(value, datetime(DAY.year, DAY.month, DAY.day, hour, tzinfo=UTC)))
)
_BASE: Mapping[str, tuple[Spellings, st.SearchStrategy[Any]]] = {
    DATE_FIELD: (
        st.just(Spelled(str(DAY), DAY)),
        st.sampled_from([None, "", "20251229", "2025-12-29T00:00:00", "2026-01-01", 20251229]),
    ),
    HOUR_FIELD: (_HOURS, st.sampled_from([None, "", 24, -1, "24", True, "2025-12-28T09:00:00"])),
    COUNTRY_FIELD: (
        _each({"UK": "GB", "GB": "GB", "gb": "GB"}),
        st.sampled_from([None, "", "United Kingdom", 44]),
    ),
    CURRENCY_FIELD: (
        _each({"GBP": "GBP", "EUR": "EUR"}),
        st.sampled_from([None, "", "gbp", "Pound", 826]),
    ),
}
_UNKNOWN = {"metric.somethingNew": 1, "country.value": "FR", "campaign.notes": {"a": [None]}}
_OTHERS: Mapping[str, st.SearchStrategy[Any]] = {
    COUNTRY_FIELD: st.sampled_from(["US", "DE", "fr"]),
    AD_PRODUCT_FIELD: st.sampled_from(["Amazon DSP", "SPONSORED_TELEVISION"]),
    DATE_FIELD: st.just(str(OTHER_DAY)),
}
"""Values of rows that nothing waits for."""


@dataclass
class Row:
    """A row as a report has it, and what becomes of it.

    `stored` are its columns, where it is good; `fault` is the field for which it is set aside.
    """

    values: dict[str, Any]
    stored: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None
    is_other: bool = False


@st.composite
def rows(draw: st.DrawFn, dataset: Dataset, ad_products: tuple[str, ...]) -> Row:
    """Draw a row of a report: half of them good, the others with one field that can't be understood, or that nothing waits for."""
    ad_product = draw(st.sampled_from(ad_products))
    row = _good(draw, dataset, ad_product)
    must_come = {*dataset.fields_for([ad_product])} & row.values.keys() - {"campaign.name"}
    kind = draw(st.sampled_from(["good", "good", "bad", "other"]))
    if kind == "bad":
        row.fault = draw(st.sampled_from(sorted(must_come)))
        row.values[row.fault] = draw(st.just(MISSING) | _bad(dataset, row.fault))
    elif kind == "other":
        name = draw(st.sampled_from(sorted(_OTHERS)))
        row.values[name] = draw(_OTHERS[name])
        row.is_other = True
    row.values = {name: value for name, value in row.values.items() if value is not MISSING}
    for name, other in dataset.other_names.items():
        if name in row.values and draw(st.booleans()):
            row.values[other] = row.values.pop(name)
    if draw(st.booleans()):
        row.values |= _UNKNOWN
    return row


def _good(draw: st.DrawFn, dataset: Dataset, ad_product: str) -> Row:
    row = Row({AD_PRODUCT_FIELD: draw(st.sampled_from(_AD_PRODUCTS[ad_product]))})
    row.stored["ad_product"] = ad_product
    columns = {DATE_FIELD: "window_date", CURRENCY_FIELD: "currency_code", COUNTRY_FIELD: None}
    for name, column in (
        {**columns, HOUR_FIELD: "hour_at"} if dataset.is_hourly else columns
    ).items():
        row.values[name], stored = draw(_BASE[name][0])
        row.stored |= {column: stored} if column else {}
    asked = {*dataset.fields_for([ad_product])}
    for declared in dataset.dimensions_and_metrics:
        spelled = draw(spellings_of(declared)[0])
        if declared.field not in asked or declared.field == "campaign.name":
            spelled = draw(st.sampled_from([spelled, Spelled(MISSING, None)]))
        row.values[declared.field], row.stored[declared.column] = spelled
        if isinstance(declared, Dimension) and declared.kind == "placement":
            row.stored[f"{declared.column}_reported"] = spelled.value
    return row


def _bad(dataset: Dataset, name: str) -> st.SearchStrategy[Any]:
    if name == AD_PRODUCT_FIELD:
        return st.sampled_from([None, "", "Sponsored Moons", 1])
    if name in _BASE:
        return _BASE[name][1]
    declared = next(one for one in dataset.dimensions_and_metrics if one.field == name)
    return spellings_of(declared)[1]


def spellings_of(declared: Dimension | Metric) -> tuple[Spellings, st.SearchStrategy[Any]]:
    """Return the spellings of a field that are understood, and values that are not, by the catalogue's type."""
    assert DOCUMENTS is not None
    type_ = DOCUMENTS.fields()[declared.field]["data_type"]
    return _OF_KIND[declared.kind] if type_ == "STRING" else _OF_TYPE[type_]
