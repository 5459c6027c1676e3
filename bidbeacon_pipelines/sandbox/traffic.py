"""The numbers of an account's day: a pure function of seed, account, country, ad product, date and the date's age when asked.

All arithmetic is on integers; amounts are millionths of the currency. Each slot of the catalog has three random
64-bit words a day, and each number takes its own bits of them, so that no number depends on another row.

How a day changes with its age: impressions and clicks move until day 3, purchases and sales grow on days 1, 7, 14,
28 and 60; some rows appear on day 2 or 7, some vanish on day 3. Today has its past hours only.
"""

from collections.abc import Iterator
from datetime import date, datetime
from random import Random
from typing import NamedTuple

from bidbeacon_pipelines.sandbox import seeded
from bidbeacon_pipelines.sandbox.entities import Ad, Catalog, Slot, Target, data_seed, local_hours
from bidbeacon_pipelines.sandbox.seeded import seed_number

SETTLED_AGE = 3
"""Age in days from which impressions and clicks stay."""
PURCHASE_STAGES = ((1, 30), (7, 70), (14, 82), (28, 90), (60, 97))
"""Up to an age in days, the percentage of the final purchases that is known; from 60 days on it is all."""

_WEEKDAY_FACTOR = (128, 124, 122, 126, 134, 150, 146)
_HOUR_STEPS = (1, 5, 7, 11)
_NO_NULLS = 1 << 40


class Age(NamedTuple):
    """How old a day is when it is asked for: whole days, and how many of its hours are over (24 but for today)."""

    days: int
    hours: int


class Measures(NamedTuple):
    """What one slot did on one day; `bits` are left over for how the row is written."""

    slot: Slot
    impressions: int
    clicks: int
    purchases: int
    unit_micros: int
    cpc_micros: int
    bits: int

    def part(self, index: int, count: int) -> "Measures":
        """Return the `index`-th of `count` parts; the parts add up to the whole, exactly."""
        return self._replace(
            impressions=_share(self.impressions, index, count),
            clicks=_share(self.clicks, index, count),
            purchases=_share(self.purchases, index, count),
        )


def day_measures(catalog: Catalog, day: date, age: Age) -> Iterator[Measures]:
    """Return what each slot of a catalog did on an account-local day, as known at the day's age.

    Nothing comes for a day that is still to come; today's numbers are those of its hours that are over.
    """
    if age.hours >= 24:  # noqa: PLR2004 - hours of a day
        yield from _whole_day(catalog, day, age.days)
        return
    hours = local_hours(day, catalog.market.zone)
    for measures in _whole_day(catalog, day, age.days):
        past = [part for hour, part in _spread(measures, hours) if hour < age.hours]
        if past:
            yield _sum(past)


def hour_measures(catalog: Catalog, day: date, age: Age) -> Iterator[tuple[int, Measures]]:
    """Return what each slot did in each local hour of a day that is over; a slot's hours add up to its day."""
    hours = local_hours(day, catalog.market.zone)
    for measures in _whole_day(catalog, day, age.days):
        for hour, part in _spread(measures, hours):
            if hour < age.hours:
                yield hour, part


def term_measures(measures: Measures) -> list[tuple[int, Measures]]:
    """Spread a day's measures over one to three search terms, numbered; the parts add up to the day."""
    count = min(1 + (measures.bits >> 58) % 3, max(1, measures.impressions))
    first = first_term(measures)
    return [(first + index, measures.part(index, count)) for index in range(count)]


def first_term(measures: Measures) -> int:
    """Return the number of the first search term that brought a row up."""
    return measures.bits >> 60


def without_nulls(bits: int) -> int:
    """Return the same bits with the mark that keeps zeros from being written as null."""
    return bits | _NO_NULLS


def writes_nulls(bits: int) -> bool:
    """Whether a row with these bits writes null where a metric is zero: one row of 32."""
    return bits >> 40 & 31 == 0


def _spread(measures: Measures, hours: list[int]) -> list[tuple[int, Measures]]:
    """Spread a day's measures over one to six of its local hours; the parts add up to the day."""
    bits, impressions = measures.bits, measures.impressions
    count = min(1 + (bits >> 48) % 6, max(1, impressions))
    first, step, length = (bits >> 51) % 24, _HOUR_STEPS[bits >> 56 & 3], len(hours)
    return [(hours[(first + step * index) % length], measures.part(index, count)) for index in range(count)]


def _whole_day(catalog: Catalog, day: date, age: int) -> Iterator[Measures]:
    if age < 0:
        return
    slots = catalog.slots
    parts = data_seed(catalog.seed, catalog.account_id, catalog.market.country, catalog.product)
    rng = Random(seed_number(*parts, day.isoformat()))  # noqa: S311 - data
    words = memoryview(rng.randbytes(24 * len(slots))).cast("Q")
    factor, early = _WEEKDAY_FACTOR[day.weekday()], max(0, SETTLED_AGE - age)
    known = next((percent for limit, percent in PURCHASE_STAGES if age < limit), 100)
    cents = catalog.market.has_cents
    for slot, base, volume, detail in zip(slots, words[0::3], words[1::3], words[2::3], strict=True):
        if base & 0xFFFF < slot.share and _is_present(base >> 16 & 1023, age):
            yield _measure(slot, (factor, early, known, cents), volume, detail)


def _is_present(fate: int, age: int) -> bool:
    """Whether a row is there at an age: of 1,024 rows 5 appear on day 2, 4 on day 7, and 3 vanish on day 3."""
    if fate > 11:  # noqa: PLR2004 - see the docstring
        return True
    if fate < 5:  # noqa: PLR2004 - the same
        return age >= 2  # noqa: PLR2004 - the same
    return age >= 7 if fate < 9 else age < 3  # noqa: PLR2004 - the same


def _measure(slot: Slot, terms: tuple[int, int, int, bool], volume: int, detail: int) -> Measures:
    factor, early, known, cents = terms
    skew = volume >> 16 & 0xFFFF
    impressions = 1 + ((volume & 0xFFFF) * skew * skew * factor >> 44)
    rate = volume >> 32 & 0xFFFF
    clicks = impressions * rate * rate >> 36
    final = (clicks * (volume >> 48) + (detail & 0x3FFFF)) >> 18
    if early:
        drift = ((detail >> 18 & 0xFF) - 140) * early
        impressions = max(1, impressions + (impressions * drift >> 11))
        clicks = clicks + (clicks * drift >> 11)
    purchases = (final * known + (detail >> 26 & 127) * 100 // 128) // 100
    unit = slot.ad.price_micros if detail >> 33 & 15 else slot.ad.price_micros * 9 // 10
    return Measures(slot, impressions, clicks, purchases, unit, _cpc(slot, detail, cents=cents), detail)


def _cpc(slot: Slot, detail: int, *, cents: bool) -> int:
    """Return a click's price: whole cents (or yen) for most rows, four decimals for some, six for a few."""
    exact = slot.cpc_micros * (40 + (detail >> 37 & 7) * 8 + (detail >> 18 & 0xFF) % 5) // 97
    fineness = detail >> 43 & 3
    if fineness == 0:
        return max(100, exact // 100 * 100) if detail >> 45 & 1 else max(1, exact)
    whole = 10_000 if cents else 1_000_000
    return max(whole, exact // whole * whole)


def _share(value: int, index: int, count: int) -> int:
    return value // count + (index < value % count)


def _sum(parts: list[Measures]) -> Measures:
    return parts[0]._replace(
        impressions=sum(part.impressions for part in parts),
        clicks=sum(part.clicks for part in parts),
        purchases=sum(part.purchases for part in parts),
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
    """Return how old an account-local day is at an instant."""
    local = catalog.local_now(now)
    days = (local.date() - day).days
    return Age(days, local.hour if days == 0 else 24)


def day_lines(catalog: Catalog, day: date, age: Age, *, hourly: bool, terms: bool) -> Iterator[Line]:
    """Return the lines of an account-local day, split by hour or by search term where that is asked for.

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
    return seeded.search_term(stem, number)
