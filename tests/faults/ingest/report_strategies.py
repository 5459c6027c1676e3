"""Strategies of report rows: good ones with what is stored of them, and rows that are bad, or that nobody waits for, by construction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from bidbeacon_pipelines.datasets.registry import (
    DAILY_PRODUCTS,
    DAILY_TARGETS,
    HOURLY_TARGETS,
    Dataset,
)
from tests.support.truth import Key, Metrics, add_row

DATASETS = (DAILY_TARGETS, HOURLY_TARGETS, DAILY_PRODUCTS)
DAYS = (date(2026, 1, 10), date(2026, 1, 11))
"""The clocks of Los Angeles are eight hours behind UTC on both."""
Sent = st.SearchStrategy[tuple[Any, Any]]
"""What is sent, and what is stored of it."""

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
_COUNTS = st.integers(0, 10**12 - 1)
_AMOUNTS = st.decimals(0, Decimal("9999999999.999999"), places=6)


def _as_stored(values: st.SearchStrategy[Any]) -> Sent:
    return values.map(lambda value: (value, value))


# Few values, so that rows have the same key now and then.
_IDS = st.sampled_from([0, 7, 2**53 + 1, 10**20 - 1])
_GOOD: Mapping[str, Sent] = {
    "id": st.one_of(
        _IDS.map(lambda n: (n, str(n))),
        _IDS.map(lambda n: (str(n), str(n))),
        st.just((Decimal("7.0"), "7")),
    ),
    "text": _as_stored(st.sampled_from(["", "a\tb\\N\n", "größe", None]) | _TEXT),
    "product": _as_stored(st.sampled_from(["B01", "B0-2._", "", None])),
    "marketplace": st.sampled_from([("UK", "GB"), ("GB", "GB"), ("DE", "DE"), (None, None)]),
    "count": _as_stored(st.none() | _COUNTS) | _COUNTS.map(lambda n: (Decimal(f"{n}.0"), n)),
    "amount": _as_stored(st.none() | st.integers(0, 10**10 - 1) | _AMOUNTS),
    "currency": _as_stored(st.sampled_from(["USD", "EUR"])),
    "country": st.sampled_from(["US", "us", " US "]).map(lambda country: (country, None)),
    "ad product": st.sampled_from(
        ["Sponsored Products", "SPONSORED_PRODUCTS", "sponsoredProducts"]
    ).map(lambda product: (product, "SPONSORED_PRODUCTS")),
}
_NO_TEXT = st.sampled_from([5, True, ["a"], {}, "a\0", "\ud800"])
_NO_NUMBER = st.sampled_from(
    ["18", "", True, [1], {}, -1, Decimal("-0.5"), Decimal("NaN"), 10**400]
)
_BAD: Mapping[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from([None, "", "12a", " 1", "1" * 21, -1, True, Decimal("1.5"), [], 10**20]),
    "text": _NO_TEXT,
    "product": _NO_TEXT | st.just("two words"),
    "marketplace": _NO_TEXT,
    "count": _NO_NUMBER | st.sampled_from([10**12, Decimal("0.5"), Decimal("1E+3")]),
    "amount": _NO_NUMBER | st.sampled_from([10**10, Decimal("0.1234567"), Decimal("Infinity")]),
    "currency": st.sampled_from([None, "dollar", "usd", 1]),
    "country": st.sampled_from(["USA", 1, ["US"]]),
    "ad product": st.sampled_from([None, "Sponsored Dreams", 1]),
    "date": st.sampled_from([None, "2026-02-30", "20260110", 20260110, "2026-01-09"]),
    "hour": st.sampled_from([None, 24, -1, "noon", True, "2026-01-09T01:00:00", Decimal("1.5")]),
}


@dataclass(frozen=True)
class Row:
    """A row of a report; `key` is None where it is not stored, and `is_bad` then says whether it is set aside."""

    raw: dict[str, Any]
    is_bad: bool
    key: Key | None = None
    metrics: Metrics = ()


def _kinds(dataset: Dataset) -> dict[str, str]:
    """Return the kind of each field of a report of Sponsored Products, as `_BAD` names it."""
    common = {
        "date.value": "date",
        "budgetCurrency.value": "currency",
        "adProduct.value": "ad product",
        "campaign.country": "country",
    }
    hour = {"hour.value": "hour"} if dataset.is_hourly else {}
    declared = {one.field: one.kind for one in dataset.dimensions_and_metrics}
    return common | hour | declared


@st.composite
def good_rows(draw: st.DrawFn, dataset: Dataset) -> Row:
    """Draw a row that is stored."""
    kinds = _kinds(dataset)
    drawn = {field: draw(_GOOD[kind]) for field, kind in kinds.items() if kind in _GOOD}
    raw, stored = ({field: value[n] for field, value in drawn.items()} for n in (0, 1))
    day = draw(st.sampled_from(DAYS))
    raw["date.value"], hour_at = str(day), None
    if dataset.is_hourly:
        hour = draw(st.integers(0, 23))
        forms = [hour, str(hour), f"{day}T{hour:02}:00:00", f"{day}T{hour:02}:00:00-08:00"]
        raw["hour.value"] = draw(st.sampled_from(forms))
        hour_at = datetime(day.year, day.month, day.day, 8, tzinfo=UTC) + timedelta(hours=hour)
    named = (stored[one.field] for one in dataset.keys)
    key = (day, hour_at, stored["budgetCurrency.value"], *named)
    return Row(raw, is_bad=False, key=key, metrics=tuple(stored[m.field] for m in dataset.metrics))


@st.composite
def bad_rows(draw: st.DrawFn, dataset: Dataset) -> Row:
    """Draw a row with some fields that are invalid or missing."""
    row, kinds = draw(good_rows(dataset)), _kinds(dataset)
    fields = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=3, unique=True))
    bad = {field: draw(_BAD[kinds[field]]) for field in fields}
    raw = row.raw | bad
    if draw(st.booleans()) and fields[0] != "campaign.country":
        del raw[fields[0]]  # one country of the ads account: its rows need not name it
    return Row(raw, is_bad=True)


@st.composite
def foreign_rows(draw: st.DrawFn, dataset: Dataset) -> Row:
    """Draw a row of another country or ad product, good otherwise or not."""
    row = draw(good_rows(dataset) | bad_rows(dataset))
    other = {"campaign.country": "CA"}
    if draw(st.booleans()):
        other = {"campaign.country": "US", "adProduct.value": "Sponsored Brands"}
    return Row(row.raw | other, is_bad=False)


def reports(dataset: Dataset) -> st.SearchStrategy[list[Row]]:
    """Return the strategy of reports: most rows are good."""
    one = st.one_of(
        good_rows(dataset), good_rows(dataset), bad_rows(dataset), foreign_rows(dataset)
    )
    return st.lists(one, max_size=12)


def summed(rows: Sequence[Row]) -> dict[Key, Metrics]:
    """Return what is stored of rows: those of one key are summed, and null adds nothing."""
    sums: dict[Key, Metrics] = {}
    for row in rows:
        if row.key is not None:
            add_row(sums, row.key, row.metrics)
    return sums
