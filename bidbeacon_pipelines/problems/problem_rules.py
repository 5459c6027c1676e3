"""Problems, grouped by cause, as Home and alerts describe them. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

NAMES_SHOWN = 3
"""So many accounts of a problem are named; the others are counted."""
SETTLES_AFTER = timedelta(hours=2)
"""A bad window that is asked for again is not bad meanwhile, and is again if the second report does not help; so wait before saying that it is over."""


@dataclass(frozen=True)
class Problem:
    """A cause that needs attention.

    Attributes:
        key: Stable for as long as the cause is the same, whatever its numbers; at most 300
            characters.
        kind: What it is in a word or two, such as `failed`, `late`, `needs attention`.
        cause: The reason in plain words, what went wrong in the first sentence.
        to_do: What helps, or what happens by itself, where the cause does not say it.
        is_minor: Whether it is a warning rather than a failure.
        count: How much of it there is; None where it can't be counted.
        noun: What is counted.
        names: Some of the accounts it concerns, as people call them: at most `NAMES_SHOWN`.
        accounts: How many accounts it concerns, at least; None where it concerns none in
            particular.
        datasets: The datasets whose windows it concerns, that with the most windows first.
        since: Since when; None where that is not known.
        link: The page that shows it, from the root of the address.
        tell_after: How long it must last before an alert is sent, since it usually ends before
            that.
        settles_after: How long it must be gone before it counts as over.
        is_recovered: Whether it is over, and only shown because it happened in the last hours.
        is_loadable: Whether it concerns windows that can be loaded again.
    """

    key: str
    kind: str
    cause: str
    to_do: str = ""
    is_minor: bool = False
    count: int | None = None
    noun: str = ""
    names: Sequence[str] = ()
    accounts: int | None = None
    datasets: Sequence[str] = ()
    since: datetime | None = None
    link: str = "/"
    tell_after: timedelta = timedelta(0)
    settles_after: timedelta = timedelta(0)
    is_recovered: bool = False
    is_loadable: bool = False

    @property
    def extent(self) -> str:
        """Return how much of it there is: "failed, 120 windows of 3 accounts in daily_targets and 2 more datasets"."""
        counted = "" if self.count is None else f", {_count(self.count, self.noun)}"
        accounts = self.accounts or 0
        of = f" of {_count(accounts, 'account')}" if accounts > 1 and self.datasets else ""
        return f"{self.kind}{counted}{of}{_in_datasets(self.datasets)}"

    @property
    def whose(self) -> str:
        """Return the accounts by name: "Acme Merch · US and 4 more accounts"; empty where there is none."""
        shown = ", ".join(self.names)
        more = max(0, (self.accounts or 0) - len(self.names))
        return shown + (f" and {_count(more, 'more account')}" if shown and more else "")


def merge(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems, merged by key: with the text of the first, and the total extent."""
    found: dict[str, Problem] = {}
    for problem in problems:
        before = found.get(problem.key)
        found[problem.key] = problem if before is None else _sum(before, problem)
    return list(found.values())


def _sum(first: Problem, second: Problem) -> Problem:
    names = tuple(dict.fromkeys([*first.names, *second.names]))
    return replace(
        first,
        is_minor=first.is_minor and second.is_minor,
        count=None if first.count is None else first.count + (second.count or 0),
        names=names[:NAMES_SHOWN],
        accounts=max(first.accounts or 0, second.accounts or 0, len(names)) or None,
        datasets=tuple(dict.fromkeys([*first.datasets, *second.datasets])),
        since=min(filter(None, [first.since, second.since]), default=None),
        is_recovered=first.is_recovered and second.is_recovered,
    )


_DETAILS = re.compile(r"(?P<tried>Could not [^().]+) \((?:[^()]|\([^()]*\))*\)\.")
_PLACE = re.compile(r" \(at [^()]*\)")


def headline(reason: str) -> str:
    """Return a stored reason without Amazon's ids and places in the request, which the page behind the link has.

    "Amazon answered: Not allowed (at accounts[0]). Try again later. Could not create a report
    (account amzn1.…; status 403, request …)." becomes "Amazon answered: Not allowed. Try again
    later. Could not create a report."
    """
    return _PLACE.sub("", _DETAILS.sub(r"\g<tried>.", reason))


def first_sentence(cause: str) -> str:
    """Return what went wrong, without what to do about it."""
    return cause.partition(". ")[0].rstrip(".")


_FAULTS_OF_ROWS = re.compile(r" \(\d+ × [^()]*\)")


def shape_of(cause: str) -> str:
    """Return a cause without what differs from window to window: words with digits, such as counts, ids and days, and the fields of invalid rows."""
    cause = _FAULTS_OF_ROWS.sub("", cause)
    return " ".join("#" if any(map(str.isdigit, word)) else word for word in cause.split())


def _in_datasets(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {_count(len(names) - 1, 'more dataset')}" if len(names) > 1 else ""
    return f" in {names[0]}{more}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
