"""The faults of the month are what the month says that they are."""

from collections import Counter, defaultdict
from math import prod

import pytest

from bidbeacon_pipelines.sandbox.faults import FAULTS, Faults, Subject
from tests.faults.ads.month import PROBABILITY
from tests.faults.ads.month_faults import costs_a_create, month_faults


def test_every_fault_has_a_rule() -> None:
    """No fault of the sandbox is left out of the month."""
    assert set(FAULTS) == {rule.fault for rule in month_faults(PROBABILITY)}


def test_every_fault_is_on_at_ten_percent_whatever_its_variants() -> None:
    """Of each kind of call that a fault tells apart one in ten is struck, also where several rules take turns at it."""
    spared = defaultdict(list)
    for rule in month_faults(0.1):
        spared[rule.fault, rule.operation].append(1 - rule.probability)
    struck = {which: 1 - prod(shares) for which, shares in spared.items()}
    assert struck == pytest.approx(dict.fromkeys(struck, 0.1))


def test_variants_strike_equally_often() -> None:
    """Of 30,000 calls 3,000 are throttled, a third of these in each of the three ways, give or take what the seed draws."""
    faults, subject = Faults(1, month_faults(0.1)), Subject("retrieve_report")
    rules = (faults.find_strike("throttle", subject) for _ in range(30_000))
    ways = Counter(rule.options.retry_after for rule in rules if rule is not None)
    assert dict.fromkeys(("seconds", "http-date", "none"), 1000) == pytest.approx(dict(ways), abs=100)


def test_no_fault_of_an_export_excuses_a_create() -> None:
    """A strike on an export's calls says nothing of how often a report is asked for; one on a report's file may."""
    excuses = {(rule.fault, rule.operation) for rule in month_faults(PROBABILITY) if costs_a_create(rule)}
    assert [] == [excuse for excuse in excuses if excuse[1] in {"create_export", "get_export"}]
    assert {
        ("throttle_accepted", "create_report"),
        ("expired_url", "retrieve_report"),
        ("no_resign", "retrieve_report"),
        ("wrong_size", "retrieve_report"),
        ("too_old", None),
    } <= excuses
