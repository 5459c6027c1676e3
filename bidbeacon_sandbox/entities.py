"""What an account has in one country: campaigns, ad groups, ads, targets, and which of them meet in a report row."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from bidbeacon_sandbox.accounts import Market

State = Literal["ENABLED", "PAUSED", "ARCHIVED"]
AdProduct = Literal["SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"]
CostType = Literal["CPC", "VCPM"]
AdType = Literal["PRODUCT_AD", "PRODUCT_COLLECTION", "STORE_SPOTLIGHT", "VIDEO", "IMAGE"]
TargetType = Literal[
    "AUTO",
    "KEYWORD",
    "PRODUCT",
    "PRODUCT_CATEGORY",
    "AUDIENCE",
    "PRODUCT_AUDIENCE",
    "PRODUCT_CATEGORY_AUDIENCE",
    "THEME",
]

AD_PRODUCTS: tuple[AdProduct, ...] = get_args(AdProduct)
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
THEMES = ("SEARCH_RELATED_TO_YOUR_BRAND", "SEARCH_RELATED_TO_YOUR_LANDING_PAGES")
LATE_DAYS = 9
"""A late target takes traffic from its week's Monday on, and is in the exports from this many days later."""


@dataclass(frozen=True, slots=True)
class Portfolio:
    """A group of campaigns of one profile, of any ad product."""

    portfolio_id: str
    name: str
    paused: bool


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign; `budget` is in the market's currency.

    `targeting` is `AUTO` or `MANUAL` for Sponsored Products, `T00020` (products and categories) or
    `T00030` (audiences) for Sponsored Display, and None for Sponsored Brands.
    """

    campaign_id: str
    name: str
    targeting: str | None
    state: State
    start_date: date
    budget: Decimal
    product: AdProduct = "SPONSORED_PRODUCTS"
    cost_type: CostType = "CPC"
    portfolio_id: str | None = None

    @property
    def automatic(self) -> bool:
        """Whether Amazon chooses what it targets."""
        return self.targeting == "AUTO"


@dataclass(frozen=True, slots=True)
class AdGroup:
    """One ad group of a campaign; all its ads are of one type."""

    ad_group_id: str
    campaign: Campaign
    name: str
    state: State
    default_bid: Decimal
    ad_type: AdType = "PRODUCT_AD"


@dataclass(frozen=True, slots=True)
class Ad:
    """One ad; `price_micros` is what its product costs, in millionths.

    `products` are the ASINs that its creative shows: one, or many for Sponsored Brands. Only an ad
    of exactly one advertised product has an `asin`; Sponsored Brands ads and image ads of Sponsored
    Display don't.
    """

    ad_id: str
    ad_group: AdGroup
    asin: str | None
    price_micros: int
    state: State
    products: tuple[str, ...] = ()

    @property
    def sku(self) -> str | None:
        """The seller's own number of the advertised product; some products have none."""
        if self.asin is None or self.asin.endswith("0"):
            return None
        return f"PET-{self.asin[2:6]}-{self.asin[6:]}"


@dataclass(frozen=True, slots=True)
class Target:
    """One target; `text` is its keyword, ASIN, category or audience id.

    Without an ad group it is the whole campaign's.
    """

    target_id: str
    campaign: Campaign
    ad_group: AdGroup | None
    target_type: TargetType
    match_type: str | None
    text: str
    bid: Decimal | None = None
    brand: str | None = None
    event: Literal["VIEW", "PURCHASE"] | None = None
    lookback: int | None = None
    negative: bool = False
    state: State = "ENABLED"
    visible_from: date | None = None

    @property
    def report_match_type(self) -> str | None:
        """The `target.matchType` of report rows; Sponsored Display rows have none, nor those of one kind of theme."""
        if self.campaign.product == "SPONSORED_DISPLAY":
            return None
        if self.target_type == "THEME":
            return None if self.match_type == THEMES[0] else "THEME"
        if self.target_type == "KEYWORD":
            return self.match_type
        return (
            "TARGETING_EXPRESSION_PREDEFINED"
            if self.target_type == "AUTO"
            else "TARGETING_EXPRESSION"
        )

    @property
    def report_value(self) -> str | None:
        """The `target.value` of report rows; None for audiences by id and one kind of theme."""
        category = f'category="{self.text}"' + (f' brand="{self.brand}"' if self.brand else "")
        asin = "asin" if self.match_type == "PRODUCT_EXACT" else "asin-expanded"
        verb = "views" if self.event == "VIEW" else "purchases"
        values = {
            "AUTO": AUTO_VALUES.get(self.match_type or ""),
            "KEYWORD": self.text,
            "PRODUCT": f'{asin}="{self.text}"',
            "PRODUCT_CATEGORY": category,
            "PRODUCT_AUDIENCE": f"{verb}=(exact-product lookback={self.lookback})",
            "PRODUCT_CATEGORY_AUDIENCE": f"{verb}=({category} lookback={self.lookback})",
            "THEME": None
            if self.match_type == THEMES[0]
            else "keywords-related-to-your-landing-pages",
        }
        return values.get(self.target_type)

    def is_exported(self, today: date) -> bool:
        """Return whether an export made on this account-local day has the target."""
        return self.visible_from is None or self.visible_from <= today


def data_seed(seed: int, account_id: str, country: str, product: AdProduct) -> tuple[object, ...]:
    """Return what the data of an ad product of an account's country depends on."""
    parts = (seed, account_id, country)
    return parts if product == "SPONSORED_PRODUCTS" else (*parts, product)


class Slot(NamedTuple):
    """A place for one report row a day: an ad and the target that brought it up.

    `share` of the days have the row. A slot without a target is a row with an empty target; a
    late slot's target is one of its own each week (see `Catalog.target_of`). A slot is charged
    `price_micros` for each click, or `per_view` for each viewable impression.
    """

    ad: Ad
    target: Target | None
    share: float
    price_micros: int
    late: bool = False
    per_view: bool = False


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
    portfolios: tuple[Portfolio, ...] = ()
    brand_asins: tuple[str, ...] = ()

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
