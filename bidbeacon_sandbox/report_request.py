"""Parse and check a request for a report as Amazon does: its shape, fields, filter and period."""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError

from bidbeacon_sandbox.config import SandboxConfig
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct
from bidbeacon_sandbox.fields import RequestError, check_fields

COUNTRY_FIELDS = ("campaign.country", "campaignCountry.value")
FILTER_FIELDS = ("adProduct.value", "campaign.id", *COUNTRY_FIELDS)
_AD_PRODUCTS = (*get_args(AdProduct), "SPONSORED_TELEVISION", "AMAZON_DSP")
_LOCATION = "reports[0].query.filter"


class Condition(BaseModel):
    """One field and the values it may have, or with `not` may not have."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True
    )

    field: str
    comparisonOperator: Literal["EQUALS", "IN"]  # noqa: N815 - the wire's name
    negated: StrictBool = Field(alias="not")
    values: Annotated[tuple[str, ...], Field(min_length=1, max_length=2000)]

    def passes(self, row: Mapping[str, str]) -> bool:
        """Return whether a row with these values passes."""
        return (row[self.field] in self.values) != self.negated


class OnFilter(BaseModel):
    """`{"on": …}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: Condition

    def passes(self, row: Mapping[str, str]) -> bool:
        """Return whether a row with these values passes."""
        return self.on.passes(row)

    def conditions(self) -> list[Condition]:
        """Return its condition."""
        return [self.on]


class Conjunction(BaseModel):
    """The filters that all have to pass."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filters: "Annotated[tuple[ReportFilter, ...], Field(min_length=1, max_length=10)]"


class AndFilter(BaseModel):
    """`{"and": {"filters": […]}}`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True
    )

    all_of: Conjunction = Field(alias="and")

    def passes(self, row: Mapping[str, str]) -> bool:
        """Return whether a row with these values passes."""
        return all(condition.passes(row) for condition in self.all_of.filters)

    def conditions(self) -> list[Condition]:
        """Return the conditions of all its filters."""
        return [
            condition
            for condition_filter in self.all_of.filters
            for condition in condition_filter.conditions()
        ]


ReportFilter = OnFilter | AndFilter


def check_filter(asked: ReportFilter | None) -> None:
    """Check a filter's fields and values as Amazon does; its shape has been checked by then.

    Raises:
        RequestError: 400005 for a field that can't be filtered by, 400000 for several values of
            EQUALS and for an
            ad product that is spelled otherwise than in filters.
    """
    for condition in asked.conditions() if asked else ():
        if condition.field not in FILTER_FIELDS:
            raise RequestError(
                "400005", f"400005: unknown filter field: {condition.field}", _LOCATION
            )
        if condition.comparisonOperator == "EQUALS" and len(condition.values) > 1:
            raise RequestError("400000", "400000: EQUALS takes one value", _LOCATION)
        unknown = [value for value in condition.values if value not in _AD_PRODUCTS]
        if condition.field == "adProduct.value" and unknown:
            raise RequestError("400000", f"400000: unknown ad product: {unknown[0]}", _LOCATION)


def products_named(asked: ReportFilter | None) -> tuple[AdProduct, ...] | None:
    """Return the ad products that pass a filter; None where it is not about ad products."""
    conditions = (
        [condition for condition in asked.conditions() if condition.field == "adProduct.value"]
        if asked
        else []
    )
    if not conditions:
        return None
    return tuple(
        product
        for product in AD_PRODUCTS
        if all(condition.passes({condition.field: product}) for condition in conditions)
    )


def wire_filter(asked: ReportFilter | None) -> Any:
    """Return a filter as it came; None where none did."""
    return None if asked is None else asked.model_dump(mode="json", by_alias=True)


ReportFormat = Literal["GZIP_JSON", "PARTITIONED_GZIP_JSON"]
LONGEST_DAYS = {"daily": 120, "hourly": 14}
DAILY_MONTHS_BACK = 24
HOURLY_DAYS_BACK = 14
_PERIOD = "reports[0].periods[0].datePeriod"


def _calendar_date(value: Any) -> date:
    if not isinstance(value, str):
        raise TypeError("expected a date as YYYY-MM-DD")
    return date.fromisoformat(value)


_CalendarDate = Annotated[date, BeforeValidator(_calendar_date)]


class _RequestedAccount(BaseModel):
    advertiserAccountId: str  # noqa: N815 - the wire's name


class _DatePeriod(BaseModel):
    startDate: _CalendarDate  # noqa: N815 - the wire's name
    endDate: _CalendarDate  # noqa: N815 - the wire's name


class _Period(BaseModel):
    datePeriod: _DatePeriod  # noqa: N815 - the wire's name


class _Query(BaseModel):
    fields: Annotated[list[str], Field(min_length=1, max_length=1000)]
    filter: ReportFilter | None = None


class _Report(BaseModel):
    format: ReportFormat
    periods: Annotated[list[_Period], Field(min_length=1, max_length=1)]
    query: _Query


class _CreateBody(BaseModel):
    accessRequestedAccounts: Annotated[list[_RequestedAccount], Field(min_length=1, max_length=1)]  # noqa: N815
    reports: Annotated[list[_Report], Field(min_length=1, max_length=1)]


class _RetrieveBody(BaseModel):
    reportIds: Annotated[list[str], Field(min_length=1, max_length=1)]  # noqa: N815 - the wire's name


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """One report that is asked for; both dates are inclusive calendar dates."""

    account_id: str
    format: ReportFormat
    fields: tuple[str, ...]
    start: date
    end: date
    filter: ReportFilter | None = None

    @property
    def is_hourly(self) -> bool:
        """Whether its rows are hours."""
        return "hour.value" in self.fields

    @property
    def products(self) -> tuple[AdProduct, ...]:
        """The ad products whose rows it may have."""
        named = products_named(self.filter)
        return AD_PRODUCTS if named is None else named


def find_account_id(body: Any) -> str | None:
    """Return the ads account a create request names, whatever else is wrong with it."""
    try:
        return str(body["accessRequestedAccounts"][0]["advertiserAccountId"])
    except (KeyError, IndexError, TypeError):
        return None


def read_create(body: Any, config: SandboxConfig) -> ReportRequest:
    """Parse the body of a create call.

    Raises:
        RequestError: 400000 for anything but one account, one report and one period, and as
            `check_fields`
            and `check_filter`.
    """
    try:
        asked = _CreateBody.model_validate(body)
    except ValidationError as error:
        raise _malformed(error) from error
    report = asked.reports[0]
    fields = tuple(report.query.fields)
    check_filter(report.query.filter)
    check_fields(fields, products_named(report.query.filter), config)
    period = report.periods[0].datePeriod
    account_id = asked.accessRequestedAccounts[0].advertiserAccountId
    return ReportRequest(
        account_id, report.format, fields, period.startDate, period.endDate, report.query.filter
    )


def read_retrieve(body: Any) -> str:
    """Read the body of a retrieve call: exactly one report id.

    Raises:
        RequestError: 400000 for anything else.
    """
    try:
        return _RetrieveBody.model_validate(body).reportIds[0]
    except ValidationError as error:
        raise _malformed(error) from error


def check_period(request: ReportRequest, today: date, config: SandboxConfig) -> None:
    """Check a request's period against what Amazon still serves; `today` is the account's own date.

    Raises:
        RequestError: 400000 for a period that ends before it starts, is too long, or begins before
            the history of each
            ad product asked for.
    """
    grain = "hourly" if request.is_hourly else "daily"
    days = (request.end - request.start).days + 1
    if days < 1:
        raise RequestError("400000", "endDate is before startDate", f"{_PERIOD}.endDate")
    if days > LONGEST_DAYS[grain]:
        text = f"Period of {days} days is too long: at most {LONGEST_DAYS[grain]} days for {grain} reports"
        raise RequestError("400000", text, _PERIOD)
    first = first_asked(request, today, config)
    if request.start < first:
        raise too_old(first, hourly=request.is_hourly)


def first_asked(request: ReportRequest, today: date, config: SandboxConfig) -> date:
    """Return the oldest day of which there still are reports for one of the ad products asked for."""
    products = request.products or AD_PRODUCTS
    return min(
        first_day_of(product, today, config, hourly=request.is_hourly) for product in products
    )


def first_day_of(product: AdProduct, today: date, config: SandboxConfig, *, hourly: bool) -> date:
    """Return the oldest day of an ad product, which is later than usual where that is set."""
    days = {
        "SPONSORED_BRANDS": config.brands_history_days,
        "SPONSORED_DISPLAY": config.display_history_days,
    }.get(product)
    first = first_served(today, hourly=hourly)
    return first if days is None else max(first, today - timedelta(days=days))


def first_served(today: date, *, hourly: bool) -> date:
    """Return the oldest day of which there usually are reports: 14 days back hourly, 24 months back daily."""
    if hourly:
        return today - timedelta(days=HOURLY_DAYS_BACK)
    months = today.year * 12 + today.month - 1 - DAILY_MONTHS_BACK
    year, month = divmod(months, 12)
    return date(year, month + 1, min(today.day, calendar.monthrange(year, month + 1)[1]))


def too_old(first: date, *, hourly: bool) -> RequestError:
    """Make the refusal of a period that begins before the first day served."""
    grain = "hourly" if hourly else "daily"
    text = f"startDate is too old: {grain} reports are available from {first.isoformat()} on"
    return RequestError("400000", text, f"{_PERIOD}.startDate")


def _malformed(error: ValidationError) -> RequestError:
    first = error.errors()[0]
    return RequestError("400000", str(first["msg"]), ".".join(map(str, first["loc"])))
