"""What analysts sum up by ad product, loaded through the sandbox over HTTP, is what the sandbox knows."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS, DATASETS, Dataset
from tests.postgres.job_world import BenchWorld

DATASET = DAILY_CAMPAIGNS
DAYS = [date(2026, 1, 15) - timedelta(days=ago) for ago in (3, 4)]
ASKED = {product for report in DATASET.reports for product in report.ad_products}
Totals = dict[str, tuple[Decimal, Decimal, int, int]]
_SUMS = "ad_product, sum(spend) AS spend, sum(sales) AS sales, sum(clicks) AS clicks, sum(impressions) AS impressions"


def true_totals(world: BenchWorld, **asked: Any) -> Totals:
    """Return the sandbox's totals of the days by ad product."""
    asked |= {"start": str(min(DAYS)), "end": str(max(DAYS))}
    answer = httpx.get(f"{world.sandbox.url}/sandbox/truth/totals", params=asked)
    assert answer.status_code == 200, answer.text
    found: Totals = {}
    for row in answer.json()["totals"]:
        before = found.get(row["product"], (Decimal(0), Decimal(0), 0, 0))
        values = (
            Decimal(row["totalCost"]),
            Decimal(row["sales"]),
            row["clicks"],
            row["impressions"],
        )
        found[row["product"]] = tuple(a + b for a, b in zip(before, values, strict=True))  # type: ignore[assignment]
    return {product: totals for product, totals in found.items() if product in ASKED}


def stored_totals(world: BenchWorld, source: str) -> Totals:
    """Return what a query of a view adds up to, by ad product."""
    rows = world.query(f"SELECT {_SUMS} FROM {source} GROUP BY 1")
    return {
        row["ad_product"]: (row["spend"], row["sales"], row["clicks"], row["impressions"])
        for row in rows
    }


ACCOUNTS = ("US", "DE", "JP")
WHOLE_DAYS = [dataset for dataset in DATASETS.values() if not dataset.is_hourly]
TOTALS_OF = {"daily_search_terms": "search_terms", "daily_purchased_products": "purchased_products"}
"""The sandbox's name for the totals of a dataset that holds only a part of a day; all others use `daily`."""


def true_days(world: BenchWorld, dataset: Dataset) -> dict[tuple[Any, ...], dict[str, Decimal]]:
    """Return the sandbox's totals by account, day and ad product: what is not zero."""
    asked = {
        "start": str(min(DAYS)),
        "end": str(max(DAYS)),
        "dataset": TOTALS_OF.get(dataset.name, "daily"),
    }
    answer = httpx.get(f"{world.sandbox.url}/sandbox/truth/totals", params=asked)
    assert answer.status_code == 200, answer.text
    wanted = {(one.account_id, one.country_code): one.id for one in map(world.account, ACCOUNTS)}
    found = {}
    for row in answer.json()["totals"]:
        account = wanted.get((row["account"], row["country"]))
        if account is not None and row["product"] in dataset.ad_products:
            totals = {
                one.column: Decimal(row[one.field.removeprefix("metric.")] or 0)
                for one in dataset.metrics
                if row["product"] in one.ad_products
            }
            found[account, row["date"], row["product"]] = {
                name: total for name, total in totals.items() if total
            }
    return {key: totals for key, totals in found.items() if totals}


def stored_days(world: BenchWorld, dataset: Dataset) -> dict[tuple[Any, ...], dict[str, Decimal]]:
    """Return what the table adds up to by account, day and ad product: what is not zero."""
    sums = ", ".join(f"sum({one.column}) AS {one.column}" for one in dataset.metrics)
    rows = world.query(
        f"SELECT account, CAST(window_date AS text) AS day, ad_product, {sums} FROM {dataset.table} GROUP BY 1, 2, 3"
    )
    return {
        (row["account"], row["day"], row["ad_product"]): {
            one.column: Decimal(row[one.column]) for one in dataset.metrics if row[one.column]
        }
        for row in rows
    }


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 400}], indirect=True)
def test_all_daily_datasets_add_up_to_the_truth(world: BenchWorld) -> None:
    """Each metric of each day and ad product of accounts in three countries, the sandbox's totals, to the last decimal."""
    for dataset in WHOLE_DAYS:
        for country in ACCOUNTS:
            world.load(world.account(country), *DAYS, dataset=dataset)
        true = true_days(world, dataset)
        assert len(ACCOUNTS) * len(DAYS) * len(dataset.ad_products) == len(true)
        assert true == stored_days(world, dataset)


def test_sums_by_ad_product_are_the_truth(world: BenchWorld) -> None:
    """The dataset's view and the daily summaries have, for each ad product, what the truth endpoint says."""
    account = world.account()
    world.load(account, *DAYS, dataset=DATASET)
    true = true_totals(world, account=account.account_id, country=account.country_code)
    assert true.keys() == ASKED
    assert true == stored_totals(
        world, f"reports.{DATASET.name} WHERE account_key = '{account.account_key}'"
    )
    assert true == stored_totals(world, "reports.account_daily_summaries")
