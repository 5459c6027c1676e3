"""What Amazon answers, compared with what the product relies on: the answers of calls and the rows of files."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import available_timezones

import httpx
from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads import accounts, exports, reports, tokens
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.countries import COUNTRIES, normalise_country
from bidbeacon_pipelines.amazon_ads.failures import find_json
from bidbeacon_pipelines.amazon_ads.texts import as_text
from bidbeacon_pipelines.amazon_ads.wire import STRICT, Instant, WireModel
from bidbeacon_pipelines.datasets.fields import DATE_FIELD, product_name
from bidbeacon_pipelines.datasets.registry import DatasetReport
from bidbeacon_pipelines.entities.read import FIELDS, EntityProblems, read_entities
from bidbeacon_pipelines.loading.rows import (
    BadRow,
    NotWaitedFor,
    OtherRow,
    RowCheck,
    WaitingAccount,
)
from bidbeacon_pipelines.values.decode import iter_values
from bidbeacon_pipelines.values.field_types import find_date
from bidbeacon_sessions.masking import mask_text

Shape = dict[str, set[str]]
"""By the place of each value (`adsAccounts.[].status`), the kinds of values that were there."""

_KINDS: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "true or false",
    str: "text",
    int: "whole number",
    Decimal: "number with a point",
    dict: "empty object",
    list: "empty list",
}
_FIELD: Final = re.compile(r"(?!.*\d{4})[A-Za-z_][\w.-]{0,60}", re.ASCII)
_DEEPEST: Final = 12


def field_name(key: str) -> str:
    """Return a key that names a field; hide one that may be a value, such as an id or a secret."""
    return key if _FIELD.fullmatch(key) and mask_text(key) == key else "…"


def add_to(shape: Shape, value: Any) -> None:
    """Add the places and kinds of a value to a shape."""
    for place, kind in _leaves(value, "", 0):
        shape.setdefault(place, set()).add(kind)


def as_json(shape: Shape) -> dict[str, str]:
    """Return a shape as data for JSON."""
    return {place: " | ".join(sorted(kinds)) for place, kinds in sorted(shape.items())}


def _leaves(value: Any, place: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value and depth < _DEEPEST:
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{field_name(key)}".lstrip("."), depth + 1)
    elif isinstance(value, list) and value and depth < _DEEPEST:
        for inner in value:
            yield from _leaves(inner, f"{place}.[]".lstrip("."), depth + 1)
    else:
        yield place or "the answer", _kind_of(value)


def _kind_of(value: Any) -> str:
    if isinstance(value, str) and value.isdecimal():
        return "digits as text"
    if isinstance(value, str) and not value:
        return "empty text"
    return _KINDS.get(type(value), type(value).__name__)


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


@dataclass
class Answers:
    """The answers of one status to one call: how many, the slowest in seconds, their shape and differences."""

    call: str
    status: int
    is_success: bool
    count: int = 0
    slowest: float = 0.0
    shape: Shape = field(default_factory=dict)
    differences: dict[str, None] = field(default_factory=dict)


class Listener:
    """The answers of a client's calls, but for downloads: by call, status and whether it is a success."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, int, bool], Answers] = {}

    @contextmanager
    def listening(self, client: AdsApiClient) -> Iterator[None]:
        """Listen to the calls that a client makes inside the block."""
        hooks = client.http.event_hooks
        client.http.event_hooks = {"request": [], "response": [self._note]}
        try:
            yield
        finally:
            client.http.event_hooks = hooks

    def _note(self, response: httpx.Response) -> None:
        call = find_call(response.request.url.path)
        if call is None:
            return
        response.read()
        body = find_json(response)
        is_refused = isinstance(body, dict) and bool(body.get("error")) and "success" in body
        is_success = response.is_success and not is_refused
        key = (call.name, response.status_code, is_success)
        answers = self.answers.setdefault(key, Answers(*key))
        answers.count += 1
        answers.slowest = max(answers.slowest, response.elapsed.total_seconds())
        add_to(answers.shape, body)
        if is_success:
            answers.differences |= dict.fromkeys(find_differences(call, body))


_LIFE: Final = frozenset(
    ("adProduct", "state", "deliveryStatus", "creationDateTime", "lastUpdatedDateTime")
)
_ALWAYS: Final[Mapping[str, Collection[str]]] = {
    "campaigns": _LIFE | {"campaignId", "name", "startDate", "budgetCaps"},
    "adGroups": _LIFE | {"adGroupId", "campaignId", "name"},
    "ads": _LIFE | {"adId", "adType"},
    "targets": _LIFE | {"targetId", "negative", "targetType", "targetLevel", "targetDetails"},
    "portfolios": {"portfolioId", "name", "state", "inBudget", "budget"},
}
"""The fields that every entity of a kind has."""
_KNOWN: Final = {
    kind: {"tags", *(wanted.path[0] for wanted in FIELDS[kind].values())} for kind in _ALWAYS
}


@dataclass
class FileFacts:
    """Counts of the rows of files: all, those that the product sets aside, and their faults.

    Attributes:
        countries: Those that have rows, good or bad.
        products: Ad products that were not asked for, with their rows.
    """

    rows: int = 0
    set_aside: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    shape: Shape = field(default_factory=dict)
    countries: set[str] = field(default_factory=set)
    products: Counter[str] = field(default_factory=Counter)

    @property
    def differences(self) -> list[str]:
        """The faults, each with the number of its rows."""
        return [f"{fault} ({count} of {self.rows} rows)" for fault, count in self.faults.items()]

    @property
    def consequence(self) -> str:
        """Return a sentence with what the product does about such rows."""
        if self.set_aside:
            return f"BidBeacon would set {self.set_aside} of {self.rows} rows aside"
        return "BidBeacon reads these rows all the same"

    def objects(self, values: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """Count the values of a file, and yield those that are objects."""
        for value in values:
            self.rows += 1
            add_to(self.shape, [value])
            if isinstance(value, dict):
                yield value
            else:
                self.set_aside += 1
                self.faults["a row that is no object"] += 1

    def add_keys(
        self, row: Mapping[str, Any], always: Collection[str], known: Collection[str]
    ) -> None:
        """Add which keys of a row are missing, and which are unknown."""
        self.faults.update(f"{key}: missing" for key in always if key not in row)
        self.faults.update(f"{field_name(key)}: unknown" for key in row if key not in known)

    def add_faults(self, cause: Mapping[str, Any]) -> None:
        """Add the fields that a reader refuses, without their values."""
        for fault in cause.get("detail", {}).get("faults", ()):
            expected = fault.get("expected")
            self.faults[
                f"{fault['field']}: {f'expected {expected}' if expected else 'missing'}"
            ] += 1


def read_report(
    facts: FileFacts,
    path: Path,
    report: DatasetReport,
    accounts: Sequence[Account],
    day: date,
    *,
    spellings: Mapping[str, str],
) -> None:
    """Read a file of a report of one day, as a load does.

    Args:
        facts: The counts, which are added to.
        path: The file.
        report: What it is.
        accounts: The accounts of the ads account.
        day: The day.
        spellings: Amazon's names of fields that are overridden, by ours.

    Raises:
        BrokenPartError: it is no gzipped JSON array, or cut short.
    """
    check = RowCheck(
        report.dataset,
        [
            WaitingAccount(number, account.country_code, account.time_zone, frozenset([day]))
            for number, account in enumerate(accounts)
        ],
        ad_products=report.ad_products,
        period=(day, day),
        has_one_country=len(accounts) == 1,
        spellings=spellings,
    )
    known = {*report.fields, *report.dataset.other_names.values(), *spellings.values()}
    for row in facts.objects(iter_values(path)):
        facts.add_keys(row, (), known)
        checked = check(row)
        if isinstance(checked, bytes):
            number: int | None = int(checked.partition(b"\t")[0])
        else:
            number = checked.account
        if number is not None:
            facts.countries.add(accounts[number].country_code)
        if isinstance(checked, BadRow):
            facts.set_aside += 1
            facts.add_faults(checked.cause)
        elif isinstance(checked, OtherRow) and checked.kind is NotWaitedFor.AD_PRODUCT:
            facts.products[product_name(checked.ad_product or "")] += 1


def find_oldest_day(paths: Iterable[Path], start: date, end: date) -> date | None:
    """Return the oldest day of a report's period that has rows in its files; None without any.

    Raises:
        BrokenPartError: a file is no gzipped JSON array, or cut short.
    """
    rows = (row for path in paths for row in iter_values(path) if isinstance(row, dict))
    days = (find_date(row.get(DATE_FIELD)) for row in rows)
    return min((day for day in days if day is not None and start <= day <= end), default=None)


def read_listed(facts: FileFacts, entities: Iterable[Any], kind: str) -> None:
    """Read entities of a kind, as a sync does."""
    for row in facts.objects(entities):
        facts.add_keys(row, _ALWAYS[kind], _KNOWN[kind])
        problems = EntityProblems()
        list(read_entities(kind, [row], problems))
        facts.set_aside += problems.set_aside
        facts.add_faults(problems.first_cause or {})
