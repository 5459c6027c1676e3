"""Rows of datasets, stored as a load would store them, for tests of what is read."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.datasets import dataset_tables  # noqa: F401 - it registers its tables
from bidbeacon_pipelines.datasets.digests import row_key_of
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset

_DATASETS = {dataset.name: dataset for dataset in ALL_DATASETS}
_USUAL = {"ad_product": "SPONSORED_PRODUCTS", "currency_code": "USD", "request_id": 1}


def to_json(value: Any, *, ascii_only: bool = False) -> str:
    """Write JSON as a report has it: Decimals as numbers, and a lone surrogate escaped, since UTF-8 can't carry it."""
    match value:
        case dict():
            fields = (
                f"{to_json(name, ascii_only=ascii_only)}: {to_json(item, ascii_only=ascii_only)}"
                for name, item in value.items()
            )
            return "{" + ",\n".join(fields) + "}"
        case list():
            return "[" + ",".join(to_json(item, ascii_only=ascii_only) for item in value) + "]"
        case Decimal() | int() if not isinstance(value, bool):
            return "NaN" if Decimal(value).is_nan() else str(Decimal(value))
        case str() if any("\ud800" <= char <= "\udfff" for char in value):
            return json.dumps(value)
        case _:
            return json.dumps(value, ensure_ascii=ascii_only)


def with_target_ids(dataset: Dataset) -> str:
    """Return the SQL of a dataset's rows, with the id of the target that each names."""
    if not dataset.names_targets:
        return dataset.name
    return f"""(SELECT t.*, n.target_id FROM {dataset.name} t LEFT JOIN target_names n
                    ON n.account = t.account AND n.ad_group_id = t.ad_group_id AND n.match_digest = t.target_match) r"""


def store_rows(
    connection: Connection, name: str, account_key: str, *rows: Mapping[str, Any]
) -> None:
    """Store rows of a dataset; their dimensions and metrics are null, and what all rows have is usual, unless given. An hourly dataset needs its partition."""
    dataset, table = _DATASETS[name], PipelinesBase.metadata.tables[_DATASETS[name].name]
    make_key = row_key_of(dataset)
    columns = ("currency_code", "ad_product", *(one.column for one in dataset.keys))
    account = text("SELECT id FROM advertiser_accounts WHERE account_key = :key")
    told = {"account": connection.execute(account, {"key": account_key}).scalar_one()}
    for row in rows:
        values = dict.fromkeys(dataset.columns) | _USUAL | told | dict(row)
        key = make_key([values[column] for column in columns])
        connection.execute(table.insert(), values | {"row_key": bytes.fromhex(key)})
