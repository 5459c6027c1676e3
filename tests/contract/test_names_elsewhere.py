"""The names that our columns have in reporting v3 are those of Amazon's catalogue."""

import pytest

from bidbeacon_pipelines.datasets.derived import RATIOS
from bidbeacon_pipelines.datasets.fields import CURRENCY_FIELD, DATE_FIELD
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS
from bidbeacon_pipelines.views import REPORT_VIEWS
from tests.contract.catalogue import Catalogue, needs_documents
from tools.data_dictionary import names_elsewhere

NAMES = names_elsewhere()
DECLARED = {
    declared.column: declared.field
    for dataset in ALL_DATASETS
    for declared in dataset.dimensions_and_metrics
}
FIELDS = DECLARED | {
    "window_date": DATE_FIELD,
    "currency_code": CURRENCY_FIELD,
    **{ratio.column: f"metric.{ratio.column}" for ratio in RATIOS if ratio.column != "acos"},
}
"""Amazon's field of each column; it has none for the advertising cost of sales."""


@needs_documents
@pytest.mark.parametrize("column", FIELDS)
def test_names_of_v3_are_those_of_the_catalogue(column: str) -> None:
    """All of them, and no other; `Date` is the only one that the catalogue capitalizes."""
    catalogue, field = Catalogue(), FIELDS[column]
    assert field in catalogue.fields, f"the catalogue has no field {field}"
    names = {name.replace("Date", "date") for name in catalogue.v3_names(field)}
    declared, _ = NAMES.get(column, ((), ()))
    assert names == set(declared), f"the v3_names of {column} are {sorted(names)}"


def test_every_metric_has_names_elsewhere() -> None:
    """Those of the registry, and the ratios; no column has names that is in no view."""
    metrics = {metric.column for dataset in ALL_DATASETS for metric in dataset.metrics}
    nameless = (metrics | {ratio.column for ratio in RATIOS}) - set(NAMES)
    assert not nameless, f"declare v3_names, or else connector_names, of {sorted(nameless)}"
    assert set(NAMES) <= {column.name for view in REPORT_VIEWS for column in view.columns}


def test_a_name_means_one_column() -> None:
    """But for units of Sponsored Products, which are all from clicks, and two marketplaces."""
    names = [name for v3_names, others in NAMES.values() for name in (*v3_names, *others)]
    twice = {name for name in names if names.count(name) > 1}
    assert twice == {"unitsSoldClicks7d", "unitsSoldClicks14d", "marketplace"}
