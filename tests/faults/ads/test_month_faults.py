"""The faults of the month are what the month says that they are."""

from collections import Counter, defaultdict
from datetime import timedelta
from math import prod

import pytest

from bidbeacon_pipelines.sandbox.faults import FAULTS, FaultRule, Faults, Subject
from tests.faults.ads.month import PROBABILITY, START, seasons
from tests.faults.ads.month_faults import SELDOM_MET, Season, SeasonalFaults, Struck, month_faults

pytestmark = pytest.mark.faults


def test_every_fault_has_a_rule() -> None:
    """No fault of the sandbox is left out of the month."""
    seasonal = {season.rule.fault for season in seasons("an account")}
    assert set(FAULTS) == seasonal | {rule.fault for rule in month_faults(PROBABILITY)}


def test_every_fault_is_on_at_ten_percent_whatever_its_variants() -> None:
    """Of each kind of call that a fault tells apart one in ten is struck, also where several rules take turns at it."""
    spared = defaultdict(list)
    for rule in month_faults(0.1):
        spared[rule.fault, rule.operation].append(1 - rule.probability)
    struck = {which: 1 - prod(shares) for which, shares in spared.items()}
    assert struck == pytest.approx({which: SELDOM_MET.get(which[0], 0.1) for which in struck})


def test_variants_strike_equally_often() -> None:
    """Of 30,000 calls 3,000 are throttled, a third of these in each of the three ways, give or take what the seed draws."""
    faults, subject = Faults(1, month_faults(0.1)), Subject("retrieve_report")
    rules = (faults.find_strike("throttle", subject) for _ in range(30_000))
    ways = Counter(rule.options.retry_after for rule in rules if rule is not None)
    assert dict.fromkeys(("seconds", "http-date", "none"), 1000) == pytest.approx(
        dict(ways), abs=100
    )


def test_a_season_comes_and_goes() -> None:
    """A rule of a season strikes while it is on, and every strike is noted with its time and account."""
    now = START
    rule = FaultRule(fault="missing_rights", account="a")
    faults = SeasonalFaults(1, (), [Season(rule, lambda at: at > START)], lambda: now)
    subject = Subject("create_report", "a")
    assert faults.find_strike("missing_rights", subject) is None
    now = START + timedelta(days=1)
    assert faults.find_strike("missing_rights", subject) == rule
    assert [Struck(now, "missing_rights", "create_report", "a")] == faults.struck
