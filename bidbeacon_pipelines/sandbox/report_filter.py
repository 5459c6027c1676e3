"""The filter of a report's query: its two shapes, what Amazon refuses of them, and which rows pass."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from bidbeacon_pipelines.sandbox.entities import AdProduct
from bidbeacon_pipelines.sandbox.refusals import RequestError

COUNTRY_FIELDS = ("campaign.country", "campaignCountry.value")
FILTER_FIELDS = ("adProduct.value", "campaign.id", *COUNTRY_FIELDS)
_AD_PRODUCTS = (*get_args(AdProduct), "SPONSORED_TELEVISION", "AMAZON_DSP")
_LOCATION = "reports[0].query.filter"


class Condition(BaseModel):
    """One field and the values it may have, or with `not` may not have."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)

    field: str
    comparisonOperator: Literal["EQUALS", "IN"]  # noqa: N815 - the wire's name
    negated: StrictBool = Field(alias="not")
    values: Annotated[tuple[str, ...], Field(min_length=1, max_length=2000)]

    def passes(self, row: Mapping[str, str]) -> bool:
        """Whether a row with these values passes."""
        return (row[self.field] in self.values) != self.negated


class OnFilter(BaseModel):
    """`{"on": …}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: Condition

    def passes(self, row: Mapping[str, str]) -> bool:
        """Whether a row with these values passes."""
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

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)

    all_of: Conjunction = Field(alias="and")

    def passes(self, row: Mapping[str, str]) -> bool:
        """Whether a row with these values passes."""
        return all(one.passes(row) for one in self.all_of.filters)

    def conditions(self) -> list[Condition]:
        """Return the conditions of all its filters."""
        return [condition for one in self.all_of.filters for condition in one.conditions()]


ReportFilter = OnFilter | AndFilter


def check_filter(asked: ReportFilter | None) -> None:
    """Check a filter's fields and values as Amazon does; its shape has been checked by then.

    Raises:
        RequestError: 400005 for a field that can't be filtered by, 400000 for several values of EQUALS and for an
            ad product that is spelled otherwise than in filters.
    """
    for condition in asked.conditions() if asked else ():
        if condition.field not in FILTER_FIELDS:
            raise RequestError("400005", f"400005: unknown filter field: {condition.field}", _LOCATION)
        if condition.comparisonOperator == "EQUALS" and len(condition.values) > 1:
            raise RequestError("400000", "400000: EQUALS takes one value", _LOCATION)
        unknown = [value for value in condition.values if value not in _AD_PRODUCTS]
        if condition.field == "adProduct.value" and unknown:
            raise RequestError("400000", f"400000: unknown ad product: {unknown[0]}", _LOCATION)


def wire_filter(asked: ReportFilter | None) -> Any:
    """Return a filter as it came; None where none did."""
    return None if asked is None else asked.model_dump(mode="json", by_alias=True)
