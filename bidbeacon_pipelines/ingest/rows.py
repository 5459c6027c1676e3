"""The rows of reports: their models and the check that sorts good from bad.

A row model says by itself what its metrics are told by (`entity`) and of which hour they are (`written_hour`), so that checking,
staging and merging know no dataset. Knows neither files nor database. A row of another country than the account's is not this account's row; a row that can't be
understood is handed back with its reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from bidbeacon_pipelines.ingest.field_types import (
    AdProduct,
    AmazonId,
    Amount,
    Count,
    Country,
    Currency,
    KeyText,
    LocalDate,
    OptionalText,
    ProductId,
    Text,
    as_ad_product,
    as_country,
    parse_date,
    shown,
)
from bidbeacon_pipelines.ingest.hours import Hour, ImpossibleHourError, WrittenHour, start_of_hour

COUNTRY_FIELD = "campaign.country"
DATE_FIELD = "date.value"
CURRENCY_FIELD = "budgetCurrency.value"
AD_PRODUCT_FIELD = "adProduct.value"
HOUR_FIELD = "hour.value"
MARKETPLACE_FIELD = "advertisedProduct.marketplace"
OTHER_SPELLINGS: Mapping[str, str] = {
    COUNTRY_FIELD: "campaignCountry.value",
    MARKETPLACE_FIELD: "advertisedProductMarketplace.value",
}
"""Fields that have another name in another version of Amazon's API; both are read."""
DEFAULT_AD_PRODUCTS = ("SPONSORED_PRODUCTS",)


class RowEntity(NamedTuple):
    """What a row's metrics are told by.

    Attributes:
        entity_id: Amazon's id of it; None where it is the target that `target_value` and `match_type` name.
        detail: What tells rows of one entity apart, as reported: a search term, a marketplace; empty where nothing does.
        target_value: The target as reported, where there is one.
        match_type: Its match type as reported.
    """

    entity_id: str | None = None
    detail: str = ""
    target_value: str | None = None
    match_type: str | None = None


class ReportRow(BaseModel):
    """What the rows of all datasets share; each field's alias is Amazon's name for it, and unknown fields are ignored.

    Every aliased field must be in the row, except names and the country; a metric may be null, which means "no value".
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    window_date: LocalDate = Field(alias=DATE_FIELD)
    country_code: Country = Field(alias=COUNTRY_FIELD)
    currency_code: Currency = Field(alias=CURRENCY_FIELD)
    ad_product: AdProduct = Field(alias=AD_PRODUCT_FIELD)
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

    @property
    def entity(self) -> RowEntity:
        """What the metrics are told by; every model says its own."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its rows' entity is.")

    @property
    def written_hour(self) -> WrittenHour | None:
        """The hour of the day that the row is of; None where it is of the whole day."""
        return None


class HourlyRow(ReportRow):
    """What rows of hourly datasets have besides."""

    hour: Hour = Field(alias=HOUR_FIELD)

    @property
    def written_hour(self) -> WrittenHour | None:
        """The hour, account-local."""
        return self.hour


class TargetRow(ReportRow):
    """One target's performance through one ad on one account-local day, as reported; the target may be empty text."""

    target_value: Text = Field(alias="target.value")
    target_match_type: Text = Field(alias="target.matchType")

    @property
    def entity(self) -> RowEntity:
        """The target, by the texts that name it."""
        return RowEntity(target_value=self.target_value, match_type=self.target_match_type)


class ProductRow(ReportRow):
    """One advertised product's performance through one ad on one account-local day."""

    product_id: ProductId = Field(alias="advertisedProduct.id")
    marketplace: KeyText = Field(alias=MARKETPLACE_FIELD)

    @property
    def entity(self) -> RowEntity:
        """The product, in its marketplace."""
        return RowEntity(entity_id=self.product_id, detail=self.marketplace)


class SearchTermRow(TargetRow):
    """The performance of what shoppers typed and one target was matched with, through one ad on one account-local day."""

    search_term: KeyText = Field(alias="searchTerm.value")

    @property
    def entity(self) -> RowEntity:
        """The target, and of it the search term."""
        return super().entity._replace(detail=self.search_term)


class HourlyTargetRow(HourlyRow, TargetRow):
    """One target's performance through one ad in one hour of an account-local day."""


class HourlyProductRow(HourlyRow, ProductRow):
    """One advertised product's performance through one ad in one hour of an account-local day."""


RowT = TypeVar("RowT", bound=ReportRow)


@dataclass(frozen=True, slots=True)
class GoodRow(Generic[RowT]):
    """A row that is understood; `index` counts all rows of the report from 0.

    `hour_at` is the instant in UTC at which its hour begins; None where it is of a whole day.
    """

    index: int
    row: RowT
    hour_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be understood.

    Attributes:
        index: Its place among all rows of the report, from 0.
        reason: Each field at fault, what was expected and what came.
        window_date: The window it belongs to, where that can be read; None where its country can't.
    """

    index: int
    reason: str
    window_date: date | None


@dataclass(frozen=True, slots=True)
class ForeignRow:
    """A row that nothing waits for: of another country of the same ads account, or of a day that is in no window of the report. Counted, not stored."""

    index: int
    country_code: str


@dataclass(frozen=True, slots=True)
class OtherProductRow:
    """A row of an ad product that was not asked for: counted, not stored.

    Amazon's filter should keep these out. An unknown product makes a `BadRow`.
    """

    index: int
    ad_product: str


CheckedRow = GoodRow[RowT] | BadRow | ForeignRow | OtherProductRow


@dataclass(frozen=True)
class RowCheck(Generic[RowT]):
    """Sorts the rows of a report, one at a time, into good, bad and other countries' ones.

    Attributes:
        row_model: The dataset's.
        country_code: The account's, as `as_country` writes it.
        time_zone: The account's, in which days and hours are told.
        window_dates: The days that the account waits for.
        ad_products: The ad products that were asked for.
        currency_code: The account's, where a row in another currency is to be refused.
        period: First and last day of the report, where rows of those of its days that the account doesn't wait for are no bad ones.
        has_one_country: Whether the ads account has no other country; then a row that names none is the account's.
    """

    row_model: type[RowT]
    country_code: str
    time_zone: str
    window_dates: frozenset[date]
    ad_products: frozenset[str] = frozenset(DEFAULT_AD_PRODUCTS)
    currency_code: str | None = None
    period: tuple[date, date] | None = None
    has_one_country: bool = True

    def __call__(self, index: int, raw: dict[str, Any]) -> CheckedRow[RowT]:
        """Return what a row is, the `index`-th of its report, as decoded without floats."""
        told = _with_known_names(raw)
        try:
            country = self.country_of(told.get(COUNTRY_FIELD))
        except PydanticCustomError as error:
            # Whose row it is can't be said, so it is no window's.
            return BadRow(index, f"{COUNTRY_FIELD}: {error.message()}", None)
        if country != self.country_code:
            return ForeignRow(index, country)
        if (other := self._find_other_product(told)) is not None:
            return OtherProductRow(index, other)
        if self._is_not_waited_for(told):
            return ForeignRow(index, country)
        try:
            row = self.row_model.model_validate({**told, COUNTRY_FIELD: country})
        except ValidationError as error:
            return self._bad(index, raw, "; ".join(map(_told, error.errors(include_url=False))))
        refusal = self._outside(row)
        return self._bad(index, raw, refusal) if refusal else self._placed(index, raw, row)

    def country_of(self, told: object) -> str:
        """Return the country that a row tells; where it tells none, the only one that the ads account has.

        Raises:
            PydanticCustomError: It is no country.
        """
        tells_none = told is None or told == ""  # CSV writes null as an empty text
        return self.country_code if tells_none and self.has_one_country else as_country(told)

    def _placed(self, index: int, raw: dict[str, Any], row: RowT) -> GoodRow[RowT] | BadRow:
        """Give a row its instant, where it is of an hour."""
        written = row.written_hour
        if written is None:
            return GoodRow(index, row)
        try:
            return GoodRow(index, row, start_of_hour(row.window_date, written, self.time_zone))
        except ImpossibleHourError as error:
            return self._bad(
                index, raw, f"{HOUR_FIELD}: expected {error.expected}, got: {shown(raw[HOUR_FIELD])}"
            )

    def _find_other_product(self, raw: dict[str, Any]) -> str | None:
        """Return the ad product of a row, where it is a known one that was not asked for."""
        try:
            product = as_ad_product(raw.get(AD_PRODUCT_FIELD))
        except PydanticCustomError:
            return None  # the row model says what is wrong
        return None if product in self.ad_products else product

    def _is_not_waited_for(self, raw: dict[str, Any]) -> bool:
        """Whether a row is of a day that was asked for, but not for this country: it is in flight elsewhere, not over yet, or not due."""
        day = _day_of(raw)
        if self.period is None or day is None or day in self.window_dates:
            return False
        first, last = self.period
        return first <= day <= last

    def _outside(self, row: RowT) -> str | None:
        if row.window_date not in self.window_dates:
            return f"{DATE_FIELD}: expected a day that was asked for, got: {row.window_date}"
        if self.currency_code is not None and row.currency_code != self.currency_code:
            return f"{CURRENCY_FIELD}: expected {self.currency_code}, got: {row.currency_code}"
        return None

    def _bad(self, index: int, raw: dict[str, Any], reason: str) -> BadRow:
        day = _day_of(raw)
        return BadRow(index, reason, day if day in self.window_dates else None)


def _day_of(raw: dict[str, Any]) -> date | None:
    written = raw.get(DATE_FIELD)
    return parse_date(written) if isinstance(written, str) else None


def _with_known_names(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the names that we know for fields that Amazon has renamed."""
    renamed = {
        name: raw[other] for name, other in OTHER_SPELLINGS.items() if other in raw and name not in raw
    }
    return raw | renamed if renamed else raw


def _told(error: ErrorDetails) -> str:
    field = ".".join(map(str, error["loc"]))
    return f"{field}: missing" if error["type"] == "missing" else f"{field}: {error['msg']}"
