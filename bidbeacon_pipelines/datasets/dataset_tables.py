"""The tables of datasets, made from the registry. A table is named like its dataset.

One row has the metrics of one combination of dimensions in an account-local day or hour. `row_key`
is a digest of currency, ad product and key dimensions (`datasets.digests`). `window_date` is the
account-local day, and `hour_at` is the instant when the hour began. `target_match` is a digest of
the target's name in its ad group; views use it to join the target. A load locks the account's row,
so rows need no foreign key check.

Tables of hourly datasets are partitioned by the month of `window_date` (`datasets.partitions`).
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
)

from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.datasets.digests import DIGEST_BYTES
from bidbeacon_pipelines.datasets.fields import DIMENSION_TAGS, Dimension, Metric
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset

TAGS = "tags"
"""The key of a column's tags in `Column.info`."""
FILL_FACTOR = 80
"""In percent. The rest of each page stays free, so that updated rows stay on their page."""


def make_dataset_table(dataset: Dataset, metadata: MetaData = PipelinesBase.metadata) -> Table:
    """Make the table of a dataset; by default, add it to the metadata of this package."""
    hourly: dict[str, Any] = {"postgresql_partition_by": "RANGE (window_date)"}
    daily: dict[str, Any] = {"postgresql_with": {"fillfactor": FILL_FACTOR}}
    return Table(
        dataset.name,
        metadata,
        *columns_of(dataset),
        *_rules(dataset),
        comment=f"{dataset.title}, as Amazon reported it last.",
        **(hourly if dataset.is_hourly else daily),
    )


def columns_of(dataset: Dataset) -> list[Column[Any]]:
    """Return the columns of a dataset's table in order, as new objects."""
    return list(_columns(dataset))


def _columns(dataset: Dataset) -> Iterator[Column[Any]]:
    key: dict[str, Any] = {"primary_key": True, "autoincrement": False}
    yield Column("account", Integer, **key, comment="advertiser_accounts.id.")
    grouped: dict[str, Any] = {"info": {TAGS: DIMENSION_TAGS}}
    yield Column(
        "window_date", Date, **key, **grouped, comment="Day of the account's own calendar."
    )
    if dataset.is_hourly:
        yield Column(
            "hour_at", DateTime(timezone=True), **key, **grouped, comment="When the hour began."
        )
    yield Column(
        "row_key", LargeBinary, **key, comment="Digest of currency, ad product and dimensions."
    )
    yield Column(
        "ad_product",
        Text,
        nullable=False,
        **grouped,
        comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS, …",
    )
    yield Column(
        "currency_code", Text, nullable=False, **grouped, comment="Currency of the amounts."
    )
    for dimension in dataset.dimensions:
        yield from _dimension(dimension)
    if dataset.names_targets:
        yield Column(
            "target_match",
            LargeBinary,
            comment="Digest of what names the target; null where nothing does.",
        )
    for metric in dataset.metrics:
        yield Column(
            metric.column, _type_of(metric), comment=metric.description, info={TAGS: metric.tags}
        )
    yield Column(
        "request_id", BigInteger, nullable=False, comment="report_requests.id that wrote the row."
    )


def _dimension(dimension: Dimension) -> Iterator[Column[Any]]:
    text_type = Text(collation="C") if dimension.kind in {"id", "product"} else Text()
    tags: dict[str, Any] = {TAGS: dimension.tags}
    yield Column(dimension.column, text_type, comment=dimension.description, info=tags)
    if dimension.kind == "placement":
        yield Column(
            f"{dimension.column}_reported",
            Text,
            comment="The placement as Amazon reported it.",
            info=tags,
        )


def _type_of(metric: Metric) -> Any:
    return BigInteger() if metric.kind == "count" else Numeric(20, 6)


def _rules(dataset: Dataset) -> Iterator[CheckConstraint]:
    counts = [metric.column for metric in dataset.metrics if metric.kind == "count"]
    amounts = [metric.column for metric in dataset.metrics if metric.kind == "amount"]
    yield CheckConstraint(f"octet_length(row_key) = {DIGEST_BYTES}", name="key_is_a_digest")
    yield CheckConstraint(f"least({', '.join(counts)}) >= 0", name="counts_not_negative")
    # NaN is greater than any number.
    yield CheckConstraint(
        f"least({', '.join(amounts)}) >= 0 AND greatest({', '.join(amounts)}) < 1e14",
        name="amounts_in_range",
    )
    if dataset.is_hourly:
        yield CheckConstraint("extract(epoch FROM hour_at) % 900 = 0", name="hour_begins")


for _dataset in ALL_DATASETS:
    make_dataset_table(_dataset)
