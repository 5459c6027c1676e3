"""The rules in force: how they are read, when one strikes, and how they are kept over a restart.

A rule strikes by counting and by the seed, never by chance: the same calls in the same order fail
the same way.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from bidbeacon_sandbox.accounts import Account, Region
from bidbeacon_sandbox.datasets import DATASETS
from bidbeacon_sandbox.rules import KINDS, OPERATIONS, AnyRule, Limits, Operation, RowChange
from bidbeacon_sandbox.seeded import unit_interval

_Rule = TypeVar("_Rule", bound=Limits)
_READER: TypeAdapter[Any] = TypeAdapter(AnyRule)
_LONGEST_SHOWN = 80


class RuleError(ValueError):
    """A rule is invalid; the message says what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a call is about, as far as known; `datasets` are the reports of `datasets.json` that it asks for."""

    operation: Operation
    client: str | None = None
    region: Region | None = None
    account: str | None = None
    countries: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()


@dataclass(slots=True)
class _Armed:
    number: int
    rule: Any
    since: datetime
    on: bool = True
    matched: int = 0
    struck: int = 0


class Rulebook:
    """The rules in force; safe to change while the server runs.

    Args:
        seed: Decides which calls a probability strikes.
        now: The sandbox's clock.
        rules: In force from the start.
        file: Where changes of the rules are kept for the next start.
    """

    def __init__(
        self,
        seed: int,
        now: Callable[[], datetime],
        rules: Iterable[Any] = (),
        file: Path | None = None,
    ) -> None:
        self._seed = seed
        self._now = now
        self._file = file
        self._lock = RLock()
        self._armed: list[_Armed] = []
        self._added = 0
        kept = read_rules(json.loads(file.read_text())) if file and file.exists() else ()
        for rule in (*rules, *(rule for rule in kept if rule not in tuple(rules))):
            self._arm(rule)

    def add(self, *rules: Any) -> None:
        """Put rules in force, after those that already are."""
        with self._lock:
            for rule in rules:
                self._arm(rule)
            self._keep()

    def clear(self) -> None:
        """Take every rule out of force."""
        with self._lock:
            self._armed = []
            self._keep()

    def remove(self, number: int) -> None:
        """Take one rule out of force."""
        with self._lock:
            self._armed = [armed for armed in self._armed if armed.number != number]
            self._keep()

    def switch(self, number: int, *, on: bool) -> None:
        """Switch one rule on or off; its counts and its time begin again."""
        with self._lock:
            for armed in self._armed:
                if armed.number == number:
                    armed.on, armed.since, armed.matched, armed.struck = on, self._now(), 0, 0

    def overview(self) -> list[dict[str, Any]]:
        """Return each rule as JSON data, with its number, whether it is on, and how often it matched and struck."""
        with self._lock:
            return [
                {
                    "number": armed.number,
                    "on": armed.on and not self._is_over(armed),
                    "matched": armed.matched,
                    "struck": armed.struck,
                    "rule": as_json(armed.rule),
                }
                for armed in self._armed
            ]

    def strike(
        self, kind: type[_Rule], subject: Subject, when: Callable[[_Rule], object] = lambda _: True
    ) -> _Rule | None:
        """Return the first rule of a kind that strikes this call, and count it; None where none does."""
        with self._lock:
            return next((rule for rule in self._struck(kind, subject, when)), None)

    def strikes(
        self, kind: type[_Rule], subject: Subject, when: Callable[[_Rule], object] = lambda _: True
    ) -> tuple[_Rule, ...]:
        """Return every rule of a kind that strikes this call, and count each."""
        with self._lock:
            return tuple(self._struck(kind, subject, when))

    def _struck(
        self, kind: type[_Rule], subject: Subject, when: Callable[[_Rule], object]
    ) -> Iterable[_Rule]:
        for armed in self._armed:
            rule = armed.rule
            if isinstance(rule, kind) and when(rule) and self._strikes(armed, subject):
                yield rule

    def _strikes(self, armed: _Armed, subject: Subject) -> bool:
        rule = armed.rule
        if not armed.on or self._is_over(armed) or not concerns(rule, subject):
            return False
        armed.matched += 1
        draw = unit_interval(self._seed, "rule", rule.model_dump_json(), armed.matched)
        if draw >= rule.probability:
            return False
        armed.struck += 1
        return True

    def _is_over(self, armed: _Armed) -> bool:
        times, seconds = armed.rule.times, armed.rule.for_seconds
        if times is not None and armed.struck >= times:
            return True
        return seconds is not None and self._now() >= armed.since + timedelta(seconds=seconds)

    def _arm(self, rule: Any) -> None:
        self._added += 1
        self._armed.append(_Armed(self._added, rule, self._now()))

    def _keep(self) -> None:
        if self._file is not None:
            self._file.write_text(json.dumps([as_json(armed.rule) for armed in self._armed]))


def as_json(rule: Limits) -> dict[str, Any]:
    """Return a rule as the JSON that makes it, without what is as by default."""
    return rule.model_dump(mode="json", exclude_defaults=True)


def concerns(rule: Limits, subject: Subject) -> bool:
    """Return whether a call is within a rule's limits."""
    return (
        rule.strikes_at(subject.operation)
        and rule.client in {None, subject.client}
        and rule.region in {None, subject.region}
        and (rule.country is None or rule.country in subject.countries)
        and (rule.account is None or rule.account in _names(subject.account))
        and (rule.dataset is None or any(rule.dataset in _names(one) for one in subject.datasets))
    )


def _names(whole: str | None) -> tuple[str, ...]:
    """Return an account's id and what follows its last dot, or a dataset with and without its ad product."""
    if whole is None:
        return ()
    return whole, whole.rpartition(".")[2], whole.partition("_")[2]


def read_rules(given: Any) -> tuple[Any, ...]:
    """Read one rule or a list of rules from JSON data.

    Raises:
        RuleError: one of them is invalid.
    """
    return tuple(map(_read_rule, given if isinstance(given, list) else [given]))


def _read_rule(given: Any) -> Limits:
    if isinstance(given, Limits):
        return given
    if not isinstance(given, dict) or "rule" not in given:
        raise RuleError(f"expected a rule such as {{'rule': 'slow'}}, got: {_shown(given)}")
    kind = given["rule"]
    if kind not in KINDS:
        raise RuleError(f"There is no rule {_shown(kind)}. {_nearest(kind, list(KINDS))}")
    for name in given:
        if name not in KINDS[kind].model_fields:
            known = [field for field in KINDS[kind].model_fields if field != "rule"]
            raise RuleError(f"{kind} has no {_shown(name)}. {_nearest(name, known)}")
    try:
        rule: Limits = _READER.validate_python(given)
    except ValidationError as error:
        raise RuleError(f"{kind}: {describe_invalid(error)}") from None
    known = sorted({name for dataset in DATASETS for name in _names(dataset)[::2]})
    if rule.dataset is not None and rule.dataset not in known:
        raise RuleError(
            f"There is no dataset {_shown(rule.dataset)}. {_nearest(rule.dataset, known)}"
        )
    return rule


def check_accounts(rules: Iterable[Limits], accounts: Sequence[Account]) -> None:
    """Check that each rule that names an account names one that there is.

    Raises:
        RuleError: there is no such account.
    """
    known = {name: one for one in accounts for name in _names(one.account_id)[:2]}
    words = {one.name.lower(): one for one in accounts} | known
    for rule in rules:
        if rule.account is None or rule.account in known:
            continue
        close = get_close_matches(rule.account.lower(), words, n=1)
        near = [words[close[0]]] if close else accounts[:3]
        there = ", ".join(f"{one.account_id} ({one.name})" for one in near)
        raise RuleError(
            f"There is no ads account {_shown(rule.account)}. Expected an id, or what follows its last dot. "
            f"{'The nearest is' if close else 'There are:'} {there}."
        )


def describe_invalid(error: ValidationError) -> str:
    """Return a sentence about the first thing that is wrong: where, what was expected, and what came."""
    first = error.errors()[0]
    known: Sequence[str] = ()
    if "change" in first["loc"]:
        known = get_args(RowChange)
    elif "call" in first["loc"]:
        known = sorted(OPERATIONS)
    place = ".".join(str(part) for part in first["loc"] if part not in KINDS)
    near = f". {_nearest(first['input'], known)}" if known else ""
    sentence = first["msg"].removeprefix("Value error, ")
    return f"{place}: {sentence}; got {_shown(first['input'])}{near}" if place else sentence


def _nearest(given: Any, known: Sequence[str]) -> str:
    close = get_close_matches(str(given), known, n=1)
    return f"The nearest is {close[0]}." if close else f"There are: {', '.join(known)}."


def _shown(value: Any) -> str:
    return repr(value)[:_LONGEST_SHOWN]
