"""The summary of accounts' days: kept up to date by one run for all accounts, and exact."""

import subprocess
import sys
from decimal import Decimal
from typing import Any

from dagster import AssetKey, RunRequest, SkipReason, build_sensor_context

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.defs.summaries import update_changed_summaries
from bidbeacon_pipelines.problems.account_page import read_account
from bidbeacon_pipelines.settings import PROJECT_ROOT, get_settings
from bidbeacon_pipelines.summaries import queries as summaries
from tests.dagster.world import World

SP = "SPONSORED_PRODUCTS"
DAILY, HOURLY = get_dataset(summaries.DAILY), get_dataset(summaries.HOURLY)
UP_TO_DATE = "All loads are summed up."


def summary(world: World) -> Any:
    """Return the only stored day of Sponsored Products."""
    [row] = world.rows("SELECT * FROM account_daily_summaries WHERE ad_product = :one", one=SP)
    return row


def tick(world: World) -> str:
    """Evaluate the sensor; return "run", or why it requests none."""
    with build_sensor_context(instance=world.instance) as context:
        answer = update_changed_summaries(context)
    assert isinstance(answer, RunRequest | SkipReason)
    return "run" if isinstance(answer, RunRequest) else str(answer.skip_message)


def figures(world: World, account: Account) -> Any:
    """Return the spend and sales that the account's page shows."""
    with world.sessions.snapshot() as connection:
        now = read_now(connection, get_settings())
        return read_account(connection, get_settings(), account, now=now)["figures"]


def recent(world: World, account: Account) -> Any:
    """Return the page's recent figures of Sponsored Products."""
    products = figures(world, account)["products"]
    return next(one["recent"] for one in products if one["ad_product"] == SP)


def test_loads_are_summed_up_by_one_run_for_all_accounts(stocked: World) -> None:
    """The sensor finds loads; one run sums them up and is one materialization with its figures."""
    us, japan = stocked.account("US"), stocked.account("JP")
    assert UP_TO_DATE == tick(stocked)
    for account in (us, japan):
        stocked.materialize(account, stocked.day(20), dataset=DAILY)
    assert tick(stocked) == "run"
    assert stocked.run_job("update_summaries").success
    assert UP_TO_DATE == tick(stocked)
    key = AssetKey("account_daily_summary")
    [record] = stocked.instance.fetch_materializations(key, limit=20).records
    assert record.asset_materialization is not None
    told = {name: each.value for name, each in record.asset_materialization.metadata.items()}
    [rows] = stocked.rows("SELECT count(*) FROM account_daily_summaries")
    assert (2, 2, rows["count"]) == (told["accounts"], told["days"], told["dagster/row_count"])
    session = stocked.one_session("sum-up-accounts")
    assert str(told["session"]).endswith(str(session["id"]))
    assert ["summary-updated"] * 2 == [action["type"] for action in session["actions"]]
    stocked.materialize(us, stocked.day(20), dataset=DAILY)
    assert tick(stocked) == "run"


def test_a_summary_is_the_truth_and_the_page_does_not_wait_for_it(stocked: World) -> None:
    """Figures of a dataset are null until it is loaded; the page shows the same before and after the summary, and zeros for a day without rows."""
    account, day = stocked.account("DE"), stocked.day(9)
    stocked.materialize(account, day, dataset=HOURLY)
    stocked.run_job("update_summaries")
    row = summary(stocked)
    assert row["hourly_spend"] > 0
    unknown = ("spend", "acos", "roas", "spend_difference", "daily_as_of")
    assert {None} == {row[name] for name in unknown}

    stocked.materialize(account, day, dataset=DAILY)
    true, before = stocked.true_sums(account, day, (SP,)), figures(stocked, account)
    shown = recent(stocked, account)
    assert (1, true.spend) == (shown["days"], Decimal(shown["spend"]))
    assert true.sales == Decimal(shown["sales"])
    assert [str(day)] == [one["date"] for one in before["days"]]

    stocked.run_job("update_summaries")
    row = summary(stocked)
    assert (true.spend, true.sales) == (row["spend"], row["sales"])
    assert (true.clicks, true.impressions) == (row["clicks"], row["impressions"])
    assert row["spend"] * Decimal("0.95") <= row["hourly_spend"] <= row["spend"]
    assert row["spend_difference"] == row["hourly_spend"] - row["spend"]
    assert (row["hourly_sales"], row["sales_difference"]) == (row["sales"], 0)
    assert abs(row["acos"] * row["sales"] - row["spend"]) < Decimal("1e-18")
    assert abs(row["roas"] * row["spend"] - row["sales"]) < Decimal("1e-18")
    assert before == figures(stocked, account)
    stocked.execute("UPDATE account_daily_summaries SET orders = 0")
    stocked.materialize(account, day, dataset=DAILY)
    assert before == figures(stocked, account)

    stocked.execute(f"DELETE FROM {DAILY.table}")
    assert recent(stocked, account)["spend"] == "0.000000"


def test_no_other_run_imports_pandas() -> None:
    """Every run loads the code location; importing pandas, which one job needs, would take half a second of each."""
    code = "import sys, bidbeacon_pipelines.definitions; sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=PROJECT_ROOT, check=True)
