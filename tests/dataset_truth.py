"""What the tables say of a day of a dataset beside what the sandbox says is true of it, key by key, to the last decimal."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import httpx
from sqlalchemy import Engine, text

from bidbeacon_pipelines.ingest.targets import placeholder_id
from bidbeacon_pipelines.reports.datasets import Dataset
from bidbeacon_pipelines.store.accounts import Account
from tests.hours_by_walking import hours_by_walking

METRICS = ("impressions", "clicks", "orders", "sales", "spend")
KEY = ("hour_at", "campaign_id", "ad_group_id", "ad_id", "entity_id", "entity_detail", "currency_code")
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

    def stored(self) -> dict[Key, Metrics]:
        """Give the rows of the table."""
        hour = "hour_at" if self.dataset.grain == "hour" else "NULL AS hour_at"
        statement = text(
            f"""SELECT {hour}, {", ".join(KEY[1:])}, {", ".join(METRICS)} FROM {self.dataset.table}
                 WHERE account_id = :account_id AND country_code = :country_code AND dataset = :dataset AND window_date = :day"""
        )
        values = {**self.account.identity, "dataset": self.dataset.name, "day": self.day}
        with self.engine.begin() as connection:
            rows = connection.execute(statement, values).mappings().all()
        found = {tuple(row[name] for name in KEY): tuple(row[name] for name in METRICS) for row in rows}
        assert len(found) == len(rows), "columns beside the key tell rows apart"
        return found

    def true(self, at: datetime) -> dict[Key, Metrics]:
        """Give the rows that a report asked for at an instant has, summed by the table's key."""
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
        hour_at = None
        if row["hour"] is not None:
            hour_at = hours_by_walking(self.day, self.account.time_zone)[row["hour"]][0]
        ids = (row["campaignId"], row["adGroupId"], row["adId"])
        return (hour_at, *ids, *self._entity(row), currency)

    def _entity(self, row: Mapping[str, Any]) -> tuple[str, str]:
        if self.dataset.entity == "product":
            return row["advertisedProductId"], self.account.country_code
        names = (row["campaignId"], row["adGroupId"], row["targetValue"], row["targetMatchType"])
        entity_id = placeholder_id(*names) if row["unresolvable"] else row["targetId"]
        return entity_id, row["searchTerm"] or ""


def _metrics(row: Mapping[str, Any]) -> Metrics:
    amounts = (None if row[name] is None else Decimal(row[name]) for name in ("sales", "totalCost"))
    return (row["impressions"], row["clicks"], row["purchases"], *amounts)


def _added(one: Metrics | None, other: Metrics) -> Metrics:
    if one is None:
        return other
    return tuple(a if b is None else b if a is None else a + b for a, b in zip(one, other, strict=True))


def total(rows: Mapping[Key, Metrics], metric: str) -> Decimal:
    """Give the exact sum of a metric; null adds nothing."""
    at = METRICS.index(metric)
    return sum((Decimal(values[at] or 0) for values in rows.values()), Decimal(0))
