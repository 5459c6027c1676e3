"""Makes the catalog of an account's country: a few thousand entities, or a million, from the seed alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import Any

from bidbeacon_sandbox import seeded
from bidbeacon_sandbox.accounts import Account, AccountBook, AccountCountry, Market
from bidbeacon_sandbox.entities import (
    AUTO_VALUES,
    THEMES,
    Ad,
    AdGroup,
    AdProduct,
    AdType,
    Campaign,
    Catalog,
    CostType,
    Portfolio,
    Slot,
    State,
    Target,
    TargetType,
    data_seed,
)
from bidbeacon_sandbox.seeded import seed_number

ACTIVE_SHARE = 0.82
LATE_SHARE = 0.001
NAMELESS_SHARE = 0.0002
PRODUCT_SHARES: dict[AdProduct, float] = {
    "SPONSORED_PRODUCTS": 1,
    "SPONSORED_BRANDS": 0.24,
    "SPONSORED_DISPLAY": 0.04,
}
"""Rows a day of each ad product, beside those of Sponsored Products: the mix of a recorded report."""
_KEYWORD_MATCHES = ("EXACT", "PHRASE", "BROAD")
_PRODUCT_MATCHES = ("PRODUCT_EXACT", "PRODUCT_SIMILAR")


class World:
    """The accounts of a sandbox and, made when first asked for, the catalogs of each country."""

    def __init__(self, seed: int, accounts: AccountBook, *, long_ids: bool = False) -> None:
        self.seed = seed
        self._long_ids = long_ids
        self.accounts = accounts
        self._catalog = lru_cache(maxsize=256)(self._make)

    def catalog(
        self, account: Account, country: AccountCountry, product: AdProduct = "SPONSORED_PRODUCTS"
    ) -> Catalog:
        """Return the entities of one ad product of an account in one of its countries."""
        return self._catalog(account.account_id, country, product)

    def catalogs(
        self, account: Account, product: AdProduct = "SPONSORED_PRODUCTS"
    ) -> list[Catalog]:
        """Return the catalogs of one ad product in all of an account's countries."""
        return [self.catalog(account, country, product) for country in account.countries]

    def _make(self, account_id: str, country: AccountCountry, product: AdProduct) -> Catalog:
        rows = max(1, round(country.rows_per_day * PRODUCT_SHARES[product]))
        return make_catalog(
            self.seed, account_id, country.market, rows, product, long_ids=self._long_ids
        )


def make_catalog(
    seed: int,
    account_id: str,
    market: Market,
    rows_per_day: int,
    product: AdProduct = "SPONSORED_PRODUCTS",
    *,
    long_ids: bool = False,
) -> Catalog:
    """Make the entities of an account's country, enough for about `rows_per_day` daily target rows."""
    rng = Random(seed_number(*data_seed(seed, account_id, market.country, product), "entities"))  # noqa: S311 - data, not secrets
    portfolios = _make_portfolios(seed, account_id, market)
    shared = _shared_campaign_id(seed, account_id, product)
    draft = _Draft(rng, market, product, portfolios, shared, long_ids)
    wanted = round(rows_per_day / ACTIVE_SHARE)
    while len(draft.slots) < wanted:
        _add_campaign(draft)
    regular = draft.slots[:wanted]
    special: list[Slot] = []
    if product == "SPONSORED_PRODUCTS":
        special = [*_late_slots(draft, rows_per_day), *_nameless_slots(draft, rows_per_day)]
    return Catalog(
        seed,
        account_id,
        market,
        tuple(draft.campaigns),
        tuple(draft.ad_groups),
        tuple(draft.ads),
        tuple(draft.targets),
        tuple(regular + special),
        product,
        portfolios,
        _brand_asins(draft.ads),
    )


@dataclass(slots=True)
class _Draft:
    rng: Random
    market: Market
    product: AdProduct
    portfolios: tuple[Portfolio, ...]
    shared_id: str
    long_ids: bool = False
    campaigns: list[Campaign] = field(default_factory=list)
    ad_groups: list[AdGroup] = field(default_factory=list)
    ads: list[Ad] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    used_ids: set[str] = field(default_factory=set)

    def new_id(self) -> str:
        """Draw an unused id of 15 digits or, if ids are long, of 19 that fit 64 bits; a late target adds to it."""
        low, high = (10**18, 2**63 - 10**6) if self.long_ids else (10**14, 10**15 - 10**6)
        number = str(self.rng.randrange(low, high))
        return number if self._is_new(number) else self.new_id()

    def money(self, low: int, high: int) -> Decimal:
        """Draw an amount between two bounds in cents; whole yen where the currency has no cents."""
        cents = self.rng.randint(low, high)
        return Decimal(cents) / 100 if self.market.has_cents else Decimal(cents)

    def state(self) -> State:
        """Draw a state; most entities are enabled."""
        states: tuple[State, ...] = ("ENABLED", "PAUSED", "ARCHIVED")
        return self.rng.choices(states, (90, 7, 3))[0]

    def _is_new(self, number: str) -> bool:
        known = number in self.used_ids
        self.used_ids.add(number)
        return not known


def _add_campaign(draft: _Draft) -> None:
    rng, number = draft.rng, len(draft.campaigns)
    targeting = _TARGETING[draft.product][number % 3]
    portfolios = (None, *(portfolio.portfolio_id for portfolio in draft.portfolios))
    campaign_id = draft.new_id()
    campaign = Campaign(
        campaign_id=campaign_id if number else draft.shared_id,
        name=seeded.campaign_name(rng, draft.product, automatic=targeting == "AUTO"),
        targeting=targeting,
        state=draft.state(),
        start_date=date(2019, 1, 1) + timedelta(days=rng.randrange(1400)),
        budget=draft.money(500, 20_000) if rng.random() < 0.97 else draft.money(10**9, 10**11),  # noqa: PLR2004
        product=draft.product,
        cost_type=_COST_TYPES[draft.product][number % 4],
        portfolio_id=portfolios[seed_number("portfolio", campaign_id) % len(portfolios)],
    )
    draft.campaigns.append(campaign)
    for index in range(1 if campaign.automatic else rng.randint(1, 4)):
        _add_ad_group(draft, campaign, index + 1)
    if rng.random() < 0.3 and draft.product == "SPONSORED_PRODUCTS":  # noqa: PLR2004 - three campaigns of ten
        text = seeded.keyword(rng)
        draft.targets.append(_make(draft, campaign, "KEYWORD", "EXACT", text, negative=True))


def _add_ad_group(draft: _Draft, campaign: Campaign, number: int) -> None:
    rng, ad_types = draft.rng, _AD_TYPES[draft.product]
    group = AdGroup(
        ad_group_id=draft.new_id(),
        campaign=campaign,
        name=f"Ad group {number}" if rng.random() < 0.9 else rng.choice(seeded.AWKWARD_NAMES),  # noqa: PLR2004
        state=draft.state(),
        default_bid=draft.money(15, 250),
        ad_type=ad_types[len(draft.ad_groups) % len(ad_types)],
    )
    ads = [_ad(draft, group) for _ in range(rng.randint(1, 4))]
    targets = list((_auto_targets if campaign.automatic else _manual_targets)(draft, group))
    draft.ad_groups.append(group)
    draft.ads += ads
    draft.targets += targets
    draft.slots += [
        Slot(
            ad,
            target,
            ACTIVE_SHARE,
            _price_micros(group, target),
            per_view=campaign.cost_type == "VCPM",
        )
        for ad in ads
        for target in targets
        if not target.negative
    ]


def _ad(draft: _Draft, group: AdGroup) -> Ad:
    whole = draft.rng.randint(6, 60)
    price = whole * 1_000_000 - 10_000 if draft.market.has_cents else whole * 100 * 1_000_000
    count = draft.rng.randint(3, 8) if group.ad_type == "PRODUCT_COLLECTION" else 1
    products = (
        () if group.ad_type == "IMAGE" else tuple(seeded.asin(draft.rng) for _ in range(count))
    )
    asin = None if draft.product == "SPONSORED_BRANDS" or not products else products[0]
    return Ad(draft.new_id(), group, asin, price, draft.state(), products)


def _auto_targets(draft: _Draft, group: AdGroup) -> Iterator[Target]:
    return (_make(draft, group, "AUTO", match_type) for match_type in AUTO_VALUES)


def _manual_targets(draft: _Draft, group: AdGroup) -> Iterator[Target]:
    makers = _MAKERS[group.campaign.targeting or draft.product]
    maker: Callable[[_Draft, AdGroup], Target] = draft.rng.choice(makers)
    seen: set[str] = set()
    positive: list[Target] = []
    for _ in range(draft.rng.randint(4, 14)):
        target = maker(draft, group)
        key = f"{target.report_match_type} {target.report_value}"
        if key not in seen:
            seen.add(key)
            positive.append(target)
    yield from positive
    yield from _negatives(draft, group, positive[0])


def _negatives(draft: _Draft, group: AdGroup, twin: Target) -> Iterator[Target]:
    """Yield an ad group's negative targets; some say the same as a positive one beside them."""
    rng = draft.rng
    if draft.product == "SPONSORED_DISPLAY":
        asin = seeded.asin(rng)
        yield _make(draft, group, "PRODUCT", "PRODUCT_EXACT", asin, negative=True)
    elif rng.random() < 0.5:  # noqa: PLR2004 - every second ad group
        says_the_same = twin.target_type == "KEYWORD"
        match_type = str(twin.match_type) if says_the_same else "PHRASE"
        text = twin.text if says_the_same else seeded.keyword(rng)
        yield _make(draft, group, "KEYWORD", match_type, text, negative=True)


def _make(
    draft: _Draft,
    place: AdGroup | Campaign,
    target_type: TargetType,
    match_type: str | None,
    text: str = "",
    **more: Any,
) -> Target:
    """Make a target of an ad group or of a whole campaign; negative ones have no bid."""
    group = place if isinstance(place, AdGroup) else None
    return Target(
        target_id=draft.new_id(),
        campaign=place.campaign if isinstance(place, AdGroup) else place,
        ad_group=group,
        target_type=target_type,
        match_type=match_type,
        text=text,
        bid=None if more.get("negative") else draft.money(10, 300),
        state=draft.state(),
        **more,
    )


def _keyword_target(draft: _Draft, group: AdGroup) -> Target:
    match_type = draft.rng.choice(_KEYWORD_MATCHES)
    return _make(draft, group, "KEYWORD", match_type, seeded.keyword(draft.rng))


def _product_target(draft: _Draft, group: AdGroup) -> Target:
    match_type = draft.rng.choice(_PRODUCT_MATCHES)
    return _make(draft, group, "PRODUCT", match_type, seeded.asin(draft.rng))


def _category_target(draft: _Draft, group: AdGroup) -> Target:
    category, brand = seeded.product_category(draft.rng), seeded.brand(draft.rng)
    return _make(draft, group, "PRODUCT_CATEGORY", "PRODUCT_CATEGORY", category, brand=brand)


def _theme_target(draft: _Draft, group: AdGroup) -> Target:
    return _make(draft, group, "THEME", draft.rng.choice(THEMES))


def _audience_target(draft: _Draft, group: AdGroup) -> Target:
    return _make(draft, group, "AUDIENCE", None, str(draft.rng.randrange(10**14, 10**15)))


def _event_target(draft: _Draft, group: AdGroup) -> Target:
    """Make a target for people who viewed or bought the advertised products, or those of a category."""
    rng = draft.rng
    event, lookback = rng.choice(("VIEW", "PURCHASE")), rng.choice((7, 14, 30, 60, 90))
    if rng.random() < 0.5:  # noqa: PLR2004 - as many of each kind
        return _make(draft, group, "PRODUCT_AUDIENCE", None, event=event, lookback=lookback)
    category = seeded.product_category(rng)
    kind: TargetType = "PRODUCT_CATEGORY_AUDIENCE"
    return _make(draft, group, kind, None, category, event=event, lookback=lookback)


_MAKERS: dict[str, tuple[Callable[[_Draft, AdGroup], Target], ...]] = {
    "MANUAL": (_keyword_target, _keyword_target, _product_target, _category_target),
    "SPONSORED_BRANDS": (
        _keyword_target,
        _keyword_target,
        _product_target,
        _category_target,
        _theme_target,
    ),
    "T00020": (_product_target, _category_target),
    "T00030": (_event_target, _audience_target, _event_target),
}
"""The kinds of targets of an ad group, by its campaign's targeting or, without one, by ad product."""
_TARGETING: dict[AdProduct, tuple[str | None, ...]] = {
    "SPONSORED_PRODUCTS": ("AUTO", "MANUAL", "MANUAL"),
    "SPONSORED_BRANDS": (None, None, None),
    "SPONSORED_DISPLAY": ("T00030", "T00020", "T00030"),
}
_COST_TYPES: dict[AdProduct, tuple[CostType, ...]] = {
    "SPONSORED_PRODUCTS": ("CPC", "CPC", "CPC", "CPC"),
    "SPONSORED_BRANDS": ("CPC", "CPC", "VCPM", "CPC"),
    "SPONSORED_DISPLAY": ("VCPM", "CPC", "CPC", "VCPM"),
}
_AD_TYPES: dict[AdProduct, tuple[AdType, ...]] = {
    "SPONSORED_PRODUCTS": ("PRODUCT_AD",),
    "SPONSORED_BRANDS": ("PRODUCT_COLLECTION", "PRODUCT_COLLECTION", "VIDEO", "STORE_SPOTLIGHT"),
    "SPONSORED_DISPLAY": ("PRODUCT_AD", "PRODUCT_AD", "PRODUCT_AD", "VIDEO", "IMAGE"),
}


def _make_portfolios(seed: int, account_id: str, market: Market) -> tuple[Portfolio, ...]:
    """Make the portfolios of a profile, which campaigns of all ad products share."""
    rng = Random(seed_number(seed, account_id, market.country, "portfolios"))  # noqa: S311 - data, not secrets
    names = ("Always on", "Q4 Ängebote & <b>more</b>", "犬 🐶", "Clearance")
    return tuple(
        Portfolio(str(rng.randrange(10**14, 10**15)), name, paused=index == len(names) - 1)
        for index, name in enumerate(names)
    )


def _shared_campaign_id(seed: int, account_id: str, product: AdProduct) -> str:
    """Return the id that the first campaign has in each country of an account: ids are unique in one profile only."""
    return str(10**14 + seed_number(seed, account_id, product, "shared campaign") % 10**14)


def _late_slots(draft: _Draft, rows_per_day: int) -> list[Slot]:
    return [
        Slot(ad, _late_stem(draft, ad, number), share, _price_micros(ad.ad_group, None), late=True)
        for number, (ad, share) in enumerate(_chosen_ads(draft, rows_per_day * LATE_SHARE))
    ]


def _late_stem(draft: _Draft, ad: Ad, number: int) -> Target:
    text = f"weekly deal {number}"
    return _make(draft, ad.ad_group, "KEYWORD", "EXACT", text)


def _nameless_slots(draft: _Draft, rows_per_day: int) -> list[Slot]:
    return [
        Slot(ad, None, share, _price_micros(ad.ad_group, None))
        for ad, share in _chosen_ads(draft, rows_per_day * NAMELESS_SHARE)
    ]


def _chosen_ads(draft: _Draft, rows: float) -> list[tuple[Ad, float]]:
    """Choose distinct ads of manual campaigns, and the share of days that makes about `rows` rows a day."""
    manual = [ad for ad in draft.ads if not ad.ad_group.campaign.automatic] or draft.ads
    count = min(len(manual), max(1, round(rows / ACTIVE_SHARE)))
    share = min(1.0, rows / count)
    return [(ad, share) for ad in draft.rng.sample(manual, count)]


def _price_micros(group: AdGroup, target: Target | None) -> int:
    """Return the bid for a click or, where viewable impressions are charged, that for one of a thousand."""
    bid = target.bid if target is not None and target.bid is not None else group.default_bid
    micros = int(bid * 1_000_000)
    return micros if group.campaign.cost_type == "CPC" else max(1, micros // 200)


def _brand_asins(ads: list[Ad]) -> tuple[str, ...]:
    """Return the products that people buy after seeing the ads: those shown, and three more of the brand."""
    more = (seed_number("more of the brand", ads[0].ad_id, number) % 10**8 for number in range(3))
    shown = dict.fromkeys(asin for ad in ads for asin in ad.products)
    return (*shown, *(f"B1{number:08d}" for number in more))
