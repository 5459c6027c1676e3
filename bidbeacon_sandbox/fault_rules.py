"""Reads fault rules that people wrote, and refuses what is wrong in one sentence that names the nearest right word."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError

from bidbeacon_sandbox.accounts import Account
from bidbeacon_sandbox.faults import FAULTS, BadRow, FaultRule

_LONGEST_SHOWN = 80


class FaultRuleError(ValueError):
    """A fault rule is invalid; the message says what was expected and what came."""


def read_rules(given: Any) -> tuple[FaultRule, ...]:
    """Read one rule or a list of rules from JSON data.

    Raises:
        FaultRuleError: one of them is invalid.
    """
    return tuple(map(_read_rule, given if isinstance(given, list) else [given]))


def _read_rule(given: Any) -> FaultRule:
    if not isinstance(given, dict):
        raise FaultRuleError(f"expected a rule such as {{'fault': 'slow'}}, got: {_shown(given)}")
    if "fault" in given:
        check_fault(given["fault"])
    try:
        return FaultRule.model_validate(given)
    except ValidationError as error:
        raise FaultRuleError(describe_invalid(error)) from None


def check_fault(name: Any) -> None:
    """Check that there is a fault of this name.

    Raises:
        FaultRuleError: there is none.
    """
    if name not in FAULTS:
        raise FaultRuleError(f"There is no fault {_shown(name)}. {_nearest(str(name), FAULTS)}")


def check_accounts(rules: Iterable[FaultRule], accounts: Sequence[Account]) -> None:
    """Check that each rule that names an account names one that there is.

    Raises:
        FaultRuleError: there is no such account.
    """
    words: dict[str, Account] = {}
    for account in accounts:
        short = account.account_id.rpartition(".")[2]
        words |= dict.fromkeys((account.account_id, short), account)
    for rule in rules:
        if rule.account is not None and rule.account not in words:
            raise FaultRuleError(_unknown_account(rule.account, words))


def _unknown_account(given: str, words: dict[str, Account]) -> str:
    """Return the message for an unknown account, with the account of the nearest id or name."""
    named = {account.name.lower(): account for account in words.values()} | {
        word.lower(): account for word, account in words.items()
    }
    close = get_close_matches(given.lower(), named, n=1)
    ids = [f"{a.account_id} ({a.name})" for a in dict.fromkeys(words.values())]
    near = named[close[0]] if close else None
    said = (
        f"The nearest is {near.account_id} ({near.name})."
        if near is not None
        else f"There are: {', '.join(ids[:3])}{', …' if len(ids) > 3 else ''}."  # noqa: PLR2004 - a line's length
    )
    return f"There is no ads account {_shown(given)}. Expected an id, or what follows its last dot. {said}"


def _nearest(given: str, known: Sequence[str]) -> str:
    close = get_close_matches(given, known, n=1)
    return f"The nearest is {close[0]}." if close else f"There are: {', '.join(known)}."


def _shown(value: Any) -> str:
    return repr(value)[:_LONGEST_SHOWN]


def describe_invalid(error: ValidationError) -> str:
    """Return a sentence about the first thing that is wrong: where, what was expected, and what came."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"])) or "the whole"
    there_are = f". There are: {', '.join(get_args(BadRow))}" if "kinds" in first["loc"] else ""
    expected = first["msg"].removeprefix("Value error, ")
    return f"{place}: {expected}; got {_shown(first['input'])}{there_are}"
