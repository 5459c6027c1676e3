"""Findings: problems or results of checks, each with its cause and its effects."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from bidbeacon_pipelines.causes import (
    Cause,
    Explained,
    Severity,
    cause_key,
    explain_as_json,
    without_detail,
)

RECENTLY = timedelta(hours=24)
"""How long a finding about a single event, such as a failed session, is shown."""
NOTHING_HAPPENS = "nothing-happens"
NAMES_SHOWN = 3
"""A finding names at most this many accounts; the other accounts are counted."""
SETTLES_AFTER = timedelta(hours=2)
"""How long a finding about windows must be gone before it ends, since a retry may fail again."""
ORDER = list(Severity)
_FACTS = ("names", "accounts", "since", "next_at")


@dataclass(frozen=True)
class Effect:
    """An effect of a finding's cause, such as "120 windows failed, in daily_targets".

    `link` is the path of a page that shows the effect; `count` is None if nothing is counted.
    """

    text: str
    link: str
    count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Finding(Explained):
    """A problem with its cause and extent, or the result of a check.

    Attributes:
        key: The cause's code, and a digest of the cause's parameters if there are any.
        link: The path of the page that shows the problem, such as `/accounts`.
        effects: What is affected; the first is the direct effect, the others are consequences.
        names: Labels of some of the affected accounts, at most `NAMES_SHOWN`.
        accounts: The number of affected accounts; may exceed the number of `names`.
        since: When the problem began; None if unknown.
        next_at: When BidBeacon tries again by itself; None if never or unknown.
        unit: The days or accounts to which the button's action applies, such as "120 days".
        because: Keys of findings that may cause this one; `merge` makes this one an effect of the
            first of them that exists.
        alert_after: How long the finding must last before an alert is sent.
        settles_after: How long the finding must be gone before it counts as ended.
        facts: The figures that a check has compared, as data; may be empty.
    """

    key: str
    link: str = "/"
    effects: tuple[Effect, ...] = ()
    names: tuple[str, ...] = ()
    accounts: int = 0
    since: datetime | None = None
    next_at: datetime | None = None
    unit: str = ""
    because: tuple[str, ...] = ()
    alert_after: timedelta = timedelta(0)
    settles_after: timedelta = timedelta(0)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The sum of the counts of all effects of the finding."""
        return sum(effect.count or 0 for effect in self.effects)

    @property
    def headline(self) -> str:
        """The affected accounts and the sentence, such as "Acme Merch · US: Amazon …"."""
        if not self.names:
            return self.sentence
        more = self.accounts - len(self.names)
        others = f" and {counted(more, 'more account')}" if more > 0 else ""
        return f"{', '.join(self.names)}{others}: {self.sentence}"


Findings = Iterator[Finding]
"""The findings that a function of this package has found."""


def found(cause: Cause, *effects: Effect, accounts: int = 0, **facts: Any) -> Finding:
    """Return a finding with a cause, its effects, and `facts` as further attributes.

    Severity, advice and action come from `causes.CAUSE_KINDS`, unless `facts` overrides them. The
    advice contains the name of an account only if `accounts` is at most one.
    """
    if accounts > 1 and isinstance(detail := cause.get("detail"), Mapping):
        cause = {**cause, "detail": {k: v for k, v in detail.items() if k != "account"}}
    given = explain_as_json(cause)
    given["link"] = given["link"] or next((effect.link for effect in effects), "/")
    given |= {"key": finding_key(cause), "effects": effects, "accounts": accounts}
    return Finding(**given | facts)


def facts_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the columns `names`, `accounts`, `since` and `next_at` of a row, without nulls."""
    given = {name: row[name] for name in _FACTS if row.get(name) is not None}
    return {n: tuple(value) if isinstance(value, list) else value for n, value in given.items()}


def finding_key(cause: Cause) -> str:
    """Return the key of a cause's finding: the code, and a digest of parameters if any."""
    code = str(cause["code"])
    if without_detail(cause).keys() == {"code"}:
        return code
    return f"{code}-{sha256(cause_key(cause).encode()).hexdigest()[:8]}"


def merge(findings: Iterable[Finding], now: datetime) -> list[Finding]:
    """Return one finding per cause with all effects; the worst findings come first.

    A finding becomes an effect of another finding if its `because` contains the other's key.
    """
    by_key: dict[str, Finding] = {}
    for each in findings:
        has_passed = each.next_at is not None and each.next_at <= now
        one = replace(each, next_at=None) if has_passed else each
        before = by_key.get(one.key)
        by_key[one.key] = one if before is None else _together(before, one)
    for key, one in list(by_key.items()):
        root = next((by_key[cause] for cause in one.because if cause in by_key), None)
        if root is not None:
            del by_key[key]
            effects = (Effect(one.sentence, one.link), *one.effects)
            by_key[root.key] = _together(root, replace(one, effects=effects))
    return sorted(by_key.values(), key=lambda one: -ORDER.index(one.severity))


def _together(first: Finding, second: Finding) -> Finding:
    names = tuple(dict.fromkeys([*first.names, *second.names]))
    return replace(
        first,
        severity=max(first.severity, second.severity, key=ORDER.index),
        effects=first.effects + second.effects,
        names=names[:NAMES_SHOWN],
        accounts=max(first.accounts, second.accounts, len(names)),
        since=min(filter(None, [first.since, second.since]), default=None),
        next_at=min(filter(None, [first.next_at, second.next_at]), default=None),
        action=first.action or second.action,
        unit=first.unit or second.unit,
        alert_after=min(first.alert_after, second.alert_after),
        settles_after=max(first.settles_after, second.settles_after),
    )


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as "1 window" or "1,200 windows"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def listed(names: Sequence[str]) -> str:
    """Join names as in "Sponsored Products, Sponsored Brands and Sponsored Display"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def day_range(oldest: date, newest: date) -> str:
    """Return a range of days as text: "2026-11-20", or "2026-11-20 to 2026-11-23"."""
    return str(oldest) if oldest == newest else f"{oldest} to {newest}"


def window_link(dataset: str, account_key: str, day: date) -> str:
    """Return the path of the page that shows a window."""
    chosen = {"dataset": dataset, "account": account_key, "window": str(day)}
    return f"/coverage?{urlencode(chosen)}"


def in_datasets(names: Sequence[str]) -> str:
    """Return datasets as text, such as ", in daily_targets and 2 more datasets"; "" if none."""
    more = f" and {counted(len(names) - 1, 'more dataset')}" if len(names) > 1 else ""
    return f", in {names[0]}{more}" if names else ""
