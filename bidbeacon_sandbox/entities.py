"""Entities of an account in one country, in the form of exports and of report rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

from bidbeacon_sandbox.accounts import Market

AdProduct = Literal["SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"]
ExportKind = Literal["campaigns", "adGroups", "ads", "targets"]
State = Literal["ENABLED", "PAUSED", "ARCHIVED"]
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
EXPORT_KINDS: tuple[ExportKind, ...] = get_args(ExportKind)
AUTO_VALUES = {
    "SEARCH_CLOSE_MATCH": "close-match",
    "SEARCH_LOOSE_MATCH": "loose-match",
    "PRODUCT_SUBSTITUTES": "substitutes",
    "PRODUCT_COMPLEMENTS": "complements",
}
THEMES = ("SEARCH_RELATED_TO_YOUR_BRAND", "SEARCH_RELATED_TO_YOUR_LANDING_PAGES")

ACTIVE_SHARE = 0.82

Entity = dict[str, Any]
"""A campaign, ad group, ad, target or portfolio, in the form of Amazon's answers."""


class Slot(NamedTuple):
    """A pair of an ad and the target that shows it; the pair has at most one row per day.

    `bid` is the highest cost of a click or, for vCPM, of a viewable impression. `price` is the
    highest price of one unit of the product. Both are in millionths of the currency.
    """

    campaign: Entity
    ad_group: Entity
    ad: Entity
    target: Entity
    bid: int
    price: int


@dataclass(frozen=True, slots=True)
class Catalog:
    """All entities of one ad product, and the portfolios, of an account in one country.

    `active_share` is the share of days on which a slot (a pair of ad and target) has a row.
    """

    seed: int
    account_id: str
    market: Market
    product: AdProduct
    entities: Mapping[ExportKind, Sequence[Entity]]
    portfolios: Sequence[Entity]
    slots: Sequence[Slot]
    brand_asins: Sequence[str]
    active_share: float = ACTIVE_SHARE

    def local_now(self, now: datetime) -> datetime:
        """Convert a time to the account's time zone."""
        return now.astimezone(self.market.zone)


def advertised_asin(ad: Entity) -> str | None:
    """Return the ASIN that an ad advertises; None for Sponsored Brands and image ads."""
    products = asins_of(ad)
    return products[0] if products and ad["adProduct"] != "SPONSORED_BRANDS" else None


def asins_of(ad: Entity) -> list[str]:
    """Return the ASINs of the products that an ad shows."""
    return [one["productId"] for one in ad["creative"].get("products", ())]


def bid_of(target: Entity) -> float | None:
    """Return a target's bid, stored as a number or an object; None for negative targets."""
    bid = target.get("bid")
    return bid["bid"] if isinstance(bid, dict) else bid


def report_target(target: Entity) -> tuple[str | None, str | None]:
    """Return a target's `target.value` and `target.matchType` in report rows.

    Sponsored Display has no match type, and an audience has no value. The theme
    `SEARCH_RELATED_TO_YOUR_BRAND` has neither.
    """
    kind, match_type = target["targetType"], target["targetDetails"].get("matchType")
    if kind == "THEME":
        is_blank = match_type == THEMES[0]
        return (None, None) if is_blank else ("keywords-related-to-your-landing-pages", "THEME")
    if kind == "KEYWORD":
        return target["targetDetails"]["keyword"], match_type
    if kind == "AUTO":
        return AUTO_VALUES[match_type], "TARGETING_EXPRESSION_PREDEFINED"
    is_display = target["adProduct"] == "SPONSORED_DISPLAY"
    return _expression(target), None if is_display else "TARGETING_EXPRESSION"


def _expression(target: Entity) -> str | None:
    kind, details = target["targetType"], target["targetDetails"]
    if kind == "AUDIENCE":
        return None
    if kind == "PRODUCT":
        verb = "asin" if details["matchType"] == "PRODUCT_EXACT" else "asin-expanded"
        return f'{verb}="{details["asin"]}"'
    category = f'category="{details.get("productCategoryResolved")}"'
    if "productBrandResolved" in details:
        category += f' brand="{details["productBrandResolved"]}"'
    if kind == "PRODUCT_CATEGORY":
        return category
    what = "exact-product" if kind == "PRODUCT_AUDIENCE" else category
    verb = "views" if details["event"] == "VIEW" else "purchases"
    return f"{verb}=({what} lookback={details['lookback']})"


def _sku(asin: str | None) -> str | None:
    return None if asin is None or asin.endswith("0") else f"PET-{asin[2:6]}-{asin[6:]}"


def _portfolio(slot: Slot, catalog: Catalog) -> str | None:
    number = slot.campaign.get("portfolioId")
    named = (one["name"] for one in catalog.portfolios if one["portfolioId"] == number)
    return next(named, None)


def _marketplace(slot: Slot, catalog: Catalog) -> str | None:
    return advertised_asin(slot.ad) and catalog.market.country


AD_VALUES: dict[str, Callable[[Slot, Catalog], Any]] = {
    "budgetCurrency.value": lambda _, catalog: catalog.market.currency,
    "adProduct.value": lambda _, catalog: catalog.product.replace("_", " ").title(),
    "advertiserAccount.id": lambda _, catalog: catalog.account_id,
    "campaign.id": lambda slot, _: slot.campaign["campaignId"],
    "campaign.name": lambda slot, _: slot.campaign["name"],
    "campaign.country": lambda _, catalog: catalog.market.country,
    "campaignCountry.value": lambda _, catalog: catalog.market.country,
    "campaign.costType": lambda slot, _: slot.campaign.get("costType"),
    "campaign.currencyCode": lambda _, catalog: catalog.market.currency,
    "campaign.deliveryStatus": lambda slot, _: slot.campaign["deliveryStatus"],
    "campaign.budgetAmount": lambda slot, _: slot.campaign["budgetCaps"]["budgetValue"][
        "monetaryBudget"
    ]["amount"],
    "campaign.budgetType": lambda slot, _: slot.campaign["budgetCaps"]["recurrenceTimePeriod"],
    "portfolio.portfolioId": lambda slot, _: slot.campaign.get("portfolioId"),
    "portfolio.name": _portfolio,
    "adGroup.id": lambda slot, _: slot.ad_group["adGroupId"],
    "adGroup.name": lambda slot, _: slot.ad_group["name"],
    "ad.id": lambda slot, _: slot.ad["adId"],
    "advertisedProduct.id": lambda slot, _: advertised_asin(slot.ad),
    "advertisedProduct.sku": lambda slot, _: _sku(advertised_asin(slot.ad)),
    "advertisedProduct.marketplace": _marketplace,
    "advertisedProductMarketplace.value": _marketplace,
}
"""Functions that return a report field's value from a slot and its catalog, by field."""
