"""The views of schema `reports`: those of the registry, with comments; names, windows and ratios; what a query of them costs."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, RowMapping, insert, text

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.datasets import dataset_tables  # noqa: F401 - it registers its tables
from bidbeacon_pipelines.datasets.partitions import HOURLY_DATASETS, ensure_partitions
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, get_dataset
from bidbeacon_pipelines.entities.tables import AdGroup
from bidbeacon_pipelines.views import REPORT_VIEWS
from tests.support.checking import assert_has
from tests.support.reading import value
from tests.support.report_rows import store_rows
from tests.support.rows import add_account, add_campaign, change_accounts

DAY = date(2026, 3, 8)
LEAVES_OUT_CAMPAIGNS = 180_000
"""The first version that leaves out a join to which only another join refers that is left out."""


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection to a database with an account, whose changes are not committed."""
    for dataset in HOURLY_DATASETS:
        ensure_partitions(engine, dataset, DAY, DAY)
    with engine.connect() as connection:
        add_account(connection, account_type="seller")
        yield connection


def row_of(connection: Connection, view: str) -> RowMapping:
    """Return the only row of a view."""
    return connection.execute(text(f"SELECT * FROM reports.{view}")).mappings().one()


def stored(connection: Connection, dataset: str, **columns: Any) -> RowMapping:
    """Store a row of a campaign and a day; return what the dataset's view has of it."""
    usual = {"window_date": DAY, "campaign_id": "1", "ad_group_id": "2"}
    known = usual.keys() & PipelinesBase.metadata.tables[get_dataset(dataset).name].c.keys()
    row = {name: usual[name] for name in known} | columns
    store_rows(connection, dataset, "US.one", row)
    return row_of(connection, dataset)


def test_every_dataset_is_described_in_the_database(engine: Engine) -> None:
    """Its table and its view have comments; those of columns are compared with what Dagster shows."""
    comment = "SELECT obj_description(to_regclass(:name), 'pg_class')"
    for dataset in ALL_DATASETS:
        assert value(engine, comment, name=f"reports.{dataset.name}")
        assert value(engine, comment, name=dataset.name)


def test_names_come_from_the_entities(connection: Connection) -> None:
    """Campaigns and ad groups are called as they are today; the reported name stands in until an export has told one."""
    unnamed = stored(connection, "daily_targets")
    assert_has(unnamed, campaign_name=None, ad_group_name=None)
    assert_has(stored(connection, "daily_campaigns", campaign_name="Then"), campaign_name="Then")
    account = get_account(connection, "US.one")
    add_campaign(connection, account, campaign_id="1", name="Now")
    group = {"ad_group_id": "2", "campaign_id": "1", "name": "Group", "state": "ENABLED"}
    seen = {"seen_at": datetime.now(UTC)}
    connection.execute(insert(AdGroup).values(account.identity | group | seen))
    names = {"account_name": "One", "country_code": "US", "ad_group_name": "Group"}
    assert_has(row_of(connection, "daily_targets"), campaign_name="Now", **names)
    assert "Now" == row_of(connection, "daily_campaigns")["campaign_name"]


@pytest.mark.parametrize(
    ("account_type", "ad_product", "days"),
    [
        ("seller", "SPONSORED_PRODUCTS", 7),
        ("vendor", "SPONSORED_PRODUCTS", 14),
        ("agency", "SPONSORED_PRODUCTS", None),
        (None, "SPONSORED_PRODUCTS", None),
        (None, "SPONSORED_BRANDS", 14),
        ("seller", "SPONSORED_DISPLAY", 14),
    ],
)
def test_attribution_window(
    connection: Connection, account_type: str | None, ad_product: str, days: int | None
) -> None:
    """It depends on the ad product, and for Sponsored Products on the kind of account; null where that is unknown."""
    change_accounts(connection, account_type=account_type)
    row = stored(connection, "daily_campaigns", ad_product=ad_product)
    assert days == row["attribution_days"]


def test_ratios_are_of_the_rows_sums(connection: Connection) -> None:
    """Each is a quotient of two metrics, exact to many digits."""
    metrics = {"impressions": 300, "clicks": 8, "spend": Decimal("10.50"), "sales": Decimal(42)}
    row = stored(connection, "daily_placements", **metrics)
    assert_has(row, cpc=Decimal("1.3125"), acos=Decimal("0.25"), roas=Decimal(4))
    assert abs(row["ctr"] - Decimal(8) / 300) < Decimal("1e-15")


@pytest.mark.parametrize("metric", [0, None])
def test_ratios_that_divide_by_zero_are_null(connection: Connection, metric: int | None) -> None:
    """Neither an error nor a zero, and the same where the metric is unknown."""
    metrics = dict.fromkeys(("impressions", "clicks", "spend", "sales"), metric)
    row = stored(connection, "daily_campaigns", **metrics)
    assert {None} == {row[name] for name in ("cpc", "ctr", "acos", "roas")}


@pytest.mark.parametrize(("utc", "local"), [(9, 1), (10, 3)])
def test_hours_are_those_of_the_accounts_clock(
    connection: Connection, utc: int, local: int
) -> None:
    """On the day on which Los Angeles skips its third hour, the tenth and eleventh hours of UTC are one o'clock and three o'clock."""
    at = datetime(2026, 3, 8, utc, tzinfo=UTC)
    assert local == stored(connection, "hourly_campaigns", hour_at=at)["local_hour"]


def test_purchased_products_have_no_ratios() -> None:
    """They have no traffic to divide by."""
    [view] = [view for view in REPORT_VIEWS if view.name == "daily_purchased_products"]
    assert {"cpc", "ctr", "acos", "roas"}.isdisjoint(column.name for column in view.columns)


@pytest.mark.parametrize("dataset", ALL_DATASETS, ids=lambda one: one.name)
def test_a_sum_reads_neither_entities_nor_windows(connection: Connection, dataset: Any) -> None:
    """Joins of names and of the report's age are left out of the plan of a query that asks for none; PostgreSQL 16 keeps campaigns, to which portfolios refer."""
    summed = f"SELECT ad_product, sum(sales) FROM reports.{dataset.name} GROUP BY 1"
    explained = connection.execute(text(f"EXPLAIN (FORMAT JSON) {summed}")).scalar_one()
    read = set(re.findall('"Relation Name": "(.+?)"', json.dumps(explained)))
    version = connection.execute(text("SELECT current_setting('server_version_num')")).scalar_one()
    left_out = {"campaigns", "ad_groups", "portfolios", "report_windows"}
    if int(version) < LEAVES_OUT_CAMPAIGNS:
        left_out.remove("campaigns")
    assert read.isdisjoint(left_out)
    assert "advertiser_accounts" in read


def test_tables_are_described_by_the_registry() -> None:
    """A metric's comment is the registry's description."""
    for dataset in ALL_DATASETS:
        columns = PipelinesBase.metadata.tables[dataset.name].columns
        for metric in dataset.metrics:
            assert metric.description in (columns[metric.column].comment or "")
