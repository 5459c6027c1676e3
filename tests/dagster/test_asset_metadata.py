"""Descriptions of all definitions in Dagster; locations and columns of assets."""

import pytest
from dagster import AssetKey, TableSchema
from sqlalchemy import Engine, text

from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.asset_metadata import view_metadata
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.views import REPORT_VIEWS

COLUMNS = text("""
    SELECT attname, replace(format_type(atttypid, atttypmod), ',', ', '), col_description(attrelid, attnum)
      FROM pg_attribute WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 AND NOT attisdropped""")


def schema_of(key: AssetKey) -> TableSchema:
    """Return the columns that Dagster shows of an asset."""
    found = defs.resolve_asset_graph().get(key).metadata["dagster/column_schema"]
    schema = getattr(found, "value", found)
    assert isinstance(schema, TableSchema)
    return schema


def test_columns_say_how_they_may_be_used() -> None:
    """The tags of datasets' and views' columns name keys, dimensions, and metrics that may be summed."""
    for dataset in DATASETS.values():
        for asset in (AssetKey(dataset.name), AssetKey(["reports", dataset.name])):
            tags = {one.name: set(one.tags) for one in schema_of(asset).columns}
            for dimension in dataset.dimensions:
                assert "dimension" in tags[dimension.column], (asset, dimension.column)
            for metric in dataset.metrics:
                expected = {"metric", "additive" if metric.is_additive else "not_additive"}
                assert expected == tags[metric.column], (asset, metric.column)
            assert "dimension" in tags["window_date"]
        columns = {one.name: one for one in schema_of(AssetKey(dataset.name)).columns}
        keys = {name for name, one in columns.items() if "key" in one.tags}
        assert {"account", "window_date", "row_key"} <= keys
        assert not columns["ad_product"].constraints.nullable
    view = schema_of(AssetKey(["reports", "daily_targets"]))
    [ratio] = [one for one in view.columns if one.name == "acos"]
    assert {"metric", "not_additive"} == set(ratio.tags)


def test_every_asset_but_amazon_describes_its_columns_as_the_database_does(engine: Engine) -> None:
    """Names, types and comments of columns are those of its table or view, which exists."""
    graph = defs.resolve_asset_graph()
    with engine.connect() as connection:
        for key in graph.get_all_asset_keys() - {AssetKey("amazon_ads")}:
            name = _text(graph.get(key).metadata["dagster/table_name"])
            stored = [tuple(row) for row in connection.execute(COLUMNS, {"name": name})]
            shown = [(one.name, one.type, one.description) for one in schema_of(key).columns]
            assert sorted(stored) == sorted(shown), name
            assert all(description for *_, description in shown), name


def test_every_definition_is_described() -> None:
    """Assets also have an owner, a kind and a grain; a view's description names the asset of its table, which shows freshness."""
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert (["team:advertising"], True) == (list(node.owners), bool(node.kinds)), key
        assert node.tags.get("grain"), key
    for check in graph.asset_check_keys:
        assert graph.get_check_spec(check).description, check
    view = graph.get(AssetKey(["reports", "daily_targets"]))
    assert "`daily_targets`" in (view.description or "")
    for each in (*(defs.jobs or ()), *(defs.schedules or ()), *(defs.sensors or ())):
        assert each.description, each.name


def test_address_in_the_settings_is_shown_without_user_and_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The URI has host, port and database; without an address in the settings there is none."""
    [view] = [view for view in REPORT_VIEWS if view.full_name == "reports.campaigns"]
    assert "dagster/uri" not in view_metadata(view)
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", "postgresql://maria:secret@db.example:5433/ads")
    get_settings.cache_clear()
    shown = view_metadata(view)
    assert "postgresql://db.example:5433/ads/reports/campaigns" == shown["dagster/uri"]


def _text(value: object) -> str:
    return str(getattr(value, "value", value))
