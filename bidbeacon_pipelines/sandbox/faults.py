"""When a fault's rule strikes; what the fault then does is up to the places that ask.

A rule strikes by counting and by the seed, never by chance: the same calls in the same order fail the same way.
"""

from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from bidbeacon_pipelines.sandbox.fault_rules import (
    CALL_FAULTS,
    FAULTS,
    REPORT_FAULTS,
    BadRow,
    FaultName,
    FaultOptions,
    FaultRule,
    Operation,
)
from bidbeacon_pipelines.sandbox.hashing import unit_interval

__all__ = [
    "CALL_FAULTS",
    "FAULTS",
    "REPORT_FAULTS",
    "BadRow",
    "FaultName",
    "FaultOptions",
    "FaultRule",
    "Faults",
    "FileNumber",
    "Operation",
    "Subject",
]


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
        text = rule.model_dump_json(exclude_defaults=True)
        draw = unit_interval(self._seed, "fault", text, armed.matched)
        if draw >= rule.probability:
            return False
        armed.struck += 1
        return True


def _concerns(rule: FaultRule, subject: Subject) -> bool:
    right_country = rule.country is None or rule.country in subject.countries
    return rule.concerns(subject.operation) and right_country and _is_account(rule.account, subject.account)


def _is_part(rule: FaultRule, file: FileNumber | None) -> bool:
    if file is None:
        return True
    wanted = file.parts - 1 if rule.options.part is None else rule.options.part
    return file.part == wanted


def _is_account(wanted: str | None, account: str | None) -> bool:
    if wanted is None:
        return True
    return account is not None and wanted in {account, account.rpartition(".")[2]}
