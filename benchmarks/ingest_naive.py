"""A naive loader: json, one pydantic model a row, and upserts in batches of 1,000.

Like the product, it checks rows, counts unknown targets, quarantines bad rows, adds up rows of one
key and deletes rows that the report no longer has, all in one transaction. It shares only tables
and digests with the product.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, cast
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects.postgresql import insert

from benchmarks.ingest_load import DATASET
from benchmarks.ingest_place import Contender
from benchmarks.ingest_reports import DAYS, Report
from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.datasets.digests import digest_of_row, row_key_of
from bidbeacon_pipelines.loading.tables import QuarantinedRow

BATCH = 1_000
_TABLE = PipelinesBase.metadata.tables[DATASET.name]
_row_key = row_key_of(DATASET)
_QUARANTINE = cast(Table, QuarantinedRow.__table__)
_KEY = [column.name for column in _TABLE.primary_key]
_METRICS = ("impressions", "clicks", "orders", "units", "sales", "spend")

Id = Annotated[str, BeforeValidator(str), Field(pattern=r"^\d{1,20}$")]
Count = Annotated[int, Field(ge=0, lt=10**12, strict=True)]
Amount = Annotated[Decimal, Field(ge=0, lt=10**10, decimal_places=6, allow_inf_nan=False)]


def _as_hour(value: Any) -> Any:
    return datetime.fromisoformat(value).hour if isinstance(value, str) and "T" in value else value


class Row(BaseModel):
    """One row of an hourly report by target."""

    model_config = ConfigDict(extra="ignore")

    window_date: date = Field(alias="date.value")
    hour: Annotated[int, BeforeValidator(_as_hour), Field(ge=0, le=23)] = Field(alias="hour.value")
    currency_code: str = Field(alias="budgetCurrency.value", pattern=r"^[A-Z]{3}$")
    campaign_id: Id = Field(alias="campaign.id")
    country_code: str = Field(alias="campaign.country", pattern=r"^[A-Z]{2}$")
    ad_group_id: Id = Field(alias="adGroup.id")
    target_value: str = Field(alias="target.value")
    match_type: str = Field(alias="target.matchType")
    impressions: Count | None = Field(alias="metric.impressions")
    clicks: Count | None = Field(alias="metric.clicks")
    orders: Count | None = Field(alias="metric.purchases")
    units: Count | None = Field(alias="metric.unitsSold")
    sales: Amount | None = Field(alias="metric.sales")
    spend: Amount | None = Field(alias="metric.totalCost")


class Naive(Contender):
    """Loads reports the naive way."""

    name = "naive"

    _request_id = 0

    def load(self, report: Report) -> None:
        """Load a report: a first one and a refresh are the same."""
        self._request_id += 1
        self.unresolved = 0
        with self.place.engine.begin() as connection:
            targets = self._targets(connection)
            rows: dict[tuple[Any, ...], dict[str, Any]] = {}
            bad: list[dict[str, Any]] = []
            for number, raw in enumerate(_raw_rows(report)):
                try:
                    row = Row.model_validate(raw)
                except ValidationError as error:
                    bad.append(self._quarantined(number, raw, str(error)))
                    continue
                if row.country_code == self.place.account.country_code:
                    self._add(rows, self._columns(row, targets))
            self._upsert(connection, list(rows.values()))
            self._delete_missing(connection)
            connection.execute(text("DELETE FROM quarantined_rows"))
            connection.execute(insert(_QUARANTINE), bad)
        assert self.unresolved == report.unresolved

    def _targets(self, connection: Connection) -> set[tuple[str, str, str]]:
        found = connection.execute(
            text("SELECT ad_group_id, match_type, keyword, asin FROM targets WHERE NOT negative")
        )
        return {
            (row.ad_group_id, row.match_type, row.keyword)
            if row.asin is None
            else (row.ad_group_id, "TARGETING_EXPRESSION", f'asin="{row.asin}"')
            for row in found
        }

    def _columns(self, row: Row, targets: set[tuple[str, str, str]]) -> dict[str, Any]:
        self.unresolved += (row.ad_group_id, row.match_type, row.target_value) not in targets
        account, product = self.place.account, "SPONSORED_PRODUCTS"
        zone = ZoneInfo(account.time_zone)
        identity = (row.campaign_id, row.ad_group_id, row.target_value, row.match_type)
        return row.model_dump(exclude={"hour", "country_code"}) | {
            "account": account.id,
            "hour_at": datetime.combine(row.window_date, time(row.hour), zone).astimezone(UTC),
            "ad_product": product,
            "row_key": bytes.fromhex(_row_key((row.currency_code, product, *identity))),
            "target_match": digest_of_row(row.match_type, row.target_value),
            "request_id": self._request_id,
        }

    def _add(self, rows: dict[tuple[Any, ...], dict[str, Any]], values: dict[str, Any]) -> None:
        key = (values["hour_at"], values["row_key"])
        before = rows.setdefault(key, values)
        if before is not values:
            for metric in _METRICS:
                if values[metric] is not None:
                    before[metric] = (before[metric] or 0) + values[metric]

    def _upsert(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        statement = insert(_TABLE)
        kept = {*_KEY, "loaded_at"}
        changed = {
            column.name: statement.excluded[column.name]
            for column in _TABLE.columns
            if column.name not in kept
        }
        upsert = statement.on_conflict_do_update(index_elements=_KEY, set_=changed)
        for start in range(0, len(rows), BATCH):
            connection.execute(upsert, rows[start : start + BATCH])

    def _delete_missing(self, connection: Connection) -> None:
        connection.execute(
            text(f"""
                DELETE FROM {_TABLE.name}
                 WHERE account = :account
                   AND request_id <> :request_id
                   AND window_date = ANY(:days)"""),
            {
                "account": self.place.account.id,
                "request_id": self._request_id,
                "days": list(DAYS),
            },
        )

    def _quarantined(self, number: int, raw: dict[str, Any], reason: str) -> dict[str, Any]:
        return self.place.account.identity | {
            "dataset": DATASET.name,
            "window_date": date.fromisoformat(raw["date.value"]),
            "request_id": self._request_id,
            "row_number": number,
            "cause": cause("other", detail={"reason": reason}),
            "raw": json.dumps(raw, default=str),
        }


def _raw_rows(report: Report) -> Iterator[dict[str, Any]]:
    for part in report.parts:
        with gzip.open(part, "rt", encoding="utf-8") as file:
            yield from json.load(file, parse_float=Decimal)
