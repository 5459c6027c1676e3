"""A small world for the questions of docs/analysis.md, whose answers can be computed by hand: one seller in the US, one vendor in Germany."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset
from bidbeacon_pipelines.entities.queries import merge_entities, name_targets
from tests.postgres.load_world import AS_OF, LoadWorld, add_account, target

SHIRTS, BRAND, RETARGETING, SHIRTS_DE = "Shirts", "Brand video", "Retargeting", "Hemden"
DOG, CHEAP = "B000000001", "B000000002"
_DATASETS = {dataset.name: dataset for dataset in ALL_DATASETS}
_SB, _SD = {"ad_product": "SPONSORED_BRANDS"}, {"ad_product": "SPONSORED_DISPLAY"}
_KEYWORD = {"ad_group_id": "11", "target_value": "dog shirt", "match_type": "BROAD"}
Row = dict[str, Any]
# Germany's yesterday failed; what was loaded of two datasets is final.
_FAILED = """
    INSERT INTO report_windows (account_id, country_code, dataset, report, window_date, expires_at, status)
    SELECT account_id, country_code, dataset, report, current_date - 1, expires_at, 'failed' FROM report_windows
     WHERE country_code = 'DE' AND dataset = 'daily_campaigns' AND window_date = current_date - 8"""
_FINAL = "UPDATE report_windows SET next_refresh_at = NULL WHERE dataset IN ('daily_placements', 'daily_search_terms')"


class AnalysisWorld:
    """Two accounts with entities, and a few days of every kind of report, which `fill` loads."""

    def __init__(self, engine: Engine, folder: Path, today: date) -> None:
        self._world = LoadWorld(engine, folder)
        with engine.begin() as connection:
            self._us = add_account(connection, account_type="seller")
            self._de = add_account(
                connection,
                "DE",
                account_type="vendor",
                currency_code="EUR",
                time_zone="Europe/Paris",
                region="EU",
            )
        self._today = today
        self._yesterday, self._two, self._three, self._eight = (
            _of_day(today - timedelta(days=days)) for days in (1, 2, 3, 8)
        )

    def fill(self) -> None:
        """Store the entities and load the reports."""
        self._add_entities()
        self._load("daily_campaigns", self._us, *self._campaigns())
        self._load(
            "daily_campaigns", self._de, _row("1", 100, 5, "2.5", 0, "0") | self._two, days_ago=1
        )
        self._load("daily_campaigns", self._de, _row("1", 100, 5, "2.5", 1, "12.5") | self._two)
        self._load("daily_campaigns", self._de, _row("1", 100, 5, "4", 1, "8") | self._eight)
        self._load("daily_placements", self._us, *self._placements())
        self._load("daily_targets", self._us, *self._targets())
        self._load("daily_search_terms", self._us, *self._search_terms())
        self._load("daily_products", self._us, *self._products())
        self._load("daily_purchased_products", self._us, *self._purchased_products())
        self._load("hourly_campaigns", self._us, *self._hours())
        self._world.execute(_FAILED)
        self._world.execute(_FINAL)

    def _add_entities(self) -> None:
        campaigns = [
            _campaign("1", SHIRTS, "15"),
            _campaign("2", BRAND, "200"),
            _campaign("3", RETARGETING, "50"),
        ]
        keyword = target("111", ad_group_id="11", campaign_id="1", match_type="BROAD")
        with self._world.engine.begin() as connection:
            merge_entities(connection, self._us, "campaigns", campaigns)
            merge_entities(
                connection,
                self._de,
                "campaigns",
                [_campaign("1", SHIRTS_DE, "50", currency_code="EUR")],
            )
            merge_entities(connection, self._us, "targets", [keyword])
            name_targets(connection, self._us)

    def _campaigns(self) -> Iterator[Row]:
        new = {"new_to_brand_orders": 1, "new_to_brand_sales": Decimal(25), "new_to_brand_units": 1}
        yield _row("1", 500, 10, "5", 1, "10") | self._eight
        yield _row("1", 600, 12, "6", 2, "30") | self._yesterday
        yield _row("1", 1000, 10, "5", 1, "20") | self._three
        yield _row("1", 2000, 30, "15", 3, "60") | self._two
        yield _row("2", 5000, 25, "20", 4, "100") | self._two | _SB | new
        yield _row("3", 8000, 8, "8", 0, "0") | self._two | _SD | dict.fromkeys(new, 0)

    def _placements(self) -> Iterator[Row]:
        yield _row("1", 1000, 20, "15", 2, "50", placement="Top of Search on-Amazon") | self._two
        yield _row("1", 2000, 20, "5", 2, "30", placement="Detail Page on-Amazon") | self._two
        yield _row("2", 5000, 25, "20", 4, "100", placement="TOP_OF_SEARCH") | self._two | _SB

    def _targets(self) -> Iterator[Row]:
        unknown = _KEYWORD | {"target_value": "dog shirt xxl", "match_type": "EXACT"}
        yield _row("1", 2500, 34, "16", 4, "80") | _KEYWORD | self._two
        yield _row("1", 300, 4, "2.5", 0, "0") | unknown | self._three
        yield _row("1", 200, 2, "1.5", 0, "0") | unknown | self._two
        theme = {
            "ad_group_id": "12",
            "target_value": "keywords-close-to-brand",
            "match_type": "THEME",
        }
        yield _row("2", 5000, 25, "20", 4, "100") | theme | self._two | _SB
        yield (
            _row("3", 8000, 8, "8", 0, "0", ad_group_id="13", target_value="views")
            | self._two
            | _SD
        )

    def _search_terms(self) -> Iterator[Row]:
        yield _row("1", 90, 6, "3", 0, "0", search_term="cheap dog shirt") | _KEYWORD | self._two
        yield _row("1", 80, 4, "2", 1, "20", search_term="dog shirt") | _KEYWORD | self._two
        yield _row("1", 10, 1, "1", 0, "0", search_term="dog shirt") | _KEYWORD | self._three

    def _products(self) -> Iterator[Row]:
        dog = {
            "ad_group_id": "11",
            "ad_id": "21",
            "product_id": DOG,
            "sku": "DOG-M",
            "marketplace": "US",
        }
        yield _row("1", 3000, 40, "20", 4, "80") | dog | self._two
        yield _row("2", 5000, 25, "19", 4, "100", ad_group_id="12", ad_id="22") | self._two | _SB

    def _purchased_products(self) -> Iterator[Row]:
        of_dog = (
            {
                "ad_product": "SPONSORED_PRODUCTS",
                "campaign_id": "1",
                "product_id": DOG,
                "purchased_marketplace": "US",
            }
            | _KEYWORD
            | self._two
        )
        yield of_dog | {"purchased_product_id": DOG, "orders": 3, "sales": Decimal(70), "units": 3}
        yield of_dog | {
            "purchased_product_id": CHEAP,
            "orders": 1,
            "sales": Decimal(10),
            "units": 1,
        }

    def _hours(self) -> Iterator[Row]:
        yield _row("1", 400, 12, "6", 2, "30", hour=9) | self._two
        yield _row("1", 600, 8, "4", 0, "0", hour=21) | self._two

    def _load(self, name: str, account: Account, *rows: Row, days_ago: int = 0) -> None:
        """Load these rows as reports that were asked for some days ago, one for each group of ad products that are asked for together."""
        dataset = _DATASETS[name]
        self._world.account = account
        age = (self._today - AS_OF.date()).days - days_ago
        for group in dataset.groups:
            chosen = [row for row in rows if row["ad_product"] in group]
            if chosen:
                days = sorted({row["window_date"] for row in chosen})
                raw = [_as_amazon(dataset, account, row) for row in chosen]
                self._world.load(raw, dataset=dataset, days=days, ad_products=group, age=age)


def _of_day(day: date) -> Row:
    return {"window_date": day}


def _row(
    campaign_id: str,
    impressions: int,
    clicks: int,
    spend: str,
    orders: int,
    sales: str,
    **more: Any,
) -> Row:
    """Return a row with traffic, of Sponsored Products unless changed."""
    return {
        "ad_product": "SPONSORED_PRODUCTS",
        "campaign_id": campaign_id,
        "impressions": impressions,
        "clicks": clicks,
        "spend": Decimal(spend),
        "orders": orders,
        "sales": Decimal(sales),
        "units": orders,
    } | more


def _as_amazon(dataset: Dataset, account: Account, row: Row) -> Row:
    """Return a row as Amazon writes it; what it does not have is null."""
    own = {
        one.field: row.get(one.column)
        for one in dataset.dimensions_and_metrics
        if row["ad_product"] in one.ad_products
    }
    return own | {
        "date.value": str(row["window_date"]),
        "budgetCurrency.value": account.currency_code,
        "campaign.country": account.country_code,
        "adProduct.value": row["ad_product"].replace("_", " ").title(),
        **({"hour.value": row["hour"]} if dataset.is_hourly else {}),
    }


def _campaign(campaign_id: str, name: str, budget: str, **changes: Any) -> Row:
    """Return a campaign with a budget a day."""
    return {
        "campaign_id": campaign_id,
        "name": name,
        "state": "ENABLED",
        "budget": Decimal(budget),
        "budget_recurrence": "DAILY",
        "currency_code": "USD",
    } | changes
