"""What analysts sum up by ad product, loaded through the sandbox over HTTP, is what the sandbox knows."""

from datetime import date, timedelta
from decimal import Decimal

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS, Dataset
from bidbeacon_sandbox.entities import AdProduct
from bidbeacon_sandbox.truth import day_truth
from tests.faults.ads.oracle import GRAINS
from tests.support.world import World

DATASET = DAILY_CAMPAIGNS
DAYS = [date(2026, 1, 15) - timedelta(days=ago) for ago in (3, 4)]
ASKED = {product for report in DATASET.reports for product in report.ad_products}
SUMMED = ("spend", "sales", "clicks", "impressions")
Totals = dict[str, tuple[Decimal, ...]]
_SUMS = ", ".join(("ad_product", *(f"sum({name}) AS {name}" for name in SUMMED)))


def true_sums(
    world: World, account: Account, dataset: Dataset, product: AdProduct, day: date
) -> dict[str, Decimal]:
    """Return the sandbox's sums of an account's day and ad product, by the dataset's columns: what is not zero."""
    made = world.sandbox.state.world
    owner = made.accounts.find(account.account_id)
    country = owner and owner.find_country(account.country_code)
    assert owner is not None
    assert country is not None
    catalog, grain = made.catalog(owner, country, product), GRAINS.get(dataset.entity, "campaign")
    rows = day_truth(catalog, day, world.context.now(), grain=grain)
    names = {
        one.column: one.field.removeprefix("metric.")
        for one in dataset.metrics
        if product in one.ad_products
    }
    sums = {
        column: sum((Decimal(row[name] or 0) for row in rows), Decimal(0))
        for column, name in names.items()
    }
    return {column: total for column, total in sums.items() if total}


def true_totals(world: World, account: Account) -> Totals:
    """Return the sandbox's totals of the days by ad product."""
    found: Totals = {}
    for product in sorted(ASKED):
        days = [true_sums(world, account, DATASET, product, day) for day in DAYS]
        whole = {
            name: sum((one.get(name, Decimal(0)) for one in days), Decimal(0)) for name in SUMMED
        }
        found[product] = tuple(whole[name] for name in SUMMED)
    return found


def stored_totals(world: World, source: str) -> Totals:
    """Return what a query of a view adds up to, by ad product."""
    rows = world.query(f"SELECT {_SUMS} FROM {source} GROUP BY 1")
    return {row["ad_product"]: tuple(row[name] for name in SUMMED) for row in rows}


def test_sums_by_ad_product_are_the_truth(world: World) -> None:
    """The dataset's view and the daily summaries have, for each ad product, what the sandbox's truth says."""
    account = world.account()
    world.load(account, *DAYS, dataset=DATASET)
    true = true_totals(world, account)
    assert true.keys() == ASKED
    assert true == stored_totals(
        world, f"reports.{DATASET.name} WHERE account_key = '{account.account_key}'"
    )
    assert true == stored_totals(world, "reports.account_daily_summaries")
