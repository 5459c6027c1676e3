"""The rows of an account's day that Amazon has, by the sandbox's own truth, and those that the tables have.

Columns, grains and spellings come from the sandbox's contract and the registry of datasets.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import httpx
from sqlalchemy import Engine, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import Dimension
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct, Catalog
from bidbeacon_sandbox.state import SandboxState
from bidbeacon_sandbox.traffic import OTHER_PLACEMENTS
from bidbeacon_sandbox.truth import UNRESOLVABLE, day_truth
from tests.support.hours_by_walking import hours_by_walking
from tests.support.report_rows import with_target_ids

Key = tuple[Any, ...]
"""Hour, ad product, currency, the dimensions that identify rows, and the target where rows name one."""
Metrics = tuple[int | Decimal | None, ...]
Rows = Mapping[Key, Metrics]
AD_PRODUCT, CURRENCY = 1, 2
"""Where a key has them."""


class Sums(NamedTuple):
    """Exact sums of rows; null counts as zero."""

    spend: Decimal
    sales: Decimal
    clicks: Decimal
    impressions: Decimal


@dataclass(frozen=True)
class DayRows:
    """The true rows and the stored rows of one day of one dataset of one account.

    Attributes:
        sandbox: Its state or, where it runs elsewhere, its address.
    """

    engine: Engine
    sandbox: SandboxState | str
    account: Account
    dataset: Dataset
    day: date

    def true(
        self, at: datetime, ad_products: Iterable[str] | None = None, *, knows_targets: bool = True
    ) -> dict[Key, Metrics]:
        """Return the rows that reports requested at an instant have, summed by the table's key.

        Args:
            at: The instant.
            ad_products: By default all of the dataset.
            knows_targets: Whether an export of the targets was loaded; else no row has one.
        """
        wanted = self.dataset.ad_products if ad_products is None else {*ad_products}
        rows: dict[Key, Metrics] = {}
        for product in AD_PRODUCTS:
            for row in self._ask(product, at) if product in wanted else ():
                key = self._true_key(row, product, knows_targets=knows_targets)
                add_row(rows, key, self._true_metrics(row, product))
        return rows

    def stored(self, ad_products: Iterable[str] | None = None) -> dict[Key, Metrics]:
        """Return the rows of the table, by default of all ad products."""
        wanted = self.dataset.ad_products if ad_products is None else {*ad_products}
        rows = stored_days(self.engine, self.account, self.dataset, self.day).get(self.day, {})
        return of_products(rows, wanted)

    def differences(self, at: datetime) -> list[str]:
        """Return how the table differs from the truth at an instant, a sentence for each row."""
        return list(differences(self.dataset, self.true(at), self.stored()))

    def total(self, rows: Rows, metric: str, *ad_products: str) -> Decimal:
        """Return the exact sum of a metric, of all ad products or of some; 0 where the dataset lacks it."""
        wanted = ad_products or self.dataset.ad_products
        return total(self.dataset, metric, of_products(rows, wanted).values())

    def sums(self, rows: Rows) -> Sums:
        """Return the sums of rows."""
        return Sums(*(self.total(rows, name) for name in Sums._fields))

    def without_targets(self, rows: Rows) -> dict[Key, Metrics]:
        """Return rows by keys without the target, which is derived."""
        if not self.dataset.names_targets:
            return dict(rows)
        left = {key[:-1]: metrics for key, metrics in rows.items()}
        assert len(left) == len(rows)
        return left

    def applied(self, rows: Rows, restated: Sequence[Mapping[str, Any]]) -> dict[Key, Metrics]:
        """Return rows `without_targets` as restatements leave them, each of which has to fit what is there."""
        changed = dict(rows)
        columns = [name for name in columns_of(self.dataset) if name != "target_id"]
        for row in restated:
            told = {**row, **row["dimensions"]}
            key = tuple(told[column] for column in columns)
            assert changed.pop(key, None) == self._restated(row["old_values"])
            new = self._restated(row["new_values"])
            if new is not None:
                changed[key] = new
        return changed

    def _restated(self, told: Mapping[str, Any] | None) -> Metrics | None:
        if told is None:
            return None
        values = (told[one.column] for one in self.dataset.metrics)
        return tuple(None if value is None else Decimal(str(value)) for value in values)

    def _ask(self, product: AdProduct, at: datetime) -> list[dict[str, Any]]:
        keys = {one.field for one in self.dataset.keys}
        metrics = {one.field for one in self.dataset.metrics}
        fields = {"hour.value" if self.dataset.is_hourly else "date.value", *keys, *metrics}
        if isinstance(self.sandbox, SandboxState):
            catalog = catalog_of(self.sandbox, self.account, product)
            assert self.account.currency_code == catalog.market.currency
            return day_truth(catalog, self.day, at, fields)
        asked = {
            "account": self.account.account_id,
            "country": self.account.country_code,
            "date": str(self.day),
            "product": product,
            "fields": ",".join(fields),
            "at": at.isoformat(),
        }
        answer = _http().get(f"{self.sandbox}/sandbox/truth", params=asked)
        rows: list[dict[str, Any]] = answer.raise_for_status().json()["rows"]
        return rows

    def _true_key(self, row: Mapping[str, Any], product: str, *, knows_targets: bool) -> Key:
        hour = None
        if self.dataset.is_hourly:
            hour = hours_by_walking(self.day, self.account.time_zone)[row["hour.value"]][0]
        told = [_true_text(row, one, product) for one in self.dataset.keys]
        key = (hour, product, self.account.currency_code, *told)
        if not self.dataset.names_targets:
            return key
        is_named = (
            product in _ad_products_with_targets(self.dataset)
            and row["target.matchType"] not in UNRESOLVABLE
        )
        return *key, row["target.id"] if knows_targets and is_named else None

    def _true_metrics(self, row: Mapping[str, Any], product: str) -> Metrics:
        values = (
            row[one.field] if product in one.ad_products else None for one in self.dataset.metrics
        )
        return tuple(Decimal(value) if isinstance(value, str) else value for value in values)


@cache
def _http() -> httpx.Client:
    return httpx.Client(timeout=30, trust_env=False)


def catalog_of(sandbox: SandboxState, account: Account, product: AdProduct) -> Catalog:
    """Return the entities of an ad product that the sandbox has for an account."""
    owner = sandbox.world.accounts.find(account.account_id)
    assert owner is not None
    country = owner.find_country(account.country_code)
    assert country is not None
    return sandbox.world.catalog(owner, country, product)


def columns_of(dataset: Dataset) -> list[str]:
    """Return the columns of a row's key, in the order of `Key`."""
    columns = ["hour_at", "ad_product", "currency_code", *(one.column for one in dataset.keys)]
    return columns + (["target_id"] if dataset.names_targets else [])


def stored_days(
    engine: Engine, account: Account, dataset: Dataset, day: date | None = None
) -> dict[date, dict[Key, Metrics]]:
    """Return the rows of a dataset's table by day, of all days or of one."""
    columns = columns_of(dataset)[1:] + [one.column for one in dataset.metrics]
    hour = "hour_at" if dataset.is_hourly else "NULL"
    chosen = "account = :account" + (" AND window_date = :day" if day else "")
    statement = text(
        f"SELECT window_date, {', '.join([hour, *columns])} FROM {with_target_ids(dataset)} WHERE {chosen}"
    )
    width = len(columns_of(dataset))
    found: dict[date, dict[Key, Metrics]] = {}
    with engine.begin() as connection:
        for of, *row in connection.execute(statement, {"account": account.id, "day": day}):
            rows, key = found.setdefault(of, {}), tuple(row[:width])
            assert key not in rows, f"two rows of one key: {key}"
            rows[key] = tuple(row[width:])
    return found


def of_products(rows: Rows, ad_products: Collection[str]) -> dict[Key, Metrics]:
    """Return the rows of some ad products."""
    return {key: values for key, values in rows.items() if key[AD_PRODUCT] in ad_products}


def total(dataset: Dataset, metric: str, rows: Iterable[Metrics]) -> Decimal:
    """Return the exact sum of a metric; 0 where the dataset lacks it."""
    names = [one.column for one in dataset.metrics]
    if metric not in names:
        return Decimal(0)
    return sum((Decimal(row[names.index(metric)] or 0) for row in rows), Decimal(0))


def differences(dataset: Dataset, expected: Rows, found: Rows) -> Iterator[str]:
    """Yield how rows differ from those expected, a sentence for each key with the metrics that differ."""
    columns = columns_of(dataset)
    metrics = [one.column for one in dataset.metrics]
    for key in sorted(expected.keys() | found.keys(), key=str):
        true, ours = expected.get(key), found.get(key)
        if true == ours:
            continue
        named = zip(columns, key, strict=False)  # a key may be without its target
        row = ", ".join(f"{name} {value}" for name, value in named if value is not None)
        if true is None or ours is None:
            yield f"{row}: the row is {'missing' if ours is None else 'too many'}"
        else:
            wrong = [one for one in zip(metrics, true, ours, strict=True) if one[1] != one[2]]
            yield f"{row}: " + ", ".join(
                f"{name} expected {value}, got {other}" for name, value, other in wrong
            )


def add_row(rows: dict[Key, Metrics], key: Key, metrics: Metrics) -> None:
    """Add a row to those of its key: null and null is null, null and a number is the number."""
    known = rows.get(key, (None,) * len(metrics))
    rows[key] = tuple(
        other if one is None else one if other is None else one + other
        for one, other in zip(known, metrics, strict=True)
    )


def _true_text(row: Mapping[str, Any], one: Dimension, product: str) -> Any:
    if product not in one.ad_products:
        return None
    assert one.field in row, f"the sandbox has no {one.field}: see docs/how-to/add-a-dataset.md"
    value = row[one.field]
    return OTHER_PLACEMENTS.get(value, value) if one.kind == "placement" else value


def _ad_products_with_targets(dataset: Dataset) -> tuple[str, ...]:
    return next(one.ad_products for one in dataset.dimensions if one.column == "target_value")
