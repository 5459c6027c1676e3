"""An account's day at the grain that was asked for: by target, hour or search term; still without any wire format."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

from bidbeacon_pipelines.sandbox import vocabulary
from bidbeacon_pipelines.sandbox.entities import Ad, Catalog, Slot, Target
from bidbeacon_pipelines.sandbox.traffic import (
    Age,
    Measures,
    day_measures,
    first_term,
    hour_measures,
    term_measures,
)


class Line(NamedTuple):
    """What one ad and one target did in one day, or in one of its hours, or for one search term of it.

    `hour` is account-local; `sales` and `cost` are millionths of the currency.
    """

    ad: Ad
    target: Target | None
    hour: int | None
    term: str | None
    impressions: int
    clicks: int
    purchases: int
    sales: int
    cost: int
    bits: int


def age_of(catalog: Catalog, day: date, now: datetime) -> Age:
    """Give how old an account-local day is at an instant."""
    local = catalog.local_now(now)
    days = (local.date() - day).days
    return Age(days, local.hour if days == 0 else 24)


def day_lines(catalog: Catalog, day: date, age: Age, *, hourly: bool, terms: bool) -> Iterator[Line]:
    """Give the lines of an account-local day, split by hour or by search term where that is asked for.

    Hours miss a little of the day, as Amazon's two pipelines differ. Only search terms with a click are reported.
    With both, an hour is not split further: all that an ad and a target did in it is the first term's.
    """
    if hourly:
        for hour, counted in hour_measures(catalog, day, age):
            measures = _with_misses(counted)
            yield _line(catalog, day, measures, hour, first_term(measures) if terms else None)
        return
    for measures in day_measures(catalog, day, age):
        if not terms:
            yield _line(catalog, day, measures, None, None)
            continue
        for number, part in term_measures(measures):
            if part.clicks:
                yield _line(catalog, day, part, None, number)


def _with_misses(measures: Measures) -> Measures:
    """Return the measures of an hour without every 25th click and every 50th impression."""
    clicks = measures.clicks - measures.clicks // 25
    return measures._replace(impressions=measures.impressions - measures.impressions // 50, clicks=clicks)


def _line(catalog: Catalog, day: date, measures: Measures, hour: int | None, term: int | None) -> Line:
    slot, impressions, clicks, purchases, unit, cpc, bits = measures
    target = catalog.target_of(slot, day) if slot.late else slot.target
    text = None if term is None else _search_term(slot, target, term)
    sales, cost = purchases * unit, clicks * cpc
    return Line(slot.ad, target, hour, text, impressions, clicks, purchases, sales, cost, bits)


def _search_term(slot: Slot, target: Target | None, number: int) -> str:
    stem = target.text if target is not None and target.text else slot.ad.asin or ""
    return vocabulary.search_term(stem, number)
