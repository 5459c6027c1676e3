"""The answers of Amazon's calls, strictly: the client's models, where every key is known and no value is lenient."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from bidbeacon_pipelines.amazon_ads import accounts, exports, reports, tokens
from bidbeacon_pipelines.amazon_ads.countries import COUNTRIES, normalise_country
from bidbeacon_pipelines.amazon_ads.texts import as_text
from bidbeacon_pipelines.amazon_ads.wire import STRICT, Instant, WireModel
from bidbeacon_pipelines.probe.shapes import field_name

_WORD: Final = "word"
_SHOWN: Final = frozenset({_WORD, "literal_error"})
"""Types of faults whose value comes from a vocabulary, so that it may be shown and recorded."""
_LONGEST_SHOWN: Final = 40
_time_zones = cache(available_timezones)


def _as_country(code: str) -> str:
    if normalise_country(code) not in COUNTRIES:
        raise PydanticCustomError(_WORD, "expected a country of the contract")
    return code


def _as_time_zone(name: str) -> str:
    if name not in _time_zones():
        raise PydanticCustomError(_WORD, "expected a time zone of the IANA")
    return name


Country = Annotated[str, AfterValidator(_as_country)]
TimeZone = Annotated[str, AfterValidator(_as_time_zone)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
AccountType = Literal["seller", "vendor", "agency"]
ReportStatus = Literal[
    "PENDING", "PROCESSING", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "EXPIRED"
]


class _Token(tokens.TokenAnswer, extra="forbid"):
    token_type: Literal["bearer"]
    refresh_token: SecretStr | None = None


class _AlternateId(accounts.AlternateId, extra="forbid"):
    country_code: Country


class _AdsAccount(accounts.AdsAccount, extra="forbid"):
    account_name: str
    status: Literal["CREATED", "PARTIALLY_CREATED", "PENDING", "DISABLED"]
    country_codes: tuple[Country, ...]
    alternate_ids: tuple[_AlternateId, ...]


class _AccountsPage(accounts.Page, extra="forbid"):
    ads_accounts: tuple[_AdsAccount, ...]


class _AccountInfo(WireModel, extra="forbid"):
    id: str
    name: str
    type: AccountType
    marketplace_string_id: str | None
    sub_type: str | None = None
    valid_payment_method: bool | None = None


class _Profile(accounts.Profile, extra="forbid"):
    country_code: str
    currency_code: Currency
    timezone: TimeZone
    account_info: _AccountInfo
    daily_budget: Any = None


class _ReportPart(reports.ReportPart, extra="forbid"):
    url_expiration_date_time: Instant = None


class _ReportQuery(WireModel, extra="forbid"):
    fields: tuple[str, ...]
    filter: dict[str, Any] | None = None


class _Report(reports.Report, extra="forbid"):
    raw_status: ReportStatus = Field(validation_alias="status")
    parts: tuple[_ReportPart, ...] = Field((), validation_alias="completedReportParts")
    query: _ReportQuery
    format: Literal["GZIP_JSON"]
    last_updated_date_time: Instant = None
    completed_date_time: Instant = None
    url: SecretStr | None = None
    currency_of_view: Any = None
    format_options: Any = None
    locale: Any = None
    time_zone_mode: Any = None


class _ReportSuccess(WireModel, extra="forbid"):
    index: int
    report: _Report


class _ReportAnswer(WireModel, extra="forbid"):
    success: Annotated[tuple[_ReportSuccess, ...], Field(min_length=1, max_length=1)]
    error: Any = None


class _ExportError(WireModel, extra="forbid"):
    error_code: Literal["INTERNAL_ERROR", "TIMED_OUT"]
    message: str


class _Export(exports.Export, extra="forbid"):
    raw_status: Literal["PROCESSING", "IN_PROGRESS", "COMPLETED", "FAILED"] = Field(
        validation_alias="status"
    )
    error: _ExportError | None = None
    created_at: Instant = None
    generated_at: Instant = None
    url_expires_at: Instant = None


@dataclass(frozen=True)
class Call:
    """A call that the product makes: how its path ends, and what it answers."""

    name: str
    path: str
    answer: TypeAdapter[Any]


CALLS: Final = (
    Call("token", "/auth/o2/token", TypeAdapter(_Token)),
    Call("accounts", "/adsAccounts/list", TypeAdapter(_AccountsPage)),
    Call("profiles", "/v2/profiles", TypeAdapter(tuple[_Profile, ...])),
    Call("create report", "/create/reports", TypeAdapter(_ReportAnswer)),
    Call("retrieve report", "/retrieve/reports", TypeAdapter(_ReportAnswer)),
    Call("create export", r"/(campaigns|adGroups|ads|targets)/export", TypeAdapter(_Export)),
    Call("get export", r"/exports/[^/]+", TypeAdapter(_Export)),
)


def find_call(path: str) -> Call | None:
    """Return the call that a path belongs to; None for a download."""
    return next((call for call in CALLS if re.search(f"{call.path}$", path)), None)


def find_differences(call: Call, body: Any) -> list[str]:
    """Return what of an answer differs from the contract, without any value that may be a customer's."""
    try:
        call.answer.validate_python(body, context=STRICT)
    except ValidationError as error:
        return list(dict.fromkeys(map(_sentence, error.errors(include_url=False))))
    return []


def _sentence(fault: ErrorDetails) -> str:
    parts = ("[]" if isinstance(part, int) else field_name(part) for part in fault["loc"])
    place = ".".join(parts) or "the answer"
    if fault["type"] == "missing":
        return f"{place}: missing"
    if fault["type"] == "extra_forbidden":
        return f"{place}: unknown"
    expected = fault["msg"].replace("Input should be", "expected").removeprefix("Value error, ")
    came = fault["input"]
    if fault["type"] in _SHOWN and isinstance(came, str) and len(came) <= _LONGEST_SHOWN:
        return f"{place}: {expected}, got {as_text(came)!r}"
    return f"{place}: {expected}"
