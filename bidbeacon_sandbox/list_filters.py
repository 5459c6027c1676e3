"""Filters in the bodies of calls that list ads accounts and portfolios.

Unknown filter names are refused, because a misspelt filter would let everything pass.
"""

from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictStr,
    ValidationError,
)

from bidbeacon_sandbox.answers import refuse
from bidbeacon_sandbox.entities import Entity

_Body = TypeVar("_Body", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _AccountIds(_Part):
    include: tuple[StrictStr, ...] = Field(min_length=1, max_length=100)


class _IsGlobal(_Part):
    include: tuple[StrictBool]


class _Query(_Part):
    nextToken: Any = None  # noqa: N815 - the wire's name; it is checked with the page


class AccountQuery(_Query):
    """A query for ads accounts; by default it returns all global accounts."""

    advertiserAccountIdFilter: _AccountIds = _AccountIds.model_construct(include=())  # noqa: N815 - the wire's name
    isGlobalAccountFilter: _IsGlobal = _IsGlobal(include=(True,))  # noqa: N815 - the same
    maxResults: StrictFloat = Field(100.0, ge=10)  # noqa: N815 - the same

    def passes(self, account_id: str) -> bool:
        """Return whether a global ads account matches the query."""
        ids = self.advertiserAccountIdFilter.include
        return self.isGlobalAccountFilter.include[0] and (not ids or account_id in ids)


class _Texts(_Part):
    include: tuple[StrictStr, ...] = Field((), min_length=1, max_length=1000)


class _Names(_Texts):
    queryTermMatchType: Literal["BROAD_MATCH", "EXACT_MATCH"] = "BROAD_MATCH"  # noqa: N815 - the wire's name

    def passes(self, name: str) -> bool:
        if self.queryTermMatchType == "EXACT_MATCH":
            return name in self.include
        return any(one.lower() in name.lower() for one in self.include)


class _States(_Part):
    include: tuple[Literal["ENABLED"], ...] = Field((), min_length=1, max_length=1)


class PortfolioQuery(_Query):
    """A query for portfolios; by default it returns all portfolios of a profile."""

    portfolioIdFilter: _Texts = _Texts()  # noqa: N815 - the wire's name
    nameFilter: _Names = _Names()  # noqa: N815 - the same
    stateFilter: _States = _States()  # noqa: N815 - the same
    includeExtendedDataFields: StrictBool = False  # noqa: N815 - the same

    def passes(self, portfolio: Entity) -> bool:
        """Return whether a portfolio matches the query."""
        ids, names, states = self.portfolioIdFilter, self.nameFilter, self.stateFilter
        return (
            (not ids.include or portfolio["portfolioId"] in ids.include)
            and (not names.include or names.passes(portfolio["name"]))
            and (not states.include or portfolio["state"] in states.include)
        )


def read_body(kind: type[_Body], body: Any) -> _Body:
    """Return the request body as a model of class `kind`; refuse an invalid body (400)."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        text = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": text}) from error
