"""Compare what the tables have of a dataset's day with the sandbox's truth: all ad products, key by key, to the last decimal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import httpx
from sqlalchemy import Engine, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import Dataset
from tests.faults.ads.delivered import AD_PRODUCT, Key, KnownTargets, Metrics, ReportReader
from tests.faults.ads.oracle import GRAINS
from tests.report_rows import with_target_ids


class TargetsOfRows(KnownTargets):
    """The targets that true rows name and that an export made at the same time has, found by what a row says."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        super().__init__(())
        for row in rows:
            if not row.get("unresolvable", True):
                told = (row["adGroupId"], row["targetMatchType"], row["targetValue"])
                assert self._ids.setdefault(told, row["targetId"]) == row["targetId"]


@dataclass(frozen=True)
class Question:
    """One day of one dataset of one account; `grain` is the sandbox's name of the dataset's grain, where the entity doesn't imply it."""

    engine: Engine
    sandbox_url: str
    account: Account
    dataset: Dataset
    day: date
    grain: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns of a row's key, in the order of `delivered.Key`."""
        columns = [
            "hour_at",
            "ad_product",
            "currency_code",
            *(one.column for one in self.dataset.keys),
        ]
        return columns + (["target_id"] if self.dataset.names_targets else [])

    @property
    def metrics(self) -> list[str]:
        """The dataset's metrics, in the order of a row's values."""
        return [one.column for one in self.dataset.metrics]

    def total(
        self, rows: Mapping[Key, Metrics], metric: str, ad_product: str | None = None
    ) -> Decimal:
        """Return the exact sum of a metric, of all ad products or of one; null adds nothing, nor does a metric that the dataset lacks."""
        if metric not in self.metrics:
            return Decimal(0)
        at = self.metrics.index(metric)
        mine = (values for key, values in rows.items() if ad_product in {None, key[AD_PRODUCT]})
        return sum((Decimal(values[at] or 0) for values in mine), Decimal(0))

    def without_targets(self, rows: Mapping[Key, Metrics]) -> dict[Key, Metrics]:
        """Return rows by keys without the target, which is derived."""
        places = [place for place, column in enumerate(self.columns) if column != "target_id"]
        left = {tuple(key[place] for place in places): metrics for key, metrics in rows.items()}
        assert len(left) == len(rows)
        return left

    def applied(
        self, rows: Mapping[Key, Metrics], restated: Sequence[Mapping[str, Any]]
    ) -> dict[Key, Metrics]:
        """Return rows `without_targets` as restatements leave them, each of which has to fit what is there."""
        changed = dict(rows)
        columns = [column for column in self.columns if column != "target_id"]
        for row in restated:
            told = {
                **row["dimensions"],
                "currency_code": row["currency_code"],
                "hour_at": row["hour_at"],
            }
            key = tuple(told[column] for column in columns)
            assert changed.pop(key, None) == self._values(row["old_values"])
            new = self._values(row["new_values"])
            if new is not None:
                changed[key] = new
        return changed

    def _values(self, told: Mapping[str, Any] | None) -> Metrics | None:
        if told is None:
            return None
        return tuple(
            None if told[name] is None else Decimal(str(told[name])) for name in self.metrics
        )

    def stored(self) -> dict[Key, Metrics]:
        """Return the rows of the table."""
        columns, hour = self.columns, "hour_at" if self.dataset.is_hourly else "NULL"
        statement = text(
            f"SELECT {', '.join((hour, *columns[1:], *self.metrics))} FROM {with_target_ids(self.dataset)} WHERE account = :account AND window_date = :day"
        )
        with self.engine.begin() as connection:
            rows = connection.execute(
                statement, {"account": self.account.id, "day": self.day}
            ).all()
        found = {tuple(row[: len(columns)]): tuple(row[len(columns) :]) for row in rows}
        assert len(found) == len(rows), "columns beside the key tell rows apart"
        return found

    def true(self, at: datetime) -> dict[Key, Metrics]:
        """Return the rows that reports of all ad products asked for at an instant have, summed by the table's key."""
        rows: dict[Key, Metrics] = {}
        for report in self.dataset.reports:
            for product in report.ad_products:
                true = self._ask(product, at)
                reader = ReportReader(
                    self.account, self.dataset, has_one_country=False, targets=TargetsOfRows(true)
                )
                found = reader.read_truth(true, product, report.fields, self.day)
                assert {product} == {key[AD_PRODUCT] for key in found}, (
                    "an ad product without rows shows nothing"
                )
                rows |= found
        return rows

    def parameters(self, ad_product: str, at: datetime) -> dict[str, str | bool]:
        """Return what the sandbox is asked for the true rows of an ad product at an instant."""
        entity = self.dataset.entity
        grain = self.grain or GRAINS.get(entity)
        assert grain, (
            f"add the sandbox's grain of {entity!r} to GRAINS in tests/faults/ads/oracle.py"
        )
        return {
            "account": self.account.account_id,
            "country": self.account.country_code,
            "date": str(self.day),
            "product": ad_product,
            "grain": grain,
            "hourly": self.dataset.is_hourly,
            "at": at.isoformat(),
        }

    def _ask(self, ad_product: str, at: datetime) -> list[Mapping[str, Any]]:
        asked = self.parameters(ad_product, at)
        answer = httpx.get(f"{self.sandbox_url}/sandbox/truth", params=asked)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert self.account.currency_code == told["currency"]
        rows: list[Mapping[str, Any]] = told["rows"]
        return rows
