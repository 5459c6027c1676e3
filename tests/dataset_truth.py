"""What the tables say of a day of a dataset beside what the sandbox says is true of it, key by key, to the last decimal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import httpx
from sqlalchemy import Engine, text

from bidbeacon_pipelines.reports.datasets import Dataset
from bidbeacon_pipelines.store.accounts import Account
from tests.hours_by_walking import hours_by_walking

METRICS = ("impressions", "clicks", "orders", "sales", "spend")
Key = tuple[Any, ...]
Metrics = tuple[int | Decimal | None, ...]
GRAINS = {"target": "target", "product": "product", "target and search term": "search_term"}


@dataclass(frozen=True)
class Question:
    """One day of one dataset of one account; `grain` is the sandbox's name for what the rows are told by, where the entry's entity doesn't say."""

    engine: Engine
    sandbox_url: str
    account: Account
    dataset: Dataset
    day: date
    grain: str | None = None

    @property
    def columns(self) -> list[str]:
        """What rows are told by: the key, and the target they belong to."""
        columns = [*(one.column for one in self.dataset.keys), "currency_code"]
        columns += ["target_id"] if self.dataset.names_targets else []
        return columns + (["hour_at"] if self.dataset.is_hourly else [])

    def without_targets(self, rows: Mapping[Key, Metrics]) -> dict[Key, Metrics]:
        """Leave the target, which is derived, out of the keys."""
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
            told = {**row["dimensions"], "currency_code": row["currency_code"], "hour_at": row["hour_at"]}
            key = tuple(told[column] for column in columns)
            assert changed.pop(key, None) == _values(row["old_values"])
            new = _values(row["new_values"])
            if new is not None:
                changed[key] = new
        return changed

    def stored(self) -> dict[Key, Metrics]:
        """Return the rows of the table."""
        columns = self.columns
        statement = text(
            f"SELECT {', '.join((*columns, *METRICS))} FROM {self.dataset.table} WHERE account = :account AND window_date = :day"
        )
        with self.engine.begin() as connection:
            rows = connection.execute(statement, {"account": self.account.id, "day": self.day}).all()
        found = {tuple(row[: len(columns)]): tuple(row[len(columns) :]) for row in rows}
        assert len(found) == len(rows), "columns beside the key tell rows apart"
        return found

    def true(self, at: datetime) -> dict[Key, Metrics]:
        """Return the rows that a report asked for at an instant has, summed by the table's key."""
        answer = self._ask(at)
        summed: dict[Key, Metrics] = {}
        for row in answer["rows"]:
            key = self._key(row, answer["currency"])
            summed[key] = _added(summed.get(key), _metrics(row))
        return summed

    def _ask(self, at: datetime) -> Any:
        asked: dict[str, str | bool] = {
            "account": self.account.account_id,
            "country": self.account.country_code,
            "date": str(self.day),
            "grain": self.grain or GRAINS[self.dataset.entity],
            "hourly": self.dataset.grain == "hour",
            "at": at.isoformat(),
        }
        answer = httpx.get(f"{self.sandbox_url}/sandbox/truth", params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _key(self, row: Mapping[str, Any], currency: str) -> Key:
        told = {
            "campaign_id": row["campaignId"],
            "ad_group_id": row["adGroupId"],
            "ad_id": row["adId"],
            "product_id": row["advertisedProductId"],
            "marketplace": self.account.country_code,
            "target_value": row.get("targetValue"),
            "match_type": row.get("targetMatchType"),
            "search_term": row["searchTerm"],
            "matched_target": None,  # Amazon reports it for Sponsored Display only
        }
        key: list[Any] = [*(told[one.column] for one in self.dataset.keys), currency]
        if self.dataset.names_targets:
            key.append(None if row["unresolvable"] else row["targetId"])
        if self.dataset.is_hourly:
            key.append(hours_by_walking(self.day, self.account.time_zone)[row["hour"]][0])
        return tuple(key)


def _values(told: Mapping[str, Any] | None) -> Metrics | None:
    if told is None:
        return None
    return tuple(None if told[name] is None else Decimal(str(told[name])) for name in METRICS)


def _metrics(row: Mapping[str, Any]) -> Metrics:
    amounts = (None if row[name] is None else Decimal(row[name]) for name in ("sales", "totalCost"))
    return (row["impressions"], row["clicks"], row["purchases"], *amounts)


def _added(one: Metrics | None, other: Metrics) -> Metrics:
    if one is None:
        return other
    return tuple(a if b is None else b if a is None else a + b for a, b in zip(one, other, strict=True))


def total(rows: Mapping[Key, Metrics], metric: str) -> Decimal:
    """Return the exact sum of a metric; null adds nothing."""
    at = METRICS.index(metric)
    return sum((Decimal(values[at] or 0) for values in rows.values()), Decimal(0))
