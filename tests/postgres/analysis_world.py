"""A world for the questions of docs/analysis.md: five accounts of three currencies, with holes.

`AnalysisWorld.rows` are the rows that were loaded, and `windows` the state of every window, so that
tests can compute answers without SQL.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

from sqlalchemy import Engine, case, insert, null, update

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import report_name
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset
from bidbeacon_pipelines.entities.queries import merge_entities, name_targets
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.load_world import AS_OF, LoadWorld, add_account, target

SP, SB, SD = "SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"
DAYS: Final = 14
"""The windows of each dataset are those of so many days, up to yesterday."""
FINAL: Final = {"daily_placements", "daily_search_terms"}
"""The datasets whose loaded days are final."""
LOADED, REFUSED = "loaded", "refused"
PLACEMENTS = {"Top of Search on-Amazon": "TOP_OF_SEARCH", "Detail Page on-Amazon": "PRODUCT_PAGE"}
ACCOUNTS: Final[dict[str, dict[str, Any]]] = {
    "US": {"account_id": "amzn1.ads-account.g.one", "account_type": "seller"},
    "DE": {
        "account_id": "amzn1.ads-account.g.two",
        "account_type": "vendor",
        "currency_code": "EUR",
        "time_zone": "Europe/Paris",
        "region": "EU",
    },
    "FR": {
        "account_id": "amzn1.ads-account.g.three",
        "account_type": "seller",
        "currency_code": "EUR",
        "time_zone": "Europe/Paris",
        "region": "EU",
    },
    "JP": {
        "account_id": "amzn1.ads-account.g.four",
        "account_type": "vendor",
        "currency_code": "JPY",
        "time_zone": "Asia/Tokyo",
        "region": "FE",
    },
    "IT": {
        "account_id": "amzn1.ads-account.g.five",
        "account_type": "seller",
        "currency_code": "EUR",
        "time_zone": "Europe/Paris",
        "region": "EU",
    },
}
STOPPED: Final = {"IT": 9}
"""The accounts that are not refreshed, and how many of the newest days have no windows."""
_YEN = 150
# What becomes of the windows that are not loaded: dataset, country, report and age of the day.
HOLES: Final[dict[tuple[str, str, str, int], str]] = {
    ("daily_campaigns", "DE", "SP+SB+SD", 1): "failed",
    ("daily_campaigns", "FR", "SP+SB+SD", 10): "expired",
    ("daily_campaigns", "JP", "SP+SB+SD", 8): "missing",
    ("daily_search_terms", "JP", "SP+SB", 2): "failed",
    ("daily_search_terms", "JP", "SP+SB", 3): "failed",
    ("daily_targets", "US", "SP+SB+SD", 5): "missing",
    ("daily_products", "DE", "SB", 4): "missing",
    ("daily_purchased_products", "FR", "SD", 5): "failed",
    ("daily_purchased_products", "JP", "SD", 6): REFUSED,
}
_DATASETS = {
    one.name: one for one in ALL_DATASETS if one.name not in {"hourly_targets", "hourly_products"}
}
Row = dict[str, Any]


class AnalysisWorld:
    """Five accounts with entities, and two weeks of every kind of report, which `fill` loads.

    Attributes:
        accounts: The accounts by country.
        rows: The loaded rows, each with its `dataset` and `country_code`.
        windows: What became of each window, by dataset, country, report and day.
        sales_before: The sales that the first load of a day of campaigns had, by country, day and
            ad product, where a second load changed them.
        campaigns: Each campaign's id, with its columns.
    """

    def __init__(self, engine: Engine, folder: Path, today: date) -> None:
        self._world, self._random, self._today = LoadWorld(engine, folder), Random(44), today
        with engine.begin() as connection:
            self.accounts = {
                country: add_account(connection, country, **changes)
                for country, changes in ACCOUNTS.items()
            }
        self.rows: list[Row] = []
        self.windows: dict[tuple[str, str, str, date], str] = {}
        self.sales_before: dict[tuple[str, date, str], Decimal] = {}
        self.campaigns: dict[str, Row] = {}

    @property
    def as_of(self) -> datetime:
        """When all reports were requested that are loaded last."""
        return datetime.combine(self._today, time(), UTC)

    def is_complete(self, dataset: str, country: str, day: date) -> bool:
        """Return whether every window of a day is loaded, or was refused."""
        states = {
            state
            for (name, of, _, window_date), state in self.windows.items()
            if (name, of, window_date) == (dataset, country, day)
        }
        return LOADED in states and states <= {LOADED, REFUSED}

    def fill(self) -> None:
        """Store the entities, load the reports, and store the windows of the holes."""
        for country, account in self.accounts.items():
            self._add_entities(country, account)
            for dataset in _DATASETS.values():
                self._plan(country, dataset)
                self._load_dataset(country, account, dataset)
        self._add_holes()

    def _add_entities(self, country: str, account: Account) -> None:
        for number, product in enumerate((SP, SP, SB, SD), start=1):
            campaign_id = f"{list(ACCOUNTS).index(country) + 1}{number}"
            self.campaigns[campaign_id] = {
                "campaign_id": campaign_id,
                "name": f"{country} {number}",
                "ad_product": product,
                "state": "ENABLED",
                "budget": self._amount(country, 40, 60),
                "budget_recurrence": "DAILY",
                "currency_code": account.currency_code,
            }
        of_account = self._campaigns_of(country)
        keywords = [
            target(
                f"9{one['campaign_id']}",
                ad_group_id=f"{one['campaign_id']}1",
                campaign_id=one["campaign_id"],
                match_type="BROAD",
            )
            for one in of_account
        ]
        with self._world.engine.begin() as connection:
            merge_entities(connection, account, "campaigns", of_account)
            merge_entities(connection, account, "targets", keywords)
            name_targets(connection, account)

    def _campaigns_of(self, country: str) -> list[Row]:
        return [one for one in self.campaigns.values() if one["name"].startswith(country)]

    def _plan(self, country: str, dataset: Dataset) -> None:
        """Decide what becomes of each window of a dataset."""
        for group in dataset.groups:
            for ago in range(STOPPED.get(country, 0) + 1, DAYS + 1):
                day, report = self._today - timedelta(days=ago), report_name(group)
                state = HOLES.get((dataset.name, country, report, ago), LOADED)
                self.windows[dataset.name, country, report, day] = state

    def _load_dataset(self, country: str, account: Account, dataset: Dataset) -> None:
        for group in dataset.groups:
            days = [
                day
                for (name, of, report, day), state in self.windows.items()
                if (name, of, report) == (dataset.name, country, report_name(group))
                and state == LOADED
            ]
            rows = [
                row
                for day in days
                for campaign in self._campaigns_of(country)
                if campaign["ad_product"] in group
                for row in self._rows(dataset, country, campaign, day)
            ]
            if dataset.name == "daily_campaigns":
                self._load(dataset, account, group, days, self._as_first_loaded(rows), days_ago=1)
            self._load(dataset, account, group, days, rows)
            self.rows += rows

    def _as_first_loaded(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows of campaigns with less sales on the days from 2 to 9 days ago."""
        first = []
        for row in rows:
            ago, less = (self._today - row["window_date"]).days, Decimal(0)
            if 2 <= ago <= 9 and row["orders"]:
                less = row["sales"] / 4
            key = (row["country_code"], row["window_date"], row["ad_product"])
            self.sales_before[key] = self.sales_before.get(key, Decimal(0)) + row["sales"] - less
            first.append(row | {"sales": row["sales"] - less})
        return first

    def _rows(self, dataset: Dataset, country: str, campaign: Row, day: date) -> Iterator[Row]:
        """Return a campaign's rows of a day, as many as the dataset's dimensions make."""
        campaign_id, product = campaign["campaign_id"], campaign["ad_product"]
        common = {
            "dataset": dataset.name,
            "country_code": country,
            "currency_code": campaign["currency_code"],
            "window_date": day,
            "ad_product": product,
            "campaign_id": campaign_id,
            "ad_group_id": f"{campaign_id}1",
        }
        for dimensions in _dimensions(campaign_id, product)[dataset.name]:
            orders = 0 if dimensions.pop("unsold", False) else self._random.randint(0, 4)
            clicks = self._random.randint(5, 30)
            sales = self._amount(country, 10, 60) * orders
            new = {"new_to_brand_sales": sales / 2} if product != SP else {}
            yield (
                common
                | dimensions
                | new
                | {
                    "impressions": clicks * self._random.randint(20, 90),
                    "clicks": clicks,
                    "spend": self._amount(country, 8, 60),
                    "orders": orders,
                    "sales": sales,
                    "units": orders,
                }
            )

    def _amount(self, country: str, low: int, high: int) -> Decimal:
        """Return an amount in the account's currency, from so many to so many dollars or euros."""
        cents = self._random.randint(low * 100, high * 100)
        return Decimal(cents * (_YEN if country == "JP" else 1)) / 100

    def _load(
        self,
        dataset: Dataset,
        account: Account,
        group: Sequence[str],
        days: Sequence[date],
        rows: Sequence[Row],
        *,
        days_ago: int = 0,
    ) -> None:
        """Load a report that was requested so many days ago."""
        self._world.account = account
        age = (self._today - AS_OF.date()).days - days_ago
        raw = [_as_amazon(dataset, row) for row in rows]
        self._world.load(raw, dataset=dataset, days=sorted(days), ad_products=group, age=age)

    def _add_holes(self) -> None:
        past, soon = (self.as_of + timedelta(days=days) for days in (-1, 2))
        columns: dict[str, Row] = {
            "missing": {"next_refresh_at": soon},
            "failed": {"status": "failed", "cause": {"code": "report-failed"}},
            "expired": {"status": "expired", "expires_at": past},
            REFUSED: {"status": "not_served", "not_served_since": past},
        }
        with self._world.engine.begin() as connection:
            for (name, country, report, day), state in self.windows.items():
                if state in columns:
                    of = {"dataset": name, "report": report, "window_date": day}
                    lasts = {"expires_at": self.as_of + timedelta(days=90)}
                    values = self.accounts[country].identity | of | lasts | columns[state]
                    connection.execute(insert(ReportWindow).values(values))
            next_at = case((ReportWindow.dataset.in_(FINAL), null()), else_=soon)
            loaded = update(ReportWindow).where(ReportWindow.status == LOADED)
            connection.execute(loaded.values(next_refresh_at=next_at))


def _dimensions(campaign_id: str, product: str) -> dict[str, list[Row]]:
    """Return the dimensions of a campaign's rows of a day, by dataset."""
    own, broad = f"B{campaign_id}", {"target_value": "dog shirt", "match_type": "BROAD"}
    theme = {"target_value": "keywords-close-to-brand", "match_type": "THEME"}
    unknown = [{"target_value": f"unknown {n}", "match_type": "EXACT"} for n in range(9)]
    unsold = [broad | {"search_term": f"cheap {n}", "unsold": True} for n in range(9)]
    product_of_ad = {"product_id": own, "sku": f"DOG-{campaign_id}", "marketplace": "US"}
    return {
        "daily_campaigns": [{}],
        "hourly_campaigns": [{"hour": hour} for hour in (9, 21)],
        "daily_placements": [{"placement": placement} for placement in PLACEMENTS],
        "daily_targets": [{"target_value": "views"}] if product == SD else [broad, theme, *unknown],
        "daily_search_terms": [broad | {"search_term": "dog shirt"}, *unsold],
        "daily_products": [{"ad_id": f"{campaign_id}2"} | ({} if product == SB else product_of_ad)],
        "daily_purchased_products": [
            broad
            | {"product_id": own, "purchased_product_id": bought, "purchased_marketplace": "US"}
            for bought in (own, "B000", "B001")
        ],
    }


def _as_amazon(dataset: Dataset, row: Row) -> Row:
    """Return a row as Amazon writes it; what it does not have is null."""
    own = {
        one.field: row.get(one.column)
        for one in dataset.dimensions_and_metrics
        if row["ad_product"] in one.ad_products
    }
    return own | {
        "date.value": str(row["window_date"]),
        "budgetCurrency.value": row["currency_code"],
        "campaign.country": row["country_code"],
        "adProduct.value": row["ad_product"].replace("_", " ").title(),
        **({"hour.value": row["hour"]} if dataset.is_hourly else {}),
    }
