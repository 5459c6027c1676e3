"""Exports of an account's country: their life from PROCESSING to COMPLETED or FAILED, and the entities in their files.

Attributes that no report depends on (delivery, tags, bid strategies, forms of an amount) are drawn
from the entity's id.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any, Literal, TypeVar, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool

from bidbeacon_sandbox.accounts import Account, AccountCountry
from bidbeacon_sandbox.catalog import World
from bidbeacon_sandbox.config import SandboxConfig
from bidbeacon_sandbox.entities import (
    AD_PRODUCTS,
    Ad,
    AdGroup,
    AdProduct,
    Campaign,
    Catalog,
    Portfolio,
    State,
    Target,
    TargetType,
)
from bidbeacon_sandbox.faults import FaultRule
from bidbeacon_sandbox.files import Journal
from bidbeacon_sandbox.rows import to_json
from bidbeacon_sandbox.seeded import digest, seed_number
from bidbeacon_sandbox.variants import vary_rows

ExportKind = Literal["campaigns", "adGroups", "ads", "targets"]
TargetLevel = Literal["AD_GROUP", "CAMPAIGN"]
EXPORT_KINDS: tuple[ExportKind, ...] = get_args(ExportKind)
PORTFOLIO_MEDIA = "application/vnd.spportfolio.v3+json"
_UPDATED = "2025-01-10T10:00:00Z"
_Choice = TypeVar("_Choice")


class ExportFilter(BaseModel):
    """The body of an export's creation: which entities it has. The last three are about targets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adProductFilter: tuple[AdProduct, ...] = Field(AD_PRODUCTS, min_length=1)  # noqa: N815 - the wire's name
    stateFilter: tuple[State, ...] = Field(("ENABLED", "PAUSED"), min_length=1)  # noqa: N815 - the same
    negativeFilter: tuple[StrictBool, ...] = Field((False, True), min_length=1)  # noqa: N815 - the same
    targetLevelFilter: tuple[TargetLevel, ...] = Field(get_args(TargetLevel), min_length=1)  # noqa: N815 - the same
    targetTypeFilter: tuple[TargetType, ...] = Field(get_args(TargetType), min_length=1)  # noqa: N815 - the same

    @property
    def is_about_targets(self) -> bool:
        """Whether it names one of the filters that only targets have."""
        return bool(
            self.model_fields_set & {"negativeFilter", "targetLevelFilter", "targetTypeFilter"}
        )

    def has_target(self, target: Target) -> bool:
        """Return whether a target passes the three filters that are about targets."""
        level = "CAMPAIGN" if target.ad_group is None else "AD_GROUP"
        return (
            target.negative in self.negativeFilter
            and level in self.targetLevelFilter
            and target.target_type in self.targetTypeFilter
        )


def media_type(kind: ExportKind) -> str:
    """Return the media type that a kind's calls must name in Content-Type and Accept."""
    return f"application/vnd.{kind.lower()}export.v1+json"


def export_rows(
    catalog: Catalog, kind: ExportKind, asked: ExportFilter, today: date
) -> Iterator[str]:
    """Yield one ad product's entities as JSON texts; `today` is the account-local day of the export."""
    rows: Iterator[tuple[State, dict[str, Any]]]
    if kind == "campaigns":
        rows = ((item.state, _campaign(item, catalog)) for item in catalog.campaigns)
    elif kind == "adGroups":
        rows = ((item.state, _ad_group(item, catalog)) for item in catalog.ad_groups)
    elif kind == "ads":
        rows = ((item.state, _ad(item)) for item in catalog.ads)
    else:
        targets = filter(asked.has_target, catalog.exported_targets(today))
        rows = ((item.state, _target(item, catalog)) for item in targets)
    return (to_json(row) for state, row in rows if state in asked.stateFilter)


def portfolio_row(portfolio: Portfolio, currency: str, *, cents: bool) -> dict[str, Any]:
    """Return a portfolio as `POST /portfolios/list` answers it."""
    policy = _pick(portfolio.portfolio_id, "policy", ("NO_CAP", "MONTHLY_RECURRING", "DATE_RANGE"))
    amount = seed_number(portfolio.portfolio_id) % 500_000 + 10_000
    budget: dict[str, Any] = {"policy": policy, "currencyCode": currency}
    if policy != "NO_CAP":
        budget |= {
            "amount": Decimal(amount) / 100 if cents else Decimal(amount),
            "startDate": "2025-01-01",
        }
    if policy == "DATE_RANGE":
        budget["endDate"] = "2027-12-31"
    return {
        "portfolioId": portfolio.portfolio_id,
        "name": portfolio.name,
        "state": "PAUSED" if portfolio.paused else "ENABLED",
        "inBudget": _pick(portfolio.portfolio_id, "in budget", (True, True, False)),
        "budget": budget,
    }


def _pick(entity_id: str, purpose: str, choices: tuple[_Choice, ...]) -> _Choice:
    """Choose one of some values, always the same for an entity and a purpose."""
    return choices[seed_number(purpose, entity_id) % len(choices)]


def _life(entity_id: str, state: State, product: AdProduct, created: date) -> dict[str, Any]:
    """Return the state and delivery of an entity; some enabled ones do not deliver or have an unavailable status."""
    delivery = "NOT_DELIVERING"
    if state == "ENABLED":
        outcome = seed_number("delivery", entity_id) % 40
        delivery = (
            "UNAVAILABLE" if outcome == 0 else "NOT_DELIVERING" if outcome < 4 else "DELIVERING"  # noqa: PLR2004
        )
    return {
        "adProduct": product,
        "state": state,
        "deliveryStatus": delivery,
        "creationDateTime": f"{created.isoformat()}T18:00:00Z",
        "lastUpdatedDateTime": _UPDATED,
    }


def _campaign(campaign: Campaign, catalog: Catalog) -> dict[str, Any]:
    number, state = campaign.campaign_id, campaign.state
    life = _life(number, state, campaign.product, campaign.start_date)
    reason = "CAMPAIGN_OUT_OF_BUDGET" if state == "ENABLED" else f"CAMPAIGN_{state}"
    return {
        "campaignId": number,
        "name": campaign.name,
        "startDate": campaign.start_date.isoformat(),
        "deliveryReasons": [reason] if life["deliveryStatus"] == "NOT_DELIVERING" else [],
        "tags": _pick(number, "tags", ([], [], [{"key": "team", "value": "pets & co"}])),
        **_OF_CAMPAIGN[campaign.product](campaign),
        "budgetCaps": _budget(campaign, catalog.market.currency),
        **({} if campaign.targeting is None else {"targetingSettings": campaign.targeting}),
        **life,
    }


def _budget(campaign: Campaign, currency: str) -> dict[str, Any]:
    """Return a campaign's budget; some have a rule that raises it, and those of Sponsored Brands may be for life."""
    for_life = campaign.product == "SPONSORED_BRANDS" and _pick(
        campaign.campaign_id, "life", (False, True)
    )
    rule = _pick(
        campaign.campaign_id, "rule", ({}, {}, {}, {"ruleAmount": campaign.budget * 5 / 4})
    )
    return {
        "recurrenceTimePeriod": "LIFETIME" if for_life else "DAILY",
        "budgetType": "MONETARY",
        "budgetValue": {
            "monetaryBudget": {"currencyCode": currency, "amount": campaign.budget, **rule},
        },
    }


def _products_campaign(campaign: Campaign) -> dict[str, Any]:
    strategy = _pick(campaign.campaign_id, "strategy", ("SALES_DOWN_ONLY", "SALES", "RULE_BASED"))
    return {"optimization": _optimization(campaign, strategy, "TOP_OF_SEARCH", "PRODUCT_PAGE")}


def _brands_campaign(campaign: Campaign) -> dict[str, Any]:
    strategy = _pick(campaign.campaign_id, "strategy", ("SALES", "NEW_TO_BRAND"))
    brand = seed_number("brand", campaign.campaign_id) % 10**12
    return {
        "optimization": _optimization(campaign, strategy, "HOME_PAGE", "TOP_OF_SEARCH"),
        "brandEntityId": f"ENTITY{brand:012d}",
        **_cost_portfolio_end(campaign),
    }


def _cost_portfolio_end(campaign: Campaign) -> dict[str, Any]:
    ends = (campaign.start_date + timedelta(days=3650)).isoformat()
    portfolio = {} if campaign.portfolio_id is None else {"portfolioId": campaign.portfolio_id}
    end = _pick(campaign.campaign_id, "end", ({}, {}, {"endDate": ends}))
    return {"costType": campaign.cost_type, **portfolio, **end}


_OF_CAMPAIGN: dict[AdProduct, Callable[[Campaign], dict[str, Any]]] = {
    "SPONSORED_PRODUCTS": _products_campaign,
    "SPONSORED_BRANDS": _brands_campaign,
    "SPONSORED_DISPLAY": _cost_portfolio_end,
}


def _optimization(campaign: Campaign, strategy: str, *placements: str) -> Any:
    """Return a bid strategy and its adjustments; for every fourth campaign as a list, the other form that was seen."""
    percentages = (20, 0, 900)
    settings = {
        "bidStrategy": strategy,
        "placementBidAdjustments": [
            {
                "placement": placement,
                "percentage": _pick(campaign.campaign_id, placement, percentages),
            }
            for placement in placements
        ],
    }
    return _pick(campaign.campaign_id, "form", (settings, settings, settings, [settings]))


def _ad_group(group: AdGroup, catalog: Catalog) -> dict[str, Any]:
    product, number = group.campaign.product, group.ad_group_id
    bid = {"bid": {"defaultBid": group.default_bid, "currencyCode": catalog.market.currency}}
    return {
        "adGroupId": number,
        "campaignId": group.campaign.campaign_id,
        "name": group.name,
        **({} if product == "SPONSORED_BRANDS" else bid),
        **(_goals(group) if product == "SPONSORED_DISPLAY" else {}),
        **_life(number, group.state, product, group.campaign.start_date),
    }


def _goals(group: AdGroup) -> dict[str, Any]:
    goal = _pick(group.ad_group_id, "goal", ("CONVERSIONS", "CONSIDERATION", "AWARENESS"))
    goals = {"goalSettings": {"goal": goal, "kpi": "CLICKS"}}
    return {
        "creativeType": group.ad_type,
        "optimization": _pick(group.ad_group_id, "form", (goals, [goals])),
    }


def _ad(ad: Ad) -> dict[str, Any]:
    campaign = ad.ad_group.campaign
    named = {} if campaign.product == "SPONSORED_PRODUCTS" else {"name": f"Ad {ad.ad_id[-4:]}"}
    return {
        "adId": ad.ad_id,
        "adGroupId": ad.ad_group.ad_group_id,
        "campaignId": campaign.campaign_id,
        **named,
        "adType": ad.ad_group.ad_type,
        "creative": _creative(ad),
        **_life(ad.ad_id, ad.state, campaign.product, campaign.start_date),
    }


def _creative(ad: Ad) -> dict[str, Any]:
    """Return what an ad shows: products, and for other types than a product's ad also a headline and a landing page."""
    products = {"products": [{"productIdType": "ASIN", "productId": asin} for asin in ad.products]}
    ad_type = ad.ad_group.ad_type
    if ad_type == "PRODUCT_AD":
        return products
    page_type, url = _LANDING_PAGES[ad_type]
    asset = {
        "assetId": f"amzn1.assetlibrary.asset1.{seed_number(ad.ad_id):032x}",
        "assetVersion": "version_v1",
    }
    return {
        **(products if ad.products else {}),
        "headline": "Warm pets, happy people™",
        "brandName": "Acme",
        **({"videos": [asset]} if ad_type == "VIDEO" else {"customImages": [asset]}),
        "landingPage": {
            "landingPageType": page_type,
            "landingPageUrl": url.format(*ad.products, ad.ad_id),
        },
    }


_LANDING_PAGES = {
    "PRODUCT_COLLECTION": ("PRODUCT_LIST", "https://www.amazon.com/s?asins={0},{1},{2}"),
    "STORE_SPOTLIGHT": ("STORE", "https://www.amazon.com/stores/page/acme"),
    "VIDEO": ("DETAIL_PAGE", "https://www.amazon.com/dp/{0}"),
    "IMAGE": ("OFF_AMAZON_LINK", "https://www.example.com/pets?ad={0}"),
}


def _target(target: Target, catalog: Catalog) -> dict[str, Any]:
    campaign = target.campaign
    group = {} if target.ad_group is None else {"adGroupId": target.ad_group.ad_group_id}
    bid = (
        {}
        if target.bid is None
        else {"bid": _bid(target.target_id, target.bid, catalog.market.currency)}
    )
    return {
        "targetId": target.target_id,
        **group,
        "campaignId": campaign.campaign_id,
        "negative": target.negative,
        **bid,
        "targetDetails": _details(target),
        "targetType": target.target_type,
        "targetLevel": "CAMPAIGN" if target.ad_group is None else "AD_GROUP",
        **_life(target.target_id, target.state, campaign.product, campaign.start_date),
    }


def _bid(target_id: str, bid: Decimal, currency: str) -> Decimal | dict[str, Any]:
    """Return a bid in one of its two forms, always the same for a target."""
    return bid if seed_number(target_id) % 2 else {"currencyCode": currency, "bid": bid}


def _details(target: Target) -> dict[str, Any]:
    """Return the details of a target, of which each type has its own."""
    match_type = {} if target.match_type is None else {"matchType": target.match_type}
    audience = {} if target.event is None else {"event": target.event, "lookback": target.lookback}
    details: dict[TargetType, dict[str, Any]] = {
        "KEYWORD": {"keyword": target.text},
        "PRODUCT": {"asin": target.text},
        "AUDIENCE": {"audienceId": target.text},
    }
    if target.target_type in {"PRODUCT_CATEGORY", "PRODUCT_CATEGORY_AUDIENCE"}:
        return _category(target) | audience
    return match_type | details.get(target.target_type, {}) | audience


def _category(target: Target) -> dict[str, Any]:
    """Return a category and its refinements: a brand and, for Sponsored Display, price, rating, age and Prime."""
    category = {
        "productCategoryId": str(seed_number("category", target.text) % 10**10),
        "productCategoryResolved": target.text,
    }
    if target.brand:
        category |= {
            "productBrand": str(seed_number("brand", target.brand) % 10**8),
            "productBrandResolved": target.brand,
        }
    if target.campaign.product != "SPONSORED_DISPLAY":
        return category
    return category | _pick(target.target_id, "refinement", _REFINEMENTS)


_REFINEMENTS: tuple[dict[str, Any], ...] = (
    {},
    {"productPriceGreaterThan": "10", "productPriceLessThan": "49.99"},
    {"productRatingGreaterThan": "3", "productRatingLessThan": "5"},
    {"productAgeRange": "2", "productAgeRangeResolved": "5 to 7 years"},
    {"productPrimeShippingEligible": True},
)


ExportStatus = Literal["PROCESSING", "COMPLETED", "FAILED"]
KEPT = timedelta(hours=24)
"""How long after its creation an export's url is signed anew."""


class Export(BaseModel):
    """One export that was accepted; it never changes."""

    model_config = ConfigDict(frozen=True)

    export_id: str
    kind: ExportKind
    account_id: str
    country: str
    asked: ExportFilter
    created_at: AwareDatetime
    ready_at: AwareDatetime
    failure: FaultRule | None = None

    def status(self, now: datetime) -> ExportStatus:
        """Return its status at an instant."""
        if now < self.ready_at:
            return "PROCESSING"
        return "COMPLETED" if self.failure is None else "FAILED"


class Exports:
    """All exports of a sandbox."""

    def __init__(self, config: SandboxConfig, world: World) -> None:
        self._config = config
        self._world = world
        self._journal = Journal(config.state_dir, "exports", Export)
        self._exports = {export.export_id: export for export in self._journal.read()}

    def create(
        self,
        kind: ExportKind,
        place: tuple[Account, AccountCountry],
        asked: ExportFilter,
        now: datetime,
        failure: FaultRule | None,
    ) -> Export:
        """Accept a request for an export of one account in one country."""
        account, country = place
        number = digest(
            self._config.seed, kind, account.account_id, country.country, now, len(self._exports)
        )
        export = Export(
            export_id=f"exp-{kind.lower()}-{number.hex()[:16]}",
            kind=kind,
            account_id=account.account_id,
            country=country.country,
            asked=asked,
            created_at=now,
            ready_at=now + timedelta(seconds=self._config.export_seconds),
            failure=failure,
        )
        self._exports[export.export_id] = export
        self._journal.append(export)
        return export

    def find(self, export_id: str) -> Export | None:
        """Return the export with this id; None where there is none (or none since a restart)."""
        return self._exports.get(export_id)

    def in_progress(self, kind: ExportKind, now: datetime) -> int:
        """Count the exports of one endpoint that are in progress, of all accounts."""
        same = (export for export in self._exports.values() if export.kind == kind)
        return sum(export.status(now) == "PROCESSING" for export in same)

    def rows(self, export: Export) -> Iterator[str]:
        """Return an export's entities as JSON texts, as of when it was ready."""
        account = self._world.accounts.find(export.account_id)
        country = account and account.find_country(export.country)
        if not account or not country:
            return iter(())
        today = export.ready_at.astimezone(country.market.zone).date()
        catalogs = (
            self._world.catalog(account, country, product)
            for product in export.asked.adProductFilter
        )
        rows = (export_rows(catalog, export.kind, export.asked, today) for catalog in catalogs)
        return vary_rows(chain.from_iterable(rows), self._config.variants, "entities")
