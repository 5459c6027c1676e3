"""The faults there are, what each can be told, and the rules that put them in force."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Operation = Literal[
    "token",
    "list_accounts",
    "list_profiles",
    "create_report",
    "retrieve_report",
    "create_export",
    "get_export",
    "download",
]
CallFault = Literal[
    "slow",
    "connection_cut",
    "server_error",
    "html_body",
    "throttle",
    "unauthorized",
    "token_expiry",
    "forbidden",
    "wrong_region",
]
ReportFault = Literal[
    "too_large_later",
    "report_failed",
    "report_cancelled",
    "report_expired",
    "report_pending",
    "odd_status",
    "filter_ignored",
    "country_missing",
    "more_parts",
    "single_url",
    "empty_report",
    "appear_rows",
    "restate_rows",
    "bad_rows",
    "unknown_target",
    "vanish_rows",
    "number_ids",
    "string_ids",
]
OtherFault = Literal[
    "invalid_grant",
    "throttle_accepted",
    "duplicate_refused",
    "missing_rights",
    "too_large",
    "too_old",
    "partial_failure",
    "unknown_field",
    "expired_url",
    "no_resign",
    "wrong_size",
    "part_missing",
    "truncated_gzip",
    "trickle",
    "redirect",
    "export_failed",
]
FaultName = CallFault | ReportFault | OtherFault
BadRow = Literal[
    "missing_field",
    "wrong_type",
    "null_metric",
    "unknown_key",
    "duplicate_key",
    "impossible_date",
    "impossible_hour",
    "negative_metric",
]

CALL_FAULTS: tuple[CallFault, ...] = get_args(CallFault)
"""The faults of any call, in the order in which they strike: the first two let the call go on."""
REPORT_FAULTS: tuple[ReportFault, ...] = get_args(ReportFault)
"""The faults that a report has from its creation on, in the order in which they change its rows."""
FAULTS: tuple[FaultName, ...] = (*CALL_FAULTS, *REPORT_FAULTS, *get_args(OtherFault))
"""Every fault there is."""
OPERATIONS: frozenset[Operation] = frozenset(get_args(Operation))

_ADS_API = OPERATIONS - {"token", "download"}
_OF_ACCOUNTS: frozenset[Operation] = frozenset(
    ("create_report", "retrieve_report", "create_export", "get_export")
)
_SCOPES: dict[FaultName, frozenset[Operation]] = {
    "throttle": _ADS_API,
    "unauthorized": _ADS_API,
    "token_expiry": _ADS_API,
    "forbidden": _ADS_API,
    "wrong_region": _OF_ACCOUNTS,
}
_RETRY_AFTER = ("retry_after", "seconds")
_OPTIONS: dict[FaultName, tuple[str, ...]] = {
    "slow": ("seconds",),
    "server_error": ("status",),
    "html_body": ("status",),
    "throttle": _RETRY_AFTER,
    "throttle_accepted": _RETRY_AFTER,
    "too_large": ("days",),
    "too_large_later": ("days", "reason"),
    "report_failed": ("code", "reason"),
    "report_cancelled": ("code", "reason"),
    "report_expired": ("code", "reason"),
    "report_pending": ("seconds",),
    "odd_status": ("word",),
    "more_parts": ("parts",),
    "appear_rows": ("share",),
    "restate_rows": ("share",),
    "bad_rows": ("share", "kinds"),
    "unknown_target": ("share",),
    "vanish_rows": ("share",),
    "partial_failure": ("code", "reason"),
    "wrong_size": ("factor",),
    "part_missing": ("part",),
    "trickle": ("bytes_per_second",),
    "redirect": ("location",),
    "export_failed": ("code", "reason"),
}
_PENDING_SECONDS_OF_ALL = 600.0


class FaultOptions(BaseModel):
    """What a fault does in detail; each fault reads the few options that concern it (see `options_of`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    retry_after: Literal["seconds", "http-date", "none"] = "seconds"
    seconds: float | None = Field(
        None, ge=0, le=1e9, description="Retry-After, a delay, or how long PENDING lasts."
    )
    status: int | None = Field(None, ge=200, le=599, description="HTTP status of server_error and html_body.")
    code: str | None = Field(None, description="Code of a report, an export or a part of a 207 that failed.")
    reason: str | None = Field(None, description="The text that goes with the code.")
    word: str = Field("IN_PROGRESS", min_length=1, description="What odd_status says while it is in flight.")
    share: float | None = Field(None, ge=0, le=1, description="Share of rows that bad_rows and others touch.")
    kinds: tuple[BadRow, ...] = Field(
        get_args(BadRow), min_length=1, description="What bad_rows does to rows."
    )
    days: int = Field(60, ge=1, description="The most days of a report that isn't too large.")
    part: int | None = Field(None, ge=0, description="Which part part_missing takes; absent: the last one.")
    parts: int = Field(2, ge=2, le=100, description="How many parts more_parts makes.")
    factor: float = Field(
        0.5,
        ge=0,
        le=1000,
        description="What wrong_size multiplies a file's size with; 1 becomes a byte more.",
    )
    bytes_per_second: int = Field(20_000, ge=1, description="How fast a download trickles, in real time.")
    location: str | None = Field(
        None, description="Origin that redirect points to; absent: this port of 127.0.0.2."
    )

    @model_validator(mode="before")
    @classmethod
    def _are_known(cls, given: Any) -> Any:
        unknown = sorted(set(given) - set(cls.model_fields)) if isinstance(given, dict) else []
        if unknown:
            raise ValueError(f"expected options of {', '.join(cls.model_fields)}; got {', '.join(unknown)}")
        return given

    def retry_after_header(self) -> dict[str, str]:
        """Give the Retry-After header in the form asked for (real time, since clients wait in real time)."""
        seconds = self.seconds if self.seconds is not None else 1
        if self.retry_after == "none":
            return {}
        if self.retry_after == "seconds":
            return {"retry-after": f"{seconds:.0f}"}
        return {"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)}


class FaultRule(BaseModel):
    """One fault, the calls it concerns, and how often it strikes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fault: FaultName
    account: str | None = Field(
        None, description="Only this ads account (the whole id, or what follows its last dot)."
    )
    country: str | None = Field(
        None, description="Only calls about this country; a report is about all of its account's."
    )
    operation: Operation | None = None
    probability: float = Field(1.0, ge=0, le=1)
    times: int | None = Field(None, ge=1, description="Strikes at most so often; absent: always.")
    options: FaultOptions = FaultOptions()

    @model_validator(mode="after")
    def _reads_its_options(self) -> "FaultRule":
        known = options_of(self.fault)
        unread = [name for name in self.options.model_dump(exclude_defaults=True) if name not in known]
        if unread:
            has = f"the options {', '.join(known)}" if known else "no options"
            raise ValueError(f"{self.fault} has {has}; got {', '.join(unread)}")
        return self

    def concerns(self, operation: Operation) -> bool:
        """Tell whether it is about this operation: that which it names, or those its fault can strike."""
        if self.operation is not None:
            return self.operation == operation
        return operation in _SCOPES.get(self.fault, OPERATIONS)


def options_of(fault: FaultName) -> tuple[str, ...]:
    """Give the names of the options that a fault reads."""
    return _OPTIONS.get(fault, ())


def every_fault(probability: float) -> tuple[FaultRule, ...]:
    """Give a rule for each fault there is; a report that stays PENDING does so for ten minutes, not for ever."""
    pending = FaultOptions(seconds=_PENDING_SECONDS_OF_ALL)
    return tuple(
        FaultRule(
            fault=fault,
            probability=probability,
            options=pending if fault == "report_pending" else FaultOptions(),
        )
        for fault in FAULTS
    )
