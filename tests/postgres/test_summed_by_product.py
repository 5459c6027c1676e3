"""What analysts sum up by ad product, loaded through the sandbox over HTTP, is what the sandbox knows."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx

from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS
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
