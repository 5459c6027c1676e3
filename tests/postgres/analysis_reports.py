"""Reports for the questions of docs/how-to/answer-business-questions.md: two weeks of five accounts of three currencies, with holes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

from sqlalchemy import Engine, case, null

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import report_name
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.load_world import AS_OF, LoadWorld, target
from tests.support.rows import add_account, add_entities, add_windows, change_windows

SP, SB, SD = "SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"
DAYS: Final = 14
"""The windows of each dataset are those of so many days, up to yesterday."""
FINAL: Final = {"daily_placements", "daily_search_terms"}
"""The datasets whose loaded days are final."""
LOADED, REFUSED = "loaded", "refused"
PLACEMENTS = {"Top of Search on-Amazon": "TOP_OF_SEARCH", "Detail Page on-Amazon": "PRODUCT_PAGE"}
ACCOUNTS: Final = {
    "US": ("amzn1.one", "seller"),
    "DE": ("amzn1.two", "vendor"),
    "FR": ("amzn1.three", "seller"),
    "JP": ("amzn1.four", "vendor"),
    "IT": ("amzn1.five", "seller"),
}
"""Id and type of each account, by country."""
STOPPED: Final = {"IT": 9}
"""The accounts that are not refreshed, and how many of the newest days have no windows."""
_YEN = 150
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
"""States of the windows that are not loaded, by dataset, country, report and age of the day."""
DATASETS: Final = {
    name: get_dataset(name)
    for name in (
        *("daily_campaigns", "hourly_campaigns", "daily_placements", "daily_targets"),
        *("daily_products", "daily_search_terms", "daily_purchased_products"),
    )
}
"""The datasets that questions are about, each with rows in `_dimensions`; others have no reports."""
Row = dict[str, Any]


@dataclass
class Reports:
    """The loaded rows, so that tests can compute answers without SQL.

    Attributes:
        today: The day after the last one.
        accounts: The accounts by country.
        campaigns: Each campaign's id, with its columns.
        rows: The loaded rows, each with its `dataset` and `country_code`.
        sales_before: The sales that the first load of a day of campaigns had, by country, day and
            ad product, where a second load changed them.
    """

    today: date
    accounts: dict[str, Account]
    campaigns: dict[str, Row] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    sales_before: dict[tuple[str, date, str], Decimal] = field(default_factory=dict)

    @property
    def as_of(self) -> datetime:
        """When all reports were requested that are loaded last."""
        return datetime.combine(self.today, time(), UTC)

    def is_complete(self, dataset: str, country: str, day: date) -> bool:
        """Return whether every window of a day is loaded, or was refused."""
        groups, ago = DATASETS[dataset].groups, (self.today - day).days
        states = {find_state(dataset, country, group, ago) for group in groups}
        return LOADED in states and states <= {LOADED, REFUSED}

    def rows_of(self, dataset: str, country: str | None = None) -> list[Row]:
        """Return the rows of a dataset, of all countries or of one."""
        return [
            row
            for row in self.rows
            if row["dataset"] == dataset and country in {None, row["country_code"]}
        ]


def find_state(dataset: str, country: str, group: Sequence[str], ago: int) -> str | None:
    """Return what becomes of a window; None where there is none."""
    if STOPPED.get(country, 0) < ago <= DAYS:
        return HOLES.get((dataset, country, report_name(group), ago), LOADED)
    return None


def load_reports(engine: Engine, folder: Path, today: date) -> Reports:
    """Store accounts and entities, load two weeks of every kind of report, and store the windows of the holes."""
    accounts = {
        country: add_account(engine, country, account_id, account_type=kind)
        for country, (account_id, kind) in ACCOUNTS.items()
    }
    reports, random = Reports(today, accounts), Random(44)
    for country, account in accounts.items():
        campaigns = {one["campaign_id"]: one for one in _make_campaigns(random, country, account)}
        reports.campaigns |= campaigns
        _add_entities(engine, account, list(campaigns.values()))
        shelf = LoadWorld(engine, folder, account)
        for dataset in DATASETS.values():
            for group in dataset.groups:
                days = [
                    today - timedelta(days=ago)
                    for ago in range(1, DAYS + 1)
                    if find_state(dataset.name, country, group, ago) == LOADED
                ]
                rows = [
                    row
                    for day in days
                    for one in campaigns.values()
                    if one["ad_product"] in group
                    for row in _make_rows(random, dataset.name, country, one, day)
                ]
                if dataset.name == "daily_campaigns":
                    first = _as_first_loaded(reports, rows)
                    _load(shelf, dataset, group, days, first, today - timedelta(days=1))
                _load(shelf, dataset, group, days, rows, today)
                reports.rows += rows
    _add_holes(engine, reports)
    return reports


def _make_campaigns(random: Random, country: str, account: Account) -> Iterator[Row]:
    for number, product in enumerate((SP, SP, SB, SD), start=1):
        yield {
            "campaign_id": f"{list(ACCOUNTS).index(country) + 1}{number}",
            "name": f"{country} {number}",
            "ad_product": product,
            "state": "ENABLED",
            "budget": _make_amount(random, country, 40, 60),
            "budget_recurrence": "DAILY",
            "currency_code": account.currency_code,
        }


def _add_entities(engine: Engine, account: Account, campaigns: Sequence[Row]) -> None:
    ids = [one["campaign_id"] for one in campaigns]
    keywords = [
        target(f"9{one}", ad_group_id=f"{one}1", campaign_id=one, match_type="BROAD") for one in ids
    ]
    add_entities(engine, account, "campaigns", *campaigns)
    add_entities(engine, account, "targets", *keywords)


def _as_first_loaded(reports: Reports, rows: Sequence[Row]) -> list[Row]:
    """Return the rows of campaigns with less sales on the days from 2 to 9 days ago."""
    first, before = [], reports.sales_before
    for row in rows:
        is_less = 2 <= (reports.today - row["window_date"]).days <= 9 and row["orders"]
        sales = row["sales"] - (row["sales"] / 4 if is_less else 0)
        key = (row["country_code"], row["window_date"], row["ad_product"])
        before[key] = before.get(key, Decimal(0)) + sales
        first.append(row | {"sales": sales})
    return first


def _make_rows(
    random: Random, dataset: str, country: str, campaign: Row, day: date
) -> Iterator[Row]:
    """Make a campaign's rows of a day, as many as the dataset's dimensions make."""
    campaign_id, product = campaign["campaign_id"], campaign["ad_product"]
    common = {
        "dataset": dataset,
        "country_code": country,
        "currency_code": campaign["currency_code"],
        "window_date": day,
        "ad_product": product,
        "campaign_id": campaign_id,
        "ad_group_id": f"{campaign_id}1",
    }
    for dimensions in _dimensions(campaign_id, product)[dataset]:
        orders = 0 if dimensions.pop("unsold", False) else random.randint(0, 4)
        clicks = random.randint(5, 30)
        sales = _make_amount(random, country, 10, 60) * orders
        metrics = {
            "impressions": clicks * random.randint(20, 90),
            "clicks": clicks,
            "spend": _make_amount(random, country, 8, 60),
            "orders": orders,
            "sales": sales,
            "units": orders,
        }
        new = {"new_to_brand_sales": sales / 2} if product != SP else {}
        yield common | dimensions | metrics | new


def _make_amount(random: Random, country: str, low: int, high: int) -> Decimal:
    """Make an amount in the account's currency, from so many to so many dollars or euros."""
    cents = random.randint(low * 100, high * 100)
    return Decimal(cents * (_YEN if country == "JP" else 1)) / 100


def _load(
    shelf: LoadWorld,
    dataset: Dataset,
    group: Sequence[str],
    days: Sequence[date],
    rows: Sequence[Row],
    requested_on: date,
) -> None:
    age, raw = (requested_on - AS_OF.date()).days, [_as_amazon(dataset, row) for row in rows]
    shelf.load(raw, dataset=dataset, days=sorted(days), ad_products=group, age=age)


def _add_holes(engine: Engine, reports: Reports) -> None:
    past, soon, later = (reports.as_of + timedelta(days=days) for days in (-1, 2, 90))
    columns: dict[str, Row] = {
        "missing": {"next_refresh_at": soon},
        "failed": {"status": "failed", "cause": {"code": "report-failed"}},
        "expired": {"status": "expired", "expires_at": past},
        REFUSED: {"status": "not_served", "not_served_since": past},
    }
    next_at = case((ReportWindow.dataset.in_(FINAL), null()), else_=soon)
    change_windows(engine, ReportWindow.status == LOADED, next_refresh_at=next_at)
    for (dataset, country, report, ago), state in HOLES.items():
        values, day = {"expires_at": later} | columns[state], reports.today - timedelta(days=ago)
        add_windows(engine, reports.accounts[country], [day], dataset, report, **values)


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
