"""The numbers of an account's day: a pure function of seed, account, country, ad product, date and the date's age when asked.

Each slot of the catalog draws its own numbers a day, so that no row depends on another. Counts are
integers and amounts millionths of the currency. Whatever a day is split by (hours, placements,
search terms), each count is split evenly, so that the parts add up to the day.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from operator import add
from typing import Any, Literal, NamedTuple

import numpy as np

from bidbeacon_sandbox.entities import Ad, Catalog, Slot, Target, data_seed, local_hours
from bidbeacon_sandbox.seeded import search_term, seed_number

Split = Literal["search_term", "matched_target", "placement", "purchased_product"]
"""The dimensions that the lines of a day can be split by, besides hours."""
SETTLED_AGE = 3
"""Age in days from which impressions and clicks stay."""
PURCHASE_STAGES = ((1, 0.30), (7, 0.70), (14, 0.82), (28, 0.90), (60, 0.97))
"""Up to an age in days, the share of the final purchases that is known; from 60 days on it is all."""
PLACEMENTS = (
    ("Top of Search on-Amazon", "TOP_OF_SEARCH"),
    ("Detail Page on-Amazon", "PRODUCT_PAGE"),
    ("Other on-Amazon", "REST_OF_SEARCH"),
    ("Off Amazon", "OFF_AMAZON"),
    ("SITE_AMAZON_BUSINESS", "SITE_AMAZON_BUSINESS"),
)
"""Each placement in the two spellings that were seen; a campaign always has the same one."""
MOST_IMPRESSIONS = 2048
CLICK_RATE, PURCHASE_RATE, VIEW_RATE = 1 / 16, 1 / 4, 1 / 256
"""The highest rates of clicks to impressions, purchases to clicks, and purchases after a view to impressions."""
WEEKDAYS = (1.0, 0.97, 0.95, 0.98, 1.05, 1.17, 1.14)
APPEAR_ON_DAY_2, APPEAR_ON_DAY_7, VANISH_ON_DAY_3 = 0.005, 0.004, 0.003
"""Shares of the rows."""
DRIFT = (-0.07, 0.055)
"""How far impressions and clicks of a day can be off, for each day until they are settled."""


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
    """What one slot did on one day; `draw` is a random number that decides how the day is split and written."""

    slot: Slot
    impressions: int
    clicks: int
    viewable: int
    orders: Orders | None
    unit_micros: int
    price_micros: int
    draw: int

    @property
    def purchases(self) -> int:
        """The number of purchases."""
        return self.orders.purchases if self.orders else 0

    def part(self, index: int, count: int) -> "Measures":
        """Return the `index`-th of `count` parts; the parts add up to the whole, exactly."""
        if count == 1:
            return self
        return self._replace(
            impressions=_part(self.impressions, index, count),
            clicks=_part(self.clicks, index, count),
            viewable=_part(self.viewable, index, count),
            orders=_part_of_orders(self.orders, index, count),
        )


class Line(NamedTuple):
    """The figures of one ad and one target on one day, in one of its hours, or for one value of each of its splits.

    `hour` is account-local; `cost` is in millionths. `conversions` are purchases, sales (millionths)
    and units, four times: of all, of other products (halo), after views, and new to the brand; None
    where there are none.
    """

    ad: Ad
    target: Target | None
    hour: int | None
    splits: tuple[str | None, ...]
    impressions: int
    clicks: int
    cost: int
    viewable: int
    conversions: tuple[int, ...] | None
    draw: int

    def plus(self, other: "Line") -> "Line":
        """Return the sum of two lines that differ only in what wasn't asked for."""
        mine, theirs = self.conversions, other.conversions
        return self._replace(
            impressions=self.impressions + other.impressions,
            clicks=self.clicks + other.clicks,
            cost=self.cost + other.cost,
            viewable=self.viewable + other.viewable,
            conversions=tuple(map(add, mine, theirs)) if mine and theirs else mine or theirs,
        )


def choose(draw: int, place: int, count: int) -> int:
    """Return one of `count` numbers, from 0, by a draw; another place chooses independently."""
    return int(draw // 61**place % count)


def age_of(catalog: Catalog, day: date, now: datetime) -> Age:
    """Return how old an account-local day is at an instant."""
    local = catalog.local_now(now)
    days = (local.date() - day).days
    return Age(days, local.hour if days == 0 else 24)


def day_lines(
    catalog: Catalog, day: date, age: Age, *, hourly: bool = False, splits: Sequence[Split] = ()
) -> Iterator[Line]:
    """Yield the lines of an account-local day, by hour and by each of the splits that are asked for.

    Hours miss a little of the day, as Amazon's two pipelines differ. Only search terms with a click
    are reported, and only purchases whose product is known. Matched targets exist for Sponsored
    Display only.
    """
    whole: Iterable[tuple[int | None, Measures]] = (
        ((hour, _with_misses(part)) for hour, part in hour_measures(catalog, day, age))
        if hourly
        else ((None, measures) for measures in day_measures(catalog, day, age))
    )
    for hour, measures in whole:
        for values, part in _split(catalog, day, measures, splits):
            yield _line(catalog, day, part, hour, values)


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


def _whole_day(catalog: Catalog, day: date, age: int) -> Iterator[Measures]:
    """Yield what each slot did all day. Purchases are rounded by a draw, so that few of them aren't none."""
    if age < 0:
        return
    slots, count = catalog.slots, len(catalog.slots)
    parts = data_seed(catalog.seed, catalog.account_id, catalog.market.country, catalog.product)
    rng = np.random.default_rng(seed_number(*parts, day.isoformat()))
    rests, outcome, size, skew, rate, drift = rng.random((6, count))
    wish, rounding, views, shown, halo, new = rng.random((6, count))
    draws = rng.integers(2**62, size=count)

    busy = np.flatnonzero(
        (rests < np.array([slot.share for slot in slots])) & _is_present(outcome, age)
    )
    off = np.where(age < SETTLED_AGE, (SETTLED_AGE - age) * np.interp(drift, (0, 1), DRIFT), 0.0)
    known = next((share for limit, share in PURCHASE_STAGES if age < limit), 1.0)
    final_impressions = 1 + np.floor(MOST_IMPRESSIONS * size * skew**2 * WEEKDAYS[day.weekday()])
    final_clicks = np.floor(final_impressions * rate**2 * CLICK_RATE)
    impressions = np.maximum(1, final_impressions + np.floor(final_impressions * off))
    clicks = np.maximum(0, final_clicks + np.floor(final_clicks * off))
    viewable = np.floor(impressions * (0.55 + shown * 0.45))
    per_view = np.array([slot.per_view for slot in slots], dtype=bool)
    seen = np.where(per_view, np.floor(impressions * views * VIEW_RATE * known + rounding), 0)
    bought = np.floor(np.floor(final_clicks * wish * PURCHASE_RATE + rounding) * known + rounding)
    purchases = bought + seen
    others = np.minimum(purchases, np.floor(purchases * halo + 0.5))
    news = np.minimum(purchases, np.floor(purchases * new + 0.5))
    numbers = np.stack((impressions, clicks, viewable, purchases, seen, others, news))
    table = numbers[:, busy].astype(np.int64).T.tolist()
    for index, row, draw in zip(busy.tolist(), table, draws[busy].tolist(), strict=True):
        yield _measure(slots[index], row, draw, cents=catalog.market.has_cents)


def _is_present(outcome: Any, age: int) -> Any:
    """Return which rows are there at an age: some appear on day 2 or 7, some vanish on day 3."""
    late, later = APPEAR_ON_DAY_2, APPEAR_ON_DAY_2 + APPEAR_ON_DAY_7
    is_late, is_later = outcome < late, (outcome >= late) & (outcome < later)
    is_gone = (outcome >= later) & (outcome < later + VANISH_ON_DAY_3)
    return ~((is_late & (age < 2)) | (is_later & (age < 7)) | (is_gone & (age >= SETTLED_AGE)))  # noqa: PLR2004 - days


def _measure(slot: Slot, row: list[int], draw: int, *, cents: bool) -> Measures:
    impressions, clicks, viewable, purchases, views, halo, new = row
    extra = (purchases - halo + choose(draw, 1, 4)) // 4
    orders = Orders(purchases, extra, halo, views, new) if purchases else None
    price = slot.ad.price_micros
    unit = price * 9 // 10 if choose(draw, 2, 16) == 0 else price
    cost = slot.price_micros if slot.per_view else _cost_of_click(slot, draw, cents=cents)
    return Measures(slot, impressions, clicks, viewable, orders, unit, cost, draw)


def _cost_of_click(slot: Slot, draw: int, *, cents: bool) -> int:
    """Return 40 to 100 % of the bid: in whole cents (or yen), one row in eight in four or six decimals."""
    exact = slot.price_micros * (40 + choose(draw, 3, 61)) // 100
    finest = {0: 100, 1: 1}.get(choose(draw, 4, 16), 10_000 if cents else 1_000_000)
    return max(finest, exact // finest * finest)


def _split(
    catalog: Catalog, day: date, measures: Measures, splits: Sequence[Split]
) -> Iterable[tuple[tuple[str | None, ...], Measures]]:
    found: list[tuple[tuple[str | None, ...], Measures]] = [((), measures)]
    for split in splits:
        found = [
            ((*values, value), part)
            for values, whole in found
            for value, part in _SPLITTERS[split](catalog, day, whole)
        ]
    return found


def _parts(measures: Measures, count: int) -> list[tuple[int, Measures]]:
    """Spread a day's measures over so many numbered parts, fewer where there are fewer impressions."""
    count, first = min(count, max(1, measures.impressions)), choose(measures.draw, 5, 4)
    return [(first + index, measures.part(index, count)) for index in range(count)]


def _spread(measures: Measures, hours: list[int]) -> list[tuple[int, Measures]]:
    """Spread a day's measures over one to six of its local hours; the parts add up to the day."""
    draw = measures.draw
    count = min(1 + choose(draw, 6, 6), max(1, measures.impressions))
    first, step = choose(draw, 7, 24), (1, 5, 7, 11)[choose(draw, 8, 4)]
    return [
        (hours[(first + step * index) % len(hours)], measures.part(index, count))
        for index in range(count)
    ]


def _with_misses(measures: Measures) -> Measures:
    """Return the measures of an hour without every 25th click and every 50th impression."""
    return measures._replace(
        impressions=measures.impressions - measures.impressions // 50,
        clicks=measures.clicks - measures.clicks // 25,
        viewable=measures.viewable - measures.viewable // 50,
    )


def _line(
    catalog: Catalog,
    day: date,
    measures: Measures,
    hour: int | None,
    splits: tuple[str | None, ...],
) -> Line:
    slot, impressions, clicks, viewable, orders, unit, price, draw = measures
    target = catalog.target_of(slot, day) if slot.late else slot.target
    cost = (viewable if slot.per_view else clicks) * price
    conversions = _conversions(orders, unit) if orders else None
    return Line(
        slot.ad, target, hour, splits, impressions, clicks, cost, viewable, conversions, draw
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
    parts = _parts(measures, 1 + choose(measures.draw, 9, 3))
    return ((search_term(text, number), part) for number, part in parts if part.clicks)


def _placements(_: Catalog, __: date, measures: Measures) -> Iterator[tuple[str, Measures]]:
    spelling = int(measures.slot.ad.ad_group.campaign.campaign_id[-1]) % 2
    parts = _parts(measures, 1 + choose(measures.draw, 9, 4))
    return ((PLACEMENTS[number % len(PLACEMENTS)][spelling], part) for number, part in parts)


def _matched_targets(
    catalog: Catalog, _: date, measures: Measures
) -> Iterator[tuple[str | None, Measures]]:
    """Yield the product pages where an ad was shown; blank for all ad products but Sponsored Display."""
    if catalog.product != "SPONSORED_DISPLAY":
        return iter([(None, measures)])
    asins = catalog.brand_asins
    parts = _parts(measures, 1 + choose(measures.draw, 9, 3))
    return ((asins[number % len(asins)], part) for number, part in parts)


def _purchased_products(
    catalog: Catalog, _: date, measures: Measures
) -> Iterator[tuple[str, Measures]]:
    """Yield the advertised product and another one of the brand; one slot in 16 has no known product."""
    orders, draw = measures.orders, measures.draw
    if orders is None or choose(draw, 2, 16) == 1:
        return
    promoted, pool = orders.purchases - orders.halo, catalog.brand_asins
    shown = measures.slot.ad.products or pool
    views, new = min(orders.views, promoted), min(orders.new_to_brand, promoted)
    own = shown[choose(draw, 1, len(shown))]
    if promoted:
        yield own, measures._replace(orders=Orders(promoted, orders.extra_units, 0, views, new))
    if orders.halo:
        extra = 0 if promoted else orders.extra_units
        rest = Orders(
            orders.halo, extra, orders.halo, orders.views - views, orders.new_to_brand - new
        )
        others = [asin for asin in pool[-4:] if asin != own]
        yield others[choose(draw, 1, len(others))], measures._replace(orders=rest)


_SPLITTERS: dict[
    Split, Callable[[Catalog, date, Measures], Iterator[tuple[str | None, Measures]]]
] = {
    "search_term": _search_terms,
    "matched_target": _matched_targets,
    "placement": _placements,
    "purchased_product": _purchased_products,
}


def _part(value: int, index: int, count: int) -> int:
    return value // count + (index < value % count)


def _part_of_orders(orders: Orders | None, index: int, count: int) -> Orders | None:
    """Return the `index`-th of `count` parts of the purchases; None where it has none."""
    if orders is None or index >= orders.purchases:
        return None
    return Orders(*(_part(value, index, count) for value in orders))


def _sum(parts: list[Measures]) -> Measures:
    orders = [part.orders for part in parts if part.orders]
    return parts[0]._replace(
        impressions=sum(part.impressions for part in parts),
        clicks=sum(part.clicks for part in parts),
        viewable=sum(part.viewable for part in parts),
        orders=Orders(*map(sum, zip(*orders, strict=True))) if orders else None,
    )
