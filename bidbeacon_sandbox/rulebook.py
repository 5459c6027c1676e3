"""Reads the rules of a sandbox, and decides which rules apply to a call.

If no rule has a time limit, faults depend only on the seed and on counts of calls: the same calls
in the same order get the same faults.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from bidbeacon_sandbox.accounts import AdsAccount, Region
from bidbeacon_sandbox.names import account_names, dataset_names, find_account, nearest, plain
from bidbeacon_sandbox.rules import KINDS, AnyRule, Limits, Operation, usual_calls
from bidbeacon_sandbox.seeded import unit_interval

_Rule = TypeVar("_Rule", bound=Limits)
_READER: TypeAdapter[Any] = TypeAdapter(AnyRule)
_LONGEST_SHOWN = 80


class RuleError(ValueError):
    """A rule is invalid; the message states the expected and the given value."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """The facts of a call that decide which rules apply; `datasets.json` defines `datasets`."""

    operation: Operation
    client: str | None = None
    region: Region | None = None
    ads_account: AdsAccount | None = None
    countries: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    @property
    def account(self) -> str | None:
        """The id of the ads account, if any."""
        return self.ads_account.account_id if self.ads_account else None

    def is_about(self, name: str) -> bool:
        """Return whether the call is about the account or ads account with this name."""
        one = self.ads_account
        return one is not None and plain(name) in account_names(one, self.countries)


@dataclass(slots=True)
class _Armed:
    number: int
    rule: Any
    since: datetime
    on: bool = True
    matched: int = 0
    struck: int = 0


class Rulebook:
    """The rules of a sandbox; they can be changed while the server runs.

    Args:
        seed: Decides to which calls a rule with a probability applies.
        now: The sandbox's clock.
        rules: The rules that apply from the start.
    """

    def __init__(self, seed: int, now: Callable[[], datetime], rules: Iterable[Any]) -> None:
        self._seed = seed
        self._now = now
        self._armed: list[_Armed] = []
        self._added = 0
        self.add(*rules)

    def add(self, *rules: Any) -> None:
        """Add rules after the existing rules."""
        for rule in rules:
            self._added += 1
            self._armed.append(_Armed(self._added, rule, self._now()))

    def clear(self) -> None:
        """Remove all rules."""
        self._armed = []

    def remove(self, number: int) -> None:
        """Remove the rule with this number, if it exists."""
        self._armed = [armed for armed in self._armed if armed.number != number]

    def remove_named(self, name: str) -> None:
        """Remove the rules with this name."""
        self._armed = [armed for armed in self._armed if armed.rule.name != name]

    def switch_off_named(self, name: str) -> None:
        """Switch off the rules with this name; they keep their counts."""
        for armed in self._armed:
            armed.on = armed.on and armed.rule.name != name

    def switch(self, number: int, *, on: bool) -> None:
        """Switch one rule on or off; switching on restarts its counts and its time limit."""
        for armed in self._armed:
            if armed.number == number:
                armed.on = on
                if on:
                    armed.since, armed.matched, armed.struck = self._now(), 0, 0

    def overview(self) -> list[dict[str, Any]]:
        """Return each rule as JSON with its number, state, and how often it matched and applied."""
        return [
            {
                "number": armed.number,
                "on": armed.on and not self._is_over(armed),
                "matched": armed.matched,
                "struck": armed.struck,
                "rule": armed.rule.model_dump(mode="json", exclude_defaults=True),
            }
            for armed in self._armed
        ]

    def struck(
        self, kind: type[_Rule], facts: CallFacts, when: Callable[[_Rule], object]
    ) -> Iterator[_Rule]:
        """Yield the rules of a kind that apply to a call; a yielded rule counts as applied."""
        for armed in self._armed:
            rule = armed.rule
            if isinstance(rule, kind) and when(rule) and self._strikes(armed, facts):
                yield rule

    def _strikes(self, armed: _Armed, facts: CallFacts) -> bool:
        rule = armed.rule
        if not armed.on or self._is_over(armed) or not _concerns(rule, facts):
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


def _concerns(rule: Limits, facts: CallFacts) -> bool:
    return (
        facts.operation in (usual_calls(rule) if rule.call is None else {rule.call})
        and rule.client in {None, facts.client}
        and rule.region in {None, facts.region}
        and (rule.country is None or rule.country in facts.countries)
        and (rule.account is None or facts.is_about(rule.account))
        and (
            rule.dataset is None
            or any(rule.dataset in dataset_names(one) for one in facts.datasets)
        )
    )


def read_rules(given: Any) -> tuple[Any, ...]:
    """Parse JSON data of one rule or a list of rules; raise `RuleError` if it is invalid."""
    try:
        every = given if isinstance(given, list | tuple) else [given]
        return tuple(map(_READER.validate_python, every))
    except ValidationError as error:
        raise RuleError(describe_invalid(error)) from None


def check_names(
    rules: Iterable[Limits], accounts: Sequence[AdsAccount], clients: Sequence[str]
) -> None:
    """Raise `RuleError` if a rule refers to an unknown ads account or client."""
    for rule in rules:
        if rule.client is not None and rule.client not in clients:
            raise RuleError(f"There is no client {rule.client!r}. {nearest(rule.client, clients)}")
        if rule.account is not None:
            _check_account(rule.account, accounts)


def _check_account(given: str, accounts: Sequence[AdsAccount]) -> None:
    if find_account(given, accounts) is not None:
        return
    known = {name: one for one in accounts for name in account_names(one, one.country_codes)}
    close = get_close_matches(plain(given), known, n=1)
    near = [known[close[0]]] if close else accounts[:3]
    there = ", ".join(f"{one.name} ({', '.join(one.country_codes)})" for one in near)
    raise RuleError(
        f"There is no ads account {given!r}. Expected a name, a key or an id. "
        f"{'The nearest is' if close else 'The first ads accounts are'} {there}."
    )


def describe_invalid(error: ValidationError) -> str:
    """Describe the first error in a sentence: where it is, and the expected and given values."""
    first = error.errors()[0]
    given, context = first["input"], first.get("ctx", {})
    kind = next((part for part in first["loc"] if part in KINDS), None)
    known = re.findall(r"'(\w+)'", f"{context.get('expected') or context.get('expected_tags')}")
    place = ".".join(str(part) for part in first["loc"] if part != kind)
    if first["type"] == "union_tag_invalid":
        place, given = "rule", context["tag"]
    elif first["type"] == "extra_forbidden" and kind is not None:
        place, given = str(kind), first["loc"][-1]
        known = [field for field in KINDS[str(kind)].model_fields if field != "rule"]
    shown = repr(given)[:_LONGEST_SHOWN]
    if known:
        return f"{place}: there is no {shown}. {nearest(given, known)}"
    sentence = first["msg"].removeprefix("Value error, ")
    return f"{place}: {sentence.rstrip('.')}; got {shown}" if place else sentence
