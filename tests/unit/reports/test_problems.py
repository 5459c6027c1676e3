"""Tests of how problems are worded."""

from datetime import UTC, datetime

import pytest

from bidbeacon_pipelines.problems.problem_rules import Problem, first_sentence, headline, merge

NOON = datetime(2026, 7, 25, 12, 0, tzinfo=UTC)
ACCOUNT = "account amzn1.ads-account.g.1kc1, 2026-01-12 to 2026-01-12"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            "34 of 34 rows (100.0%) failed validation (6 × clicks: missing)",
            "34 of 34 rows (100.0%) failed validation (6 × clicks: missing)",
        ),
        (
            f"Amazon answered: Too old (at periods[0].startDate). Don't ask. Could not create a report ({ACCOUNT}; status 400, request 1000B9).",
            "Amazon answered: Too old. Don't ask. Could not create a report.",
        ),
        (
            f"The connection broke (Error: closed (received 541 bytes)). Look for it. Could not create a report ({ACCOUNT}). Given up after 5 attempts.",
            "The connection broke (Error: closed (received 541 bytes)). Look for it. Could not create a report. Given up after 5 attempts.",
        ),
    ],
)
def test_a_headline_has_no_ids(reason: str, told: str) -> None:
    """Nor the place in the request; what was tried is still said."""
    assert told == headline(reason)


def test_a_cause_without_what_to_do() -> None:
    """The first sentence."""
    assert "Revoked" == first_sentence("Revoked. Authorise again.") == first_sentence("Revoked.")


def test_what_cannot_be_counted_has_no_number() -> None:
    """Nor accounts, where it concerns none."""
    problem = Problem("key", "disk", "Full")
    assert ("disk", "") == (problem.extent, problem.whose)


def test_problems_of_one_key_are_one() -> None:
    """Of entities that were refused one kind after the other: the first one's words, the sums, the names of all."""
    ads = Problem(
        "key",
        "failed",
        "No rights. Ads.",
        count=2,
        names=("A", "B"),
        accounts=2,
        since=NOON,
        is_minor=True,
    )
    targets = Problem(
        "key", "failed", "No rights. Targets.", count=3, names=("C", "B", "D"), accounts=3
    )
    [told] = merge([ads, targets])
    assert ("No rights. Ads.", 5, ("A", "B", "C"), 4) == (
        told.cause,
        told.count,
        told.names,
        told.accounts,
    )
    assert (NOON, False) == (told.since, told.is_minor)
