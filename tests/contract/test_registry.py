"""Every report that the registry and its overrides can ask for is one that Amazon's catalogue allows."""

from collections.abc import Iterable, Iterator
from itertools import combinations

import pytest

from bidbeacon_pipelines.contract.rules import FIELD, Contract
from bidbeacon_pipelines.datasets.fields import Metric, MetricKind, report_name
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset, spelled
from bidbeacon_pipelines.views.days import METRICS as SUMMED_BY_DAY
from tests.contract.catalogue import Catalogue, needs_documents
from tests.dagster.another_dataset import DAILY_MATCHED_TARGETS

pytestmark = needs_documents

DATASETS = (*ALL_DATASETS, DAILY_MATCHED_TARGETS)
by_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda one: one.name)


def reports_of(dataset: Dataset) -> Iterator[tuple[str, ...]]:
    """Yield the ad products of each report that any grouping of a dataset can have."""
    for size in range(1, len(dataset.ad_products) + 1):
        yield from combinations(dataset.ad_products, size)


def told(dataset: Dataset, ad_products: Iterable[str], faults: Iterable[str]) -> list[str]:
    """Return faults with the report that has them in front."""
    return [f"{dataset.name} {report_name(ad_products)}: {fault}" for fault in faults]


@by_dataset
def test_each_report_is_one_that_amazon_accepts(catalogue: Catalogue, dataset: Dataset) -> None:
    """In every grouping that can be set: its fields exist, have their companions, and none excludes another."""
    for ad_products in reports_of(dataset):
        faults = catalogue.faults(dataset.fields_for(ad_products))
        assert [] == told(dataset, ad_products, faults)


@by_dataset
def test_each_report_is_complete_under_learned_names(
    catalogue: Catalogue, dataset: Dataset
) -> None:
    """Where Amazon has other names for fields, these are the only ones that the catalogue does not know."""
    names = {(dataset.name, f"{FIELD}:{ours}"): name for ours, name in dataset.other_names.items()}
    contract = Contract(names)
    for report in contract.all_reports(dataset):
        fields = spelled(report.fields, contract.spellings(dataset))
        renamed = sorted(set(fields) - set(report.fields))
        expected = [f"{name} is not in the catalogue" for name in renamed]
        assert expected == sorted(catalogue.faults(fields))


@by_dataset
def test_each_metric_is_loaded_as_what_it_is(catalogue: Catalogue, dataset: Dataset) -> None:
    """Counts and amounts of the row's currency, which may be summed; no ratio, share, rank or distinct count."""
    faults = [fault for metric in dataset.metrics for fault in catalogue.faults_of_metric(metric)]
    assert [] == told(dataset, dataset.ad_products, faults)


@by_dataset
def test_loads_sum_what_may_be_summed(dataset: Dataset) -> None:
    """A load adds up rows of one key, metric by metric: a share or a rank would be wrong there."""
    assert [] == [metric.field for metric in dataset.metrics if not metric.is_additive]


def test_days_of_accounts_sum_what_may_be_summed() -> None:
    """The columns that the view of accounts' days adds up are additive metrics of both datasets behind it."""
    for dataset in ALL_DATASETS[:2]:
        additive = {metric.column for metric in dataset.metrics if metric.is_additive}
        assert set(SUMMED_BY_DAY) <= additive


@pytest.mark.parametrize(
    ("kind", "field", "fault"),
    [
        ("count", "metric.click", "is not in the catalogue"),
        ("count", "metric.ctr", "is PERCENTAGE, expected LONG"),
        ("amount", "metric.cpc", "is DECIMAL, expected CURRENCY"),
        ("amount", "metric.clicks", "is LONG, expected CURRENCY"),
        ("amount", "metric.salesConverted", "is not an amount of budgetCurrency.value"),
        ("count", "metric.householdReach", "may not be summed over rows"),
        ("count", "metric.impressionShareRank", "may not be summed over rows"),
    ],
)
def test_a_metric_declared_as_what_it_is_not_is_found(
    catalogue: Catalogue, kind: MetricKind, field: str, fault: str
) -> None:
    """The message names the field, and what the catalogue says of it."""
    metric = Metric(field=field, column="wrong", kind=kind, description="")
    assert f"{field} {fault}" in catalogue.faults_of_metric(metric)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        (["campaign.color"], "campaign.color is not in the catalogue"),
        (["campaign.name"], "campaign.name needs campaign.id"),
        (["metric.sales"], "metric.sales needs budgetCurrency.value"),
        (["metric.clicks", "convertedProduct.id"], "metric.clicks excludes convertedProduct.id"),
        (
            ["metric.impressionShare", "target.value"],
            "metric.impressionShare excludes target.value",
        ),
    ],
)
def test_a_report_that_amazon_would_refuse_is_found(
    catalogue: Catalogue, fields: list[str], fault: str
) -> None:
    """The message names the field that is unknown, or both that need or exclude each other."""
    assert fault in catalogue.faults(fields)


def test_every_label_of_a_dimension_has_fields(catalogue: Catalogue) -> None:
    """What metrics exclude is written as labels: one without fields would exclude nothing."""
    for field in catalogue.fields:
        catalogue.excluded(field)
