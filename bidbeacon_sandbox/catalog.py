"""Makes the entities of an account in one country from the seed and `world.json`."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from random import Random
from typing import Any

from bidbeacon_sandbox import seeded
from bidbeacon_sandbox.accounts import AccountCountry, AdsAccount, Market, make_accounts
from bidbeacon_sandbox.entities import (
    ACTIVE_SHARE,
    EXPORT_KINDS,
    AdProduct,
    Catalog,
    Entity,
    ExportKind,
    Slot,
    asins_of,
    bid_of,
    report_target,
)
from bidbeacon_sandbox.seeded import WORLD, seed_number
from bidbeacon_sandbox.settings import SandboxConfig

PRODUCT_SHARES: dict[AdProduct, float] = {
    "SPONSORED_PRODUCTS": 1,
    "SPONSORED_BRANDS": 0.24,
    "SPONSORED_DISPLAY": 0.04,
}
"""Rows per day of each ad product relative to Sponsored Products, from a recorded report."""


class World:
    """The accounts of a sandbox, and their entities, which are created at their first use."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.accounts = make_accounts(
            config.seed,
            config.accounts,
            config.countries,
            rows_per_day=config.rows_per_day,
            long_ids=config.long_ids,
        )
        self._catalog = lru_cache(maxsize=256)(self._make)

    def catalog(
        self,
        account: AdsAccount,
        country: AccountCountry,
        product: AdProduct = "SPONSORED_PRODUCTS",
    ) -> Catalog:
        """Return the entities of one ad product of an account in one of its countries."""
        return self._catalog(account.account_id, country, product)

    def _make(self, account_id: str, country: AccountCountry, product: AdProduct) -> Catalog:
        rows = max(1, round(country.rows_per_day * PRODUCT_SHARES[product]))
        number = [one.account_id for one in self.accounts.accounts].index(account_id)
        begin = self.config.campaigns_begin.get(number, date.min)
        return _Maker(self.config, account_id, country.market, product, begin).make(rows)


class _Maker:
    """Makes the entities of one ad product of an account in one country."""

    def __init__(
        self,
        config: SandboxConfig,
        account_id: str,
        market: Market,
        product: AdProduct,
        begin: date,
    ) -> None:
        seed = config.seed
        self._place = seed, account_id, market, product
        self._market, self._product = market, product
        self._forms: dict[str, list[Any]] = WORLD["forms"][product]
        self._rng = Random(seed_number(seed, account_id, market.country, product))  # noqa: S311 - data, not secrets
        self._portfolios = _portfolios(seed, account_id, market)
        self._entities: dict[ExportKind, list[Entity]] = {kind: [] for kind in EXPORT_KINDS}
        self._slots: list[Slot] = []
        self._begin = begin
        digits = 19 if config.long_ids else 15
        self._last_id = self._rng.randrange(10 ** (digits - 1), 9 * 10 ** (digits - 1))

    def make(self, rows_per_day: int) -> Catalog:
        """Make entities with about `rows_per_day` report rows a day, one row per ad and target."""
        wanted = round(rows_per_day / ACTIVE_SHARE)
        while len(self._slots) < wanted:
            self._add_campaign()
        slots, brand_asins = self._slots[:wanted], _brand_asins(self._entities["ads"])
        return Catalog(*self._place, self._entities, self._portfolios, slots, brand_asins)

    def _add_campaign(self) -> None:
        rng, number = self._rng, len(self._entities["campaigns"])
        form = self._forms["campaigns"][number % len(self._forms["campaigns"])]
        targeting = form.get("targetingSettings", "")
        started = max(date(2019, 1, 1) + timedelta(days=rng.randrange(1400)), self._begin)
        campaign = {
            "campaignId": self._new_id() if number else self._shared_id(),
            "name": seeded.campaign_name(rng, targeting.title() or "Brand"),
            "startDate": started.isoformat(),
            "tags": [{"key": "team", "value": "pets & co"}] if self._one_in(3) else [],
            "budgetCaps": self._budget(),
            **self._life(started),
            **form,
        }
        state, delivers = campaign["state"], campaign["deliveryStatus"] != "NOT_DELIVERING"
        reason = "CAMPAIGN_OUT_OF_BUDGET" if state == "ENABLED" else f"CAMPAIGN_{state}"
        campaign["deliveryReasons"] = [] if delivers else [reason]
        if self._product != "SPONSORED_PRODUCTS" and self._one_in(2):
            campaign["portfolioId"] = rng.choice(self._portfolios)["portfolioId"]
        self._entities["campaigns"].append(campaign)
        for index in range(1 if targeting == "AUTO" else rng.randint(1, 4)):
            self._add_ad_group(campaign, started, index + 1)
        if self._product == "SPONSORED_PRODUCTS" and self._one_in(3):
            place = {"campaignId": campaign["campaignId"]}
            self._add_target(place, started, WORLD["targets"]["MANUAL"][0], negative=True)

    def _budget(self) -> Entity:
        # Some advertisers write "no limit" as a number.
        amount = self._money(10**8, 10**9) if self._one_in(30) else self._money(500, 20_000)
        budget = {"currencyCode": self._market.currency, "amount": amount}
        if self._one_in(4):
            budget["ruleAmount"] = round(amount * 1.2, 2)
        for_life = self._product == "SPONSORED_BRANDS" and self._one_in(2)
        return {
            "recurrenceTimePeriod": "LIFETIME" if for_life else "DAILY",
            "budgetType": "MONETARY",
            "budgetValue": {"monetaryBudget": budget},
        }

    def _add_ad_group(self, campaign: Entity, started: date, number: int) -> None:
        rng, forms = self._rng, self._forms["adGroups"]
        form = forms[len(self._entities["adGroups"]) % len(forms)]
        place = {"adGroupId": self._new_id(), "campaignId": campaign["campaignId"]}
        awkward = rng.choice(WORLD["awkward_names"])
        name = awkward if self._one_in(10) else f"Ad group {number}"
        group = {**place, "name": name, **self._life(started), **form["adGroup"]}
        if self._product != "SPONSORED_BRANDS":
            bid = self._money(15, 250)
            group["bid"] = {"defaultBid": bid, "currencyCode": self._market.currency}
        self._entities["adGroups"].append(group)
        ads = [self._add_ad(place, started, form) for _ in range(rng.randint(1, 4))]
        targets = list(self._add_targets(campaign, place, started))
        views_per_bid = 200 if campaign.get("costType") == "VCPM" else 1
        for ad in ads:
            price = self._price()
            for target in targets:
                bid = round((bid_of(target) or 0) * 1_000_000) // views_per_bid
                self._slots.append(Slot(campaign, group, ad, target, max(1, bid), price))

    def _add_ad(self, place: Entity, started: date, form: Any) -> Entity:
        ad = {"adId": self._new_id(), **place, **self._life(started), **form["ad"]}
        asins = [seeded.asin(self._rng) for _ in range(form["asins"])]
        if asins:
            products = [{"productIdType": "ASIN", "productId": asin} for asin in asins]
            ad["creative"] = {"products": products, **ad["creative"]}
        if self._product != "SPONSORED_PRODUCTS":
            ad["name"] = f"Ad {ad['adId'][-4:]}"
        self._entities["ads"].append(ad)
        return ad

    def _add_targets(self, campaign: Entity, place: Entity, started: date) -> Iterator[Entity]:
        """Add the targets of an ad group; yield those that are not negative.

        `place` contains the ids of the ad group and its campaign. No two yielded targets have both
        the same value and the same match type in reports.
        """
        rng, targeting = self._rng, campaign.get("targetingSettings", "")
        forms = WORLD["targets"][targeting]
        if targeting != "AUTO":
            forms = [self._filled(form) for form in rng.choices(forms, k=rng.randint(4, 14))]
        known = {report_target(form | {"adProduct": self._product}): form for form in forms}
        for form in known.values():
            yield self._add_target(place, started, form)
        if self._product == "SPONSORED_DISPLAY":
            self._add_target(place, started, WORLD["targets"]["T00020"][0], negative=True)
        elif targeting != "AUTO" and self._one_in(2):
            keywords = [form for form in forms if form["targetType"] == "KEYWORD"]
            if keywords:  # the same as a positive one of the ad group
                self._add_target(place, started, keywords[0], negative=True)

    def _filled(self, form: Entity) -> Entity:
        """Return a copy of a target's template; fill in a blank keyword, ASIN or audience id."""
        texts = {
            "keyword": seeded.keyword(self._rng),
            "asin": seeded.asin(self._rng),
            "audienceId": str(self._rng.randrange(10**14, 10**15)),
        }
        details = form["targetDetails"]
        own = {key: texts[key] for key, value in details.items() if value == ""}
        return form | {"targetDetails": details | own}

    def _add_target(
        self, place: Entity, started: date, form: Entity, *, negative: bool = False
    ) -> Entity:
        target = {
            "targetId": self._new_id(),
            **place,
            "negative": negative,
            "targetLevel": "AD_GROUP" if "adGroupId" in place else "CAMPAIGN",
            **self._life(started),
            **self._filled(form),
        }
        if not negative:
            bid = self._money(10, 300)
            whole = {"currencyCode": self._market.currency, "bid": bid}
            target["bid"] = self._rng.choice((bid, whole))
        self._entities["targets"].append(target)
        return target

    def _life(self, started: date) -> Entity:
        state = self._rng.choices(("ENABLED", "PAUSED", "ARCHIVED"), (90, 7, 3))[0]
        statuses = ("DELIVERING", "NOT_DELIVERING", "UNAVAILABLE")
        delivery = self._rng.choices(statuses, (36, 3, 1))[0]
        return {
            "adProduct": self._product,
            "state": state,
            "deliveryStatus": delivery if state == "ENABLED" else "NOT_DELIVERING",
            "creationDateTime": f"{started.isoformat()}T18:00:00Z",
            "lastUpdatedDateTime": "2025-01-10T10:00:00Z",
        }

    def _new_id(self) -> str:
        self._last_id += self._rng.randrange(1, 10**6)
        return str(self._last_id)

    def _shared_id(self) -> str:
        """Return the id of each country's first campaign; ids are unique only within a profile."""
        seed, account_id, _, product = self._place
        return str(10**14 + seed_number(seed, account_id, product, "shared") % 10**14)

    def _one_in(self, count: int) -> bool:
        return self._rng.randrange(count) == 0

    def _money(self, low: int, high: int) -> float:
        cents = self._rng.randint(low, high)
        return cents / 100 if self._market.has_cents else cents

    def _price(self) -> int:
        whole = self._rng.randint(6, 60)
        return whole * 1_000_000 - 10_000 if self._market.has_cents else whole * 100_000_000


def _portfolios(seed: int, account_id: str, market: Market) -> list[Entity]:
    budgets: tuple[Entity, ...] = (
        {"policy": "NO_CAP"},
        {"policy": "MONTHLY_RECURRING", "amount": 1250, "startDate": "2025-01-01"},
        {"policy": "DATE_RANGE", "amount": 80, "startDate": "2025-01-01", "endDate": "2027-12-31"},
        {"policy": "NO_CAP"},
    )
    return [
        {
            "portfolioId": str(
                10**14 + seed_number(seed, account_id, market.country, name) % 10**14
            ),
            "name": name,
            "state": "ENABLED",
            "inBudget": budget["policy"] != "DATE_RANGE",
            "budget": {"currencyCode": market.currency, **budget},
        }
        for name, budget in zip(WORLD["portfolios"], budgets, strict=True)
    ]


def _brand_asins(ads: list[Entity]) -> list[str]:
    """Return the ASINs of a brand: those that `ads` show, and three that no ad shows."""
    more = (seed_number("more of the brand", ads[0]["adId"], number) % 10**8 for number in range(3))
    shown = dict.fromkeys(asin for ad in ads for asin in asins_of(ad))
    return [*shown, *(f"B1{number:08d}" for number in more)]
