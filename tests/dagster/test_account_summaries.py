"""Account days: exact, and never older than the rows they are of."""

import subprocess
import sys
from decimal import Decimal
from typing import Any

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS as DAILY
from bidbeacon_pipelines.datasets.registry import HOURLY_CAMPAIGNS as HOURLY
from bidbeacon_pipelines.settings import PROJECT_ROOT, get_settings
from bidbeacon_pipelines.summaries.account_page import read_account
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct
from tests.dagster.runs import materialize_days
from tests.support.reading import call
from tests.support.world import World

SP: AdProduct = "SPONSORED_PRODUCTS"


def summary(world: World, ad_product: AdProduct = SP) -> Any:
    """Return the only day of an ad product."""
    rows = "SELECT * FROM reports.account_daily_summaries WHERE ad_product = :ad_product"
    [row] = world.query(rows, ad_product=ad_product)
    return row


def recent(world: World, account: Account) -> Any:
    """Return the recent figures of Sponsored Products that the account's page shows."""
    now = call(world.engine, read_now, get_settings())
    page = call(world.engine, read_account, get_settings(), account, now=now)
    products = page["figures"]["products"]
    return next(one["recent"] for one in products if one["ad_product"] == SP)


def test_a_day_adds_up_to_the_truth_as_soon_as_it_is_loaded(stocked: World) -> None:
    """In the view and on the page; hours are null until they are loaded, and a day without rows is zero."""
    account, day = stocked.account("DE"), stocked.day(9)
    materialize_days(stocked, account, day, dataset=DAILY)
    for product in AD_PRODUCTS:
        true, row = stocked.true_sums(account, day, (product,)), summary(stocked, product)
        assert true.spend > 0
        assert true._asdict() == {name: row[name] for name in true._fields}
    true, row = stocked.true_sums(account, day, (SP,)), summary(stocked)
    assert abs(row["acos"] * row["sales"] - row["spend"]) < Decimal("1e-15")
    assert {None} == {row[name] for name in ("hourly_spend", "hourly_clicks", "hourly_as_of")}
    shown = recent(stocked, account)
    assert (1, true.spend) == (shown["days"], Decimal(shown["spend"]))

    materialize_days(stocked, account, day, dataset=HOURLY)
    row = summary(stocked)
    assert row["spend"] * Decimal("0.95") <= row["hourly_spend"] <= row["spend"]
    assert row["hourly_sales"] == row["sales"]
    assert row["as_of"] < row["hourly_as_of"]

    stocked.execute(f"DELETE FROM {DAILY.name}")
    assert 0 == summary(stocked)["spend"]
    assert recent(stocked, account)["spend"] == "0.000000"


def test_no_run_imports_pandas() -> None:
    """Every run loads the code location; importing pandas, which only `read_frame` needs, would take half a second of each."""
    code = "import sys, bidbeacon_pipelines.definitions; sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=PROJECT_ROOT, check=True)
