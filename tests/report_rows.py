"""Rows of datasets, stored as a load would store them, for tests of what is read."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.datasets import dataset_tables  # noqa: F401 - it registers its tables
from bidbeacon_pipelines.datasets.digests import row_key_of
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS

_DATASETS = {dataset.name: dataset for dataset in ALL_DATASETS}
_USUAL = {"ad_product": "SPONSORED_PRODUCTS", "currency_code": "USD", "request_id": 1}


def store_rows(
    connection: Connection, name: str, account_key: str, *rows: Mapping[str, Any]
) -> None:
    """Store rows of a dataset; their dimensions and metrics are null, and what all rows have is usual, unless given. An hourly dataset needs its partition."""
    dataset, table = _DATASETS[name], PipelinesBase.metadata.tables[_DATASETS[name].table]
    make_key = row_key_of(dataset)
    columns = ("currency_code", "ad_product", *(one.column for one in dataset.keys))
    account = text("SELECT id FROM advertiser_accounts WHERE account_key = :key")
    told = {"account": connection.execute(account, {"key": account_key}).scalar_one()}
    for row in rows:
        values = dict.fromkeys(dataset.columns) | _USUAL | told | dict(row)
        key = make_key([values[column] for column in columns])
        connection.execute(table.insert(), values | {"row_key": bytes.fromhex(key)})
