"""Tests of how problems are worded."""

from datetime import UTC, datetime

import pytest

from bidbeacon_pipelines.reports.problems import Problem, first_sentence, headline, merge

NOON = datetime(2026, 7, 25, 12, 0, tzinfo=UTC)
ACCOUNT = "account amzn1.ads-account.g.1kc1, 2026-01-12 to 2026-01-12"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            "34 of 34 rows (100.0%) are invalid (6 × clicks: missing)",
            "34 of 34 rows (100.0%) are invalid (6 × clicks: missing)",
        ),
        (
            "given up after 5 attempts: Amazon says FAILED (E7: Out of ink)",
            "Amazon says FAILED (E7: Out of ink). Given up after 5 attempts.",
        ),
        (
            f"Could not create a report ({ACCOUNT}): Amazon answered: Not in this region (status 400, code 400000, request 1000B9). The request has to change.",
            "Not in this region. The request has to change. Could not create a report.",
        ),
        (
            f"given up after 5 attempts: Could not create a report ({ACCOUNT}): the outcome is unknown, since Amazon answered: Internal (status 502). Look for it.",
            "Internal. Look for it. Could not create a report, given up after 5 attempts.",
        ),
        (
            f"Could not create a report ({ACCOUNT}): the outcome is unknown, since the connection broke (Error: closed (received 541 bytes)). Look for it.",
            "The outcome is unknown, since the connection broke (Error: closed (received 541 bytes)). Look for it. Could not create a report.",
        ),
        (
            "Could not renew the access token: ••• answered: Revoked (status 400, code invalid_grant, request 9459). Authorise again.",
            "Revoked. Authorise again. Could not renew the access token.",
        ),
    ],
)
def test_the_cause_comes_first_and_ids_are_left_out(reason: str, told: str) -> None:
    """What was tried comes last."""
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
        "key", "failed", "No rights. Ads.", count=2, names=("A", "B"), accounts=2, since=NOON, is_minor=True
    )
    targets = Problem("key", "failed", "No rights. Targets.", count=3, names=("C", "B", "D"), accounts=3)
    [told] = merge([ads, targets])
    assert ("No rights. Ads.", 5, ("A", "B", "C"), 4) == (told.cause, told.count, told.names, told.accounts)
    assert (NOON, False) == (told.since, told.is_minor)
