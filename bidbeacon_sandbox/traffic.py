"""The numbers of an account's day: a pure function of seed, account, country, ad product, date and the date's age when asked.

All arithmetic is on integers; amounts are millionths of the currency. Each slot of the catalog has
three random 64-bit words a day, and each number takes its own bits of them, so that no number
depends on another row. Whatever a day is split by (hours, placements, search terms), each count is
split evenly, so that the parts add up to the day.

How a day changes with its age: impressions and clicks move until day 3, purchases and sales grow on
days 1, 7, 14, 28 and 60; some rows appear on day 2 or 7, some vanish on day 3. Today has its past
hours only.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from operator import add
from random import Random
from typing import Literal, NamedTuple

from bidbeacon_sandbox.entities import Ad, Catalog, Slot, Target, data_seed, local_hours
from bidbeacon_sandbox.seeded import search_term, seed_number

Split = Literal["search_term", "matched_target", "placement", "purchased_product"]
"""The dimensions that the lines of a day can be split by, besides hours."""
SETTLED_AGE = 3
"""Age in days from which impressions and clicks stay."""
PURCHASE_STAGES = ((1, 30), (7, 70), (14, 82), (28, 90), (60, 97))
"""Up to an age in days, the percentage of the final purchases that is known; from 60 days on it is all."""
PLACEMENTS = (
    ("Top of Search on-Amazon", "TOP_OF_SEARCH"),
    ("Detail Page on-Amazon", "PRODUCT_PAGE"),
    ("Other on-Amazon", "REST_OF_SEARCH"),
    ("Off Amazon", "OFF_AMAZON"),
    ("SITE_AMAZON_BUSINESS", "SITE_AMAZON_BUSINESS"),
)
"""Each placement in the two spellings that were seen; a campaign always has the same one."""

_WEEKDAY_FACTOR = (128, 124, 122, 126, 134, 150, 146)
_HOUR_STEPS = (1, 5, 7, 11)
_NO_NULLS = 1 << 40


class Age(NamedTuple):
    """How old a day is when it is asked for: whole days, and how many of its hours are over (24 but for today)."""

    days: int
    hours: int


class Orders(NamedTuple):
    """The purchases of a slot, and how many of them are of what kind; all but `extra_units` are at most `purchases`."""

    purchases: int
    extra_units: int
    halo: int
    views: int
    new_to_brand: int


class Measures(NamedTuple):
    """What one slot did on one day; `bits` are left over for how the row is written."""

    slot: Slot
    impressions: int
    clicks: int
    viewable: int
    orders: Orders | None
    unit_micros: int
    price_micros: int
    bits: int

    @property
    def purchases(self) -> int:
        """The number of purchases."""
        return self.orders.purchases if self.orders else 0

    def part(self, index: int, count: int) -> "Measures":
        """Return the `index`-th of `count` parts; the parts add up to the whole, exactly."""
        if count == 1:
            return self
        slot, impressions, clicks, viewable, orders, unit, price, bits = self
        return Measures(
            slot,
            impressions // count + (index < impressions % count),
            clicks // count + (index < clicks % count),
            viewable // count + (index < viewable % count),
            _part_of(orders, index, count) if orders else None,
            unit,
            price,
            bits,
        )


class Line(NamedTuple):
    """The figures of one ad and one target on one day, in one of its hours, or for one value of what the day is split by.

    `hour` is account-local; `cost` is in millionths. `conversions` are purchases, sales
    (millionths) and units, four
    times: of all, of other products (halo), after views, and new to the brand; None where there are
        none.
    """

    ad: Ad
    target: Target | None
    hour: int | None
    split: str | None
    impressions: int
    clicks: int
    cost: int
    viewable: int
    conversions: tuple[int, ...] | None
    bits: int

    def plus(self, other: "Line") -> "Line":
        """Return the sum of two lines that differ only in what wasn't asked for; nulls stay where both have them."""
        mine, theirs = self.conversions, other.conversions
        bits = self.bits if writes_nulls(other.bits) else self.bits | _NO_NULLS
        return Line(
            self.ad,
            self.target,
            self.hour,
            self.split,
            self.impressions + other.impressions,
            self.clicks + other.clicks,
            self.cost + other.cost,
            self.viewable + other.viewable,
            tuple(map(add, mine, theirs)) if mine and theirs else mine or theirs,
            bits,
        )


def age_of(catalog: Catalog, day: date, now: datetime) -> Age:
    """Return how old an account-local day is at an instant."""
    local = catalog.local_now(now)
    days = (local.date() - day).days
    return Age(days, local.hour if days == 0 else 24)


def day_lines(
    catalog: Catalog, day: date, age: Age, *, hourly: bool = False, split: Split | None = None
) -> Iterator[Line]:
    """Yield the lines of an account-local day, by hour or split by something else where that is asked for.

    Hours miss a little of the day, as Amazon's two pipelines differ. Only search terms with a click
    are reported, and only purchases whose product is known. Matched targets exist for Sponsored
    Display only.
    """
    if hourly:
        for hour, counted in hour_measures(catalog, day, age):
            yield _line(catalog, day, _with_misses(counted), hour, None)
        return
    for measures in day_measures(catalog, day, age):
        if split is None:
            yield _line(catalog, day, measures, None, None)
        else:
            for value, part in _SPLITTERS[split](catalog, day, measures):
                yield _line(catalog, day, part, None, value)


def day_measures(catalog: Catalog, day: date, age: Age) -> Iterator[Measures]:
    """Yield what each slot of a catalog did on an account-local day, as known at the day's age.

    Nothing comes for a day that is still to come; today's numbers are those of its hours that are
    over.
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
    """Yield what each slot did in each local hour of a day that is over; a slot's hours add up to its day."""
    hours = local_hours(day, catalog.market.zone)
    for measures in _whole_day(catalog, day, age.days):
        for hour, part in _spread(measures, hours):
            if hour < age.hours:
                yield hour, part


def term_measures(measures: Measures) -> list[tuple[int, Measures]]:
    """Spread a day's measures over one to three search terms, numbered; the parts add up to the day."""
    return _parts(measures, 1 + (measures.bits >> 58) % 3)


def writes_nulls(bits: int) -> bool:
    """Return whether a row with these bits writes null where a metric is zero: one row of 32."""
    return bits >> 40 & 31 == 0


def _parts(measures: Measures, count: int) -> list[tuple[int, Measures]]:
    """Spread a day's measures over so many numbered parts, fewer where there are fewer impressions."""
    count, first = min(count, max(1, measures.impressions)), measures.bits >> 60
    return [(first + index, measures.part(index, count)) for index in range(count)]


def _spread(measures: Measures, hours: list[int]) -> list[tuple[int, Measures]]:
    """Spread a day's measures over one to six of its local hours; the parts add up to the day."""
    bits, impressions = measures.bits, measures.impressions
    count = min(1 + (bits >> 48) % 6, max(1, impressions))
    first, step, length = (bits >> 51) % 24, _HOUR_STEPS[bits >> 56 & 3], len(hours)
    return [
        (hours[(first + step * index) % length], measures.part(index, count))
        for index in range(count)
    ]


def _with_misses(measures: Measures) -> Measures:
    """Return the measures of an hour without every 25th click and every 50th impression."""
    slot, impressions, clicks, viewable, orders, unit, price, bits = measures
    seen, viewed = impressions - impressions // 50, viewable - viewable // 50
    return Measures(slot, seen, clicks - clicks // 25, viewed, orders, unit, price, bits)


def _line(
    catalog: Catalog, day: date, measures: Measures, hour: int | None, split: str | None
) -> Line:
    slot, impressions, clicks, viewable, orders, unit, price, bits = measures
    target = catalog.target_of(slot, day) if slot.late else slot.target
    cost = (viewable if slot.per_view else clicks) * price
    conversions = _conversions(orders, unit) if orders else None
    return Line(
        slot.ad, target, hour, split, impressions, clicks, cost, viewable, conversions, bits
    )


def _conversions(orders: Orders, unit: int) -> tuple[int, ...]:
    purchases, extra, halo, views, new = orders
    units = purchases + extra
    all_and_halo = purchases, units * unit, units, halo, halo * unit, halo
    return (*all_and_halo, views, views * unit, views, new, new * unit, new)


def _search_terms(
    catalog: Catalog, day: date, measures: Measures
) -> Iterator[tuple[str, Measures]]:
    """Yield the search terms with a click."""
    slot = measures.slot
    target = catalog.target_of(slot, day) if slot.late else slot.target
    text = (target and target.text) or slot.ad.asin or "pet clothes"
    return (
        (search_term(text, number), part) for number, part in term_measures(measures) if part.clicks
    )


def _placements(_: Catalog, __: date, measures: Measures) -> Iterator[tuple[str, Measures]]:
    spelling = int(measures.slot.ad.ad_group.campaign.campaign_id[-1]) % 2
    parts = _parts(measures, 1 + (measures.bits >> 58 & 3))
    return ((PLACEMENTS[number % len(PLACEMENTS)][spelling], part) for number, part in parts)


def _matched_targets(
    catalog: Catalog, _: date, measures: Measures
) -> Iterator[tuple[str | None, Measures]]:
    """Yield the product pages where an ad was shown; blank for all ad products but Sponsored Display."""
    if catalog.product != "SPONSORED_DISPLAY":
        return iter([(None, measures)])
    asins = catalog.brand_asins
    return ((asins[number % len(asins)], part) for number, part in term_measures(measures))


def _purchased_products(
    catalog: Catalog, _: date, measures: Measures
) -> Iterator[tuple[str, Measures]]:
    """Yield the advertised product and another one of the brand; one slot in 16 has no known product."""
    orders, bits = measures.orders, measures.bits
    if orders is None or bits >> 36 & 15 == 0:
        return
    promoted, pool = orders.purchases - orders.halo, catalog.brand_asins
    shown = measures.slot.ad.products or pool
    views, new = min(orders.views, promoted), min(orders.new_to_brand, promoted)
    own = shown[bits % len(shown)]
    if promoted:
        yield own, measures._replace(orders=Orders(promoted, orders.extra_units, 0, views, new))
    if orders.halo:
        extra = 0 if promoted else orders.extra_units
        rest = Orders(
            orders.halo, extra, orders.halo, orders.views - views, orders.new_to_brand - new
        )
        others = [asin for asin in pool[-4:] if asin != own]
        yield others[bits % len(others)], measures._replace(orders=rest)


_SPLITTERS: dict[
    Split, Callable[[Catalog, date, Measures], Iterator[tuple[str | None, Measures]]]
] = {
    "search_term": _search_terms,
    "matched_target": _matched_targets,
    "placement": _placements,
    "purchased_product": _purchased_products,
}


def _whole_day(catalog: Catalog, day: date, age: int) -> Iterator[Measures]:
    if age < 0:
        return
    slots = catalog.slots
    parts = data_seed(catalog.seed, catalog.account_id, catalog.market.country, catalog.product)
    rng = Random(seed_number(*parts, day.isoformat()))  # noqa: S311 - data
    words = memoryview(rng.randbytes(24 * len(slots))).cast("Q")
    factor, early = _WEEKDAY_FACTOR[day.weekday()], max(0, SETTLED_AGE - age)
    known = next((percent for limit, percent in PURCHASE_STAGES if age < limit), 100)
    terms = (factor, early, known, catalog.market.has_cents)
    for slot, base, volume, detail in zip(
        slots, words[0::3], words[1::3], words[2::3], strict=True
    ):
        if base & 0xFFFF < slot.share and _is_present(base >> 16 & 1023, age):
            yield _measure(slot, terms, base >> 26, volume, detail)


def _is_present(outcome: int, age: int) -> bool:
    """Return whether a row is there at an age: of 1,024 rows 5 appear on day 2, 4 on day 7, and 3 vanish on day 3."""
    if outcome > 11:  # noqa: PLR2004 - see the docstring
        return True
    if outcome < 5:  # noqa: PLR2004 - the same
        return age >= 2  # noqa: PLR2004 - the same
    return age >= 7 if outcome < 9 else age < 3  # noqa: PLR2004 - the same


def _measure(
    slot: Slot, terms: tuple[int, int, int, bool], more: int, volume: int, detail: int
) -> Measures:
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
    viewable = impressions * (9 + (more & 7)) >> 4
    rounding = (detail >> 26 & 127) * 100 // 128
    views = (
        ((impressions * (more >> 24 & 63) >> 14) * known + rounding) // 100 if slot.per_view else 0
    )
    purchases = (final * known + rounding) // 100 + views
    orders = _orders(purchases, views, more) if purchases else None
    unit = slot.ad.price_micros if detail >> 33 & 15 else slot.ad.price_micros * 9 // 10
    price = slot.price_micros if slot.per_view else _cpc(slot, detail, cents=cents)
    return Measures(slot, impressions, clicks, viewable, orders, unit, price, detail)


def _orders(purchases: int, views: int, more: int) -> Orders:
    """Return the purchases by kind: some of other products, some by people who are new to the brand."""
    halo = (purchases * (more >> 12 & 7) + (more >> 15 & 7)) >> 3
    new = (purchases * (more >> 18 & 7) + (more >> 21 & 7)) >> 3
    return Orders(purchases, (purchases - halo + (more >> 10 & 3)) >> 2, halo, views, new)


def _cpc(slot: Slot, detail: int, *, cents: bool) -> int:
    """Return a click's price: whole cents (or yen) for most rows, four decimals for some, six for a few."""
    exact = slot.price_micros * (40 + (detail >> 37 & 7) * 8 + (detail >> 18 & 0xFF) % 5) // 97
    fineness = detail >> 43 & 3
    if fineness == 0:
        return max(100, exact // 100 * 100) if detail >> 45 & 1 else max(1, exact)
    whole = 10_000 if cents else 1_000_000
    return max(whole, exact // whole * whole)


def _part_of(orders: Orders, index: int, count: int) -> Orders | None:
    """Return the `index`-th of `count` parts of the purchases; None where it has none."""
    if index >= orders.purchases:
        return None
    return Orders(*(value // count + (index < value % count) for value in orders))


def _sum(parts: list[Measures]) -> Measures:
    orders = [part.orders for part in parts if part.orders]
    return parts[0]._replace(
        impressions=sum(part.impressions for part in parts),
        clicks=sum(part.clicks for part in parts),
        viewable=sum(part.viewable for part in parts),
        orders=Orders(*map(sum, zip(*orders, strict=True))) if orders else None,
    )
