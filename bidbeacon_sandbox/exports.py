"""Exports of an account's country: their life from PROCESSING to COMPLETED or FAILED, and the entities in their files.

Attributes that no report depends on (delivery, tags, bid strategies, forms of an amount) are drawn
from the entity's id.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any, Literal, TypeVar, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool

from bidbeacon_sandbox.accounts import Account, AccountCountry
from bidbeacon_sandbox.catalog import World
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
from bidbeacon_sandbox.files import Journal
from bidbeacon_sandbox.row_changes import with_rules
from bidbeacon_sandbox.rows import to_json
from bidbeacon_sandbox.rules import AnyRule, ExportEnds, Limits, Rows
from bidbeacon_sandbox.seeded import digest, seed_number
from bidbeacon_sandbox.settings import SandboxConfig

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
    currency = catalog.market.currency
    found: Iterator[tuple[State, dict[str, Any]]]
    if kind == "campaigns":
        found = ((one.state, _campaign(one, currency)) for one in catalog.campaigns)
    elif kind == "adGroups":
        found = ((one.state, _ad_group(one, currency)) for one in catalog.ad_groups)
    elif kind == "ads":
        found = ((one.state, _ad(one)) for one in catalog.ads)
    else:
        targets = filter(asked.has_target, catalog.exported_targets(today))
        found = ((one.state, _target(one, currency)) for one in targets)
    return (to_json(row) for state, row in found if state in asked.stateFilter)


def portfolio_row(portfolio: Portfolio, currency: str, *, cents: bool) -> dict[str, Any]:
    """Return a portfolio as `POST /portfolios/list` answers it."""
    number = portfolio.portfolio_id
    policy = _pick(number, "policy", ("NO_CAP", "MONTHLY_RECURRING", "DATE_RANGE"))
    budget: dict[str, Any] = {"policy": policy, "currencyCode": currency}
    if policy != "NO_CAP":
        amount = Decimal(seed_number(number) % 500_000 + 10_000)
        budget |= {"amount": amount / 100 if cents else amount, "startDate": "2025-01-01"}
    if policy == "DATE_RANGE":
        budget["endDate"] = "2027-12-31"
    return {
        "portfolioId": number,
        "name": portfolio.name,
        "state": "PAUSED" if portfolio.paused else "ENABLED",
        "inBudget": _pick(number, "in budget", (True, True, False)),
        "budget": budget,
    }


def _pick(entity_id: str, purpose: str, choices: tuple[_Choice, ...]) -> _Choice:
    """Choose one of some values, always the same for an entity and a purpose."""
    return choices[seed_number(purpose, entity_id) % len(choices)]


def _life(entity_id: str, state: State, campaign: Campaign) -> dict[str, Any]:
    """Return the state and delivery of an entity; some enabled ones do not deliver or have an unavailable status."""
    deliveries = ("UNAVAILABLE", *("NOT_DELIVERING",) * 3, *("DELIVERING",) * 36)
    enabled = state == "ENABLED"
    return {
        "adProduct": campaign.product,
        "state": state,
        "deliveryStatus": _pick(entity_id, "delivery", deliveries) if enabled else "NOT_DELIVERING",
        "creationDateTime": f"{campaign.start_date.isoformat()}T18:00:00Z",
        "lastUpdatedDateTime": _UPDATED,
    }


def _campaign(campaign: Campaign, currency: str) -> dict[str, Any]:
    number, state, product = campaign.campaign_id, campaign.state, campaign.product
    life = _life(number, state, campaign)
    reason = "CAMPAIGN_OUT_OF_BUDGET" if state == "ENABLED" else f"CAMPAIGN_{state}"
    ends = (campaign.start_date + timedelta(days=3650)).isoformat()
    for_life = product == "SPONSORED_BRANDS" and _pick(number, "life", (False, True))
    rule = _pick(number, "rule", ({}, {}, {}, {"ruleAmount": campaign.budget * 5 / 4}))
    amount = {"currencyCode": currency, "amount": campaign.budget, **rule}
    row = {
        "campaignId": number,
        "name": campaign.name,
        "startDate": campaign.start_date.isoformat(),
        "deliveryReasons": [reason] if life["deliveryStatus"] == "NOT_DELIVERING" else [],
        "tags": _pick(number, "tags", ([], [], [{"key": "team", "value": "pets & co"}])),
        "budgetCaps": {
            "recurrenceTimePeriod": "LIFETIME" if for_life else "DAILY",
            "budgetType": "MONETARY",
            "budgetValue": {"monetaryBudget": amount},
        },
        **life,
    }
    if campaign.targeting is not None:
        row["targetingSettings"] = campaign.targeting
    if product in _STRATEGIES:
        row["optimization"] = _optimization(number, product)
    if product == "SPONSORED_BRANDS":
        row["brandEntityId"] = f"ENTITY{seed_number('brand', number) % 10**12:012d}"
    if product != "SPONSORED_PRODUCTS":
        row |= {"costType": campaign.cost_type} | _pick(number, "end", ({}, {}, {"endDate": ends}))
        row |= {"portfolioId": campaign.portfolio_id} if campaign.portfolio_id else {}
    return row


_STRATEGIES: dict[AdProduct, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "SPONSORED_PRODUCTS": (
        ("SALES_DOWN_ONLY", "SALES", "RULE_BASED"),
        ("TOP_OF_SEARCH", "PRODUCT_PAGE"),
    ),
    "SPONSORED_BRANDS": (("SALES", "NEW_TO_BRAND"), ("HOME_PAGE", "TOP_OF_SEARCH")),
}
"""Bid strategies, and the placements that bids are adjusted for."""


def _optimization(number: str, product: AdProduct) -> dict[str, Any]:
    strategies, placements = _STRATEGIES[product]
    return {
        "bidStrategy": _pick(number, "strategy", strategies),
        "placementBidAdjustments": [
            {"placement": placement, "percentage": _pick(number, placement, (20, 0, 900))}
            for placement in placements
        ],
    }


def _ad_group(group: AdGroup, currency: str) -> dict[str, Any]:
    product, number = group.campaign.product, group.ad_group_id
    row: dict[str, Any] = {"adGroupId": number, "campaignId": group.campaign.campaign_id}
    row["name"] = group.name
    if product != "SPONSORED_BRANDS":
        row["bid"] = {"defaultBid": group.default_bid, "currencyCode": currency}
    if product == "SPONSORED_DISPLAY":
        goal = _pick(number, "goal", ("CONVERSIONS", "CONSIDERATION", "AWARENESS"))
        row["creativeType"] = group.ad_type
        row["optimization"] = {"goalSettings": {"goal": goal, "kpi": "CLICKS"}}
    return row | _life(number, group.state, group.campaign)


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
        **_life(ad.ad_id, ad.state, campaign),
    }


def _creative(ad: Ad) -> dict[str, Any]:
    """Return what an ad shows: products, and for other types than a product's ad also a headline and a landing page."""
    products = [{"productIdType": "ASIN", "productId": asin} for asin in ad.products]
    creative: dict[str, Any] = {"products": products} if products else {}
    ad_type = ad.ad_group.ad_type
    if ad_type == "PRODUCT_AD":
        return creative
    page_type, url = _LANDING_PAGES[ad_type]
    asset_id = f"amzn1.assetlibrary.asset1.{seed_number(ad.ad_id):032x}"
    return creative | {
        "headline": "Warm pets, happy people™",
        "brandName": "Acme",
        "videos" if ad_type == "VIDEO" else "customImages": [
            {"assetId": asset_id, "assetVersion": "version_v1"}
        ],
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


def _target(target: Target, currency: str) -> dict[str, Any]:
    """Return a target; its bid has one of two forms, always the same."""
    group, bid, number = target.ad_group, target.bid, target.target_id
    row = {"targetId": number} | ({} if group is None else {"adGroupId": group.ad_group_id})
    return {
        **row,
        "campaignId": target.campaign.campaign_id,
        "negative": target.negative,
        **(
            {}
            if bid is None
            else {"bid": _pick(number, "bid", (bid, {"currencyCode": currency, "bid": bid}))}
        ),
        "targetDetails": _details(target),
        "targetType": target.target_type,
        "targetLevel": "CAMPAIGN" if group is None else "AD_GROUP",
        **_life(number, target.state, target.campaign),
    }


def _details(target: Target) -> dict[str, Any]:
    """Return the details of a target, of which each type has its own; categories have no match type."""
    audience = {} if target.event is None else {"event": target.event, "lookback": target.lookback}
    if target.target_type in {"PRODUCT_CATEGORY", "PRODUCT_CATEGORY_AUDIENCE"}:
        return _category(target) | audience
    name = {"KEYWORD": "keyword", "PRODUCT": "asin", "AUDIENCE": "audienceId"}.get(
        target.target_type
    )
    match_type = {} if target.match_type is None else {"matchType": target.match_type}
    return match_type | ({name: target.text} if name else {}) | audience


def _category(target: Target) -> dict[str, Any]:
    """Return a category and its refinements: a brand and, for Sponsored Display, price, rating, age and Prime."""
    category = {
        "productCategoryId": str(seed_number("category", target.text) % 10**10),
        "productCategoryResolved": target.text,
    }
    if target.brand:
        category["productBrand"] = str(seed_number("brand", target.brand) % 10**8)
        category["productBrandResolved"] = target.brand
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
    rules: tuple[AnyRule, ...] = ()

    @property
    def failure(self) -> ExportEnds | None:
        """The rule that makes it fail; None where it has none."""
        return next(
            (
                rule
                for rule in self.rules
                if isinstance(rule, ExportEnds) and rule.status == "FAILED"
            ),
            None,
        )

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
        rules: tuple[Limits, ...] = (),
    ) -> Export:
        """Accept a request for an export of one account in one country."""
        account, country = place
        number = digest(
            self._config.seed, kind, account.account_id, country.country, now, len(self._exports)
        )
        longest = max(
            (rule.seconds or 0 for rule in rules if isinstance(rule, ExportEnds)), default=0
        )
        export = Export(
            export_id=f"exp-{kind.lower()}-{number.hex()[:16]}",
            kind=kind,
            account_id=account.account_id,
            country=country.country,
            asked=asked,
            created_at=now,
            ready_at=now + timedelta(seconds=max(self._config.export_seconds, longest)),
            rules=rules,
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
        rules = tuple(rule for rule in export.rules if isinstance(rule, Rows))
        return with_rules(chain.from_iterable(rows), rules, export.export_id)
