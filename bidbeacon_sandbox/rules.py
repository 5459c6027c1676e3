"""The kinds of rules, which inject faults into calls. Rules are JSON and can be combined."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from bidbeacon_sandbox.accounts import MARKETS, Region
from bidbeacon_sandbox.edits import Edits
from bidbeacon_sandbox.entities import AdProduct, ExportKind
from bidbeacon_sandbox.fields import DATASETS, KNOWN_FIELDS, NEW_NAMES
from bidbeacon_sandbox.names import dataset_names, nearest

_Lists = Literal["list_accounts", "list_profiles", "query_accounts"]
_OfReports = Literal["create_report", "retrieve_report", "delete_report"]
_OfExports = Literal["create_export", "get_export"]
Operation = Literal["token", "download", "list_portfolios", _Lists, _OfReports, _OfExports]
ReportEnd = Literal["COMPLETED", "FAILED", "CANCELLED", "EXPIRED", "PENDING"]
ChangeOfValue = Literal["missing_field", "wrong_type", "null_metric", "negative_metric"]
ChangeOfPlace = Literal["impossible_date", "impossible_hour", "unreadable_country"]
ChangeOfRow = Literal["vanish", "restate", "foreign", "unknown_target"]
ChangeOfKeys = Literal["unknown_key", "duplicate_key"]
ChangeOfCatalog = Literal["appear", "no_country", "all_products"]
RowChange = Literal[ChangeOfRow, ChangeOfCatalog, ChangeOfValue, ChangeOfPlace, ChangeOfKeys]
Reason = Literal["no_rights", "wrong_region", "too_large", "too_old", "old_names", "mixed_products"]
Calls = frozenset[Operation]
OPERATIONS: Calls = frozenset(get_args(Operation))
_API: Calls = OPERATIONS - {"token", "download"}
_OF_ACCOUNTS: Calls = _API - frozenset(get_args(_Lists))
_OF_REPORTS: Calls = frozenset(get_args(_OfReports))
_CREATE_REPORT: Calls = frozenset(("create_report",))
_CREATES: Calls = frozenset(("create_report", "create_export"))
_SIGNS: Calls = frozenset(("retrieve_report", "get_export"))
_SHARES: dict[RowChange, float] = {"vanish": 0.95, "restate": 0.1, "foreign": 0.05}
_USUAL_SHARE = 0.01
_SERVER_ERROR = 500

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


def _one_of(what: str, known: Sequence[str]) -> AfterValidator:
    def check(given: str) -> str:
        if given not in known:
            raise ValueError(f"there is no such {what}. {nearest(given, known)}")
        return given

    return AfterValidator(check)


_DATASETS = sorted({name for dataset in DATASETS for name in dataset_names(dataset)})
_FIELDS = sorted(KNOWN_FIELDS.union(NEW_NAMES.values()))
Country = Annotated[str, _one_of("country", list(MARKETS))]
DatasetName = Annotated[str, _one_of("dataset", _DATASETS)]
FieldName = Annotated[str, _one_of("field", _FIELDS)]


class Limits(BaseModel):
    """Optional limits of a rule; a rule without limits applies to every call until removed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    calls: ClassVar[Calls] = OPERATIONS
    """The calls that a rule of this kind can be limited to."""

    name: str | None = None  # Its name on pages; absent: its kind.
    client: str | None = None  # A client id.
    region: Region | None = None
    account: str | None = None  # An ads account by name, key or id; see `names`.
    country: Country | None = None  # A report covers all countries of its account.
    dataset: DatasetName | None = None  # In any form of `names.dataset_names`.
    call: Operation | None = None
    probability: Share = 1.0
    times: Count | None = None  # The most calls it applies to; absent: no limit.
    for_seconds: Seconds | None = None  # By the sandbox's clock; absent: until it is removed.

    @property
    def bends_answers(self) -> bool:
        """Whether the rule may make answers differ from Amazon's documentation."""
        return False

    @model_validator(mode="after")
    def _has_such_calls(self) -> Self:
        if self.call is not None and self.call not in self.calls:
            known = ", ".join(sorted(self.calls))
            raise ValueError(f"expected one of the calls {known}; got {self.call}")
        return self


class _Throttling(Limits):
    retry_after: Seconds | None = None  # Retry-After; absent: there is none.
    as_date: bool = False  # Write Retry-After as an HTTP date.

    def headers(self) -> dict[str, str]:
        """Return the Retry-After header, if any. A date in it is real time, not sandbox time."""
        if self.retry_after is None:
            return {}
        if not self.as_date:
            return {"retry-after": f"{self.retry_after:.0f}"}
        at = datetime.now(UTC) + timedelta(seconds=self.retry_after)
        return {"retry-after": format_datetime(at, usegmt=True)}


class Answer(_Throttling, Edits):
    """Replaces the answer by one with `status`, or edits fields of the usual answer.

    Without `call`, the rule applies to every call. But if `status` is below 500 and `html` is
    false, it does not apply to requests for tokens or to downloads.
    """

    rule: Literal["answer"]
    status: int | None = Field(None, ge=200, le=599)
    html: bool = False  # The body is HTML, as a gateway's.

    @property
    def bends_answers(self) -> bool:
        """Always True: the rule can produce answers that Amazon does not document."""
        return True

    @property
    def ends_the_call(self) -> bool:
        """Whether the rule replaces the usual answer instead of editing it."""
        return self.status is not None or self.html


class Slow(Limits):
    """Delays the answer, in real time."""

    rule: Literal["slow"]
    seconds: Seconds = 0.5


class Cut(Limits):
    """Closes the connection in the middle of the body."""

    rule: Literal["cut"]


class Token(Limits):
    """Expires the access token early (401), or revokes one refresh token or all of them.

    Access tokens that were issued before stay valid after a revocation, unless `ends_cached`.
    """

    rule: Literal["token"]
    what: Literal["dies", "revoked"] = "dies"
    refresh_token: str | None = None
    ends_cached: bool = False

    def revokes(self, refresh_token: str) -> bool:
        """Return whether the rule revokes a refresh token."""
        return self.what == "revoked" and self.refresh_token in {None, refresh_token}


class Refuse(Limits):
    """Refuses calls for an account, or changes when and with which answer they are refused.

    Several `fields` are refused as a combination (`400004`), a single field as unknown (`400005`).
    """

    rule: Literal["refuse"]
    calls = _OF_ACCOUNTS
    reason: Reason | None = None
    code: str | None = None
    message: str | None = None
    days: int = Field(60, ge=0)  # A longer report is too large.
    fields: tuple[FieldName, ...] = ()
    ignore_unknown: bool = False  # Unknown fields are left out instead of refused.
    as_207: bool = False  # Reports are refused by a 207 with the reason in it.

    @property
    def bends_answers(self) -> bool:
        """Whether the rule can cause an undocumented answer: it sets `code` or `as_207`."""
        return self.code is not None or self.as_207

    @property
    def changes_checks(self) -> bool:
        """Whether the rule changes the checks of a report request's fields, filter or period."""
        by_reason = self.reason in {"old_names", "mixed_products", "too_old"}
        return by_reason or bool(self.fields or self.ignore_unknown)


class History(Limits):
    """Limits how many days back reports have data; the rule with the fewest days applies.

    Without a rule the limit is 15 months. For hourly reports it is at most 14 days. A report that
    starts before the limit is refused if `products` contains all its ad products. Otherwise,
    and always with `empty`, it is not refused, but has no rows of `products` from before the limit.
    """

    rule: Literal["history"]
    calls = _CREATE_REPORT
    days: Count
    products: tuple[AdProduct, ...] = ()  # Absent: all.
    empty: bool = False

    def covers(self, product: AdProduct) -> bool:
        """Return whether the rule applies to an ad product."""
        return not self.products or product in self.products


class ReportEnds(Limits):
    """Sets when and how a report ends, and its status until then. With PENDING it never ends."""

    rule: Literal["report_ends"]
    calls = _CREATE_REPORT
    status: ReportEnd = "FAILED"
    code: str | None = None
    reason: str | None = None
    seconds: Seconds | None = None  # The least time to its end; it is PENDING until then.
    word: str | None = Field(None, min_length=1)  # Its status while it is in flight.
    longer_than_days: int = Field(0, ge=0)  # Applies only to reports of more days.

    @property
    def bends_answers(self) -> bool:
        """Whether the rule sets an undocumented status: any text (`word`), CANCELLED or EXPIRED."""
        return self.word is not None or self.status in {"CANCELLED", "EXPIRED"}


class Rows(Edits, Limits):
    """Edits a share of the rows of reports or, if `of` names a kind, of exports.

    Each of these rows also gets one of the changes in `change`, chosen at random. The changes
    `appear`, `no_country` and `all_products` apply to a whole report.
    """

    rule: Literal["rows"]
    calls = _CREATES
    of: Literal["reports"] | ExportKind = "reports"
    change: tuple[RowChange, ...] = ()
    share: Share | None = None  # Of the rows; absent: the change's default.

    @field_validator("change", mode="before")
    @classmethod
    def _one_change_is_a_list_of_one(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @property
    def share_of_rows(self) -> float:
        """The share of rows that the rule changes, from 0 to 1."""
        if self.share is not None:
            return self.share
        return _SHARES.get(self.change[0], _USUAL_SHARE) if self.change else 1.0


class Parts(Limits):
    """Sets the number of a report's files, and how the answer lists them.

    Downloads of the file `missing` (-1 means the last file) get a 404.
    """

    rule: Literal["parts"]
    calls = frozenset(("create_report", "download"))
    count: int | None = Field(None, ge=1, le=100)  # The number of files; some may be empty.
    twice: bool = False  # The first file is listed twice.
    single_url: bool = False  # One file behind `url`, and no parts.
    missing: int | None = None

    @property
    def bends_answers(self) -> bool:
        """Whether the rule uses `url`, a field of an older API version."""
        return self.single_url


class Urls(Limits):
    """Makes download URLs expire immediately, or repeats the same URLs in every answer."""

    rule: Literal["urls"]
    calls = _SIGNS
    expired: bool = False
    same: bool = False


class File(Limits):
    """Damages or slows down a downloaded file, or falsifies its announced size."""

    rule: Literal["file"]
    calls = _SIGNS | {"download"}
    keep: Share | None = None  # It is cut after this share.
    bytes_per_second: Count | None = None  # In real time.
    redirect: str | None = None  # A 302 to this origin; empty: to an unreachable one.
    size_factor: float | None = Field(None, ge=0, le=1000)  # Announced / real size; 1: a byte more.


class ExportEnds(Limits):
    """Sets how and when an export ends."""

    rule: Literal["export_ends"]
    calls = frozenset(("create_export",))
    status: Literal["COMPLETED", "FAILED"] = "FAILED"
    code: str = "INTERNAL_ERROR"
    reason: str = "Export failed"
    seconds: Seconds | None = None

    @property
    def bends_answers(self) -> bool:
        """Whether the rule's code is undocumented."""
        return self.code not in {"INTERNAL_ERROR", "TIMED_OUT"}


class OldBrands(Limits):
    """Imitates old Sponsored Brands campaigns, which have no ad groups and no report rows."""

    rule: Literal["old_brands"]
    calls = _CREATES
    campaigns: Count = 1


class Accepted429(_Throttling):
    """Creates the report or export, but answers with 429."""

    rule: Literal["accepted_429"]
    calls = _CREATES


class OneAtATime(_Throttling):
    """Throttles (429) new reports while the client has `most` in flight in the region."""

    rule: Literal["one_at_a_time"]
    calls = _CREATE_REPORT
    most: Count = 1


class Duplicate(Limits):
    """Refuses (425) a duplicate of a report in flight; the answer has the first report's id."""

    rule: Literal["duplicate"]
    calls = _CREATE_REPORT

    @property
    def bends_answers(self) -> bool:
        """Always True, because only the older reporting API (v3) gives this answer."""
        return True


def usual_calls(rule: Limits) -> Calls:
    """Return the calls to which a rule applies if its `call` is not set."""
    match rule:
        case Answer(status=int(status), html=False) if status < _SERVER_ERROR:
            return _API
        case Token(what="dies"):
            return _API
        case Token(ends_cached=ends_cached):
            return _API | {"token"} if ends_cached else frozenset(("token",))
        case Refuse(reason=None, code=str()):
            return _OF_REPORTS
        case Refuse() if rule.reason != "wrong_region":
            return _CREATE_REPORT
    return rule.calls


AnyRule = Annotated[
    Answer
    | Slow
    | Cut
    | Token
    | Refuse
    | History
    | ReportEnds
    | Rows
    | Parts
    | Urls
    | File
    | ExportEnds
    | OldBrands
    | Accepted429
    | OneAtATime
    | Duplicate,
    Field(discriminator="rule"),
]
KINDS: dict[str, type[Limits]] = {
    get_args(kind.model_fields["rule"].annotation)[0]: kind
    for kind in get_args(get_args(AnyRule)[0])
}
"""The classes of rules by the value of `rule`."""
