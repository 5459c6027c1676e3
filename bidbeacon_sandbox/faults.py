"""The faults, their options, the rules that put them in force, and when a rule strikes.

A rule strikes by counting and by the seed, never by chance: the same calls in the same order fail
the same way.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Lock
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bidbeacon_sandbox.seeded import unit_interval

Operation = Literal[
    "token",
    "list_accounts",
    "list_profiles",
    "list_portfolios",
    "query_accounts",
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
    "part_listed_twice",
    "single_url",
    "empty_report",
    "appear_rows",
    "restate_rows",
    "bad_rows",
    "unknown_target",
    "vanish_rows",
    "foreign_rows",
    "null_products",
    "other_spellings",
    "number_ids",
    "string_ids",
]
OtherFault = Literal[
    "invalid_grant",
    "throttle_accepted",
    "one_at_a_time",
    "duplicate_refused",
    "renamed_fields",
    "multi_status",
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
    "unreadable_country",
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
    ("create_report", "retrieve_report", "create_export", "get_export", "list_portfolios")
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
    "one_at_a_time": _RETRY_AFTER,
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
    "foreign_rows": ("share",),
    "null_products": ("share",),
    "partial_failure": ("code", "reason"),
    "wrong_size": ("factor",),
    "part_missing": ("part",),
    "trickle": ("bytes_per_second",),
    "redirect": ("location",),
    "export_failed": ("code", "reason"),
}
_PENDING_SECONDS_OF_ALL = 600.0


class FaultOptions(BaseModel):
    """Options of a fault; each fault reads the few that concern it (see `options_of`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    retry_after: Literal["seconds", "http-date", "none"] = "seconds"
    seconds: float | None = Field(
        None, ge=0, le=1e9, description="Retry-After, a delay, or how long PENDING lasts."
    )
    status: int | None = Field(
        None, ge=200, le=599, description="HTTP status of server_error and html_body."
    )
    code: str | None = Field(
        None, description="Code of a report, an export or a part of a 207 that failed."
    )
    reason: str | None = Field(None, description="The text that goes with the code.")
    word: str = Field(
        "IN_PROGRESS", min_length=1, description="What odd_status says while it is in flight."
    )
    share: float | None = Field(
        None, ge=0, le=1, description="Share of rows that bad_rows and others touch."
    )
    kinds: tuple[BadRow, ...] = Field(
        get_args(BadRow), min_length=1, description="What bad_rows does to rows."
    )
    days: int = Field(60, ge=0, description="The most days of a report that isn't too large.")
    part: int | None = Field(
        None, ge=0, description="Which part part_missing takes; absent: the last one."
    )
    parts: int = Field(2, ge=2, le=100, description="How many parts more_parts makes.")
    factor: float = Field(
        0.5,
        ge=0,
        le=1000,
        description="What wrong_size multiplies a file's size with; 1 becomes a byte more.",
    )
    bytes_per_second: int = Field(
        20_000, ge=1, description="How fast a download trickles, in real time."
    )
    location: str | None = Field(
        None, description="Origin that redirect points to; absent: this port of 127.0.0.2."
    )

    @model_validator(mode="before")
    @classmethod
    def _are_known(cls, given: Any) -> Any:
        unknown = sorted(set(given) - set(cls.model_fields)) if isinstance(given, dict) else []
        if unknown:
            raise ValueError(
                f"expected options of {', '.join(cls.model_fields)}; got {', '.join(unknown)}"
            )
        return given

    def retry_after_header(self) -> dict[str, str]:
        """Return the Retry-After header in the form asked for (real time, since clients wait in real time)."""
        seconds = self.seconds if self.seconds is not None else 1
        if self.retry_after == "none":
            return {}
        if self.retry_after == "seconds":
            return {"retry-after": f"{seconds:.0f}"}
        return {
            "retry-after": format_datetime(
                datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True
            )
        }


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
        unread = [
            name for name in self.options.model_dump(exclude_defaults=True) if name not in known
        ]
        if unread:
            has = f"the options {', '.join(known)}" if known else "no options"
            raise ValueError(f"{self.fault} has {has}; got {', '.join(unread)}")
        return self

    def concerns(self, operation: Operation) -> bool:
        """Return whether it is about this operation: that which it names, or those its fault can strike."""
        if self.operation is not None:
            return self.operation == operation
        return operation in _SCOPES.get(self.fault, OPERATIONS)


def options_of(fault: FaultName) -> tuple[str, ...]:
    """Return the names of the options that a fault reads."""
    return _OPTIONS.get(fault, ())


def every_fault(probability: float) -> tuple[FaultRule, ...]:
    """Return a rule for each fault there is; a report that stays PENDING does so for ten minutes, not for ever."""
    pending = FaultOptions(seconds=_PENDING_SECONDS_OF_ALL)
    return tuple(
        FaultRule(
            fault=fault,
            probability=probability,
            options=pending if fault == "report_pending" else FaultOptions(),
        )
        for fault in FAULTS
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """What a call is about: its operation, its ads account and that account's countries, as far as known."""

    operation: Operation
    account: str | None = None
    countries: tuple[str, ...] = ()


class FileNumber(NamedTuple):
    """Which part of a report a file is, and how many parts the report has."""

    part: int
    parts: int


@dataclass(slots=True)
class _ArmedRule:
    rule: FaultRule
    matched: int = 0
    struck: int = 0


class Faults:
    """The rules in force; safe to change while the server runs."""

    def __init__(self, seed: int, rules: tuple[FaultRule, ...] = ()) -> None:
        self._seed = seed
        self._armed = [_ArmedRule(rule) for rule in rules]
        self._lock = Lock()

    def add(self, *rules: FaultRule) -> None:
        """Put rules in force, after those that already are."""
        with self._lock:
            self._armed += [_ArmedRule(rule) for rule in rules]

    def clear(self) -> None:
        """Take every rule out of force."""
        with self._lock:
            self._armed = []

    def overview(self) -> list[dict[str, object]]:
        """Return each rule as JSON data, with how often it matched a call and how often it struck."""
        with self._lock:
            return [
                {
                    **armed.rule.model_dump(mode="json"),
                    "matched": armed.matched,
                    "struck": armed.struck,
                }
                for armed in self._armed
            ]

    def find_strike(
        self, fault: FaultName, subject: Subject, file: FileNumber | None = None
    ) -> FaultRule | None:
        """Return the first rule of this fault that strikes this call, and count it; None where none does.

        With a file's number, only those rules strike that are about this part of a report.
        """
        with self._lock:
            rules = (
                armed.rule for armed in self._armed if self._strikes(armed, fault, subject, file)
            )
            return next(rules, None)

    def find_strikes(
        self, faults: tuple[FaultName, ...], subject: Subject
    ) -> tuple[FaultRule, ...]:
        """Return one rule for each of these faults that strikes this call."""
        struck = (self.find_strike(fault, subject) for fault in faults)
        return tuple(rule for rule in struck if rule is not None)

    def _strikes(
        self, armed: _ArmedRule, fault: FaultName, subject: Subject, file: FileNumber | None
    ) -> bool:
        rule = armed.rule
        if rule.fault != fault or not _concerns(rule, subject) or not _is_part(rule, file):
            return False
        if rule.times is not None and armed.struck >= rule.times:
            return False
        armed.matched += 1
        text = rule.model_dump_json(exclude_defaults=True)
        draw = unit_interval(self._seed, "fault", text, armed.matched)
        if draw >= rule.probability:
            return False
        armed.struck += 1
        return True


def _concerns(rule: FaultRule, subject: Subject) -> bool:
    right_country = rule.country is None or rule.country in subject.countries
    return (
        rule.concerns(subject.operation)
        and right_country
        and _is_account(rule.account, subject.account)
    )


def _is_part(rule: FaultRule, file: FileNumber | None) -> bool:
    if file is None:
        return True
    wanted = file.parts - 1 if rule.options.part is None else rule.options.part
    return file.part == wanted


def _is_account(wanted: str | None, account: str | None) -> bool:
    if wanted is None:
        return True
    return account is not None and wanted in {account, account.rpartition(".")[2]}
