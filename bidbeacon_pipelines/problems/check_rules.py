"""Checks of a dataset as a whole; Dagster shows them as asset checks.

Each function takes facts and returns a verdict with a sentence and the failing cases, worst first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from bidbeacon_pipelines.datasets.fields import SHORT_NAMES
from bidbeacon_pipelines.datasets.registry import Reconciles

WINDOW_IS_FRESH = "window_is_fresh"
ROWS_RECONCILE = "rows_reconcile_with_daily_totals"
QUARANTINE_IS_SMALL = "quarantine_is_small"

CHECKS: Mapping[str, str] = {
    WINDOW_IS_FRESH: (
        "No account has a late window: one that is due for longer than BIDBEACON_LATE_AFTER_HOURS, or at Amazon for far longer than usual."
    ),
    ROWS_RECONCILE: (
        "A day's spend and sales of each ad product agree with those of the dataset that it is compared with, as far as Amazon promises it. "
        "Totals that were not asked for within six hours are not comparable, since Amazon goes on changing numbers."
    ),
    QUARANTINE_IS_SMALL: "At most 0.2 % of each account's rows are quarantined.",
}

RECONCILED: Mapping[Reconciles, str] = {
    "equal": "They are the same: to the last digit where both were asked for within ten minutes, else within 2 %.",
    "close": "They come from another pipeline and need not add up: the difference stays below BIDBEACON_HOURLY_DIFFERENCE.",
    "not above": "Only search terms with a click are reported: they are no higher, within 2 % where not asked for within ten minutes.",
}
"""The description of each way to reconcile a dataset with another."""

SAME_MOMENT = timedelta(minutes=10)
LONGEST_GAP = timedelta(hours=6)
TOLERANCE = Decimal("0.02")
LARGEST_QUARANTINE = Decimal("0.002")
"""A tenth of what a load is refused for."""
_MOST_CASES = 20


@dataclass(frozen=True)
class Verdict:
    """The result of a check of a dataset.

    Attributes:
        check: The name of the check.
        passed: Whether it passed.
        sentence: What was found.
        figures: What was counted.
        cases: The failing cases, worst first, at most 20, all with the same keys.
    """

    check: str
    passed: bool
    sentence: str
    figures: Mapping[str, int | float] = field(default_factory=dict)
    cases: Sequence[Mapping[str, str]] = ()


def judge_freshness(late: Sequence[Mapping[Any, Any]], accounts: int) -> Verdict:
    """Return the verdict on freshness: an account with a late window is late, any other is fresh.

    Args:
        late: the accounts with late windows, as `list_late_accounts` returns them.
        accounts: how many accounts are refreshed.
    """
    windows = sum(account["windows"] for account in late)
    return Verdict(
        WINDOW_IS_FRESH,
        passed=not late,
        sentence=_freshness(late, windows),
        figures={
            "accounts_fresh": max(accounts - len(late), 0),
            "accounts_late": len(late),
            "windows_late": windows,
        },
        cases=[_late_case(account) for account in late[:_MOST_CASES]],
    )


def _freshness(late: Sequence[Mapping[Any, Any]], windows: int) -> str:
    if not late:
        return "All accounts are fresh."
    are = "account is" if len(late) == 1 else "accounts are"
    since = f"{late[0]['since']:%Y-%m-%d %H:%M} UTC"
    return f"{len(late):,} {are} late: {windows:,} {_plural(windows, 'window')}, the first since {since}."


def _late_case(account: Mapping[Any, Any]) -> Mapping[str, str]:
    return {
        "account": account["account_key"],
        "windows": f"{account['windows']:,}",
        "days": f"{account['oldest']} to {account['newest']}",
        "late since (UTC)": f"{account['since']:%Y-%m-%d %H:%M}",
    }


@dataclass(frozen=True)
class Difference:
    """A day and ad product of an account whose totals differ between two datasets, and how far apart in time the two were asked for."""

    account_key: str
    window_date: date
    ad_product: str
    spend: Decimal
    other_spend: Decimal
    sales: Decimal
    other_sales: Decimal
    gap: timedelta

    @property
    def share(self) -> Decimal:
        """The larger relative difference of the two amounts, from 0 to 1."""
        return max(_share(self.spend, self.other_spend), _share(self.sales, self.other_sales))

    @property
    def excess(self) -> Decimal:
        """By how much the larger of the two amounts lies above the other dataset's, as a share of it; 0 where none does."""
        pairs = ((self.spend, self.other_spend), (self.sales, self.other_sales))
        return max(
            (own - compared) / own if own > compared else Decimal(0) for own, compared in pairs
        )

    def is_allowed(self, reconciles: Reconciles, closeness: Decimal) -> bool:
        """Return whether the difference is within what Amazon promises.

        Args:
            reconciles: How the two datasets have to compare.
            closeness: The largest share by which a dataset from another pipeline may differ.
        """
        later = TOLERANCE if self.gap > SAME_MOMENT else Decimal(0)
        match reconciles:
            case "close":
                return self.share <= closeness
            case "not above":
                return self.excess <= later
            case "equal":
                return self.share <= later


@dataclass(frozen=True)
class Comparison:
    """The number of totals (one for each day and ad product of an account) that both datasets have, and the number that can be compared."""

    pairs: int
    comparable: int


def judge_reconciliation(
    other: str,
    compared: Comparison,
    differences: Sequence[Difference],
    *,
    reconciles: Reconciles = "equal",
    closeness: float = 0,
) -> Verdict:
    """Return the verdict on whether totals agree with those of another dataset, as far as Amazon promises it.

    Args:
        other: What the other dataset is called.
        compared: How many totals there are to compare.
        differences: The comparable totals that differ at all, worst first.
        reconciles: How the two have to compare.
        closeness: The largest share by which a dataset from another pipeline may differ.
    """
    against = [
        difference
        for difference in differences
        if not difference.is_allowed(reconciles, Decimal(str(closeness)))
    ]
    later = compared.pairs - compared.comparable
    return Verdict(
        ROWS_RECONCILE,
        passed=not against,
        sentence=f"{_compared(compared.comparable, other, against)}{_not_comparable(later)}",
        figures={
            "compared": compared.comparable,
            "not_comparable_yet": later,
            "differing": len(against),
            "largest_difference": round(
                float(max((difference.share for difference in differences), default=0)), 6
            ),
        },
        cases=[_difference_case(difference) for difference in against[:_MOST_CASES]],
    )


def judge_incomparable() -> Verdict:
    """Report that a dataset's totals are compared with nothing, since Amazon promises nothing about them."""
    return Verdict(
        ROWS_RECONCILE,
        passed=True,
        sentence="Amazon does not promise that these rows add up to those of another report.",
        figures={"compared": 0, "not_comparable_yet": 0, "differing": 0, "largest_difference": 0.0},
        cases=[],
    )


def _compared(totals: int, other: str, against: Sequence[Difference]) -> str:
    if not totals:
        return f"Not comparable yet with {other}."
    if against:
        return f"{len(against):,} of {totals:,} totals by day and ad product differ from {other}."
    return f"{totals:,} {_plural(totals, 'total')} by day and ad product agree{'s' if totals == 1 else ''} with {other}."


def _not_comparable(days: int) -> str:
    if not days:
        return ""
    return f" {days:,} more {'was' if days == 1 else 'were'} not asked for close enough in time."


def _difference_case(difference: Difference) -> Mapping[str, str]:
    return {
        "account": difference.account_key,
        "day": str(difference.window_date),
        "ad": SHORT_NAMES.get(difference.ad_product, difference.ad_product),
        "spend": f"{difference.spend:,f}",
        "spend there": f"{difference.other_spend:,f}",
        "sales": f"{difference.sales:,f}",
        "sales there": f"{difference.other_sales:,f}",
        "off by": f"{difference.share:.2%}",
        "asked apart": str(timedelta(seconds=round(difference.gap.total_seconds()))),
    }


def is_too_large(quarantined: Mapping[Any, Any]) -> bool:
    """Return whether too many rows of an account are quarantined; see `list_quarantined`."""
    return _quarantined_share(quarantined) > LARGEST_QUARANTINE


def _quarantined_share(row: Mapping[Any, Any]) -> Decimal:
    share: Decimal = Decimal(row["quarantined"]) / (row["quarantined"] + row["rows"])
    return share


def judge_quarantine(accounts: Sequence[Mapping[Any, Any]]) -> Verdict:
    """Return the verdict on quarantined rows, given the accounts that have any, as `list_quarantined` returns them."""
    over = sorted(filter(is_too_large, accounts), key=_quarantined_share, reverse=True)
    rows = sum(account["quarantined"] for account in accounts)
    counted = f"{rows:,} {_plural(rows, 'row')} quarantined" if rows else "No row is quarantined"
    return Verdict(
        QUARANTINE_IS_SMALL,
        passed=not over,
        sentence=f"{counted}; too many of {len(over):,} {_plural(len(over), 'account')}."
        if over
        else f"{counted}.",
        figures={"quarantined": rows, "accounts_over": len(over)},
        cases=[_quarantine_case(account) for account in over[:_MOST_CASES]],
    )


def _quarantine_case(account: Mapping[Any, Any]) -> Mapping[str, str]:
    return {
        "account": account["account_key"],
        "windows": f"{account['windows']:,}",
        "quarantined": f"{account['quarantined']:,}",
        "good rows": f"{account['rows']:,}",
        "share": f"{_quarantined_share(account):.2%}",
    }


def _share(left: Decimal, right: Decimal) -> Decimal:
    larger = max(left, right)
    return abs(left - right) / larger if larger else Decimal(0)


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
