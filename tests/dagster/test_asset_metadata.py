"""Dagster shows what every definition is, where every asset lies, and its columns."""

from dagster import AssetKey, TableSchema
from sqlalchemy import Engine, text

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


def test_every_definition_is_described() -> None:
    """Assets, checks, jobs, schedules and sensors; assets have an owner, a kind and a grain as well."""
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert (["team:advertising"], True) == (list(node.owners), bool(node.kinds)), key
        assert node.tags.get("grain"), key
    for check in graph.asset_check_keys:
        assert graph.get_check_spec(check).description, check
    for each in (*(defs.jobs or ()), *(defs.schedules or ()), *(defs.sensors or ())):
        assert each.description, each.name


def test_every_asset_but_amazon_says_where_it_lies(engine: Engine) -> None:
    """In a table or view that exists; the URI ends with it, and has neither user nor password."""
    graph = defs.resolve_asset_graph()
    with engine.connect() as connection:
        for key in graph.get_all_asset_keys() - {AssetKey("amazon_ads")}:
            shown = graph.get(key).metadata
            name = _text(shown["dagster/table_name"])
            found = connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar()
            assert found is not None, name
            uri = _text(shown["dagster/uri"])
            assert uri.endswith("/" + name.replace(".", "/")), uri
            assert uri.startswith("postgresql://"), uri
            assert "@" not in uri, uri


def _text(value: object) -> str:
    return str(getattr(value, "value", value))
