"""Dagster shows what every definition is, where every asset lies, and its columns."""

import pytest
from dagster import AssetKey, TableSchema
from sqlalchemy import Engine, text

from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.asset_metadata import place_metadata
from bidbeacon_pipelines.reports.datasets import DATASETS
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.store import dataset_tables  # noqa: F401 - it registers its tables
from bidbeacon_pipelines.store.base import PipelinesBase
from bidbeacon_pipelines.store.report_views import REPORT_VIEWS, read_views


def schema_of(asset: str | AssetKey) -> TableSchema:
    """Return the columns that Dagster shows of an asset."""
    key = asset if isinstance(asset, AssetKey) else AssetKey(asset)
    found = defs.resolve_asset_graph().get(key).metadata["dagster/column_schema"]
    schema = getattr(found, "value", found)
    assert isinstance(schema, TableSchema)
    return schema


def test_datasets_show_the_registrys_columns() -> None:
    """Name, type and description of each, as in the database."""
    for dataset in DATASETS.values():
        columns = {one.name: one for one in schema_of(dataset.asset_name).columns}
        assert list(columns) == [
            one.name for one in PipelinesBase.metadata.tables[dataset.table].columns
        ]
        for one in dataset.dimensions_and_metrics:
            assert columns[one.column].description == one.description
        assert ("bigint", "numeric(20, 6)") == (columns["orders"].type, columns["sales"].type)
        assert {"account", "window_date", "row_key"} <= {
            name for name, one in columns.items() if "key" in one.tags
        }
        assert ("text", False) == (
            columns["ad_product"].type,
            columns["ad_product"].constraints.nullable,
        )


def test_columns_say_how_they_may_be_used() -> None:
    """By what rows are grouped, and what may be summed over rows: for datasets and their views, from the registry."""
    for dataset in DATASETS.values():
        for asset in (AssetKey(dataset.asset_name), AssetKey(["reports", dataset.name])):
            tags = {one.name: set(one.tags) for one in schema_of(asset).columns}
            for dimension in dataset.dimensions:
                assert "dimension" in tags[dimension.column], (asset, dimension.column)
            for metric in dataset.metrics:
                expected = {"metric", "additive" if metric.is_additive else "not_additive"}
                assert expected == tags[metric.column], (asset, metric.column)
            assert "dimension" in tags["window_date"]
    ratio = next(
        one
        for one in schema_of(AssetKey(["reports", "daily_targets"])).columns
        if one.name == "acos"
    )
    assert {"metric", "not_additive"} == set(ratio.tags)


def test_every_asset_but_amazon_describes_its_columns_as_the_database_does(engine: Engine) -> None:
    """Names, types and comments, of tables and of views; none is without a description."""
    graph = defs.resolve_asset_graph()
    with engine.connect() as connection:
        for key in graph.get_all_asset_keys() - {AssetKey("amazon_ads")}:
            name = _text(graph.get(key).metadata["dagster/table_name"])
            stored = [
                (row.name, row.type, row.description)
                for row in connection.execute(
                    text("""SELECT attname AS name, replace(format_type(atttypid, atttypmod), ',', ', ') AS type,
                                   col_description(attrelid, attnum) AS description
                              FROM pg_attribute WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 AND NOT attisdropped"""),
                    {"name": name},
                )
            ]
            shown = [(one.name, one.type, one.description) for one in schema_of(key).columns]
            assert sorted(stored) == sorted(shown), name
            assert all(description for *_, description in shown), name


def test_every_view_knows_the_types_of_its_columns(engine: Engine) -> None:
    """Also of views that are no assets."""
    with engine.connect() as connection:
        stored = read_views(connection)
    for view in REPORT_VIEWS:
        types = [(name, kind.replace(",", ", ")) for name, kind, _ in stored[view.name]["columns"]]
        assert types == [(one.name, one.type) for one in view.columns], view.name


def test_views_say_where_freshness_is_shown() -> None:
    """A view is not observed: its description names the asset of its table."""
    graph = defs.resolve_asset_graph()
    assert "`daily_target_performance`" in (
        graph.get(AssetKey(["reports", "daily_targets"])).description or ""
    )
    assert "`campaigns`" in (graph.get(AssetKey(["reports", "campaigns"])).description or "")


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
    """In a table or view that exists."""
    graph = defs.resolve_asset_graph()
    with engine.connect() as connection:
        for key in graph.get_all_asset_keys() - {AssetKey("amazon_ads")}:
            shown = graph.get(key).metadata
            name = _text(shown["dagster/table_name"])
            found = connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar()
            assert found is not None, name


def test_address_in_the_settings_is_shown_without_user_and_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The URI shows host, port and database; without an address there is none."""
    assert "dagster/uri" not in place_metadata("reports.campaigns")
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", "postgresql://maria:secret@db.example:5433/ads")
    get_settings.cache_clear()
    shown = place_metadata("reports.campaigns")
    assert "postgresql://db.example:5433/ads/reports/campaigns" == shown["dagster/uri"]


def _text(value: object) -> str:
    return str(getattr(value, "value", value))
