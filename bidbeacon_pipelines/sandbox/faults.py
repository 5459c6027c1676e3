"""The faults that can be switched on, and when a rule strikes; what a fault does is up to the places that ask.

A rule strikes by counting and by the seed, never by chance: the same calls in the same order fail the same way.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Lock
from typing import Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field

from bidbeacon_pipelines.sandbox.hashing import unit_interval

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
]
ReportFault = Literal[
    "report_failed",
    "report_pending",
    "empty_report",
    "bad_rows",
    "unknown_target",
    "vanish_rows",
]
OtherFault = Literal[
    "invalid_grant",
    "throttle_accepted",
    "duplicate_refused",
    "expired_url",
    "no_resign",
    "part_missing",
    "truncated_gzip",
    "export_failed",
]
FaultName = CallFault | ReportFault | OtherFault
BadRow = Literal[
    "missing_field",
    "wrong_type",
    "unknown_key",
    "duplicate_key",
    "impossible_date",
    "impossible_hour",
    "negative_metric",
]

CALL_FAULTS: tuple[CallFault, ...] = get_args(CallFault)
"""The faults of any call, in the order in which they strike: the first two let the call go on."""
REPORT_FAULTS: tuple[ReportFault, ...] = get_args(ReportFault)
_ADS_API: frozenset[Operation] = frozenset(get_args(Operation)) - {"token", "download"}
_SCOPES: dict[str, frozenset[Operation]] = {
    "throttle": _ADS_API,
    "unauthorized": _ADS_API,
    "token_expiry": _ADS_API,
    "forbidden": _ADS_API,
}


class FaultOptions(BaseModel):
    """What a fault does in detail; each fault reads the few options that concern it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    retry_after: Literal["seconds", "http-date", "none"] = "seconds"
    seconds: float | None = Field(None, ge=0, description="Retry-After, a delay, or how long PENDING lasts.")
    status: int | None = Field(None, ge=200, le=599, description="HTTP status of server_error and html_body.")
    code: str | None = Field(None, description="Failure code of report_failed and export_failed.")
    reason: str | None = Field(None, description="Failure reason of report_failed and export_failed.")
    share: float | None = Field(None, ge=0, le=1, description="Share of rows that bad_rows and others touch.")
    kinds: tuple[BadRow, ...] = Field(
        get_args(BadRow), min_length=1, description="What bad_rows does to rows."
    )
    part: int | None = Field(None, ge=0, description="Which part part_missing takes; absent: the last one.")

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
        """Give each rule as JSON data, with how often it matched a call and how often it struck."""
        with self._lock:
            return [
                {**armed.rule.model_dump(mode="json"), "matched": armed.matched, "struck": armed.struck}
                for armed in self._armed
            ]

    def find_strike(
        self, fault: FaultName, subject: Subject, file: FileNumber | None = None
    ) -> FaultRule | None:
        """Give the first rule of this fault that strikes this call, and count it; None where none does.

        With a file's number, only those rules strike that are about this part of a report.
        """
        with self._lock:
            rules = (armed.rule for armed in self._armed if self._strikes(armed, fault, subject, file))
            return next(rules, None)

    def find_strikes(self, faults: tuple[FaultName, ...], subject: Subject) -> tuple[FaultRule, ...]:
        """Give one rule for each of these faults that strikes this call."""
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
        draw = unit_interval(self._seed, "fault", rule.model_dump_json(), armed.matched)
        if draw >= rule.probability:
            return False
        armed.struck += 1
        return True


def _concerns(rule: FaultRule, subject: Subject) -> bool:
    if rule.operation is not None:
        right_operation = rule.operation == subject.operation
    else:
        right_operation = subject.operation in _SCOPES.get(rule.fault, frozenset(get_args(Operation)))
    right_country = rule.country is None or rule.country in subject.countries
    return right_operation and right_country and _is_account(rule.account, subject.account)


def _is_part(rule: FaultRule, file: FileNumber | None) -> bool:
    if file is None:
        return True
    wanted = file.parts - 1 if rule.options.part is None else rule.options.part
    return file.part == wanted


def _is_account(wanted: str | None, account: str | None) -> bool:
    if wanted is None:
        return True
    return account is not None and wanted in {account, account.rpartition(".")[2]}
