"""The bodies that Amazon sends: unknown fields are ignored, missing ones are named in errors."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    WrapValidator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from bidbeacon_pipelines.amazon_ads.transport import Answer, malformed
from bidbeacon_sessions.redaction import redact_text

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


def _id_text(value: object) -> object:
    """Let ids come as text or whole numbers of any length, never through a float (2^53 is too small)."""
    if isinstance(value, float | Decimal):
        # The value itself isn't shown: what stands here may have lost its last digits already.
        raise PydanticCustomError(
            "id_not_exact",
            "an id is to be text or a whole number, got a number with a point or an exponent",
        )
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else value


def _as_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _or_none(value: object, check: Callable[[object], Any]) -> Any:
    try:
        return check(value)
    except ValidationError:
        return None


Id = Annotated[str, BeforeValidator(_id_text), Field(min_length=1)]
Instant = Annotated[datetime, AfterValidator(_as_utc)]
# An optional field must not fail the response when its form changes.
Lenient = Annotated[T | None, WrapValidator(_or_none)]


class WireModel(BaseModel):
    """A body in Amazon's camelCase."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )


class WireToken(BaseModel):
    """Login with Amazon's answer; `expires_in` is in seconds."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    access_token: SecretStr = Field(min_length=1)
    expires_in: float = Field(gt=0, le=10**9)


class WireDatePeriod(WireModel):
    """Inclusive calendar dates in the account's own time zone."""

    start_date: date
    end_date: date


class WirePeriod(WireModel):
    """One period of a report."""

    date_period: WireDatePeriod


class WireQuery(WireModel):
    """The parameters of a report request."""

    fields_: tuple[str, ...] = Field((), alias="fields")
    filter: Lenient[dict[str, Any]] = None


class WireLinkedAccount(WireModel):
    """An account a report is about."""

    advertiser_account_id: Id


class WireReportPart(WireModel):
    """One file of a report; the URL is signed."""

    url: SecretStr = Field(min_length=1)
    size_in_bytes: Lenient[Annotated[int, Field(ge=0)]] = None
    url_expiration_date_time: Lenient[Instant] = None


class WireReport(WireModel):
    """A report of the unified reporting API."""

    report_id: Id
    status: str = Field(min_length=1)
    failure_code: str | None = None
    failure_reason: str | None = None
    creation_date_time: Lenient[Instant] = None
    completed_date_time: Lenient[Instant] = None
    periods: Lenient[tuple[WirePeriod, ...]] = None
    query: Lenient[WireQuery] = None
    linked_accounts: Lenient[tuple[WireLinkedAccount, ...]] = None
    completed_report_parts: tuple[WireReportPart, ...] | None = None
    url: SecretStr | None = None


class WireReportSuccess(WireModel):
    """One report of a multi-status answer."""

    report: WireReport


class WireReportAnswer(WireModel):
    """A multi-status answer; reports are asked for one at a time, so exactly one comes back."""

    success: tuple[WireReportSuccess, ...] = Field(min_length=1, max_length=1)


class WireExportError(WireModel):
    """Why an export failed."""

    error_code: str | None = None
    message: str | None = None


class WireExport(WireModel):
    """An export of entities; the URL is signed."""

    export_id: Id
    status: str = Field(min_length=1)
    url: SecretStr | None = None
    file_size: Lenient[Annotated[int, Field(ge=0)]] = None
    url_expires_at: Lenient[Instant] = None
    created_at: Lenient[Instant] = None
    generated_at: Lenient[Instant] = None
    error: Lenient[WireExportError] = None


class WirePortfolioPage(WireModel):
    """One page of portfolios; each is read by itself, so that an invalid one doesn't lose the others."""

    portfolios: tuple[Any, ...] = ()
    next_token: str | None = None


class WireAlternateId(WireModel):
    """Profile or entity id of an account in one country; each may stand alone."""

    country_code: str
    profile_id: Id | None = None
    entity_id: Id | None = None


class WireCountryError(WireModel):
    """Why an account doesn't work in a country."""

    error_code: str | None = None
    error_message: str | None = None


class WireAccount(WireModel):
    """An Amazon ads account, global: one for many countries."""

    ads_account_id: Id
    account_name: Lenient[str] = None
    status: Lenient[str] = None
    country_codes: tuple[str, ...] | None = None
    alternate_ids: tuple[WireAlternateId, ...] | None = None
    errors: Lenient[dict[str, tuple[WireCountryError, ...]]] = None


class WireAccountPage(WireModel):
    """One page of accounts, from either shape seen: an object with a list, or a bare list of wrapped accounts.

    The accounts are checked one by one, with `read_each`, so that an invalid one doesn't lose the
    others.
    """

    ads_accounts: tuple[Any, ...]
    next_token: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, body: Any) -> Any:
        page = {"adsAccounts": body} if isinstance(body, list) else body
        if not isinstance(page, dict) or not isinstance(page.get("adsAccounts"), list):
            return page
        return page | {"adsAccounts": [_unwrapped(item) for item in page["adsAccounts"]]}


def _unwrapped(item: Any) -> Any:
    return item["adsAccount"] if isinstance(item, dict) and "adsAccount" in item else item


class WireAccountInfo(WireModel):
    """What stands behind a profile."""

    marketplace_string_id: str | None = None
    name: str | None = None
    type: Lenient[str] = None


class WireProfile(WireModel):
    """An account in one country."""

    profile_id: Id
    country_code: Lenient[str] = None
    currency_code: Lenient[str] = None
    timezone: Lenient[str] = None
    account_info: Lenient[WireAccountInfo] = None


@dataclass(frozen=True)
class Checked(Generic[M]):
    """The items of a list that are as described, and a sentence about each that isn't, masked."""

    items: tuple[M, ...]
    problems: tuple[str, ...]


def read_as(model: type[M], answer: Answer) -> M:
    """Check an answer's JSON against a model; raises `MalformedAnswer`, which names each field and its fault."""
    return check_as(model, answer.get_json(), answer)


def read_each(model: type[M], items: Iterable[Any]) -> Checked[M]:
    """Check the items of a list one by one; a broken one makes a sentence that says which it is and what it lacks."""
    good: list[M] = []
    problems: list[str] = []
    for number, item in enumerate(items, start=1):
        fault = "it was to be a JSON object"
        if isinstance(item, dict):
            try:
                good.append(model.model_validate(item))
                continue
            except ValidationError as error:
                fault = faults_of(error)
        problems.append(redact_text(f"No. {number}{_name_of(item)} is not as described: {fault}."))
    return Checked(tuple(good), tuple(problems))


def read_list(answer: Answer) -> list[Any]:
    """Check that an answer is a JSON array; raises `MalformedAnswer`."""
    body = answer.get_json()
    if not isinstance(body, list):
        raise malformed(answer, f"the answer was to be a JSON array, got: {type(body).__name__}")
    return body


def check_as(model: type[M], body: Any, answer: Answer) -> M:
    """Check a body, or a part of one, against a model; the answer it came in is for the error."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        # The original shows the values, which may be signed URLs.
        raise malformed(answer, f"the answer is not as described: {faults_of(error)}") from None


def faults_of(error: ValidationError) -> str:
    """Name each field and its fault, without the values, which may be secrets."""
    faults = [
        f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()
    ]
    return "; ".join(faults[:5]) + (f"; {len(faults) - 5} more" if len(faults) > 5 else "")  # noqa: PLR2004 - enough to see


def _name_of(item: Any) -> str:
    """Return a recognizable name of an invalid account or profile; "" without one."""
    names = ("accountName", "adsAccountId", "profileId", "countryCode")
    values = [item.get(name) for name in names] if isinstance(item, dict) else []
    known = [str(value)[:60] for value in values if isinstance(value, str | int) and value]
    return f" ({', '.join(known)})" if known else ""
