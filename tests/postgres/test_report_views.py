"""The views of schema `reports`: those of the registry, with comments; names, windows and ratios; what a query of them costs."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.datasets import dataset_tables  # noqa: F401 - it registers its tables
from bidbeacon_pipelines.datasets.partitions import HOURLY_DATASETS, ensure_partitions
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS
from bidbeacon_pipelines.views import REPORT_VIEWS, create_statements, read_views
from tests.postgres.load_world import run
from tests.report_rows import store_rows
from tests.support.rows import add_account, change_accounts

DAY = date(2026, 3, 8)
LEAVES_OUT_CAMPAIGNS = 180_000
"""The first version that leaves out a join to which only another join refers that is left out."""
IDS = {"campaign_id": "1", "ad_group_id": "2"}


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection to a database with an account, whose changes are not committed."""
    for dataset in HOURLY_DATASETS:
        ensure_partitions(engine, dataset, DAY, DAY)
    with engine.connect() as connection:
        add_account(connection, account_type="seller")
        yield connection


def row_of(connection: Connection, view: str) -> Mapping[str, Any]:
    """Return the only row of a view."""
    return connection.execute(text(f"SELECT * FROM reports.{view}")).mappings().one()


def test_views_of_the_database_are_those_of_the_registry(engine: Engine) -> None:
    """Definitions, columns, types and comments that the migrations leave are those made from the registry now."""
    with engine.connect() as connection:
        migrated = read_views(connection)
        for name in migrated:
            connection.execute(text(f"DROP VIEW reports.{name}"))
        for statement in create_statements():
            connection.execute(text(statement))
        assert read_views(connection) == migrated
    assert {dataset.name for dataset in ALL_DATASETS} <= migrated.keys()


def test_every_dataset_is_described_in_the_database(engine: Engine) -> None:
    """Its table and each column of table and view have comments."""
    with engine.connect() as connection:
        views = read_views(connection)
        for dataset in ALL_DATASETS:
            assert views[dataset.name]["comment"]
            assert all(comment for _, _, comment in views[dataset.name]["columns"])
            undescribed = connection.execute(
                text("""SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped
                           AND (col_description(attrelid, attnum) IS NULL OR obj_description(attrelid, 'pg_class') IS NULL)"""),
                {"table": dataset.table},
            )
            assert [] == undescribed.scalars().all()


def test_views_have_all_dimensions_and_metrics() -> None:
    """Nothing that the registry lists is missing from its view."""
    views = {view.name: {column.name for column in view.columns} for view in REPORT_VIEWS}
    for dataset in ALL_DATASETS:
        assert {*dataset.columns, "account_key", "ad_product", "currency_code"} <= views[
            dataset.name
        ]


def test_names_come_from_the_entities(connection: Connection) -> None:
    """Campaigns and ad groups are called as they are today; the reported name stands in until an export has told one."""
    store_rows(connection, "daily_targets", "US.one", IDS | {"window_date": DAY})
    store_rows(
        connection,
        "daily_campaigns",
        "US.one",
        {"window_date": DAY, "campaign_id": "1", "campaign_name": "Then"},
    )
    unnamed = row_of(connection, "daily_targets")
    assert (unnamed["campaign_name"], unnamed["ad_group_name"]) == (None, None)
    assert "Then" == row_of(connection, "daily_campaigns")["campaign_name"]
    one = {"a": "amzn1.ads-account.g.one", "c": "US"}
    run(
        connection,
        "INSERT INTO campaigns (account_id, country_code, campaign_id, name, state, seen_at) VALUES (:a, :c, '1', 'Now', 'ENABLED', now())",
        **one,
    )
    run(
        connection,
        "INSERT INTO ad_groups (account_id, country_code, ad_group_id, campaign_id, name, state, seen_at) VALUES (:a, :c, '2', '1', 'Group', 'ENABLED', now())",
        **one,
    )
    named = row_of(connection, "daily_targets")
    assert ("One", "US", "Now", "Group") == (
        named["account_name"],
        named["country_code"],
        named["campaign_name"],
        named["ad_group_name"],
    )
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
    store_rows(
        connection,
        "daily_campaigns",
        "US.one",
        {"window_date": DAY, "campaign_id": "1", "ad_product": ad_product},
    )
    assert days == row_of(connection, "daily_campaigns")["attribution_days"]


def test_ratios_are_of_the_rows_sums(connection: Connection) -> None:
    """Each is a quotient of two metrics, exact to many digits."""
    metrics = {"impressions": 300, "clicks": 8, "spend": Decimal("10.50"), "sales": Decimal(42)}
    store_rows(connection, "daily_placements", "US.one", IDS | metrics | {"window_date": DAY})
    row = row_of(connection, "daily_placements")
    assert (Decimal("1.3125"), Decimal("0.25"), Decimal(4)) == (
        row["cpc"],
        row["acos"],
        row["roas"],
    )
    assert abs(row["ctr"] - Decimal(8) / 300) < Decimal("1e-15")


@pytest.mark.parametrize("metric", [0, None])
def test_ratios_that_divide_by_zero_are_null(connection: Connection, metric: int | None) -> None:
    """Neither an error nor a zero, and the same where the metric is unknown."""
    metrics = dict.fromkeys(("impressions", "clicks", "spend", "sales"), metric)
    store_rows(
        connection, "daily_campaigns", "US.one", metrics | {"window_date": DAY, "campaign_id": "1"}
    )
    row = row_of(connection, "daily_campaigns")
    assert {None} == {row[name] for name in ("cpc", "ctr", "acos", "roas")}


def test_hours_are_those_of_the_accounts_clock(connection: Connection) -> None:
    """On the day on which Los Angeles skips its third hour, the tenth and eleventh hours of UTC are one o'clock and three o'clock."""
    for hour in (9, 10):
        at = datetime(2026, 3, 8, hour, tzinfo=UTC)
        store_rows(
            connection,
            "hourly_campaigns",
            "US.one",
            {"window_date": DAY, "hour_at": at, "campaign_id": "1"},
        )
    hours = connection.execute(
        text("SELECT local_hour FROM reports.hourly_campaigns ORDER BY hour_at")
    ).scalars()
    assert [1, 3] == list(hours)


def test_purchased_products_have_no_ratios() -> None:
    """They have no traffic to divide by."""
    [view] = [view for view in REPORT_VIEWS if view.name == "daily_purchased_products"]
    assert {"cpc", "ctr", "acos", "roas"}.isdisjoint(column.name for column in view.columns)


@pytest.mark.parametrize("dataset", ALL_DATASETS, ids=lambda one: one.name)
def test_a_sum_reads_neither_entities_nor_windows(connection: Connection, dataset: Any) -> None:
    """Joins of names and of the report's age are left out of the plan of a query that asks for none; PostgreSQL 16 keeps campaigns, to which portfolios refer."""
    explained = connection.execute(
        text(
            f"EXPLAIN (FORMAT JSON) SELECT ad_product, sum(sales) FROM reports.{dataset.name} GROUP BY 1"
        )
    ).scalar_one()
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
        table = PipelinesBase.metadata.tables[dataset.table]
        assert all(
            metric.description in table.columns[metric.column].comment for metric in dataset.metrics
        )
