"""The kinds of rules: what goes wrong, for whom, and how often. Rules are JSON, and they combine."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bidbeacon_sandbox.accounts import Region
from bidbeacon_sandbox.edits import Edits

Operation = Literal[
    "token",
    "list_accounts",
    "list_profiles",
    "list_portfolios",
    "query_accounts",
    "create_report",
    "retrieve_report",
    "delete_report",
    "create_export",
    "get_export",
    "download",
]
ReportEnd = Literal["COMPLETED", "FAILED", "CANCELLED", "EXPIRED", "PENDING"]
RowsOf = Literal["reports", "campaigns", "adGroups", "ads", "targets"]
RowChange = Literal[
    "vanish",
    "appear",
    "restate",
    "unknown_target",
    "foreign",
    "no_country",
    "all_products",
    "missing_field",
    "wrong_type",
    "null_metric",
    "unknown_key",
    "duplicate_key",
    "impossible_date",
    "impossible_hour",
    "negative_metric",
    "unreadable_country",
]
Reason = Literal["no_rights", "wrong_region", "too_large", "too_old", "old_names", "mixed_products"]
Accepted = Literal["filter_without_not", "unknown_field", "no_companion", "hours_of_all_products"]
OPERATIONS: frozenset[Operation] = frozenset(get_args(Operation))
_API: frozenset[Operation] = OPERATIONS - {"token", "download"}
_OF_ACCOUNTS: frozenset[Operation] = _API - {"list_accounts", "list_profiles", "query_accounts"}
_OF_REPORTS: frozenset[Operation] = frozenset(("create_report", "retrieve_report", "delete_report"))
_CREATES: frozenset[Operation] = frozenset(("create_report", "create_export"))
_SIGNS: frozenset[Operation] = frozenset(("retrieve_report", "get_export"))
_SHARES: dict[RowChange, float] = {"vanish": 0.95, "restate": 0.1, "foreign": 0.05}
_USUAL_SHARE = 0.01
_SERVER_ERROR = 500

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Limits(BaseModel):
    """What each rule can be limited by; without any it concerns every call of its kind, and lasts."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    calls: ClassVar[frozenset[Operation]] = OPERATIONS

    name: str | None = Field(None, description="What pages call it; absent: its kind.")
    client: str | None = Field(None, description="A client id.")
    region: Region | None = None
    account: str | None = Field(
        None, description="An ads account: its id, or what follows the id's last dot."
    )
    country: str | None = Field(
        None, description="A country; a report is about all of its account's."
    )
    dataset: str | None = Field(
        None, description="A report of `datasets.json`, with or without its ad product."
    )
    call: Operation | None = None
    probability: Share = 1.0
    times: int | None = Field(None, ge=1, description="Strikes so often; absent: always.")
    for_seconds: Seconds | None = Field(
        None, description="Lasts so long by the sandbox's clock; absent: until it is removed."
    )

    @model_validator(mode="after")
    def _has_such_calls(self) -> Self:
        if self.call is not None and self.call not in self.calls:
            known = ", ".join(sorted(self.calls))
            raise ValueError(f"expected one of the calls {known}; got {self.call}")
        return self

    def strikes_at(self, operation: Operation) -> bool:
        """Return whether calls of this operation can be struck."""
        return operation in self.calls if self.call is None else operation == self.call


class _Throttling(Limits):
    retry_after: Seconds | None = Field(None, description="Retry-After; absent: there is none.")
    as_date: bool = Field(False, description="Write Retry-After as an HTTP date.")

    def headers(self) -> dict[str, str]:
        """Return the Retry-After header; a date is by the real clock, since clients wait in real time."""
        if self.retry_after is None:
            return {}
        if not self.as_date:
            return {"retry-after": f"{self.retry_after:.0f}"}
        at = datetime.now(UTC) + timedelta(seconds=self.retry_after)
        return {"retry-after": format_datetime(at, usegmt=True)}


class Answer(_Throttling, Edits):
    """Answers with a status, or answers as usual with edited fields.

    Without a call, an error of the server strikes every call, and a refusal (4xx) all but tokens and
    downloads.
    """

    rule: Literal["answer"]
    status: int | None = Field(None, ge=200, le=599)
    html: bool = Field(False, description="The body is HTML, as a gateway's.")
    bare_list: bool = Field(False, description="`/adsAccounts/list` answers the bare array.")
    request_id: bool = Field(True, description="False: there is no `x-amz-rid`.")

    @property
    def ends_the_call(self) -> bool:
        """Whether it answers instead of the sandbox, rather than editing its answers."""
        return self.status is not None or self.html

    def strikes_at(self, operation: Operation) -> bool:
        """Return whether calls of this operation can be struck."""
        spares = self.status is not None and self.status < _SERVER_ERROR and not self.html
        return super().strikes_at(operation) and (
            self.call is not None or not spares or operation in _API
        )


class Slow(Limits):
    """The answer takes longer, in real time."""

    rule: Literal["slow"]
    seconds: Seconds = 0.5


class Cut(Limits):
    """The connection closes in the middle of the body."""

    rule: Literal["cut"]


class Token(Limits):
    """The access token dies early (401), or the refresh token was revoked."""

    rule: Literal["token"]
    what: Literal["dies", "revoked"] = "dies"

    def strikes_at(self, operation: Operation) -> bool:
        """Return whether calls of this operation can be struck."""
        if self.what == "revoked":
            return operation == "token"
        return super().strikes_at(operation) and (self.call is not None or operation in _API)


class Refuse(Limits):
    """Refuses a call about an account for a reason, or with any code; or changes how and what is refused.

    `fields` are refused together (`400004`) or, if it is one, as unknown (`400005`). `history_days` is
    how far back `products` are served: an older day is refused if only they are asked for, and is
    missing otherwise.
    """

    rule: Literal["refuse"]
    calls = _OF_ACCOUNTS
    reason: Reason | None = None
    code: str | None = None
    message: str | None = None
    days: int = Field(60, ge=0, description="The most days that are not too large.")
    fields: tuple[str, ...] = ()
    history_days: int | None = Field(None, ge=1)
    products: tuple[str, ...] = ()
    accept: tuple[Accepted, ...] = Field((), description="What is accepted against the contract.")
    as_207: bool = Field(False, description="Reports are refused by a 207 with the reason in it.")

    def strikes_at(self, operation: Operation) -> bool:
        """Return whether calls of this operation can be struck; only wrong_region is about all."""
        usual = operation in _OF_REPORTS if self.code else operation == "create_report"
        return super().strikes_at(operation) and (
            self.call is not None or self.reason == "wrong_region" or usual
        )


class ReportEnds(Limits):
    """How a report ends, when, and what it says until then. PENDING never ends."""

    rule: Literal["report_ends"]
    calls = frozenset(("create_report",))
    status: ReportEnd = "FAILED"
    code: str | None = None
    reason: str | None = None
    seconds: Seconds | None = Field(
        None, description="It takes so long, and is PENDING until then."
    )
    word: str | None = Field(None, min_length=1, description="Its status while it is in flight.")
    longer_than_days: int | None = Field(None, ge=0, description="Spares reports of fewer days.")


class Rows(Edits, Limits):
    """Changes the rows of reports or, with `of`, of exports; or edits their fields.

    Of several changes each row that is struck has one.
    """

    rule: Literal["rows"]
    calls = _CREATES
    of: RowsOf = "reports"
    change: tuple[RowChange, ...] = ()
    share: Share | None = Field(None, description="Of the rows; absent: as the change has it.")

    @model_validator(mode="before")
    @classmethod
    def _one_change_is_a_list_of_one(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("change"), str):
            return given | {"change": [given["change"]]}
        return given

    def strikes_at(self, operation: Operation) -> bool:
        """Return whether calls of this operation can be struck."""
        return operation == ("create_report" if self.of == "reports" else "create_export")

    @property
    def share_of_rows(self) -> float:
        """The share of rows that it changes."""
        if self.share is not None:
            return self.share
        return _SHARES.get(self.change[0], _USUAL_SHARE) if self.change else 1.0


class Parts(Limits):
    """How a report's files are cut and listed; `missing` is the number of one that is a 404, -1 the last."""

    rule: Literal["parts"]
    calls = frozenset(("create_report", "download"))
    count: int | None = Field(None, ge=1, le=100, description="Exactly so many, some empty.")
    twice: bool = Field(False, description="The first is listed twice.")
    single_url: bool = Field(False, description="One file behind `url`, and no parts.")
    missing: int | None = None

    @model_validator(mode="after")
    def _strikes_at_one_time(self) -> Self:
        if self.missing is not None and (self.count or self.twice or self.single_url):
            raise ValueError("expected missing in a rule of its own, since it strikes downloads")
        return self

    def strikes_at(self, operation: Operation) -> bool:
        """Return whether calls of this operation can be struck."""
        return operation == ("create_report" if self.missing is None else "download")


class Urls(Limits):
    """Download urls that have expired, or are those given first."""

    rule: Literal["urls"]
    calls = _SIGNS
    expired: bool = False
    same: bool = Field(False, description="They are not signed anew.")


class File(Limits):
    """What is wrong with a downloaded file, or with its announced size."""

    rule: Literal["file"]
    calls = _SIGNS | {"download"}
    keep: float | None = Field(None, ge=0, lt=1, description="It is cut after this share.")
    bytes_per_second: int | None = Field(None, ge=1, description="It trickles in real time.")
    redirect: str | None = Field(
        None, description="302 to this origin; empty: this port of 127.0.0.2, where nobody listens."
    )
    size_factor: float | None = Field(
        None, ge=0, le=1000, description="Of the announced size; 1: a byte more."
    )

    @model_validator(mode="after")
    def _strikes_at_one_time(self) -> Self:
        others = (self.keep, self.bytes_per_second, self.redirect)
        if self.size_factor is not None and others != (None, None, None):
            raise ValueError("expected size_factor in a rule of its own, since it strikes polls")
        return self

    def strikes_at(self, operation: Operation) -> bool:
        """Return whether calls of this operation can be struck."""
        return (operation == "download") == (self.size_factor is None) and operation in self.calls


class ExportEnds(Limits):
    """How an export ends, and when."""

    rule: Literal["export_ends"]
    calls = frozenset(("create_export",))
    status: Literal["COMPLETED", "FAILED"] = "FAILED"
    code: str = "INTERNAL_ERROR"
    reason: str = "Export failed"
    seconds: Seconds | None = None


class Accepted429(_Throttling):
    """A create answers 429, and was accepted all the same."""

    rule: Literal["accepted_429"]
    calls = _CREATES


class OneAtATime(_Throttling):
    """A create is a 429 while a client has so many reports in flight in the region."""

    rule: Literal["one_at_a_time"]
    calls = frozenset(("create_report",))
    most: int = Field(1, ge=1)


class Duplicate(Limits):
    """The same report as one in flight is refused (425), and the answer names that one."""

    rule: Literal["duplicate"]
    calls = frozenset(("create_report",))


AnyRule = Annotated[
    Answer
    | Slow
    | Cut
    | Token
    | Refuse
    | ReportEnds
    | Rows
    | Parts
    | Urls
    | File
    | ExportEnds
    | Accepted429
    | OneAtATime
    | Duplicate,
    Field(discriminator="rule"),
]
KINDS: dict[str, type[Limits]] = {
    get_args(kind.model_fields["rule"].annotation)[0]: kind
    for kind in get_args(get_args(AnyRule)[0])
}
"""The classes of rules by what `rule` says."""
