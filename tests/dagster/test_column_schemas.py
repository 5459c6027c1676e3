"""Dagster shows the columns of every asset that a table holds."""

from dagster import AssetKey, TableSchema

from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.reports.datasets import DATASETS
from bidbeacon_pipelines.store import dataset_tables  # noqa: F401 - it registers its tables
from bidbeacon_pipelines.store.base import PipelinesBase


def schema_of(asset: str) -> TableSchema:
    """Return the columns that Dagster shows of an asset."""
    found = defs.resolve_asset_graph().get(AssetKey(asset)).metadata["dagster/column_schema"]
    schema = getattr(found, "value", found)
    assert isinstance(schema, TableSchema)
    return schema


def test_datasets_show_the_registrys_columns() -> None:
    """Name, type and description of each, as in the database."""
    for dataset in DATASETS.values():
        columns = {one.name: one for one in schema_of(dataset.asset_name).columns}
        assert list(columns) == [one.name for one in PipelinesBase.metadata.tables[dataset.table].columns]
        for one in dataset.told:
            assert columns[one.column].description == one.description
        assert ("bigint", "numeric(20, 6)") == (columns["orders"].type, columns["sales"].type)
        assert {"account", "window_date", "row_key"} <= {
            name for name, one in columns.items() if "key" in one.tags
        }
        assert ("text", False) == (columns["ad_product"].type, columns["ad_product"].constraints.nullable)


def test_summaries_show_their_columns() -> None:
    """Every column but the account's is described."""
    columns = schema_of("account_daily_summary").columns
    assert {"account_id", "country_code"} == {one.name for one in columns if not one.description}
