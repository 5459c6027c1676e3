"""The metrics of an account's day; they depend only on the seed, the day and its age.

Each slot (ad and target) has its own random numbers per day, so that no row depends on another
row. Counts are integers, and amounts are in millionths of the currency. If a day is split by hours,
placements or search terms, each count is split evenly, so that the parts add up to the day.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from bidbeacon_sandbox.entities import Catalog, Slot, asins_of
from bidbeacon_sandbox.seeded import search_term, seed_number

Split = Literal["search_term", "matched_target", "placement", "purchased_product"]
"""The dimensions, besides hours, by which the lines of a day can be split."""
SETTLED_AGE = 3
"""Age in days from which impressions and clicks no longer change."""
PURCHASE_STAGES = ((1, 0.30), (7, 0.70), (14, 0.82), (28, 0.90), (60, 0.97))
"""Share of the final purchases known before each age in days; from day 60, all are known."""
OTHER_PLACEMENTS = {
    "Top of Search on-Amazon": "TOP_OF_SEARCH",
    "Detail Page on-Amazon": "PRODUCT_PAGE",
    "Other on-Amazon": "REST_OF_SEARCH",
    "Off Amazon": "OFF_AMAZON",
}
"""The second spelling of each placement that has two, by the first spelling."""
PLACEMENTS = (*OTHER_PLACEMENTS, "SITE_AMAZON_BUSINESS")
MOST_IMPRESSIONS = 2048
CLICK_RATE, PURCHASE_RATE, VIEW_RATE = 1 / 16, 1 / 4, 1 / 256
"""Maximum clicks per impression, purchases per click, post-view purchases per impression."""
WEEKDAYS = (1.0, 0.97, 0.95, 0.98, 1.05, 1.17, 1.14)
APPEAR_ON_DAY_2, APPEAR_ON_DAY_7, VANISH_ON_DAY_3 = 0.005, 0.004, 0.003
"""Shares of the rows that appear late or vanish."""
DRIFT = (-0.07, 0.055)
"""Range of the relative error of impressions and clicks, per day until `SETTLED_AGE`."""
RARELY = 1 / 16
"""Share of each rare case: reduced price, four decimals, six decimals, unknown product."""
HOURS_OF_A_DAY = 24

Numbers = npt.NDArray[Any]


class Age(NamedTuple):
    """The age of a day: whole days, and how many of its hours are over (24 except today)."""

    days: int
    hours: int


class Lines(NamedTuple):
    """The lines of a day; a line has the counts of one ad and target, or a split part of them.

    Report rows are sums of lines. Each array has one column per line.

    Attributes:
        slot: The index of each line's slot (ad and target) in the catalog.
        counts: Eight rows: impressions, clicks, viewable impressions, purchases, units beyond one
            per purchase, purchases of products that the ad does not show (halo), purchases after
            a view of the ad, and purchases by customers who are new to the brand.
        bid: The cost of a click or, for vCPM, of a viewable impression, in millionths.
        price: The price of a unit, in millionths.
        chance: Five rows of random numbers from 0 to 1, which decide how a line is split.
        values: The hours or texts of each dimension by which the day is split.
    """

    slot: Numbers
    counts: Numbers
    bid: Numbers
    price: Numbers
    chance: Numbers
    values: tuple[Numbers, ...] = ()

    def take(self, chosen: Numbers) -> "Lines":
        """Return the chosen lines; `chosen` contains indexes or is a boolean mask."""
        return Lines(
            self.slot[chosen],
            self.counts[:, chosen],
            self.bid[chosen],
            self.price[chosen],
            self.chance[:, chosen],
            tuple(one[chosen] for one in self.values),
        )

    def labelled(self, values: Any, kind: type = object) -> "Lines":
        """Return the lines with one more dimension; `values` has its value for each line."""
        return self._replace(values=(*self.values, np.array(values, dtype=kind)))


def age_of(catalog: Catalog, day: date, now: datetime) -> Age:
    """Return the age of an account-local day at `now`."""
    local = catalog.local_now(now)
    days = (local.date() - day).days
    return Age(days, local.hour if days == 0 else HOURS_OF_A_DAY)


def day_lines(
    catalog: Catalog, day: date, age: Age, *, hourly: bool = False, splits: Sequence[Split] = ()
) -> Lines:
    """Return a day's lines (counts per ad and target) as known at `age`, split as requested.

    A future day has no lines; today has only counts of hours that are over. Hourly lines lack every
    25th click and every 50th impression, so that they differ from daily lines, as at Amazon.
    """
    lines = _whole_day(catalog, day, age.days)
    if hourly or age.hours < HOURS_OF_A_DAY:
        lines = _by_hour(catalog, day, lines)
        lines = lines.take(lines.values[0] < age.hours)
        if not hourly:
            lines = lines._replace(values=())
    for split in splits:
        lines = _SPLITTERS[split](catalog, day, lines)
    if not hourly:
        return lines
    missed = np.zeros_like(lines.counts)
    missed[:3] = lines.counts[:3] // np.array([[50], [25], [50]])
    return lines._replace(counts=lines.counts - missed)


def _whole_day(catalog: Catalog, day: date, age: int) -> Lines:
    """Return one line for each slot (a pair of ad and target) that has a row on this day.

    Purchases are rounded up or down at random; usual rounding would make most of them 0.
    """
    slots, count = catalog.slots, len(catalog.slots)
    place = catalog.seed, catalog.account_id, catalog.market.country, catalog.product
    rng = np.random.default_rng(seed_number(*place, day.isoformat()))
    rests, outcome, size, skew, rate, drift, shown = rng.random((7, count))
    wish, rounding, views, halo, new, more = rng.random((6, count))
    bid, decimals, reduced, *chance = rng.random((8, count))

    off = np.where(age < SETTLED_AGE, (SETTLED_AGE - age) * np.interp(drift, (0, 1), DRIFT), 0.0)
    known = next((share for limit, share in PURCHASE_STAGES if age < limit), 1.0)
    final_impressions = 1 + np.floor(MOST_IMPRESSIONS * size * skew**2 * WEEKDAYS[day.weekday()])
    final_clicks = np.floor(final_impressions * rate**2 * CLICK_RATE)
    impressions = np.maximum(1, final_impressions + np.floor(final_impressions * off))
    clicks = np.maximum(0, final_clicks + np.floor(final_clicks * off))
    viewable = np.floor(impressions * (0.55 + shown * 0.45))
    is_per_view = per_view(catalog)
    seen = np.where(is_per_view, np.floor(impressions * views * VIEW_RATE * known + rounding), 0)
    bought = np.floor(np.floor(final_clicks * wish * PURCHASE_RATE + rounding) * known + rounding)
    purchases = bought + seen
    others = np.floor(purchases * halo + 0.5)
    extra = np.floor((purchases - others) / 4 + more)
    news = np.floor(purchases * new + 0.5)

    counts = (impressions, clicks, viewable, purchases, extra, others, seen, news)
    bids = np.array([slot.bid for slot in slots])
    prices = np.array([slot.price for slot in slots])
    lines = Lines(
        np.arange(count),
        np.array(counts).astype(np.int64),
        np.where(is_per_view, bids, _click_cost(catalog, bids, bid, decimals)),
        np.where(reduced < RARELY, prices * 9 // 10, prices),
        np.array(chance),
    )
    has_begun = np.array([slot.campaign["startDate"] <= day.isoformat() for slot in slots])
    return lines.take((rests < catalog.active_share) & has_begun & _is_present(outcome, age))


def per_view(catalog: Catalog) -> Numbers:
    """Return a mask of the slots that pay for viewable impressions instead of clicks."""
    return np.array([slot.campaign.get("costType") == "VCPM" for slot in catalog.slots])


def _is_present(outcome: Numbers, age: int) -> Numbers:
    late, later = APPEAR_ON_DAY_2, APPEAR_ON_DAY_2 + APPEAR_ON_DAY_7
    is_late, is_later = outcome < late, (outcome >= late) & (outcome < later)
    is_gone = (outcome >= later) & (outcome < later + VANISH_ON_DAY_3)
    is_absent = (is_late & (age < 2)) | (is_later & (age < 7)) | (is_gone & (age >= SETTLED_AGE))  # noqa: PLR2004 - days
    return ~is_absent & (age >= 0)


def _click_cost(catalog: Catalog, bids: Numbers, chance: Numbers, decimals: Numbers) -> Numbers:
    """Return costs of 40 to 100 % of the bids. Most are whole cents or yen; 1 in 8 is finer."""
    exact = bids * (40 + _choice(chance, 61)) // 100
    usual = 10_000 if catalog.market.has_cents else 1_000_000
    finest = np.where(decimals < RARELY, 1, np.where(decimals < 2 * RARELY, 100, usual))
    cost: Numbers = np.maximum(finest, exact // finest * finest)
    return cost


def _choice(chance: Numbers, count: int) -> Numbers:
    """Convert each number from 0 to 1 to an integer below `count`."""
    return (chance * count).astype(np.int64)


def _divided(lines: Lines, parts: Numbers) -> tuple[Lines, Numbers]:
    """Split each line into the number of lines that `parts` contains for it.

    A line with fewer impressions than that is split into one line per impression. Return the new
    lines and, for each, its index (from 0) among the lines from the same original line.
    """
    parts = np.minimum(parts, np.maximum(1, lines.counts[0]))
    origin = np.repeat(np.arange(parts.size), parts)
    number = np.arange(origin.size) - np.repeat(np.cumsum(parts) - parts, parts)
    cut, among = lines.take(origin), parts[origin]
    counts = cut.counts // among + (number < cut.counts % among)
    return cut._replace(counts=counts), number


def local_hours(day: date, zone: ZoneInfo) -> list[int]:
    """Return the hours (0 to 23) that exist on a local day; the clock change can skip one."""
    return [
        hour
        for hour in range(HOURS_OF_A_DAY)
        if _exists(datetime.combine(day, time(hour), zone), zone)
    ]


def _exists(wall: datetime, zone: ZoneInfo) -> bool:
    return wall.astimezone(ZoneInfo("UTC")).astimezone(zone).hour == wall.hour


def _by_hour(catalog: Catalog, day: date, lines: Lines) -> Lines:
    hours = np.array(local_hours(day, catalog.market.zone))
    cut, number = _divided(lines, 1 + _choice(lines.chance[0], 6))
    first, step = _choice(cut.chance[1], 24), np.array((1, 5, 7, 11))[_choice(cut.chance[2], 4)]
    return cut.labelled(hours[(first + step * number) % hours.size], int)


def _by_search_term(catalog: Catalog, _: date, lines: Lines) -> Lines:
    """Split lines by search term; return only lines with a click."""
    cut, number = _divided(lines, 1 + _choice(lines.chance[3], 3))
    first = _choice(cut.chance[4], 4)
    is_clicked = cut.counts[1] > 0
    cut, index = cut.take(is_clicked), (first + number)[is_clicked]
    slots = [catalog.slots[slot] for slot in cut.slot]
    numbers = index.tolist()
    terms = [search_term(_searched(one), at) for one, at in zip(slots, numbers, strict=True)]
    return cut.labelled(terms)


def _searched(slot: Slot) -> str:
    own = next(iter(asins_of(slot.ad)), "pet clothes")
    return str(slot.target["targetDetails"].get("keyword", own))


def _by_placement(_: Catalog, __: date, lines: Lines) -> Lines:
    cut, number = _divided(lines, 1 + _choice(lines.chance[3], 4))
    place = (_choice(cut.chance[4], 4) + number) % len(PLACEMENTS)
    return cut.labelled([PLACEMENTS[at] for at in place.tolist()])


def _by_matched_target(catalog: Catalog, _: date, lines: Lines) -> Lines:
    """Split lines by the product page that shows the ad (None outside Sponsored Display)."""
    if catalog.product != "SPONSORED_DISPLAY":
        return lines.labelled([None] * lines.slot.size)
    cut, number = _divided(lines, 1 + _choice(lines.chance[3], 3))
    page = (_choice(cut.chance[4], 4) + number) % len(catalog.brand_asins)
    return cut.labelled([catalog.brand_asins[at] for at in page.tolist()])


def _by_purchased_product(catalog: Catalog, _: date, lines: Lines) -> Lines:
    """Split purchases between a product of the ad and another one; omit one line in 16."""
    lines = lines.take(lines.chance[3] >= RARELY)
    purchases, extra, halo = lines.counts[3:6]
    promoted = purchases - halo
    of_shown = lines.counts.copy()
    of_shown[3:6] = np.array((promoted, np.where(promoted > 0, extra, 0), halo * 0))
    of_shown[6:] = np.minimum(of_shown[6:], promoted)
    both = lines.take(np.tile(np.arange(lines.slot.size), 2))
    counts = np.concatenate((of_shown, lines.counts - of_shown), axis=1)
    shown, other = [], []
    for slot, chance in zip(lines.slot.tolist(), lines.chance[4].tolist(), strict=True):
        asins = asins_of(catalog.slots[slot].ad) or catalog.brand_asins
        shown.append(asins[int(chance * len(asins))])
        others = [asin for asin in catalog.brand_asins[-4:] if asin != shown[-1]]
        other.append(others[int(chance * len(others))])
    return both._replace(counts=counts).labelled([*shown, *other]).take(counts[3] > 0)


_SPLITTERS: dict[Split, Callable[[Catalog, date, Lines], Lines]] = {
    "search_term": _by_search_term,
    "matched_target": _by_matched_target,
    "placement": _by_placement,
    "purchased_product": _by_purchased_product,
}
