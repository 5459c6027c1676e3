"""Parses report requests; checks form, fields, filter and period as Amazon does."""

import calendar
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, NamedTuple

from bidbeacon_sandbox.accounts import MARKETS
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct
from bidbeacon_sandbox.fields import (
    KNOWN_FIELDS,
    RequestError,
    check_fields,
    companionless,
    datasets_of,
    excluded,
    unknown_field,
)
from bidbeacon_sandbox.rules import History, Refuse

COUNTRY_FIELDS = ("campaign.country", "campaignCountry.value")
_FILTER_FIELDS = ("adProduct.value", "campaign.id", *COUNTRY_FIELDS)
_FILTER_PRODUCTS = (*AD_PRODUCTS, "SPONSORED_TELEVISION", "AMAZON_DSP")
_MOST_FILTERS, _MOST_VALUES, _MOST_FIELDS = 10, 2000, 1000
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CURRENCIES = tuple(market.currency for market in MARKETS.values())
LONGEST_DAYS = {"daily": 120, "hourly": 14}
DAILY_MONTHS_BACK = 15
HOURLY_DAYS_BACK = 14


class Condition(NamedTuple):
    """A filter condition on one field; `negated` is the value of `not`, None if missing."""

    field: str
    operator: str
    values: tuple[str, ...]
    negated: bool | None

    def passes(self, row: Mapping[str, str]) -> bool:
        """Return whether a row with these values fulfils the condition."""
        return (row[self.field] in self.values) != bool(self.negated)


def read_conditions(row_filter: Any) -> list[Condition]:
    """Return all conditions of a filter, also nested ones; a row must fulfil all of them.

    A filter is refused unless it is `{"on": …}` or `{"and": {"filters": […]}}`.
    """
    match row_filter:
        case None:
            return []
        case {"on": {"field": str(field), **rest}, **others} if not others:
            return [_read_condition(field, rest)]
        case {"and": {"filters": [_, *_] as filters}, **others} if (
            not others and len(filters) <= _MOST_FILTERS
        ):
            return [one for nested in filters for one in read_conditions(nested)]
    raise RequestError("400000", "400000: expected a filter with the key `on` or the key `and`")


def _read_condition(field: str, rest: Any) -> Condition:
    match rest:
        case {
            "comparisonOperator": "EQUALS" | "IN" as operator,
            "values": [_, *_] as values,
            **more,
        }:
            known = len(values) <= _MOST_VALUES and all(isinstance(one, str) for one in values)
            negated = more.get("not")
            if known and set(more) <= {"not"} and isinstance(negated, bool | None):
                return Condition(field, operator, tuple(values), negated)
    raise RequestError("400000", f"400000: invalid filter on {field}")


def _check_condition(condition: Condition) -> None:
    if condition.negated is None:
        raise RequestError("400000", "400000: a filter condition requires the key `not`")
    if condition.field not in _FILTER_FIELDS:
        raise RequestError("400005", f"400005: unknown filter field: {condition.field}")
    if condition.operator == "EQUALS" and len(condition.values) > 1:
        raise RequestError("400000", "400000: EQUALS takes one value")
    unknown = [value for value in condition.values if value not in _FILTER_PRODUCTS]
    if condition.field == "adProduct.value" and unknown:
        raise RequestError("400000", f"400000: unknown ad product: {unknown[0]}")


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A requested report from `start` to `end`, both inclusive; `filter` is not parsed yet."""

    account_id: str
    format: str
    fields: tuple[str, ...]
    start: date
    end: date
    filter: Any = None

    @property
    def days(self) -> int:
        """The number of days in the period."""
        return (self.end - self.start).days + 1

    @property
    def is_hourly(self) -> bool:
        """Whether the report has a row for each hour."""
        return "hour.value" in self.fields

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets (names in `datasets.json`) that the request matches."""
        return datasets_of(self.fields, self.products)

    @property
    def named_products(self) -> tuple[AdProduct, ...] | None:
        """The ad products that pass the filter; None if it has no condition on ad products."""
        conditions = [one for one in read_conditions(self.filter) if one.field == "adProduct.value"]
        if not conditions:
            return None
        return tuple(
            product
            for product in AD_PRODUCTS
            if all(one.passes({"adProduct.value": product}) for one in conditions)
        )

    @property
    def products(self) -> tuple[AdProduct, ...]:
        """The ad products that the report may contain."""
        named = self.named_products
        return AD_PRODUCTS if named is None else named


def _are_names(fields: list[Any]) -> bool:
    return len(fields) <= _MOST_FIELDS and all(isinstance(field, str) for field in fields)


def _check_rest(access: Any, options: Any, query: Any) -> None:
    if "managerAccountId" in access:
        raise RequestError("400000", "400000: managerAccountId is not accepted by the sandbox")
    if options.get("currencyOfView", _CURRENCIES[0]) not in _CURRENCIES:
        known = ", ".join(sorted(set(_CURRENCIES)))
        raise RequestError("400000", f"400000: currencyOfView must be one of {known}")
    if query.get("filter", {}) is None:
        raise RequestError("400000", "400000: filter is null; leave it out instead")


def _read_day(text: str) -> date:
    if not _DAY.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(text)


def read_create(body: Any) -> ReportRequest:
    """Parse the body of a call that creates a report: one account, report and period."""
    match body:
        case {
            "accessRequestedAccounts": [{"advertiserAccountId": str(account_id), **access}],
            "reports": [
                {
                    "format": "GZIP_JSON" | "PARTITIONED_GZIP_JSON" as form,
                    "periods": [{"datePeriod": {"startDate": str(start), "endDate": str(end)}}],
                    "query": {"fields": [_, *_] as fields, **query},
                    **options,
                }
            ],
        } if _are_names(fields):
            _check_rest(access, options, query)
            row_filter = query.get("filter")
            read_conditions(row_filter)
            with suppress(ValueError):
                days = _read_day(start), _read_day(end)
                return ReportRequest(
                    account_id, form, tuple(dict.fromkeys(fields)), *days, row_filter
                )
    raise RequestError("400000", "400000: expected one account, one report and one period")


def checked(request: ReportRequest, rules: Sequence[Refuse] = ()) -> ReportRequest:
    """Check a request's filter and fields as Amazon does, or as rules define.

    Return the request. If a rule ignores unknown fields, the request is returned without them.
    """
    for condition in read_conditions(request.filter):
        _check_condition(condition)
    if any(rule.ignore_unknown for rule in rules):
        known = (field for field in request.fields if field in KNOWN_FIELDS or "." not in field)
        request = replace(request, fields=tuple(known))
    named = request.named_products or ()
    has_new_names = any(rule.reason == "old_names" for rule in rules)
    check_fields(request.fields, named, has_new_names=has_new_names)
    for rule in rules:
        _check_rule(rule, request.fields, named)
    return request


def _check_rule(rule: Refuse, fields: tuple[str, ...], products: tuple[AdProduct, ...]) -> None:
    if rule.reason == "mixed_products" and len(products) > 1:
        raise companionless("adProduct.value", "a filter on one ad product")
    if rule.fields and set(rule.fields) <= set(fields):
        first, *others = rule.fields
        raise excluded(first, *others) if others else unknown_field(first)


def read_report_id(body: Any) -> str:
    """Return the only report id in the body of a call that retrieves or deletes a report."""
    match body:
        case {"reportIds": [str(report_id)]}:
            return report_id
    raise RequestError("400000", "400000: expected one report id")


def check_period(
    request: ReportRequest,
    today: date,
    rules: Sequence[Refuse] = (),
    histories: Sequence[History] = (),
) -> None:
    """Refuse a period that is reversed, too long or too old.

    A period is too old if no requested ad product has data for the period's first day. Rules can
    change this. `today` is the account's local date.
    """
    grain = "hourly" if request.is_hourly else "daily"
    if request.days < 1:
        raise RequestError("400000", "endDate is before startDate")
    if request.days > LONGEST_DAYS[grain]:
        text = (
            f"Period of {request.days} days is too long: "
            f"at most {LONGEST_DAYS[grain]} days for {grain} reports"
        )
        raise RequestError("400000", text)
    products = request.products or AD_PRODUCTS
    first = min(first_day_of(one, today, histories, hourly=request.is_hourly) for one in products)
    is_empty = any(rule.empty and any(map(rule.covers, products)) for rule in histories)
    by_rule = [rule for rule in rules if rule.reason == "too_old"]
    if (request.start < first and not is_empty) or by_rule:
        text = f"startDate is too old: {grain} reports are available from {first.isoformat()} on"
        raise RequestError("400000", text)


def first_day_of(
    product: AdProduct, today: date, histories: Sequence[History] = (), *, hourly: bool
) -> date:
    """Return the first day for which reports of an ad product have data.

    It is 15 months before `today`, unless a rule in `histories` sets a number of days. For hourly
    reports it is at most 14 days before `today`.
    """
    days = [rule.days for rule in histories if rule.covers(product)]
    if hourly:
        days.append(HOURLY_DAYS_BACK)
    if days:
        return today - timedelta(days=min(days))
    year, month = divmod(today.year * 12 + today.month - 1 - DAILY_MONTHS_BACK, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(today.day, last))
