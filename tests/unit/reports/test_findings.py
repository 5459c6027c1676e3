"""Findings: one for each cause, with what it has done, the worst first."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.datasets.partition_months import first_partition_day
from bidbeacon_pipelines.problems.findings import Effect, finding_key, found, merge
from bidbeacon_pipelines.problems.system_findings import judge_partitions

NOON = datetime(2026, 7, 25, 12, 0, tzinfo=UTC)
REVOKED = {"code": "token-revoked", "detail": {"reason": "expired"}}
FAILED = Effect("2 windows failed", "/coverage", 2)


def test_causes_that_differ_in_details_have_one_key() -> None:
    """Parameters make another cause."""
    clicks = {"code": "field-refused", "field": "clicks"}
    assert finding_key(clicks) == finding_key(clicks | {"detail": {"request_id": 12}})
    assert finding_key(clicks) != finding_key(clicks | {"field": "sales"})
    assert "token-revoked" == finding_key(REVOKED)


def test_a_revoked_token_is_one_finding_with_its_consequences() -> None:
    """Accounts, windows and sessions say the same cause; the first one tells it, and the others what it has done."""
    accounts = found(REVOKED, Effect("3 ads accounts need attention", "/accounts", 3), names=("A",))
    windows = found(REVOKED, Effect("900 windows are not refreshed", "/accounts"), since=NOON)
    session = found(
        {"code": "token-revoked"},
        Effect("1 session of sync-accounts failed", "/sessions/1", 1),
        names=("B",),
        since=NOON - timedelta(hours=1),
        alert_after=timedelta(minutes=15),
    )
    [one] = merge([accounts, windows, session], NOON)
    assert accounts.sentence == one.sentence
    assert (*accounts.effects, *windows.effects, *session.effects) == one.effects
    assert (("A", "B"), timedelta(0)) == (one.names, one.alert_after)
    assert NOON - timedelta(hours=1) == one.since


def test_what_follows_from_another_finding_stands_below_it() -> None:
    """While that is there; otherwise it is a finding of its own."""
    late = found({"code": "overdue"}, Effect("9 windows are late", "/coverage", 9))
    late = replace(late, because=("nothing-happens",))
    silent = found({"code": "nothing-happens", "detail": {"time": "3 h"}})
    [one] = merge([late, silent], NOON)
    assert "nothing-happens" == one.code
    assert [late.sentence, "9 windows are late"] == [effect.text for effect in one.effects]
    assert [late] == merge([late], NOON)


def test_a_finding_is_as_bad_as_its_worst_effect() -> None:
    """A report that is retried is no problem, and a window that failed for the same cause is."""
    retried = found({"code": "report-failed", "status": "FAILED"}, severity=Severity.WAITING)
    failed = found({"code": "report-failed", "status": "FAILED"}, FAILED, severity=Severity.ERROR)
    warning = found({"code": "country-silent"}, severity=Severity.WARNING)
    merged = merge([warning, retried, failed], NOON)
    expected = [(Severity.ERROR, 2), (Severity.WARNING, 0)]
    assert expected == [(one.severity, one.count) for one in merged]


def test_advice_names_an_account_only_where_it_is_the_only_one() -> None:
    """Two accounts are resumed by two commands, or by the button."""
    refused = {"code": "account-refused", "detail": {"account": "US.acme"}}
    assert "resume US.acme" in found(refused, accounts=1).advice
    assert "US.acme" not in found(refused, accounts=2).advice


TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("months", "first"), [(1, date(2026, 10, 1)), (11, date(2025, 12, 1)), (15, date(2025, 8, 1))]
)
def test_partitions_begin_with_a_month(months: int, first: date) -> None:
    """So many whole months before this one."""
    assert first == first_partition_day(TODAY, months)


@pytest.mark.parametrize(
    ("accounts", "to_do"),
    [
        (106, None),  # 79,924 partitions
        (107, "BIDBEACON_PARTITION_MONTHS=23"),
        (1_000, "BIDBEACON_PARTITION_MONTHS=1 "),
        (2_000, "spread the accounts over several installations"),
    ],
)
def test_the_setting_that_makes_room_is_named(accounts: int, to_do: str | None) -> None:
    """From 80 % on, with what to do after the setting is enlarged again."""
    said = [one.advice for one in judge_partitions(accounts, 24, NOW)]
    assert [] == said if to_do is None else to_do in said[0]
    assert ("record_again" in "".join(said)) == ("MONTHS" in (to_do or ""))
