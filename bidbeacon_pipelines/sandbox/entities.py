"""What an account has in one country: campaigns, ad groups, ads, targets, and which of them meet in a report row."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from bidbeacon_pipelines.sandbox.accounts import Market

TargetType = Literal["KEYWORD", "PRODUCT", "PRODUCT_CATEGORY", "AUTO"]
State = Literal["ENABLED", "PAUSED", "ARCHIVED"]
AdProduct = Literal["SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"]

ROW_PRODUCTS: dict[AdProduct, str] = {
    "SPONSORED_PRODUCTS": "Sponsored Products",
    "SPONSORED_BRANDS": "Sponsored Brands",
    "SPONSORED_DISPLAY": "Sponsored Display",
}
"""How report rows spell each ad product; filters and exports use the keys."""

AUTO_VALUES = {
    "SEARCH_CLOSE_MATCH": "close-match",
    "SEARCH_LOOSE_MATCH": "loose-match",
    "PRODUCT_SUBSTITUTES": "substitutes",
    "PRODUCT_COMPLEMENTS": "complements",
}
DAYS = 65_536
"""What a slot's share is a share of."""
LATE_DAYS = 9
"""A late target takes traffic from its week's Monday on, and is in the exports from this many days later."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign; `daily_budget` is in the market's currency."""

    campaign_id: str
    name: str
    automatic: bool
    state: State
    start_date: date
    daily_budget: Decimal
    product: AdProduct = "SPONSORED_PRODUCTS"


@dataclass(frozen=True, slots=True)
class AdGroup:
    """One ad group of a campaign."""

    ad_group_id: str
    campaign: Campaign
    name: str
    state: State
    default_bid: Decimal


@dataclass(frozen=True, slots=True)
class Ad:
    """One ad; `price_micros` is its product's price in millionths. Sponsored Brands ads have no `asin`."""

    ad_id: str
    ad_group: AdGroup
    asin: str | None
    price_micros: int
    state: State


@dataclass(frozen=True, slots=True)
class Target:
    """One target; `text` is its keyword, ASIN or category. Without an ad group it is the whole campaign's."""

    target_id: str
    campaign: Campaign
    ad_group: AdGroup | None
    target_type: TargetType
    match_type: str
    text: str
    bid: Decimal | None = None
    brand: str | None = None
    negative: bool = False
    state: State = "ENABLED"
    visible_from: date | None = None

    @property
    def report_match_type(self) -> str | None:
        """What a report row says in `target.matchType`; Sponsored Display rows have none."""
        if self.campaign.product == "SPONSORED_DISPLAY":
            return None
        if self.target_type == "KEYWORD":
            return self.match_type
        return "TARGETING_EXPRESSION_PREDEFINED" if self.target_type == "AUTO" else "TARGETING_EXPRESSION"

    @property
    def report_value(self) -> str:
        """What a report row says in `target.value`."""
        if self.target_type == "KEYWORD":
            return self.text
        if self.target_type == "AUTO":
            return AUTO_VALUES[self.match_type]
        if self.target_type == "PRODUCT":
            return f'{"asin" if self.match_type == "PRODUCT_EXACT" else "asin-expanded"}="{self.text}"'
        return f'category="{self.text}"' + (f' brand="{self.brand}"' if self.brand else "")

    def is_exported(self, today: date) -> bool:
        """Whether an export made on this account-local day has the target."""
        return self.visible_from is None or self.visible_from <= today


def data_seed(seed: int, account_id: str, country: str, product: AdProduct) -> tuple[object, ...]:
    """Return what the data of an ad product of an account's country depends on."""
    parts = (seed, account_id, country)
    return parts if product == "SPONSORED_PRODUCTS" else (*parts, product)


class Slot(NamedTuple):
    """A place for one report row a day: an ad and the target that brought it up.

    `share` of `DAYS` days have the row. A slot without a target is a row with an empty target; a late slot's
    target is one of its own each week (see `Catalog.target_of`).
    """

    ad: Ad
    target: Target | None
    share: int
    late: bool
    cpc_micros: int


@dataclass(frozen=True, slots=True)
class Catalog:
    """All entities of one ad product of one account in one country; a pure function of these, seed and size."""

    seed: int
    account_id: str
    market: Market
    campaigns: tuple[Campaign, ...]
    ad_groups: tuple[AdGroup, ...]
    ads: tuple[Ad, ...]
    targets: tuple[Target, ...]
    slots: tuple[Slot, ...]
    product: AdProduct = "SPONSORED_PRODUCTS"

    def target_of(self, slot: Slot, day: date) -> Target | None:
        """Return the target that brought this slot's row on a day; None where the row names none."""
        if not slot.late or slot.target is None:
            return slot.target
        return late_target(slot.target, day)

    def exported_targets(self, today: date, weeks: int = 110) -> list[Target]:
        """Return the targets that an export made on this day has, late ones of so many weeks back among them."""
        mondays = [_monday(today) - timedelta(weeks=week) for week in range(weeks)]
        stems = [slot.target for slot in self.slots if slot.late and slot.target is not None]
        late = [late_target(stem, monday) for stem in stems for monday in mondays]
        return [*self.targets, *(target for target in late if target.is_exported(today))]

    def local_now(self, now: datetime) -> datetime:
        """Return the account's own wall clock at an instant."""
        return now.astimezone(self.market.zone)


def late_target(stem: Target, day: date) -> Target:
    """Return the target that a late slot has in the week of a day; exports have it `LATE_DAYS` after its Monday."""
    monday = _monday(day)
    return Target(
        target_id=str(int(stem.target_id) + monday.toordinal() // 7),
        campaign=stem.campaign,
        ad_group=stem.ad_group,
        target_type=stem.target_type,
        match_type=stem.match_type,
        text=f"{stem.text} {monday.isoformat()}",
        bid=stem.bid,
        visible_from=monday + timedelta(days=LATE_DAYS),
    )


def local_hours(day: date, zone: ZoneInfo) -> list[int]:
    """Return the hours of a day that exist in a time zone, each once: 23 of them where the clock goes forward."""
    return [hour for hour in range(24) if _exists(datetime.combine(day, time(hour)), zone)]


def _exists(wall: datetime, zone: ZoneInfo) -> bool:
    instant = wall.replace(tzinfo=zone)
    return instant.astimezone(ZoneInfo("UTC")).astimezone(zone).replace(tzinfo=None) == wall


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
