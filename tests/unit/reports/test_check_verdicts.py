"""Verdicts of checks: what is judged, without a database."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from bidbeacon_pipelines.datasets.registry import Reconciles
from bidbeacon_pipelines.problems.check_rules import (
    Comparison,
    Difference,
    judge_freshness,
    judge_quarantine,
    judge_reconciliation,
)

DAY = date(2026, 3, 3)
SP = "SPONSORED_PRODUCTS"


def difference(other_spend: str, minutes: float) -> Difference:
    """Return a day with a spend of 100, and another one elsewhere, asked for so many minutes apart."""
    amounts = (Decimal(100), Decimal(other_spend), Decimal(7), Decimal(7))
    return Difference("US.a", DAY, SP, *amounts, timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("other_spend", "minutes", "passed"),
    [
        ("100.000001", 10, False),
        ("100.000001", 11, True),
        ("98", 11, True),
        ("97.99", 11, False),
        ("0", 300, False),
    ],
)
def test_totals_may_differ_by_2_percent_where_they_are_not_of_the_same_moment(
    *, other_spend: str, minutes: float, passed: bool
) -> None:
    """Asked for within ten minutes they must be equal, later within 2 %."""
    verdict = judge_reconciliation("other", Comparison(3, 2), [difference(other_spend, minutes)])
    assert passed is verdict.passed
    assert verdict.figures["not_comparable_yet"] == 1


@pytest.mark.parametrize(
    ("reconciles", "spend", "minutes", "passed"),
    [
        ("close", "100", 0, True),
        ("close", "95", 0, True),
        ("close", "94.99", 0, False),
        ("close", "105.27", 300, False),
        ("not above", "100", 0, True),
        ("not above", "20", 0, True),
        ("not above", "100.000001", 0, False),
        ("not above", "102", 11, True),
        ("not above", "103", 11, False),
    ],
)
def test_only_what_amazon_promises_is_claimed(
    *, reconciles: Reconciles, spend: str, minutes: float, passed: bool
) -> None:
    """Hours may differ from their day by a threshold, search terms may lie below their targets as far as they like."""
    found = Difference(
        "US.a",
        DAY,
        SP,
        Decimal(spend),
        Decimal(100),
        Decimal(7),
        Decimal(7),
        timedelta(minutes=minutes),
    )
    verdict = judge_reconciliation(
        "other", Comparison(1, 1), [found], reconciles=reconciles, closeness=0.05
    )
    assert passed is verdict.passed
    assert verdict.figures["largest_difference"] == round(float(found.share), 6)


def test_a_difference_shows_both_amounts_exactly() -> None:
    """Nothing is rounded in what a person is to look into."""
    [case] = judge_reconciliation("other", Comparison(1, 1), [difference("100.000001", 0)]).cases
    assert (case["spend"], case["spend there"], case["off by"]) == ("100", "100.000001", "0.00%")
    assert "SP" == case["ad"]


def test_nothing_comparable_is_no_failure_and_says_so() -> None:
    """Without a day to compare, the check passes, as not comparable yet."""
    verdict = judge_reconciliation("daily totals", Comparison(0, 0), [])
    assert (verdict.passed, verdict.sentence) == (True, "Not comparable yet with daily totals.")


def test_the_account_that_waits_longest_comes_first_and_twenty_are_shown() -> None:
    """All are counted, the worst are shown."""
    since = datetime(2026, 3, 3, tzinfo=UTC)
    days = {"oldest": DAY, "newest": DAY, "windows": 2}
    late = [
        {"account_key": f"US.{n:02}", "since": since - timedelta(hours=n), **days}
        for n in range(24, -1, -1)
    ]
    verdict = judge_freshness(late, 30)
    figures = {"accounts_fresh": 5, "accounts_late": 25, "windows_late": 50}
    assert (verdict.passed, verdict.figures) == (False, figures)
    assert (
        verdict.sentence
        == "25 accounts are late: 50 windows, the first since 2026-03-02 00:00 UTC."
    )
    assert ("US.24", "2", 20) == (*list(verdict.cases[0].values())[:2], len(verdict.cases))


def test_quarantine_is_judged_by_account() -> None:
    """One small account's bad rows don't hide among a large one's good ones."""
    verdict = judge_quarantine(
        [
            {"account_key": "US.big", "windows": 1, "quarantined": 1, "rows": 1_000_000},
            {"account_key": "US.small", "windows": 1, "quarantined": 2, "rows": 100},
        ]
    )
    assert not verdict.passed
    assert ["US.small"] == [case["account"] for case in verdict.cases]
    assert verdict.figures == {"quarantined": 3, "accounts_over": 1}
