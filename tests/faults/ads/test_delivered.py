"""The reader of delivered rows and the sandbox's truth agree on every dataset, all ad products among them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import get_args

import pytest

from bidbeacon_pipelines.accounts.queries import Account
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset
from bidbeacon_pipelines.sandbox.config import SandboxConfig
from bidbeacon_pipelines.sandbox.entities import AdProduct, Catalog
from bidbeacon_pipelines.sandbox.report_request import Condition, OnFilter, ReportRequest
from bidbeacon_pipelines.sandbox.server import SandboxHandle, running_sandbox
from bidbeacon_pipelines.sandbox.truth import day_truth
from tests.faults.ads.delivered import (
    AD_PRODUCT,
    Asked,
    Delivery,
    Key,
    KnownTargets,
    Metrics,
    ReportReader,
)
from tests.faults.ads.oracle import GRAINS

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
DAY = date(2026, 1, 10)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxHandle]:
    """Yield a sandbox of one account in two countries."""
    config = SandboxConfig(
        accounts=1, countries=(("GB", "DE"),), rows_per_day=200, clock_start=NOON, clock_rate=0
    )
    with running_sandbox(config) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("dataset", "group"),
    [
        pytest.param(dataset, group, id=f"{dataset.name}-{'+'.join(group)}")
        for dataset in ALL_DATASETS
        for group in dataset.groups
    ],
)
def test_rows_that_were_delivered_are_the_true_ones(
    sandbox: SandboxHandle, dataset: Dataset, group: tuple[str, ...]
) -> None:
    """The rows of a report, summed by key, are those of the truth and have the same targets; none is bad."""
    reader = make_reader(sandbox, dataset)
    fields = fields_of(dataset, group)
    delivery = deliver(sandbox, reader, fields, group)
    true: dict[Key, Metrics] = {}
    for catalog in catalogs(sandbox, group):
        rows = day_truth(catalog, DAY, NOON, grain=GRAINS[dataset.entity], hourly=dataset.is_hourly)
        true |= reader.read_truth(rows, catalog.product, fields, DAY)
    assert delivery.bad == []
    assert {DAY} == set(delivery.days)
    assert true == delivery.days[DAY]
    assert set(group) == {key[AD_PRODUCT] for key in true}
    if dataset.names_targets and "SPONSORED_PRODUCTS" in group:
        assert any(key[-1] for key in true)


def fields_of(dataset: Dataset, group: tuple[str, ...]) -> tuple[str, ...]:
    """Return every field of a dataset that one of the ad products has."""
    told = [
        one.field for one in dataset.dimensions_and_metrics if set(group) & set(one.ad_products)
    ]
    time = ("date.value", "hour.value") if dataset.is_hourly else ("date.value",)
    return (*time, "budgetCurrency.value", "adProduct.value", "campaign.country", *told)


def catalogs(sandbox: SandboxHandle, products: tuple[str, ...]) -> list[Catalog]:
    """Return what the account has of some ad products in its first country."""
    world = sandbox.state.world
    [owner] = world.accounts.accounts
    return [
        world.catalog(owner, owner.countries[0], product)
        for product in get_args(AdProduct)
        if product in products
    ]


def make_reader(sandbox: SandboxHandle, dataset: Dataset) -> ReportReader:
    """Return the reader of a dataset for the account in its first country."""
    [owner] = sandbox.state.world.accounts.accounts
    market = owner.countries[0].market
    account = Account(
        id=1,
        account_id=owner.account_id,
        country_code=market.country,
        account_key="a",
        ads_account_key="a",
        name="A",
        alias=None,
        label="A",
        amazon_status="CREATED",
        profile_id="1",
        region=owner.region,
        currency_code=market.currency,
        time_zone=market.zone.key,
        enabled=True,
        paused_by=None,
        paused_at=None,
        needs_person=None,
        needs_person_for=None,
        refusals=0,
        entities_synced_at=None,
    )
    targets = KnownTargets(catalogs(sandbox, dataset.ad_products), {NOON.date()})
    return ReportReader(account, dataset, has_one_country=False, targets=targets)


def deliver(
    sandbox: SandboxHandle, reader: ReportReader, fields: tuple[str, ...], group: tuple[str, ...]
) -> Delivery:
    """Ask the sandbox for a day of some ad products, and read what it delivers."""
    on = Condition(field="adProduct.value", comparisonOperator="IN", negated=False, values=group)
    request = ReportRequest(
        reader.account.account_id, "GZIP_JSON", fields, DAY, DAY, OnFilter(on=on)
    )
    reports = sandbox.state.reports
    texts = reports.rows(reports.create(request, NOON, ()))
    return reader.read(texts, Asked((DAY, DAY), {DAY}, group, fields))
