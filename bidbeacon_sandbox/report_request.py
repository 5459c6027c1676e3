"""Parse and check a request for a report as Amazon does: its shape, fields, filter and period."""

import calendar
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError

from bidbeacon_sandbox.datasets import datasets_of
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct
from bidbeacon_sandbox.fields import (
    KNOWN_FIELDS,
    RequestError,
    check_fields,
    companionless,
    excluded,
    unknown_field,
)
from bidbeacon_sandbox.rules import Accepted, Refuse

COUNTRY_FIELDS = ("campaign.country", "campaignCountry.value")
FILTER_FIELDS = ("adProduct.value", "campaign.id", *COUNTRY_FIELDS)
_AD_PRODUCTS = (*get_args(AdProduct), "SPONSORED_TELEVISION", "AMAZON_DSP")
_LOCATION = "reports[0].query.filter"


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True
    )


class Condition(_Strict):
    """One field and the values it may have, or with `not` may not have."""

    field: str
    comparisonOperator: Literal["EQUALS", "IN"]  # noqa: N815 - the wire's name
    negated: StrictBool = Field(alias="not")
    values: Annotated[tuple[str, ...], Field(min_length=1, max_length=2000)]

    def passes(self, row: Mapping[str, str]) -> bool:
        """Return whether a row with these values passes."""
        return (row[self.field] in self.values) != self.negated


class OnFilter(_Strict):
    """`{"on": …}`."""

    on: Condition

    def conditions(self) -> list[Condition]:
        """Return its condition."""
        return [self.on]


class _Conjunction(_Strict):
    filters: "Annotated[tuple[ReportFilter, ...], Field(min_length=1, max_length=10)]"


class AndFilter(_Strict):
    """`{"and": {"filters": […]}}`: all conditions have to pass, however deep they are nested."""

    all_of: _Conjunction = Field(alias="and")

    def conditions(self) -> list[Condition]:
        """Return the conditions of all its filters."""
        return [one for nested in self.all_of.filters for one in nested.conditions()]


ReportFilter = OnFilter | AndFilter


def passes(asked: ReportFilter, row: Mapping[str, str]) -> bool:
    """Return whether a row with these values passes a filter."""
    return all(condition.passes(row) for condition in asked.conditions())


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


class _IdsBody(BaseModel):
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
    def datasets(self) -> tuple[str, ...]:
        """The contract's reports that it is."""
        return datasets_of(self.fields, self.products)

    @property
    def products(self) -> tuple[AdProduct, ...]:
        """The ad products whose rows it may have."""
        named = products_named(self.filter)
        return AD_PRODUCTS if named is None else named


def find_datasets(body: Any) -> tuple[str, ...]:
    """Return the contract's reports that a create request is, whatever else is wrong with it."""
    try:
        query = body["reports"][0]["query"]
        return datasets_of([str(field) for field in query["fields"]], _named_products(query))
    except (KeyError, IndexError, TypeError):
        return ()


def _named_products(query: dict[str, Any]) -> tuple[str, ...]:
    text = json.dumps(query.get("filter"))
    return tuple(product for product in AD_PRODUCTS if product in text) or AD_PRODUCTS


def find_account_id(body: Any) -> str | None:
    """Return the ads account a create request names, whatever else is wrong with it."""
    try:
        return str(body["accessRequestedAccounts"][0]["advertiserAccountId"])
    except (KeyError, IndexError, TypeError):
        return None


def read_create(body: Any, rules: Sequence[Refuse] = ()) -> ReportRequest:
    """Parse the body of a create call, as strict as Amazon is, or as the rules have it.

    Raises:
        RequestError: 400000 for anything but one account, one report and one period, and as
            `check_fields` and `check_filter`.
    """
    accepted: set[Accepted] = {one for rule in rules for one in rule.accept}
    try:
        asked = _CreateBody.model_validate(_accepting(body, accepted))
    except ValidationError as error:
        raise _malformed(error) from error
    report = asked.reports[0]
    fields, products = (
        tuple(dict.fromkeys(report.query.fields)),
        products_named(report.query.filter),
    )
    if "unknown_field" in accepted:
        fields = tuple(field for field in fields if field in KNOWN_FIELDS or "." not in field)
    check_filter(report.query.filter)
    has_new_names = any(rule.reason == "old_names" for rule in rules)
    check_fields(fields, products, has_new_names=has_new_names, accepted=accepted)
    for rule in rules:
        _check_rule(rule, fields, products)
    period = report.periods[0].datePeriod
    account_id = asked.accessRequestedAccounts[0].advertiserAccountId
    return ReportRequest(
        account_id, report.format, fields, period.startDate, period.endDate, report.query.filter
    )


def _accepting(body: Any, accepted: Collection[Accepted]) -> Any:
    """Return the body of a create call with the `not` that its filter lacks, where that is accepted."""
    if "filter_without_not" in accepted:
        with suppress(KeyError, IndexError, TypeError):
            body["reports"][0]["query"]["filter"]["on"].setdefault("not", False)
    return body


def _check_rule(
    rule: Refuse, fields: tuple[str, ...], products: tuple[AdProduct, ...] | None
) -> None:
    """Refuse fields, or a filter on several ad products, as a rule says."""
    if rule.reason == "mixed_products" and products is not None and len(products) > 1:
        raise companionless("adProduct.value", "a filter on one ad product")
    if rule.fields and set(rule.fields) <= set(fields):
        first, *others = rule.fields
        raise excluded(first, *others) if others else unknown_field(first)


def read_report_id(body: Any) -> str:
    """Read the body of a retrieve or a delete call: exactly one report id.

    Raises:
        RequestError: 400000 for anything else.
    """
    try:
        return _IdsBody.model_validate(body).reportIds[0]
    except ValidationError as error:
        raise _malformed(error) from error


def check_period(request: ReportRequest, today: date, rules: Sequence[Refuse] = ()) -> None:
    """Check a request's period against what Amazon still serves; `today` is the account's own date.

    Raises:
        RequestError: 400000 for a period that ends before it starts, is too long, or begins before
            the history of each ad product asked for.
    """
    grain = "hourly" if request.is_hourly else "daily"
    days = (request.end - request.start).days + 1
    if days < 1:
        raise RequestError("400000", "endDate is before startDate", f"{_PERIOD}.endDate")
    if days > LONGEST_DAYS[grain]:
        text = f"Period of {days} days is too long: at most {LONGEST_DAYS[grain]} days for {grain} reports"
        raise RequestError("400000", text, _PERIOD)
    first = first_asked(request, today, rules)
    if request.start < first:
        raise too_old(first, hourly=request.is_hourly)


def first_asked(request: ReportRequest, today: date, rules: Sequence[Refuse] = ()) -> date:
    """Return the oldest day of which there still are reports for one of the ad products asked for."""
    products = request.products or AD_PRODUCTS
    return min(
        first_day_of(product, today, rules, hourly=request.is_hourly) for product in products
    )


def first_day_of(
    product: AdProduct, today: date, rules: Sequence[Refuse] = (), *, hourly: bool
) -> date:
    """Return the oldest day of an ad product, which is later than usual where a rule says so."""
    first = first_served(today, hourly=hourly)
    for rule in rules:
        if rule.history_days is not None and product in (rule.products or AD_PRODUCTS):
            first = max(first, today - timedelta(days=rule.history_days))
    return first


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
