"""The rows of reports: their models and the check that sorts good from bad.

Knows neither files nor database. A row of another country than the account's is not this account's row; a row that can't be
understood is handed back with its reason.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from bidbeacon_pipelines.ingest.field_types import (
    AmazonId,
    Amount,
    Count,
    Country,
    Currency,
    LocalDate,
    OptionalText,
    Text,
    as_country,
    parse_date,
)

COUNTRY_FIELD = "campaign.country"
DATE_FIELD = "date.value"
CURRENCY_FIELD = "budgetCurrency.value"


class ReportRow(BaseModel):
    """What the rows of all datasets share; each field's alias is Amazon's name for it, and unknown fields are ignored.

    Every aliased field must be in the row, except names and the country; a metric may be null, which means "no value".
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    window_date: LocalDate = Field(alias=DATE_FIELD)
    country_code: Country = Field(alias=COUNTRY_FIELD)
    currency_code: Currency = Field(alias=CURRENCY_FIELD)
    campaign_id: AmazonId = Field(alias="campaign.id")
    campaign_name: OptionalText = Field(None, alias="campaign.name")
    ad_group_id: AmazonId = Field(alias="adGroup.id")
    ad_group_name: OptionalText = Field(None, alias="adGroup.name")
    ad_id: AmazonId = Field(alias="ad.id")
    impressions: Count = Field(alias="metric.impressions")
    clicks: Count = Field(alias="metric.clicks")
    orders: Count = Field(alias="metric.purchases")
    sales: Amount = Field(alias="metric.sales")
    spend: Amount = Field(alias="metric.totalCost")


class DailyTargetRow(ReportRow):
    """One target's performance through one ad on one account-local day, as reported; the target may be empty text."""

    target_value: Text = Field(alias="target.value")
    target_match_type: Text = Field(alias="target.matchType")


RowT = TypeVar("RowT", bound=ReportRow)


@dataclass(frozen=True, slots=True)
class GoodRow(Generic[RowT]):
    """A row that is understood; `index` counts all rows of the report from 0."""

    index: int
    row: RowT


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be understood.

    Attributes:
        index: Its place among all rows of the report, from 0.
        raw: The row as it came; `ingest.quarantine.to_jsonable` makes it storable.
        reason: Each field at fault, what was expected and what came.
        window_date: The window it belongs to, where that can be read.
    """

    index: int
    raw: dict[str, Any]
    reason: str
    window_date: date | None


@dataclass(frozen=True, slots=True)
class ForeignRow:
    """A row of another country of the same ads account: counted, not stored."""

    index: int
    country_code: str


def check_rows(
    row_model: type[RowT],
    raw_rows: Iterable[dict[str, Any]],
    *,
    country_code: str,
    window_dates: Collection[date],
    currency_code: str | None = None,
) -> Iterator[GoodRow[RowT] | BadRow | ForeignRow]:
    """Sort the rows of a report, all parts in turn, into good, bad and other countries' ones; one result a row.

    Args:
        row_model: The dataset's.
        raw_rows: Rows as decoded, without floats.
        country_code: The account's; a row that names no country counts as the account's.
        window_dates: The days that were asked for.
        currency_code: The account's, where a row in another currency is to be refused.
    """
    check = _Check(row_model, as_country(country_code), frozenset(window_dates), currency_code)
    return (check(index, raw) for index, raw in enumerate(raw_rows))


@dataclass(frozen=True)
class _Check(Generic[RowT]):
    row_model: type[RowT]
    country_code: str
    window_dates: frozenset[date]
    currency_code: str | None

    def __call__(self, index: int, raw: dict[str, Any]) -> GoodRow[RowT] | BadRow | ForeignRow:
        try:
            country = as_country(raw.get(COUNTRY_FIELD) or self.country_code)
        except PydanticCustomError as error:
            return self._bad(index, raw, f"{COUNTRY_FIELD}: {error.message()}")
        if country != self.country_code:
            return ForeignRow(index, country)
        try:
            row = self.row_model.model_validate({**raw, COUNTRY_FIELD: country})
        except ValidationError as error:
            return self._bad(index, raw, "; ".join(map(_told, error.errors(include_url=False))))
        refusal = self._outside(row)
        return self._bad(index, raw, refusal) if refusal else GoodRow(index, row)

    def _outside(self, row: RowT) -> str | None:
        if row.window_date not in self.window_dates:
            return f"{DATE_FIELD}: expected a day that was asked for, got: {row.window_date}"
        if self.currency_code is not None and row.currency_code != self.currency_code:
            return f"{CURRENCY_FIELD}: expected {self.currency_code}, got: {row.currency_code}"
        return None

    def _bad(self, index: int, raw: dict[str, Any], reason: str) -> BadRow:
        written = raw.get(DATE_FIELD)
        day = parse_date(written) if isinstance(written, str) else None
        return BadRow(index, raw, reason, day if day in self.window_dates else None)


def _told(error: ErrorDetails) -> str:
    field = ".".join(map(str, error["loc"]))
    return f"{field}: missing" if error["type"] == "missing" else f"{field}: {error['msg']}"
