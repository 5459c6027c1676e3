"""The summary of accounts' days: kept up to date by one run for all accounts, and exact."""

import subprocess
import sys
from decimal import Decimal
from typing import Any

from dagster import (
    AssetKey,
    RunRequest,
    SkipReason,
    build_sensor_context,
    materialize,
)

from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.defs.partitions import partition_key
from bidbeacon_pipelines.defs.reports import build_report_asset
from bidbeacon_pipelines.defs.resources import BidBeaconSessions
from bidbeacon_pipelines.defs.summaries import update_changed_summaries
from bidbeacon_pipelines.reports.datasets import get_dataset
from bidbeacon_pipelines.sandbox.entities import AdProduct
from bidbeacon_pipelines.services.account import read_account
from bidbeacon_pipelines.settings import PROJECT_ROOT, get_settings
from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_pipelines.store.summaries import DAILY, HOURLY
from tests.dagster.world import World

SP: tuple[AdProduct] = ("SPONSORED_PRODUCTS",)
ASSET_KEY = AssetKey("account_daily_summary")


def load(world: World, account: Account, ago: int, *datasets: str) -> None:
    """Load a day of datasets."""
    for name in datasets:
        materialize(
            [build_report_asset(get_dataset(name))],
            instance=world.instance,
            resources={"job_sessions": BidBeaconSessions()},
            partition_key=partition_key(account.account_key, world.day(ago)),
        )


def summaries(world: World) -> list[Any]:
    """Give the stored days, oldest first."""
    return world.rows("SELECT * FROM account_daily_summaries ORDER BY summary_date")


def of_sponsored_products(world: World) -> Any:
    """Return the only stored day of Sponsored Products."""
    [row] = [row for row in summaries(world) if row["ad_product"] == "SPONSORED_PRODUCTS"]
    return row


def tick(world: World) -> str:
    """Let the sensor look; give whether it starts a run, or why not."""
    with build_sensor_context(instance=world.instance) as context:
        answer = update_changed_summaries(context)
    assert isinstance(answer, RunRequest | SkipReason)
    return "run" if isinstance(answer, RunRequest) else str(answer.skip_message)


def test_loads_are_summed_up_by_one_run_for_all_accounts(stocked: World) -> None:
    """The sensor sees loads, one run sums them up and is one materialization with its figures; then there is nothing left to do."""
    us, japan = stocked.account("US"), stocked.account("JP")
    assert tick(stocked) == "All loads are summed up."
    load(stocked, us, 20, DAILY)
    load(stocked, japan, 20, DAILY)
    assert tick(stocked) == "run"
    assert stocked.run_job("update_summaries").success
    assert tick(stocked) == "All loads are summed up."
    [record] = stocked.instance.fetch_materializations(ASSET_KEY, limit=20).records
    assert record.asset_materialization is not None
    told = {name: each.value for name, each in record.asset_materialization.metadata.items()}
    rows = len(summaries(stocked))
    assert (2, 2, rows) == (told["accounts"], told["days"], told["dagster/row_count"])
    session = stocked.one_session("sum-up-accounts")
    assert str(told["session"]).endswith(str(session["id"]))
    assert ["summary-updated"] * 2 == [action["type"] for action in session["actions"]]
    load(stocked, us, 20, DAILY)
    assert tick(stocked) == "run"


def test_a_day_is_what_amazon_knows_to_the_last_digit(stocked: World) -> None:
    """Spend, sales and clicks are the sandbox's truth, the ratios follow from them, and the hours nearly add up to the day."""
    account = stocked.account("DE")
    load(stocked, account, 9, DAILY, HOURLY)
    stocked.run_job("update_summaries")
    row, true = of_sponsored_products(stocked), stocked.true_sums(account, stocked.day(9), SP)
    assert (true.spend, true.sales, true.clicks, true.impressions) == (
        *(row["spend"], row["sales"], row["clicks"], row["impressions"]),
    )
    assert row["spend"] * Decimal("0.95") <= row["hourly_spend"] <= row["spend"]
    assert row["hourly_sales"] == row["sales"]
    assert (row["spend_difference"], row["sales_difference"]) == (
        row["hourly_spend"] - row["spend"],
        Decimal(0),
    )
    assert abs(row["acos"] * row["sales"] - row["spend"]) < Decimal("1e-18")
    assert abs(row["roas"] * row["spend"] - row["sales"]) < Decimal("1e-18")


def test_a_day_of_hours_only_has_no_daily_figures(stocked: World) -> None:
    """Figures that are not loaded are null, as are their ratios and differences; the day is summed up again after their load."""
    account = stocked.account("DE")
    load(stocked, account, 9, HOURLY)
    stocked.run_job("update_summaries")
    row = of_sponsored_products(stocked)
    assert row["hourly_spend"] > 0
    assert {None} == {
        row[name] for name in ("spend", "acos", "roas", "spend_difference", "daily_as_of")
    }
    load(stocked, account, 9, DAILY)
    stocked.run_job("update_summaries")
    row = of_sponsored_products(stocked)
    assert (row["daily_loads"], row["hourly_loads"]) == (1, 1)
    assert row["spend_difference"] == row["hourly_spend"] - row["spend"]


def figures(world: World, account: Account) -> Any:
    """Return the spend and sales that the account's page shows."""
    with world.sessions.snapshot() as connection:
        now = read_now(connection, get_settings())
        return read_account(connection, get_settings(), account, now=now)["figures"]


def test_page_has_spend_and_sales_as_soon_as_campaigns_are_loaded(stocked: World) -> None:
    """An account's page does not wait for the summary, and shows the same before and after it, also of a day that is loaded again."""
    account = stocked.account("DE")
    load(stocked, account, 9, DAILY)
    before = figures(stocked, account)
    [products] = [one for one in before["products"] if one["ad_product"] == SP[0]]
    true = stocked.true_sums(account, stocked.day(9), SP)
    spend, sales = (Decimal(products["recent"][name]) for name in ("spend", "sales"))
    assert (1, true.spend, true.sales) == (products["recent"]["days"], spend, sales)
    assert [str(stocked.day(9))] == [day["date"] for day in before["days"]]
    stocked.run_job("update_summaries")
    assert before == figures(stocked, account)
    stocked.execute("UPDATE account_daily_summaries SET orders = 0")
    load(stocked, account, 9, DAILY)
    assert before == figures(stocked, account)


def test_page_has_a_day_without_rows_as_soon_as_it_is_loaded(stocked: World) -> None:
    """It is a day of Sponsored Products without spend and sales, as in the summary."""
    account = stocked.account("DE")
    load(stocked, account, 9, DAILY)
    stocked.execute(f"DELETE FROM {get_dataset(DAILY).table}")
    before = figures(stocked, account)
    assert [(SP[0], "0.000000"), (None, "0.000000")] == [
        (one["ad_product"], one["recent"]["spend"]) for one in before["products"]
    ]
    stocked.run_job("update_summaries")
    assert before == figures(stocked, account)


def test_no_other_run_imports_pandas() -> None:
    """Every run loads the code location; half a second of each would go into a library that one job needs."""
    code = "import sys, bidbeacon_pipelines.definitions; sys.exit('pandas' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], cwd=PROJECT_ROOT, check=False
        ).returncode
        == 0
    )
